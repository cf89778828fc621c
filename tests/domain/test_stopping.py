"""Stopping rules across participants: who is evaluable, what crosses, and what lifts a hold."""

from datetime import date
from typing import Any

import pytest

from domain.trial.stopping import tally
from tests.specs import (
    Said,
    Study,
    assessed,
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
    said,
    screening,
    update,
)

DLT = {"grade": 3, "causality": "possible"}
LAST = "01-010"


def study_of(count: int, toxicity: dict[str, Any] | None = None) -> Study:
    """A study in which so many were dosed on 7 December; nobody had an event yet."""
    changes: dict[str, Any] = {
        "visits": (),
        "settings": {"screening_validity_days": 400},
        "stagger": None,
    }
    if toxicity is not None:
        changes["toxicity"] = toxicity
    study = Study(protocol_but(**changes))
    for number in range(1, count + 1):
        study.post(*on_study, authorised, dosed, who=name(number), historical=True)
    return study


def name(number: int) -> str:
    return f"01-{number:03}"


def toxic(
    study: Study, number: int, at: str = "2026-12-10T09:00:00-05:00", ae: str = "AE-1", **data: Any
) -> Said:
    one = event(ae, at, **{**DLT, **data})
    study.post(one, who=name(number))
    return one


def figures(study: Study, on: str) -> tuple[int, int, int, int, int | None, bool]:
    found = tally(study.trial, study.protocol, date.fromisoformat(on))
    return (
        found.dosed,
        found.evaluable,
        found.pending,
        found.with_dlt,
        found.boundary,
        found.crossed,
    )


def rules(study: Study) -> list[str]:
    return sorted(study.trial.boundaries)


# --- the denominator ------------------------------------------------------------------------------


def test_who_is_still_inside_the_window_does_not_dilute_the_rate() -> None:
    study = study_of(5)
    assert figures(study, "2027-01-04") == (5, 0, 5, 0, None, False)
    assert figures(study, "2027-01-05") == (5, 5, 0, 0, 3, False)
    toxic(study, 1)
    assert figures(study, "2026-12-20") == (5, 1, 4, 1, None, False)
    toxic(study, 2)
    assert figures(study, "2026-12-20") == (5, 2, 3, 2, 2, True)


@pytest.mark.parametrize(
    ("how", "day", "counted"),
    [
        ("discontinued", "2026-12-20", (2, 1, 0)),
        ("discontinued", "2027-01-03", (2, 1, 0)),
        ("discontinued", "2027-01-04", (2, 2, 0)),
        ("died", "2026-12-20", (2, 1, 0)),
    ],
)
def test_who_left_inside_the_window_without_a_toxicity_is_never_evaluable(
    how: str, day: str, counted: tuple[int, int, int]
) -> None:
    study = study_of(2)
    data = {"on": day} if how == "died" else {"cause": "withdrawal-by-subject"}
    left = said(how, day, **data)
    study.post(left, who=name(1))
    assert figures(study, "2027-02-01")[:3] == counted
    back = said("retracted", "2027-01-10", position=study.position(left, name(1)))
    study.post(back, who=name(1))
    assert figures(study, "2027-02-01")[:3] == (2, 2, 0)


def test_who_left_with_a_toxicity_counts() -> None:
    study = study_of(2)
    toxic(study, 1)
    study.post(said("discontinued", "2026-12-20", cause="adverse-event"), who=name(1))
    assert figures(study, "2026-12-21")[:4] == (2, 1, 1, 1)


# --- crossing -------------------------------------------------------------------------------------


def test_the_second_of_two_toxicities_proposes_a_hold_in_the_same_append() -> None:
    study = study_of(3)
    toxic(study, 1)
    second = event("AE-1", "2026-12-11T09:00:00-05:00", **DLT)
    crossing = concluded(
        "stopping-boundary-crossed", rule="bayesian", dosed=3, evaluable=2, with_toxicity=2
    )
    given(study=study).when(second, who=name(2)).then(
        second,
        concluded("dose-limiting-toxicity-identified", ae="AE-1"),
        concluded("slot-taken"),
        crossing,
    )
    slots = [study.trial.slots[name(number)].position for number in (1, 2)]
    assert study.log[-1].body.evidence == tuple(sorted(slots))


