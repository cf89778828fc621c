"""Events from a file: order is kept, what is refused is listed by its line, again is no harm."""

import asyncio
from pathlib import Path

import orjson
import pytest

from domain.kernel import Actor
from services.imports.ndjson import LINE_BYTES_MAX, NdjsonImport, Summary, lines_of
from services.record import Terms
from tests.imports.conftest import Store
from tests.imports.test_demo import STUDY, prepared

TERMS = Terms(Actor(id="import", role="data-manager"), "urn:file")
SITE = {"type": "site-opened", "data": {"site": "01", "name": "One", "timezone": "UTC"}}


def event(
    kind: str, participant: str | None = "P1", at: str = "2026-11-02", **more: object
) -> bytes:
    document = {"type": kind, "participant": participant, "occurred_at": at, **more}
    return orjson.dumps(document) + b"\n"


def referred(participant: str, **more: object) -> bytes:
    return event("referred", participant, data={"site": "01", "channel": "self"}, **more)


def run(store: Store, *lines: bytes, historical: bool = False) -> Summary:
    terms = Terms(TERMS.actor, TERMS.source, historical=historical)
    return asyncio.run(NdjsonImport(store.recording, STUDY, terms).run(lines, lambda _bytes: None))


@pytest.fixture
def study() -> Store:
    return prepared()


def test_lines_become_events_and_a_study_event_counts_for_what_follows_it(study):
    found = run(
        study,
        referred("P1", id="1"),
        b"\n",
        event("hold-placed", None, data={"scope": "01", "cause": "audit"}, id="0"),
        event("site-opened", None, data=SITE["data"], id="2"),
        event("hold-placed", None, data={"scope": "01", "cause": "audit"}, id="3"),
        event("prescreened", data={"proceed": True}, id="4"),
    )
    assert found.document()["recorded"] == {
        "hold-placed": 1,
        "prescreened": 1,
        "referred": 1,
        "site-opened": 1,
    }
    assert [(one.line, one.rule) for one in found.rejected] == [(3, "order")]


def test_what_is_refused_is_listed_by_its_line_and_the_rest_is_recorded(study):
    found = run(
        study,
        referred("P1", id="1"),
        b"{\n",
        b'{"a": 1, "a": 2}\n',
        event("no-such-type"),
        event("prescreened", data={"proceed": "yes"}),
        event("prescreened", at="2027-01-01", data={"proceed": True}),
        event("enrolled", data={}),
        event("prescreened", participant="P2", data={"proceed": True}),
        event("prescreened", data={"proceed": True}),
        referred("P3") * 400,
    )
    assert [(one.line, one.rule) for one in found.rejected] == [
        (2, "not-json"),
        (3, "duplicate-key"),
        (4, "unknown-type at /type"),
        (5, "bool-type at /data/proceed"),
        (10, "not-json"),
        (6, "future"),
        (7, "consent"),
        (8, "no-such-participant"),
    ]
    history = study.hot.participant(STUDY, "P1").history
    assert [one.type for one in history] == ["referred", "prescreened"]


def test_decisions_that_were_taken_elsewhere_are_history(study):
    lines = (referred("P1", id="1"), event("enrolled", data={}, id="2"))
    assert [one.rule for one in run(study, *lines).rejected] == ["consent"]
    assert run(study, *lines, historical=True).document()["recorded"] == {"enrolled": 1}


def test_again_changes_nothing_and_other_content_is_said(study):
    lines = [referred(f"P{n}", id=f"{n}") for n in range(1_100)]
    assert run(study, *lines).recorded.total() == 1_100
    head = study.ledger.head(STUDY)
    again = run(study, *lines, referred("P7", id="7", reason="other"))
    assert (again.recorded.total(), again.known.total(), study.ledger.head(STUDY)) == (
        0,
        1_100,
        head,
    )
    assert [(one.line, one.rule) for one in again.rejected] == [(1_101, "event-id-reused")]


def test_a_line_without_end_is_cut_and_refused_and_the_next_is_read(study, tmp_path: Path):
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'"' + b"x" * (3 * LINE_BYTES_MAX) + b'"\n' + referred("P1"))
    lines = list(lines_of(file))
    assert [len(line) <= LINE_BYTES_MAX + 2 for line in lines] == [True, True]
    found = run(study, *lines)
    assert [(one.line, one.rule) for one in found.rejected] == [(1, "too-large")]
    assert found.recorded.total() == 1


def test_corrections_and_retractions_are_lines_like_any_other(study):
    seen = event("screening-started", at="2026-11-03", data={}, id="2")
    again = event("screening-started", at="2026-11-05", data={}, id="3")
    run(study, referred("P1", id="1"), seen, again)
    first, second = (study.hot.participant(STUDY, "P1").history[at].position for at in (1, 2))

    def change(kind: str, number: str, position: int, **said: object) -> bytes:
        data = {"position": position, **said}
        return event(kind, at="2026-11-20", reason="typing error", data=data, id=number)

    lines = (
        change("corrected", "4", first, occurred_at="2026-11-04"),
        change("retracted", "5", second),
        change("corrected", "6", first, occurred_at="2029-11-04"),
        change("corrected", "7", first + 1_000, occurred_at="2026-11-04"),
        event("retracted", at="2026-11-20", data={"position": first}, id="8"),
    )
    found = run(study, *lines)
    assert found.document()["recorded"] == {"corrected": 1, "retracted": 1}
    # Lines that are no event at all are told first, those that were refused with their append.
    refused = [(5, "required at /reason"), (3, "future"), (4, "order")]
    assert [(one.line, one.rule) for one in found.rejected] == refused
    started = study.hot.participant(STUDY, "P1").screening.started
    assert [one.when.text for one in started] == ["2026-11-04"]
    once_more = run(study, *lines)
    assert once_more.document()["already_recorded"] == {"corrected": 1, "retracted": 1}
    assert [(one.line, one.rule) for one in once_more.rejected] == refused
