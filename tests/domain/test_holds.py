"""What proposes a hold, what a hold stops, who lifts it, and how corrections take it back."""

from typing import Any

import pytest

from domain.kernel import Conclusion, Recorded
from domain.trial.events import StoppingBoundaryCrossed
from tests.specs import (
    Said,
    Study,
    authorised,
    cleared,
    concluded,
    confirmed,
    dosed,
    enrolled,
    event,
    given,
    on_study,
    protocol_but,
    report,
    said,
    screening,
    update,
    visit,
)

FIRST, SECOND, THIRD = "01-001", "01-002", "01-003"
GRAVE = {"grade": 4, "causality": "possible"}


def study_of(**changes: Any) -> Study:
    return Study(protocol_but(settings={"screening_validity_days": 400}, **changes))


def dose(study: Study, who: str, day: str) -> Said:
    """A participant who was dosed on a day."""
    given_then = dosed.on(f"{day}T10:00:00-05:00")
    study.post(
        *on_study, authorised.on(f"{day}T08:00:00-05:00"), given_then, who=who, historical=True
    )
    return given_then


def rules(study: Study) -> list[str]:
    return sorted(study.trial.boundaries)


def crossings(study: Study) -> list[Recorded]:
    return [one for one in study.log if isinstance(one.body, StoppingBoundaryCrossed)]


# --- the stagger ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (["2026-12-07", "2026-12-20"], ["stagger"]),
        (["2026-12-07", "2026-12-21"], []),
        (["2026-12-07", "2026-12-21", "2027-01-03"], ["stagger"]),
        (["2026-12-07", "2026-12-21", "2027-01-04", "2027-01-04"], []),
        (["2026-12-07", "2026-12-07", "2026-12-07"], ["stagger"]),
    ],
    ids=str,
)
def test_a_first_dose_given_too_soon_proposes_a_hold(days: list[str], found: list[str]) -> None:
    study = study_of()
    for number, day in enumerate(days, start=1):
        dose(study, f"01-00{number}", day)
    assert rules(study) == found


def test_the_proposal_stands_in_the_append_of_the_dose_and_names_both_doses() -> None:
    study = study_of()
    dose(study, FIRST, "2026-12-07")
    study.post(*on_study, who=SECOND, historical=True)
    soon = dosed.on("2026-12-09T10:00:00-05:00")
    recorded = study.post(soon, who=SECOND)
    assert recorded[0].type == "dosed", "a dose is a fact and is never refused"
    assert recorded[-1].type == "stopping-boundary-crossed"
    slots = sorted(study.trial.slots[who].position for who in (FIRST, SECOND))
    body = recorded[-1].body
    assert isinstance(body, StoppingBoundaryCrossed)
    assert (body.rule, body.with_toxicity, list(body.evidence)) == ("stagger", 1, slots)
    study.post(*screening, confirmed, who=THIRD, historical=True)
    given(study=study).when(enrolled.on("2026-12-10T09:00:00-05:00"), who=THIRD).refused("hold")


def test_a_dose_that_was_not_given_that_day_after_all_takes_the_hold_back() -> None:
    study = study_of()
    dose(study, FIRST, "2026-12-07")
    soon = dose(study, SECOND, "2026-12-09")
    mistaken = said("retracted", "2026-12-10", position=study.position(soon, SECOND))
    recorded = study.post(mistaken, who=SECOND)
    gone = cleared(concluded("stopping-boundary-crossed", rule="stagger"))
    assert any(gone.matches(one, study) for one in recorded)
    assert rules(study) == []


# --- what a hold stops, and what never ------------------------------------------------------------


