"""Laws of what-if, for any history and any draft: it tells what really is, or would have been."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.journey.oversight import DeviationDetected
from domain.journey.safety import runs_of
from domain.kernel import Impossible, Refused
from domain.schedule import schedule
from domain.trial.protocol import Protocol
from domain.what_if import Change, Reading, changes, facts_alone, told, under
from tests.domain.test_laws import NOW, facts, moments
from tests.specs import WHO, Said, Study, open_protocol, protocol_but, referred, said, standing

several = settings(deadline=None, max_examples=60)
LATER = "2027-12-31T00:00:00Z"

SEX = st.sampled_from(["male", "female"])
people = st.builds(
    lambda born, sex: (
        said("demographics-recorded", "2026-11-23", birth_date=f"{born}-06-15", sex=sex),
        f"{born}-06-15",
    ),
    st.integers(1940, 2008),
    SEX,
)
journeys = st.tuples(people, st.lists(facts, min_size=1, max_size=10))


@st.composite
def drafts(draw: st.DrawFn) -> Protocol:
    """A protocol with other windows, other clocks and age limits; it plans the same visits."""
    kept = []
    for one in open_protocol().visits:
        fields = {name: getattr(one, name) for name in type(one).model_fields}
        if one.kind == "follow-up" and one.windowed and draw(st.booleans()):
            fields |= {"before": draw(st.integers(0, 5)), "after": draw(st.integers(0, 5))}
        kept.append(type(one).model_validate(fields))
    clocks = [one for one in open_protocol().clocks if draw(st.booleans())]
    rule = {"rule": "age", "at_least": draw(st.integers(18, 60))}
    criterion = {"id": "I1", "kind": "inclusion", "text": "An age.", "rule": rule}
    return protocol_but(visits=kept, clocks=clocks, criteria=[criterion])


@dataclass(frozen=True)
class Live:
    """What is recorded and shown of a participant, found without any what-if."""

    out: set[str]
    deviations: dict[str, str]
    due: dict[str, Any]
    verdict: str


def live(study: Study) -> Live:
    study.tick(LATER)
    participant = study.participant()
    found = standing(study).values()
    return Live(
        out={one.subject for one in schedule(study.trial, participant) if one.out_of_window},
        deviations={
            f"{one.rule} {one.subject or ''}".strip(): one.explanation
            for one in found
            if isinstance(one, DeviationDetected)
        },
        due={
            f"{run.ae} {run.clock} {run.occasion}": (run.started_at, run.due_at)
            for run in runs_of(study.trial, participant)
        },
        verdict=next((one.verdict for one in found if one.type == "eligibility-determined"), ""),  # type: ignore[attr-defined]
    )


def lived(protocol: Protocol, journey: Any) -> Study:
    """The journey in a study that had the protocol from the start; what cannot be is left out."""
    (person, born), saids = journey
    study = Study(protocol)
    study.post(referred, birth=born)
    study.clock = NOW
    for one in (person, *saids):
        try:
            study.post(one, now=NOW, historical=True, birth=born)
        except Impossible:
            continue
    return study


def told_of(study: Study, draft: Protocol) -> list[Change]:
    alone = facts_alone(study.participant())
    today = told(Reading(study.trial, alone, NOW))
    return list(changes(today, told(Reading(under(study.trial, draft), alone, NOW))))


def of(found: list[Change], part: str, *kinds: str) -> set[str]:
    return {one.what for one in found if one.part == part and one.kind in kinds}


@several
@given(journey=journeys, protocol=drafts())
def test_a_draft_like_todays_protocol_changes_nothing(journey: Any, protocol: Protocol) -> None:
    study = lived(protocol, journey)
    study.tick(LATER)
    fields = {name: getattr(protocol, name) for name in Protocol.model_fields}
    assert told_of(study, Protocol.model_validate(fields)) == []


@several
@given(journey=journeys, today=drafts(), draft=drafts())
def test_a_draft_tells_what_a_study_that_always_had_it_records(
    journey: Any, today: Protocol, draft: Protocol
) -> None:
    study = lived(today, journey)
    is_now, would_be = live(study), live(lived(draft, journey))
    found = told_of(study, draft)
    assert of(found, "visits", "now_out") == would_be.out - is_now.out
    assert of(found, "visits", "now_in") == is_now.out - would_be.out
    mine, others = is_now.deviations, would_be.deviations
    assert of(found, "deviations", "new") == others.keys() - mine.keys()
    assert of(found, "deviations", "gone") == mine.keys() - others.keys()
    both = mine.keys() & others.keys()
    assert of(found, "deviations", "changed") == {one for one in both if mine[one] != others[one]}
    assert len(of(found, "clocks", "new")) == len(would_be.due.keys() - is_now.due.keys())
    assert len(of(found, "clocks", "gone")) == len(is_now.due.keys() - would_be.due.keys())
    moved = of(found, "eligibility", "now_eligible", "now_ineligible", "now_pending")
    same = is_now.verdict == would_be.verdict
    assert moved == (set() if same else {f"{is_now.verdict} becomes {would_be.verdict}"})


@several
@given(journey=journeys, moment=moments(), data=st.data())
def test_a_correction_tells_what_is_seen_once_it_is_recorded(
    journey: Any, moment: str, data: st.DataObject
) -> None:
    study = lived(open_protocol(), journey)
    before, is_now = facts_alone(study.participant()), live(study)
    target = data.draw(st.sampled_from([one for one in study.log if one.kind == "fact"]))
    correction: Said = said("corrected", "2027-12-30", position=target.position, occurred_at=moment)
    try:
        study.post(correction, now=NOW)
    except (Impossible, Refused):
        return
    after = facts_alone(study.participants[WHO])
    readings = Reading(study.trial, before, NOW), Reading(study.trial, after, NOW)
    found, then = list(changes(*map(told, readings))), live(study)
    assert of(found, "visits", "now_out") == then.out - is_now.out
    assert of(found, "visits", "now_in") == is_now.out - then.out
    assert of(found, "deviations", "new") == then.deviations.keys() - is_now.deviations.keys()
    assert of(found, "deviations", "gone") == is_now.deviations.keys() - then.deviations.keys()