def test_a_crossing_gates_enrolment_and_dose_and_nothing_else_until_somebody_lifts_it() -> None:
    study = study_of(4)
    toxic(study, 1)
    toxic(study, 2)
    crossed = study.log[-1]
    study.post(*screening, confirmed, who=LAST, historical=True)
    later = enrolled.on("2026-12-12T09:00:00-05:00")
    outcome = given(study=study).when(later, who=LAST)
    outcome.refused("hold")
    assert outcome.refusal is not None
    assert outcome.refusal.blocked_by == (crossed.position,)
    toxic(study, 3, grade=2)
    site_only = said("hold-released", "2026-12-13", "sponsor", scope="01", cause="reviewed")
    given(study=study).when_told(site_only).refused("order")
    study.tell(said("hold-released", "2026-12-13", "sponsor", scope="study", cause="reviewed"))
    after = enrolled.on("2026-12-14T09:00:00-05:00")
    given(study=study).when(after, who=LAST).recorded_as_said()


def test_after_it_was_lifted_only_a_worse_tally_proposes_a_hold_again() -> None:
    study = study_of(6)
    for number in (1, 2, 3):
        toxic(study, number)
    assert study.trial.boundaries["bayesian"].body.with_toxicity == 3
    study.tell(said("hold-released", "2026-12-13", "sponsor", scope="study", cause="reviewed"))
    toxic(study, 1, "2026-12-14T09:00:00-05:00", ae="AE-2")
    assert rules(study) == []
    toxic(study, 4, "2026-12-15T09:00:00-05:00")
    assert study.trial.boundaries["bayesian"].body.with_toxicity == 4


def test_a_retraction_takes_the_crossing_back_and_the_log_says_so() -> None:
    study = study_of(3)
    toxic(study, 1)
    second = toxic(study, 2)
    mistaken = said("retracted", "2026-12-12", position=study.position(second, name(2)))
    given(study=study).when(mistaken, who=name(2)).then(
        mistaken,
        cleared(concluded("dose-limiting-toxicity-identified")),
        concluded("slot-taken"),
        cleared(concluded("stopping-boundary-crossed", rule="bayesian")),
    )
    assert rules(study) == []
    toxic(study, 3)
    assert rules(study) == ["bayesian"]


def test_a_retraction_after_the_hold_was_lifted_lets_the_next_case_propose_it_again() -> None:
    study = study_of(3)
    toxic(study, 1)
    second = toxic(study, 2)
    study.tell(said("hold-released", "2026-12-13", "sponsor", scope="study", cause="reviewed"))
    study.post(
        said("retracted", "2026-12-14", position=study.position(second, name(2))), who=name(2)
    )
    toxic(study, 3)
    assert rules(study) == ["bayesian"]


def test_that_others_turn_out_well_does_not_take_a_crossing_back() -> None:
    study = study_of(8)
    toxic(study, 1)
    toxic(study, 2)
    assert rules(study) == ["bayesian"]
    late = dosed.on("2027-02-02T10:00:00-05:00")
    study.post(*on_study, late, who=name(9), historical=True)
    assert figures(study, "2027-02-02") == (9, 8, 1, 2, 4, False)
    assert rules(study) == ["bayesian"]


def test_a_judgement_moves_the_tally() -> None:
    study = study_of(3)
    toxic(study, 1)
    toxic(study, 2, causality="unrelated")
    assert rules(study) == []
    study.post(assessed("AE-1", "2026-12-12", "sponsor", "probable"), who=name(2))
    assert rules(study) == ["bayesian"]


