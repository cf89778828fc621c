"""The laws of the core over every fact of the catalogue, under the whole protocol LK-23-01.

What is compared is what anybody reads: the chapters' states and the rows of every view.
"""

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import catalogue
from domain.eligibility.evaluate import evaluate
from domain.kernel import Impossible, Kind, Noted, Recorded
from domain.participant import Participant, replay
from domain.time import When
from domain.trial.study import Trial
from projections.catalogue import VIEWS
from tests.domain.any_fact import FACTS, journeys
from tests.specs import WHO, Said, Study, lk_23_01, referred, said

NOW = When.parse("2027-12-31T00:00:00Z").earliest()
BIRTH = "1984-07-15"

several = settings(deadline=None, max_examples=25)


# --- equality -------------------------------------------------------------------------------------
#
# Two histories read the same when they tell the same, wherever their events stand in the log: so
# positions, versions, hashes and the moments of recording are left out, and with them whose words
# they are (a correction's). So is what the calendar feed once showed and must still call off: that
# it was shown is not undone. Everything else counts: bodies, days, order, explanations.

PLACES = {"position", "version", "evidence", "changed", "recorded_at", "corrected_by", "cause"}
SHOWN_ONCE = "once"
CALLED_OFF = "off"
IN_WORDS = re.compile(r"position \d+")


def without_places(value: Any) -> Any:
    match value:
        case Noted():
            # Which of two facts the age is written into depends on which came last; that both
            # tell the same age is compared by what is computed from it.
            body = value.body.model_dump(mode="json", exclude={"age_at_screening"})
            return (body, value.recorded.occurred_at.text, value.recorded.source)
        case str():
            return IN_WORDS.sub("position", value)
        case dict():
            return {name: without_places(one) for name, one in value.items() if name not in PLACES}
        case list() | tuple():
            return [without_places(one) for one in value]
        case _ if hasattr(value, "__dataclass_fields__"):
            found = {one.name: getattr(value, one.name) for one in fields(value)}
            return {name: without_places(one) for name, one in found.items() if name[0] != "_"}
        case _:
            return value


CHAPTERS = ("referral", "consent", "screening", "treatment", "visits", "safety", "closure")


def reads(trial: Trial, participant: Participant) -> dict[str, Any]:
    """All that is read of a participant, without places."""
    chapters = {name: without_places(getattr(participant, name)) for name in CHAPTERS}
    oversight = participant.oversight
    chapters["oversight"] = without_places([oversight.deviations, oversight.notes])
    verdict = evaluate(trial, participant)
    chapters["verdict"] = [
        (one.criterion, one.outcome, IN_WORDS.sub("position", one.explanation), one.missing)
        for one in verdict.outcomes
    ]
    views = {view.name: _rows(view, trial, participant) for view in VIEWS}
    return chapters | views


def _rows(view: Any, trial: Trial, participant: Participant) -> list[str]:
    """The rows, sorted: a deviation's key is its position, and when it was found is a moment of
    recording."""
    rows = []
    for key, row in view.of(trial, participant).items():
        item = without_places(dict(row.item))
        if item.get("detected"):
            item.pop("occurred_at", None)
        item.pop(SHOWN_ONCE, None)
        if item.get("state") == CALLED_OFF or _says_nothing(view, row, item):
            continue
        place = "" if view.name == "deviations" else key
        rows.append(repr((place, sorted(without_places(dict(row.columns)).items()), item)))
    return sorted(rows)


def _says_nothing(view: Any, row: Any, item: dict[str, Any]) -> bool:
    """A visit without a date that nobody expects: kept in the list where it once had one."""
    undated = view.name == "schedule" and item["target"] is None and item["completed_on"] is None
    return undated and row.columns["settled"] == "not-expected"


# --- histories ------------------------------------------------------------------------------------


def told(saids: Sequence[Said]) -> Study:
    """All of it, in this order of arrival; what cannot be is left out."""
    study = Study(lk_23_01())
    study.post(referred)
    study.clock = NOW
    for one in saids:
        try:
            post(study, one)
        except Impossible:
            continue
    return study


