"""What is remembered from state to state says what is worked out anew, after whatever happens."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import visit_calendar
from domain.admit import admit, difference
from domain.eligibility import evaluate as criteria
from domain.eligibility.evaluate import evaluate
from domain.journey.safety import slot_toxicities
from domain.kernel import PROVISIONAL, Refusal
from domain.participant import Participant
from domain.schedule import plan, schedule
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from tests.domain.any_fact import fact, facts, moments
from tests.specs import (
    WHO,
    Said,
    Study,
    _proposed,
    lk_23_01,
    open_protocol,
    referred,
    said,
)

quick = settings(deadline=None, max_examples=200)
BEGAN = "2026-10-02"


def _amended(before: Protocol) -> Protocol:
    """Another version: wider windows, fewer criteria, a visit less."""
    fields = {name: getattr(before, name) for name in Protocol.model_fields}
    visits = tuple(
        one.model_copy(update={"after": one.after + 3}) if one.windowed else one
        for one in before.visits
        if one.code != "V7"
    )
    criteria = before.criteria[:-2]
    changed = {"version": "9.0", "visits": visits, "criteria": criteria, "assumptions": {}}
    return Protocol.model_validate({**fields, **changed})


def _study(protocol: Protocol) -> Study:
    """Two sites in two zones; another version is published, and active nowhere."""
    study = Study(protocol)
    study.tell(said("site-opened", BEGAN, "sponsor", site="02", name="B", timezone="Asia/Tokyo"))
    for site in ("01", "02"):
        study.tell(
            said("protocol-activated", BEGAN, "sponsor", site=site, protocol=protocol.version)
        )
    study.publish(AMENDED[protocol.version, bool(protocol.criteria)], BEGAN)
    study.post(referred)
    return study


AMENDED = {
    (one.version, bool(one.criteria)): _amended(one) for one in (lk_23_01(), open_protocol())
}


class Change(NamedTuple):
    """A correction of when an event happened, or without that its retraction."""

    at: str
    back: int
    """Which one, counted from the last."""
    to: str | None

    def of(self, who: Participant) -> Said:
        """As it is posted for a participant."""
        position = who.history[-1 - self.back % len(who.history)].position
        if self.to is None:
            return said("retracted", self.at, position=position)
        return said("corrected", self.at, position=position, occurred_at=self.to)


_changes = st.builds(Change, moments, st.integers(0, 4), st.one_of(st.none(), moments))
_moves = st.builds(
    lambda at, site: said("transferred", at, site=site), moments, st.sampled_from(["01", "02"])
)
_amendments = st.builds(
    lambda site: said("protocol-activated", "2026-12-01", "sponsor", site=site, protocol="9.0"),
    st.sampled_from(["01", "02"]),
)
_telling = st.sampled_from(
    (
        "adverse-event-reported",
        "consented",
        "observation-recorded",
        "screening-started",
        "visit-booked",
        "visit-completed",
        "visit-missed",
    )
).flatmap(fact)
"""The facts on which most rests."""

Step = Said | Change | int
_steps = st.lists(
    st.one_of(facts, _telling, _telling, _changes, _moves, _amendments, st.integers(0, 90)),
    min_size=1,
    max_size=20,
)


def _happens(study: Study, step: Step) -> None:
    """A fact, a decision, an event of the study, or so many days that pass."""
    with suppress(Refusal):
        if isinstance(step, int):
            study.tick((study.clock + timedelta(days=step)).isoformat())
            return
        one = step.of(study.participant()) if isinstance(step, Change) else step
        if one.body.type == "protocol-activated":
            study.tell(one)
            return
        _judged_alike(study, one)
        study.post(one, historical=True)


def _judged_alike(study: Study, one: Said) -> None:
    """What is appended is the same for whom nothing is remembered, also where the fact was judged
    before in vain, as when an append lost a race."""
    who, trial = study.participant(), study.trial
    proposed = [replace(_proposed(one, WHO, study._now(one)), historical=True)]
    admit(trial, who, proposed, first=PROVISIONAL + 7)
    told = admit(trial, who, proposed).events
    assert told == admit(trial, _forgetful(who), proposed).events


def _forgetful(who: Participant) -> Participant:
    """The same without anything that was remembered, of anybody."""
    visit_calendar._UNDATED.clear()
    criteria._BLANK.clear()
    return replace(who, _computed={}, _derived={})


def _compare(trial: Trial, who: Participant, now: datetime) -> None:
    told, planned, calendar = difference(trial, who, now), plan(trial, who), schedule(trial, who)
    toxicities, verdict = slot_toxicities(trial, who, now), evaluate(trial, who)
    words = (verdict.told, verdict.verdict, verdict.digest())
    anew = _forgetful(who)
    assert told == difference(trial, anew, now)
    assert (planned, calendar) == (plan(trial, anew), schedule(trial, anew))
    assert toxicities == slot_toxicities(trial, anew, now)
    fresh = evaluate(trial, anew)
    assert words == (fresh.told, fresh.verdict, fresh.digest())


@quick
@given(st.sampled_from([lk_23_01(), open_protocol()]), _steps)
def test_what_is_remembered_is_what_is_worked_out_anew(
    protocol: Protocol, steps: list[Step]
) -> None:
    study = _study(protocol)
    for number, step in enumerate(steps):
        _happens(study, step)
        who = study.participant()
        for days in (-240, 0, 1, 40):
            _compare(study.trial, who, study.clock + timedelta(days=days))
        if number % 3 == 0:
            assert evaluate(study.trial, who) == evaluate(study.trial, _forgetful(who))
