"""What is remembered from state to state says what is worked out anew, after whatever happens."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import planning
from domain.admit import admit, difference
from domain.eligibility import evaluate as criteria
from domain.eligibility.evaluate import evaluate
from domain.journey.safety import slot_toxicities
from domain.kernel import Refusal
from domain.participant import Participant
from domain.schedule import plan, schedule
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from tests.domain.any_fact import fact, facts, moments
from tests.specs import WHO, Said, Study, _proposed, lk_23_01, referred, said

quick = settings(deadline=None, max_examples=200)
BEGAN = "2026-10-02"


def _amended() -> Protocol:
    """Another version, with wider windows and fewer criteria."""
    fields = {name: getattr(lk_23_01(), name) for name in Protocol.model_fields}
    visits = tuple(
        one.model_copy(update={"after": one.after + 3}) if one.windowed else one
        for one in lk_23_01().visits
    )
    criteria = lk_23_01().criteria[:-2]
    changed = {"version": "9.0", "visits": visits, "criteria": criteria, "assumptions": {}}
    return Protocol.model_validate({**fields, **changed})


AMENDED = _amended()


def _study() -> Study:
    """Two sites in two zones; another version is published, and active nowhere."""
    study = Study(lk_23_01())
    study.tell(said("site-opened", BEGAN, "sponsor", site="02", name="B", timezone="Asia/Tokyo"))
    for site in ("01", "02"):
        told = {"site": site, "protocol": lk_23_01().version}
        study.tell(said("protocol-activated", BEGAN, "sponsor", **told))
    study.publish(AMENDED, BEGAN)
    study.post(referred)
    return study


_changes = st.one_of(
    st.builds(lambda at, to: said("retracted", at, position=to), moments, st.integers(8, 24)),
    st.builds(
        lambda at, to, then: said("corrected", at, position=to, occurred_at=then),
        moments,
        st.integers(8, 24),
        moments,
    ),
    st.builds(
        lambda at, to: said("transferred", at, site=to), moments, st.sampled_from(["01", "02"])
    ),
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

_steps = st.lists(
    st.one_of(facts, _telling, _telling, _changes, _amendments, st.integers(0, 90)),
    min_size=1,
    max_size=20,
)


def _happens(study: Study, step: Said | int) -> None:
    """A fact, a decision, an event of the study, or so many days that pass."""
    with suppress(Refusal):
        if isinstance(step, int):
            study.tick((study.clock + timedelta(days=step)).isoformat())
        elif step.body.type == "protocol-activated":
            study.tell(step)
        else:
            study.post(step, historical=True)


def _forgetful(who: Participant) -> Participant:
    """The same without anything that was remembered, of anybody."""
    planning._UNDATED.clear()
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


def _judged_in_vain(study: Study, one: Said) -> None:
    """A fact that is judged and not recorded, as when an append lost a race."""
    proposed = _proposed(one, WHO, study.clock)
    with suppress(Refusal):
        admit(study.trial, study.participant(), [replace(proposed, historical=True)])


@quick
@given(_steps, st.lists(_telling, min_size=1, max_size=5))
def test_what_is_remembered_is_what_is_worked_out_anew(
    steps: list[Said | int], in_vain: list[Said]
) -> None:
    study = _study()
    for number, step in enumerate(steps):
        _judged_in_vain(study, in_vain[number % len(in_vain)])
        _happens(study, step)
        who = study.participant()
        for days in (0, 1, 40):
            _compare(study.trial, who, study.clock + timedelta(days=days))
        if number % 4 == 3:
            assert evaluate(study.trial, who) == evaluate(study.trial, _forgetful(who))