def test_a_participant_with_two_toxicities_counts_once() -> None:
    study = study_of(2)
    toxic(study, 1)
    toxic(study, 1, ae="AE-2")
    assert figures(study, "2026-12-20")[3] == 1
    assert rules(study) == []


@pytest.mark.parametrize(
    ("boundary", "cases", "crosses"),
    [
        ({"design": "pocock", "theta": "0.25", "phi": "0.05"}, 2, False),
        ({"design": "pocock", "theta": "0.25", "phi": "0.05"}, 3, True),
        ({"design": "3+3"}, 1, False),
        ({"design": "3+3"}, 2, True),
        ({"design": "boin", "target": "0.30"}, 2, False),
        ({"design": "boin", "target": "0.30"}, 3, True),
    ],
    ids=lambda one: one["design"] if isinstance(one, dict) else str(one),
)
def test_each_design_stops_by_its_own_table(
    boundary: dict[str, str], cases: int, crosses: bool
) -> None:
    study = study_of(4, toxicity={"boundary": boundary})
    for number in range(1, cases + 1):
        toxic(study, number)
    assert (boundary["design"] in rules(study)) is crosses


# --- absolute halts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"grade": 3}, []),
        ({"grade": 4}, ["halt-grade"]),
        ({"grade": 4, "causality": "unlikely"}, []),
        ({"outcome": "fatal"}, ["halt-death"]),
        ({"outcome": "fatal", "causality": "unrelated"}, []),
        ({"grade": 1, "term": "Ectopic tissue"}, ["halt-ectopic-tissue"]),
        ({"grade": 1, "term": "Neoplasm", "causality": "unrelated"}, ["halt-neoplasm"]),
        ({"grade": 4, "onset": "2026-12-01", "causality": None}, []),
    ],
    ids=str,
)
def test_one_event_alone_may_halt_the_study(data: dict[str, Any], found: list[str]) -> None:
    study = study_of(5)
    toxic(study, 1, **{"grade": 2, **data})
    assert rules(study) == found


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        (("Vascular disorders", "Vascular disorders"), ["same-class-vascular-disorders"]),
        (("Vascular disorders", "Cardiac disorders"), []),
        ((None, None), ["same-class-headache"]),
        (("Vascular disorders",), []),
    ],
)
def test_related_serious_events_of_one_class_halt_the_study(
    classes: tuple[str | None, ...], found: list[str]
) -> None:
    study = study_of(5)
    for number, organ_class in enumerate(classes, start=1):
        coding = {"dictionary": "MedDRA", "version": "27.1", "code": f"{number}"}
        data = {"coding": {**coding, "system_organ_class": organ_class}} if organ_class else {}
        toxic(study, number, grade=2, seriousness=["hospitalisation"], **data)
    assert rules(study) == found


def test_an_upgrade_halts_and_its_correction_takes_the_halt_back() -> None:
    study = study_of(4)
    toxic(study, 1, grade=2)
    worse = update("AE-1", "2026-12-12", grade=4)
    study.post(worse, who=name(1))
    assert rules(study) == ["halt-grade"]
    study.post(
        said("retracted", "2026-12-13", position=study.position(worse, name(1))), who=name(1)
    )
    assert rules(study) == []


# --- the study's stream stays small ---------------------------------------------------------------


def test_what_means_nothing_across_participants_leaves_the_studys_stream_alone() -> None:
    study = study_of(3)
    before = study.trial.version
    toxic(study, 1, grade=1)
    toxic(study, 2, grade=4, causality="unrelated", ae="AE-9")
    study.post(said("visit-booked", "2026-12-11", visit="V5", at="2026-12-21"), who=name(1))
    assert study.trial.version == before


def test_a_slot_says_only_what_the_rules_need() -> None:
    study = study_of(1)
    toxic(study, 1, grade=1)
    toxic(study, 1, ae="AE-2")
    slot = study.trial.slots[name(1)].body
    assert [one.ae for one in slot.toxicities] == ["AE-2"]