@pytest.mark.parametrize("how", ["placed", "crossed"])
def test_a_hold_stops_enrolment_and_dose_and_no_report_and_no_visit(how: str) -> None:
    study = study_of(stagger=None)
    dose(study, FIRST, "2026-12-07")
    study.post(*on_study, who=SECOND, historical=True)
    study.post(*screening, confirmed, who=THIRD, historical=True)
    if how == "placed":
        study.tell(said("hold-placed", "2026-12-08", "safety-officer", scope="study", cause="look"))
    else:
        study.post(event("AE-1", "2026-12-08T09:00:00-05:00", **GRAVE), who=FIRST)
        assert rules(study) == ["halt-grade"]
    later = "2026-12-09T09:00:00-05:00"
    given(study=study).when(enrolled.on(later), who=THIRD).refused("hold")
    given(study=study).when(authorised.on(later), who=SECOND).refused("hold")
    for one in (
        event("AE-2", later, seriousness=["hospitalisation"]),
        update("AE-2", "2026-12-10T09:00:00-05:00", outcome="recovered"),
        report("AE-2", "site-to-sponsor", "2026-12-10T10:00:00-05:00"),
        visit("V4", "2026-12-14T10:00:00-05:00"),
        said("discontinued", "2026-12-15", cause="withdrawal-by-subject"),
    ):
        given(study=study).when(one, who=FIRST).recorded_as_said()
    given(study=study).when(dosed.on("2026-12-15T09:00:00-05:00"), who=SECOND).recorded_as_said()


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("sponsor", True),
        ("safety-officer", True),
        ("administrator", True),
        ("investigator", False),
        ("coordinator", False),
        ("system", False),
    ],
)
def test_a_hold_is_lifted_by_a_named_person_of_the_right_role(role: str, may: bool) -> None:
    study = study_of()
    dose(study, FIRST, "2026-12-07")
    study.post(event("AE-1", "2026-12-08T09:00:00-05:00", **GRAVE), who=FIRST)
    lift = said("hold-released", "2026-12-09", role, scope="study", cause="reviewed")
    outcome = given(study=study).when_told(lift)
    if not may:
        outcome.refused("signer")
        assert rules(study) == ["halt-grade"]
        return
    outcome.recorded_as_said()
    assert rules(study) == []
    assert study.log[-1].actor.id == f"a.{role}"


# --- corrections move everything together ---------------------------------------------------------


def state(study: Study) -> tuple[dict[tuple[str, ...], Any], list[str], Any]:
    """Standing conclusions without their evidence, crossings, and what the slot says."""
    found = {
        key: one.body.substance()
        for key, one in study.participant().concluded.items()
        if isinstance(one.body, Conclusion) and not key[0].startswith("clock")
    }
    return found, rules(study), study.trial.slots[FIRST].body.substance()


@pytest.mark.parametrize("how", ["retracted", "corrected"])
def test_what_is_taken_back_leaves_no_trace_but_in_the_log(how: str) -> None:
    study = study_of(visits=())
    dose(study, FIRST, "2026-12-07")
    mild = event("AE-1", "2026-12-08T09:00:00-05:00", grade=1, causality="unrelated")
    if how == "corrected":
        study.post(mild)
    before = state(study)
    grave = mild.but(seriousness=["life-threatening"], expected=False, serious=False, **GRAVE)
    if how == "corrected":
        study.post(
            said(
                "corrected",
                "2026-12-08T12:00:00-05:00",
                position=study.position(mild),
                data=_data(grave),
            )
        )
        back = said(
            "corrected",
            "2026-12-08T18:00:00-05:00",
            position=study.position(mild),
            data=_data(mild),
        )
    else:
        study.post(grave)
        back = said("retracted", "2026-12-08T18:00:00-05:00", position=study.position(grave))
    assert rules(study) == ["halt-grade"]
    assert state(study) != before
    recorded = study.post(back)
    assert state(study) == before
    # The log shows why: what follows from the correction names it as its cause.
    names = {one.type for one in recorded[1:]}
    assert names == {
        "serious-adverse-event-identified",
        "dose-limiting-toxicity-identified",
        "contradiction-found",
        "safety-clock-closed",
        "slot-taken",
        "stopping-boundary-crossed",
    }
    assert {one.cause for one in recorded[1:]} == {recorded[0].position}
    assert recorded[0].reason
    (crossed, lifted) = crossings(study)
    assert (crossed.body.cleared, lifted.body.cleared) == (None, True)  # type: ignore[attr-defined]
    assert study.tick("2026-12-09T12:00:00Z") == ()


def _data(one: Said) -> dict[str, Any]:
    return one.body.model_dump(mode="json", exclude_none=True)


def test_a_corrected_awareness_moves_the_limit_and_the_late_report_is_no_deviation_any_more() -> (
    None
):
    study = study_of()
    dose(study, FIRST, "2026-12-07")
    aware, sent = "2026-12-08T09:00:00-05:00", "2026-12-09T12:00:00-05:00"
    grave = event("AE-1", aware, seriousness=["disability"], causality="unrelated")
    study.post(grave)
    study.post(report("AE-1", "site-to-sponsor", sent))
    key = ("clock-ended", "AE-1", "site-to-sponsor", "1")
    met = study.participant().concluded[key].body
    assert (met.late, met.late_by) == (True, "PT3H")  # type: ignore[attr-defined]
    right = {**_data(grave), "aware_at": "2026-12-08T18:00:00-05:00"}
    fix = said("corrected", "2026-12-10", position=study.position(grave), data=right)
    recorded = study.post(fix)
    gone = cleared(concluded("deviation-detected", rule="safety-report-late"))
    assert any(gone.matches(one, study) for one in recorded)
    met = study.participant().concluded[key].body
    assert (met.late, met.late_by) == (False, None)  # type: ignore[attr-defined]
