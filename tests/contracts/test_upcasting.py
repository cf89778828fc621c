"""A schema version that only these tests have, over a log that was written in the one before.

What was written stays: the bytes, the hashes, what was concluded. Everything that reads takes the
step: the log, the fold, a correction's data, the views, the replay, the check.
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import pytest

from domain import catalogue, upcasting
from domain import participant as journey
from domain.journey.consent import Consented
from infra.ledger.markers import leaf
from infra.ledger.recorder import LedgerRecorder
from infra.ledger.repository import Histories
from infra.postgres.pool import Pool
from infra.projection.folds import recorded
from services.replay import replay
from services.replay_check import ReplayCheck
from tests import specs
from tests.projections.watched import STUDY, Watched, watched

WHO = "01-001"


class ConsentedOnPaper(Consented):
    """The next version: how it was signed is said, and by whom in another word."""

    schema_version: ClassVar[int] = 2
    type: Literal["consented"] = "consented"
    medium: Literal["paper", "screen"]


def to_second(data: dict[str, Any]) -> dict[str, Any]:
    """Until then everything was signed on paper, and a version 1 was written as 1.0."""
    return {**data, "medium": "paper"}


@pytest.fixture
def before(pool: Pool) -> Iterator[Watched]:
    """A study as it was written before: a consent, its correction, and what followed."""
    with watched(pool) as found:
        found.post(WHO, *specs.treated, historical=True)
        consent = found.hot.participant(STUDY, WHO).consent.given[0].position
        says = {"form_version": "1.0", "signed_by": "representative"}
        moved = specs.said("corrected", "2026-12-20", "data-manager", position=consent, data=says)
        found.post(WHO, moved)
        found.post(WHO, specs.visit("V5", "2026-12-26T10:00:00Z"))
        found.projector.catch_up(STUDY)
        yield found


@pytest.fixture
def after(before: Watched, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The same study, read by the program of the next version."""
    monkeypatch.setitem(catalogue.PARTICIPANT, "consented", ConsentedOnPaper)
    routed = journey.CHAPTER_OF[Consented]
    monkeypatch.setitem(journey.CHAPTER_OF, ConsentedOnPaper, routed)
    monkeypatch.setattr(upcasting, "STEPS", {"participant.consented.v1": to_second})
    return Watched(before.pool)


def consents(study: Watched) -> list[Any]:
    return [one.body for one in study.hot.participant(STUDY, WHO).consent.given]


def test_what_was_written_reads_as_the_next_version(before: Watched, after: Watched) -> None:
    stored = next(
        one for one in after.hot.history(STUDY, WHO) if one.topic == "participant.consented.v1"
    )
    read = recorded(stored)
    assert isinstance(read.body, ConsentedOnPaper)
    assert read.body.medium == "paper"
    assert read.hash == stored.hash == leaf(stored.body)
    assert "medium" not in json.loads(stored.body)["data"]
    assert json.loads(stored.body)["schema"] == 1
    before.ledger.close()


def test_a_correction_that_was_written_before_says_what_it_said(after: Watched) -> None:
    (body,) = consents(after)
    assert isinstance(body, ConsentedOnPaper)
    assert (body.signed_by, body.medium) == ("representative", "paper")


def test_the_library_reads_it_through_mapper_and_recorder(after: Watched) -> None:
    histories = Histories(after.ledger, STUDY, journey.replay)
    state = histories.get(WHO)
    assert isinstance(state.consent.given[0].body, ConsentedOnPaper)
    assert state == after.hot.participant(STUDY, WHO)
    assert histories.get(WHO, 1).version == 1
    topics = ["participant.consented.v1"]
    found = LedgerRecorder(after.ledger, STUDY).select_notifications(None, 9, topics=topics)
    assert [one.topic for one in found] == topics


def test_views_replay_and_check_take_the_step(before: Watched, after: Watched) -> None:
    live = before.digests()
    assert after.expected() == live
    for view in after.views:
        assert after.projector.rebuild(STUDY, view.name).same
    assert after.digests() == live
    assert list(ReplayCheck(after.ledger, after.documents, STUDY).findings()) == []
    version = after.hot.participant(STUDY, WHO).version
    facts = replay(after.hot, STUDY, WHO, version).state["facts"]
    assert [one["medium"] for one in facts["consent"]["given"]] == ["paper"]


def test_what_is_posted_now_is_written_in_the_next_version(after: Watched) -> None:
    says = {"form_version": "1.0", "signed_by": "participant", "medium": "screen"}
    position = after.post(WHO, specs.said("consented", "2026-12-28T10:00:00Z", **says))
    stored = after.ledger.read(STUDY, position - 1, 1)[0]
    topics = {one.topic for one in after.hot.history(STUDY, WHO) if ".consented." in one.topic}
    assert topics == {"participant.consented.v1", "participant.consented.v2"}
    assert [body.medium for body in consents(after)] == ["paper", "screen"]
    again = Watched(after.pool)
    assert [body.medium for body in consents(again)] == ["paper", "screen"]
    assert list(ReplayCheck(again.ledger, again.documents, STUDY).findings()) == []
    assert stored.position == position
    again.ledger.close()


def test_without_a_step_the_version_cannot_be_read(
    after: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upcasting, "STEPS", {})
    with pytest.raises(KeyError, match=r"participant\.consented\.v1"):
        after.hot.participant(STUDY, WHO)