def post(study: Study, one: Said) -> tuple[Recorded, ...]:
    """As the door does it: a birth date that is known is at hand wherever an age is written."""
    born = one.body.type == "demographics-recorded" or study.participant().screening.demographics
    return study.post(one, now=NOW, historical=True, birth=BIRTH if born else None)


def seen(study: Study) -> dict[str, Any]:
    return reads(study.trial, study.participant())


# --- the laws -------------------------------------------------------------------------------------


def test_every_fact_of_the_catalogue_takes_part() -> None:
    known = {name for name, cls in catalogue.PARTICIPANT.items() if cls.kind is Kind.FACT}
    assert set(FACTS) == known


@several
@given(saids=journeys, data=st.data())
def test_arrival_order_does_not_matter_whatever_the_facts(
    saids: list[Said], data: st.DataObject
) -> None:
    # A death makes some later reports impossible, and not those that came before it: what was
    # accepted is told in another order, all of it.
    accepted = [one for one in saids if one.body.type != "died"]
    assert seen(told(accepted)) == seen(told(data.draw(st.permutations(accepted))))


@several
@given(saids=journeys, data=st.data())
def test_a_retracted_fact_reads_as_if_it_had_never_been_told(
    saids: list[Said], data: st.DataObject
) -> None:
    study = told(saids)
    facts = [one for one in study.participant().history if one.kind is Kind.FACT][1:]
    if not facts:
        return
    target = data.draw(st.sampled_from(facts))
    study.post(said("retracted", "2027-12-30T00:00:00Z", position=target.position), now=NOW)
    history = [one for one in study.log if one.participant and one.kind is Kind.FACT]
    without = Study(lk_23_01())
    without.clock = NOW
    for one in history:
        if one.position != target.position:
            again = Said(one.body, one.occurred_at.text, source=one.source)
            without.post(again, now=NOW, historical=True)
    assert seen(study) == seen(without)


@several
@given(saids=journeys, other=st.sampled_from(sorted(FACTS)), data=st.data())
def test_correcting_and_correcting_back_reads_as_never_having_corrected(
    saids: list[Said], other: str, data: st.DataObject
) -> None:
    """What is said and when it was, both at once."""
    study = told(saids)
    before = seen(study)
    history = study.participant().history[1:]
    if not history:
        return
    target = data.draw(st.sampled_from(history))
    meant = data.draw(FACTS[target.type])
    moment = data.draw(st.sampled_from(["2026-12-01", "2027-03-01T12:00:00Z"]))
    kept = target.body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    there = _corrected(study, target, moment, _plain(meant))
    back = there and _corrected(study, target, target.occurred_at.text, kept)
    if there and not back:
        # What was impossible beside a death that was told later cannot be said once more.
        assert study.participant().closure.died
        return
    assert seen(study) == before


def _corrected(study: Study, target: Recorded, at: str, says: dict[str, Any]) -> bool:
    """Whether the correction was taken."""
    one = said("corrected", "2027-12-30", position=target.position, data=says, occurred_at=at)
    born = study.participant().screening.demographics
    try:
        study.post(one, now=NOW, birth=BIRTH if born else None)
    except Impossible:
        return False
    return True


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
        for name, value in data.items()
    }


@several
@given(saids=journeys, count=st.integers(1, 12))
def test_what_was_known_then_is_not_changed_by_what_came_after(
    saids: list[Said], count: int
) -> None:
    """Every prefix reads the same when the history goes on: states are replaced, never changed."""
    study = told(saids[:count])
    at, trial = study.log[-1].position, study.trial
    then, state = seen(study), study.participant()
    for one in saids[count:]:
        try:
            post(study, one)
        except Impossible:
            continue
    assert reads(trial, state) == then
    prefix = [one for one in study.log if one.participant and one.position <= at]
    assert reads(trial, replay(WHO, prefix)) == then
