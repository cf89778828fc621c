"""Laws of what-if, for any history and any draft: it tells what really is, or would have been."""

from dataclasses import dataclass
from datetime import date, timedelta
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
from tests.specs import (
    WHO,
    Said,
    Study,
    consented,
    dosed,
    event,
    open_protocol,
    protocol_but,
    referred,
    report,
    said,
    screened,
    standing,
    visit,
)

several = settings(deadline=None, max_examples=40)
LATER = "2027-12-31T00:00:00Z"

people = st.builds(
    lambda born, sex: (
        said("demographics-recorded", "2026-11-23", birth_date=f"{born}-06-15", sex=sex),
        f"{born}-06-15",
    ),
    st.integers(1940, 2008),
    st.sampled_from(["male", "female"]),
)
DAY_0 = date(2026, 12, 7)
FOLLOW_UP = [one for one in open_protocol().visits if one.kind == "follow-up" and one.windowed]


@st.composite
def around_their_day(draw: st.DrawFn) -> list[Said]:
    """Follow-up visits that were held some days before or after their target."""
    held = draw(st.lists(st.sampled_from(FOLLOW_UP), max_size=5, unique_by=lambda one: one.code))
    return [
        visit(one.code, str(DAY_0 + timedelta(days=(one.day or 0) + draw(st.integers(-7, 7)))))
        for one in held
    ]


@st.composite
def serious(draw: st.DrawFn) -> list[Said]:
    """A serious event that starts clocks, sometimes reported."""
    aware = f"2027-01-{draw(st.integers(1, 20)):02}T10:00:00-05:00"
    causality = draw(st.sampled_from(["possible", "unrelated"]))
    happened = event("AE-9", aware, seriousness=["hospitalisation"], causality=causality)
    sent = report("AE-9", "site-to-sponsor", f"2027-01-{draw(st.integers(1, 28)):02}T12:00:00Z")
    return draw(st.sampled_from([[], [happened], [happened, sent]]))


@st.composite
def journeys(draw: st.DrawFn) -> tuple[Any, list[Said]]:
    """A participant, often dosed and followed up as planned, with whatever else may happen."""
    planned = [consented, screened]
    if draw(st.integers(0, 3)):
        planned += [dosed, *draw(around_their_day()), *draw(serious())]
    return draw(people), [*planned, *draw(st.lists(facts, max_size=4))]


@dataclass(frozen=True)
class Edits:
    """What is edited in LK-23-01; it plans the same visits."""

    windows: dict[str, tuple[int, int]]
    """Visit -> days before and after."""
    hours: dict[str, int | None]
    """Clock -> its limit; None: there is no such clock."""
    at_least: int
    """Years of age."""

    def protocol(self) -> Protocol:
        visits = [_but(one, **_window(self.windows.get(one.code))) for one in BASE.visits]
        clocks = [
            _but(one, hours=self.hours[one.clock], days=None) if one.clock in self.hours else one
            for one in BASE.clocks
            if self.hours.get(one.clock, 1) is not None
        ]
        rule = {"rule": "age", "at_least": self.at_least}
        criterion = {"id": "I1", "kind": "inclusion", "text": "An age.", "rule": rule}
        return protocol_but(visits=visits, clocks=clocks, criteria=[criterion])


BASE = open_protocol()


def _but(one: Any, **changes: Any) -> Any:
    fields = {name: getattr(one, name) for name in type(one).model_fields}
    return type(one).model_validate({**fields, **changes})


def _window(days: tuple[int, int] | None) -> dict[str, int]:
    return {} if days is None else {"before": days[0], "after": days[1]}


edits = st.builds(
    Edits,
    st.dictionaries(
        st.sampled_from([one.code for one in FOLLOW_UP]),
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
    ),
    st.dictionaries(
        st.sampled_from([one.clock for one in BASE.clocks]), st.sampled_from([None, 6, 24, 300])
    ),
    st.integers(18, 60),
)


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
@given(journey=journeys(), today=edits)
def test_a_draft_like_todays_protocol_changes_nothing(journey: Any, today: Edits) -> None:
    study = lived(today.protocol(), journey)
    study.tick(LATER)
    assert told_of(study, today.protocol()) == []


@several
@given(journey=journeys(), today=edits, draft=edits)
def test_a_draft_tells_what_a_study_that_always_had_it_records(
    journey: Any, today: Edits, draft: Edits
) -> None:
    study = lived(today.protocol(), journey)
    is_now, would_be = live(study), live(lived(draft.protocol(), journey))
    found = told_of(study, draft.protocol())
    assert of(found, "visits", "now_out") == would_be.out - is_now.out
    assert of(found, "visits", "now_in") == is_now.out - would_be.out
    mine, others = is_now.deviations, would_be.deviations
    assert of(found, "deviations", "new") == others.keys() - mine.keys()
    assert of(found, "deviations", "gone") == mine.keys() - others.keys()
    both = mine.keys() & others.keys()
    assert of(found, "deviations", "changed") == {one for one in both if mine[one] != others[one]}
    assert len(of(found, "clocks", "new")) == len(would_be.due.keys() - is_now.due.keys())
    assert len(of(found, "clocks", "gone")) == len(is_now.due.keys() - would_be.due.keys())
    both = is_now.due.keys() & would_be.due.keys()
    moved = {one.what for one in found if one.kind == "moved" and "due" in one.why}
    assert len(moved) == sum(is_now.due[one] != would_be.due[one] for one in both)
    moved = of(found, "eligibility", "now_eligible", "now_ineligible", "now_pending")
    same = is_now.verdict == would_be.verdict
    assert moved == (set() if same else {f"{is_now.verdict} becomes {would_be.verdict}"})


@several
@given(journey=journeys(), moment=moments(), data=st.data())
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
