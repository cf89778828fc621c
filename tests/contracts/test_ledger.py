"""One contract, three ledgers: in memory, in PostgreSQL, and a rehearsal on top of another."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.ledger.ledger import Ledger
from infra.ledger.markers import position_blank, previous_blank, time_blank
from infra.ledger.memory import MemoryLedger
from infra.ledger.postgres import PostgresLedger
from infra.ledger.rehearsed import RehearsedLedger
from infra.ledger.types import (
    APPEND_EVENTS_MAX,
    STUDY_STREAM,
    Append,
    Appended,
    Conflict,
    Draft,
    Duplicate,
    Found,
    Outcome,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "rehearsed", "postgres"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "memory":
        made: Ledger = MemoryLedger()
    elif request.param == "rehearsed":
        made = RehearsedLedger(MemoryLedger())
    else:
        made = PostgresLedger(request.getfixturevalue("pool"))
    yield made
    made.close()


def draft(
    stream: str,
    version: int,
    event_id: str | None = None,
    *,
    content: str = "",
    at: str = "2026-11-22T12:00:00.000000Z",
    evidence: tuple[int, ...] = (),
    index: int = 0,
    judged_on: str | None = None,
) -> Draft:
    cited = ",".join(position_blank(k) for k in evidence)
    template = (
        f'{{"content":{json.dumps(content)},"evidence":[{cited}],'
        f'"position":{position_blank(index)},"previous":{previous_blank(judged_on)},'
        f'"recorded_at":"{time_blank(at)}"}}'
    )
    return Draft(
        stream=stream,
        version=version,
        topic="participant.noted.v1",
        template=template.encode(),
        source="urn:lab" if event_id else None,
        event_id=event_id,
        fingerprint=hashlib.sha256(content.encode()).digest() if event_id else None,
    )


def append(ledger: Ledger, *drafts: Draft, on: int | None = None, study: str = "S") -> Outcome:
    return ledger.append_now(study, Append(drafts, on))


def appended(ledger: Ledger, *drafts: Draft, study: str = "S") -> Appended:
    outcome = append(ledger, *drafts, study=study)
    assert isinstance(outcome, Appended), outcome
    return outcome


def body(stored: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(stored.body)
    return read


def test_positions_are_dense_and_start_at_one(ledger: Ledger) -> None:
    appended(ledger, draft("A", 1))
    appended(ledger, draft("B", 1), draft("B", 2, index=1))
    appended(ledger, draft("A", 2))
    assert [(one.position, one.stream, one.version) for one in ledger.read("S", 0, 10)] == [
        (1, "A", 1),
        (2, "B", 1),
        (3, "B", 2),
        (4, "A", 2),
    ]
    assert ledger.head("S") == 4


def test_an_append_returns_what_a_reader_will_read(ledger: Ledger) -> None:
    outcome = appended(
        ledger, draft("A", 1, "E1", content="Zoë \U0001f600"), draft(STUDY_STREAM, 1)
    )
    assert list(outcome.stored) == ledger.read("S", 0, 10)
    assert outcome.position == 1


def test_every_event_is_hashed_over_its_bytes_and_names_the_one_before(ledger: Ledger) -> None:
    appended(ledger, draft("A", 1), draft("B", 1, index=1), draft("A", 2, index=2))
    appended(ledger, draft("A", 3))
    before: dict[str, str | None] = {"A": None, "B": None}
    for stored in ledger.read("S", 0, 10):
        assert stored.hash == hashlib.sha256(b"\0" + stored.body).hexdigest()
        assert body(stored)["previous"] == before[stored.stream]
        before[stored.stream] = stored.hash


def test_blanks_for_positions_are_filled_with_those_of_the_append(ledger: Ledger) -> None:
    appended(ledger, draft("A", 1))
    appended(ledger, draft("B", 1), draft("B", 2, index=1, evidence=(0, 1)))
    last = ledger.read("S", 2, 1)[0]
    assert body(last)["position"] == 3
    assert body(last)["evidence"] == [2, 3]


def test_content_that_looks_like_a_blank_stays_content(ledger: Ledger) -> None:
    hostile = "\x030\x03 \x03P\x03 \\u0003T \x00"
    stored = appended(ledger, draft("A", 1, content=hostile)).stored[0]
    assert body(stored)["content"] == hostile


@pytest.mark.parametrize(
    ("times", "recorded"),
    [
        (["12:00:00.000000", "12:00:00.000001"], ["12:00:00.000000", "12:00:00.000001"]),
        (["12:00:05.000000", "12:00:01.000000"], ["12:00:05.000000", "12:00:05.000000"]),
        (["12:00:00.000000", "12:00:00.000000"], ["12:00:00.000000", "12:00:00.000000"]),
    ],
)
def test_the_time_of_recording_never_goes_back(
    ledger: Ledger, times: list[str], recorded: list[str]
) -> None:
    for version, time in enumerate(times, 1):
        appended(ledger, draft("A", version, at=f"2026-11-22T{time}Z"))
    assert [body(one)["recorded_at"][11:26] for one in ledger.read("S", 0, 9)] == recorded


@pytest.mark.parametrize(
    ("drafts", "on", "stream", "stands"),
    [
        ((draft("A", 1),), None, "A", 2),
        ((draft("A", 4),), None, "A", 2),
        ((draft("B", 2),), None, "B", 0),
        ((draft("A", 3), draft("A", 5, index=1)), None, "A", 2),
        ((draft("B", 1), draft("A", 2, index=1)), None, "A", 2),
        ((draft("A", 3),), 0, STUDY_STREAM, 1),
        ((draft("A", 3),), 2, STUDY_STREAM, 1),
        ((draft("A", 3), draft(STUDY_STREAM, 3, index=1)), 1, STUDY_STREAM, 1),
        ((draft("A", 3, judged_on="ab" * 32),), None, "A", 2),
    ],
)
def test_an_append_on_other_versions_than_it_was_judged_on_is_a_conflict(
    ledger: Ledger, drafts: tuple[Draft, ...], on: int | None, stream: str, stands: int
) -> None:
    appended(ledger, draft("A", 1), draft("A", 2, index=1), draft(STUDY_STREAM, 1, index=2))
    assert append(ledger, *drafts, on=on) == Conflict(stream, stands)
    assert ledger.head("S") == 3
    appended(ledger, draft("A", 3))


def test_an_append_on_the_study_version_it_was_judged_on_goes_in(ledger: Ledger) -> None:
    appended(ledger, draft(STUDY_STREAM, 1))
    outcome = append(ledger, draft("A", 1), draft(STUDY_STREAM, 2, index=1), on=1)
    assert isinstance(outcome, Appended)


def test_an_append_on_the_hash_it_was_judged_on_goes_in(ledger: Ledger) -> None:
    first = appended(ledger, draft("A", 1)).stored[0]
    second = appended(ledger, draft("A", 2, judged_on=first.hash)).stored[0]
    assert body(second)["previous"] == first.hash


@pytest.mark.parametrize(("content", "same"), [("x", True), ("y", False)])
def test_an_event_id_is_taken_for_ever(ledger: Ledger, content: str, same: bool) -> None:
    appended(ledger, draft("A", 1))
    appended(ledger, draft("A", 2, "E1", content="x"))
    again = append(ledger, draft("B", 1), draft("A", 2, "E1", content=content, index=1))
    assert again == Duplicate(index=1, position=2, stream="A", version=2, same=same)
    assert ledger.head("S") == 2


def test_an_event_id_belongs_to_its_source_and_study(ledger: Ledger) -> None:
    appended(ledger, draft("A", 1, "E1"))
    other = draft("A", 2, "E1")
    object.__setattr__(other, "source", "urn:edc")
    appended(ledger, other)
    appended(ledger, draft("A", 1, "E1"), study="T")
    assert ledger.find("S", "urn:edc", "E1") == Found(2, "A", 2, other.fingerprint)
    assert ledger.find("S", "urn:lab", "E1") == Found(1, "A", 1, other.fingerprint)
    assert ledger.find("S", "urn:lab", "E2") is None
    assert ledger.find("U", "urn:lab", "E1") is None


@pytest.mark.parametrize(
    "drafts",
    [
        (),
        (draft("A", 1),) * (APPEND_EVENTS_MAX + 1),
        (draft("A", 1, "E1"), draft("A", 2, "E1")),
    ],
    ids=["none", "too many", "an id twice"],
)
def test_an_append_that_no_ledger_can_take_is_refused(
    ledger: Ledger, drafts: tuple[Draft, ...]
) -> None:
    with pytest.raises(ValueError, match="append"):
        append(ledger, *drafts)


def test_a_stream_is_read_from_a_version_and_up_to_a_position(ledger: Ledger) -> None:
    for version in range(1, 4):
        appended(ledger, draft("A", version))
        appended(ledger, draft("B", version))

    def versions(*args: Any) -> list[int]:
        return [one.version for one in ledger.stream("S", *args)]

    assert versions("A") == [1, 2, 3]
    assert versions("A", 1) == [2, 3]
    assert versions("A", 0, 3) == [1, 2]
    assert versions("A", 3) == []
    assert versions("C") == []


def test_the_log_is_read_in_pages(ledger: Ledger) -> None:
    for version in range(1, 6):
        appended(ledger, draft("A", version))

    def positions(*args: Any) -> list[int]:
        return [one.position for one in ledger.read("S", *args)]

    assert positions(0, 2) == [1, 2]
    assert positions(2, 2) == [3, 4]
    assert positions(2, 10, 4) == [3, 4]
    assert positions(0, 2, 4) == [1, 2]
    assert positions(5, 10) == []
    assert positions(0, 0) == []


def test_studies_and_participants_are_listed_by_name(ledger: Ledger) -> None:
    assert ledger.studies() == []
    for name in ("b", "B", "a-1", "Z"):
        appended(ledger, draft(name, 1), draft(name, 2, index=1))
    appended(ledger, draft(STUDY_STREAM, 1))
    appended(ledger, draft("a", 1), study="R")
    append(ledger, draft("a", 2), study="nothing was ever appended here")
    assert ledger.studies() == ["R", "S"]
    assert ledger.participants("S") == ["B", "Z", "a-1", "b"]
    assert ledger.participants("S", "B", 2) == ["Z", "a-1"]
    assert ledger.participants("S", "b") == []
    assert ledger.participants("S", "", 0) == []
    assert ledger.participants("nowhere") == []


def test_the_position_at_an_instant_is_the_last_recorded_by_then(ledger: Ledger) -> None:
    for version, minute in enumerate((0, 1, 1, 2), 1):
        appended(ledger, draft("A", version, at=f"2026-11-22T12:{minute:02}:00.000000Z"))
    found = [
        ledger.position_at("S", NOON + timedelta(seconds=seconds))
        for seconds in (-1, 0, 59, 60, 119, 120, 999)
    ]
    assert found == [0, 1, 1, 3, 3, 4, 4]
    assert ledger.position_at("nowhere", NOON) == 0


def test_a_hundred_callers_on_one_stream_get_one_version_each(ledger: Ledger) -> None:
    async def insist(number: int) -> int:
        version = 1
        while True:
            outcome = await ledger.append("S", Append((draft("A", version, f"E{number}"),)))
            match outcome:
                case Appended():
                    return outcome.position
                case Conflict():
                    version = outcome.version + 1
                case Duplicate():
                    raise AssertionError("nobody sent it before")

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(insist(number) for number in range(100)))

    assert sorted(asyncio.run(all_of_them())) == list(range(1, 101))
    assert [one.version for one in ledger.stream("S", "A")] == list(range(1, 101))


def test_the_same_event_sent_by_many_at_once_is_recorded_once(ledger: Ledger) -> None:
    async def all_of_them() -> list[Outcome]:
        sent = (ledger.append("S", Append((draft("A", 1, "E1"),))) for _ in range(50))
        return await asyncio.gather(*sent)

    got = asyncio.run(all_of_them())
    assert sum(isinstance(outcome, Appended) for outcome in got) == 1
    assert got.count(Duplicate(0, 1, "A", 1, True)) == 49


def test_a_listener_is_woken_with_the_study(ledger: Ledger) -> None:
    woken: list[str] = []
    ledger.listen(woken.append)
    appended(ledger, draft("A", 1), study="T")
    assert woken
    assert set(woken) == {"T"}


def test_histories_come_whole_one_participant_after_the_other(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.ledger.postgres.HISTORIES_PAGE_EVENTS", 3)
    appended(ledger, draft(STUDY_STREAM, 1))
    for version in range(1, 5):
        for name in ("C", "A", "-b", "B"):
            appended(ledger, draft(name, version))

    def read(**asked: Any) -> list[tuple[str, list[int]]]:
        found = ledger.histories("S", **asked)
        return [(one[0].stream, [event.version for event in one]) for one in found]

    whole = [1, 2, 3, 4]
    assert read() == [("-b", whole), ("A", whole), ("B", whole), ("C", whole)]
    assert read(first="B") == [("B", whole), ("C", whole)]
    assert read(first="AA") == [("B", whole), ("C", whole)]
    assert read(up_to=7) == [("-b", [1]), ("A", [1, 2]), ("B", [1]), ("C", [1, 2])]
    assert read(up_to=2) == [("C", [1])]
    assert read(before="B") == [("-b", whole), ("A", whole)]
    assert read(first="A", before="C") == [("A", whole), ("B", whole)]
    assert list(ledger.histories("S-2")) == []
