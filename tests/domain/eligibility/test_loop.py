"""Facts, conclusions, the investigator's word: eligibility as the log has it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from domain.journey.eligibility import confirmation_problem, verdict_of
from domain.kernel import Recorded
from tests.domain.eligibility.charts import Fact, eligible, lab, said, without
from tests.specs import Said, Study, booked, given, lk_23_01, standing
from tests.specs import said as post

CONFIRMED = post("eligibility-confirmed", "2026-11-30T10:00:00-05:00", "investigator")


def _said(one: Fact) -> Said:
    return Said(one.body, one.at)


def _study(facts: Iterable[Fact] = eligible) -> Study:
    """A study in which a participant's facts were posted one by one, late on the screening day."""
    study = Study(lk_23_01())
    for one in facts:
        study.post(_said(one))
    return study


def _about(recorded: Iterable[Recorded]) -> list[tuple[str, str]]:
    """Conclusions on criteria and the verdict, in order."""
    return [
        (one.type, getattr(one.body, "criterion", None) or getattr(one.body, "verdict", ""))
        for one in recorded
        if one.type.startswith(("criterion", "eligibility-determined"))
    ]


def test_a_fact_and_what_follows_from_it_are_recorded_together() -> None:
    study = _study(without("creatinine"))
    fact, *followed = study.post(_said(lab("creatinine", "0.8", "mg/dL")))
    assert fact.type == "observation-recorded"
    assert _about(followed) == [
        ("criterion-passed", "I4"),
        ("eligibility-determined", "eligible"),
    ]
    assert all(one.cause == fact.position for one in followed)
    assert fact.position in followed[0].body.evidence  # type: ignore[attr-defined]


def test_what_is_said_already_is_not_said_again() -> None:
    study = _study()
    again = study.post(_said(lab("creatinine", "0.9", "mg/dL", on="2026-11-25")))
    assert _about(again) == []
    assert _about(study.tick("2026-11-26T00:00:00Z")) == []


def test_an_unknown_criterion_is_no_news_until_it_was_decided() -> None:
    study = Study(lk_23_01())
    told = study.post(_said(eligible[0]))
    assert _about(told) == [("eligibility-determined", "pending")]


def test_a_late_result_fails_a_criterion_and_the_verdict() -> None:
    study = _study()
    told = study.post(_said(lab("creatinine", "4.4", "mg/dL", on="2026-11-28")))
    assert _about(told) == [
        ("criterion-failed", "I4"),
        ("eligibility-determined", "ineligible"),
    ]
    body = told[1].body
    assert "is not at least 30" in body.explanation  # type: ignore[attr-defined]


def test_a_correction_decides_again_and_is_cited() -> None:
    study = _study(without("creatinine"))
    (wrong, *_) = study.post(_said(lab("creatinine", "4.4", "mg/dL", on="2026-11-24")))
    right = {"code": "creatinine", "value": "0.9", "unit": "mg/dL"}
    told = study.post(
        post("corrected", "2026-11-25", "data-manager", position=wrong.position, data=right)
    )
    assert _about(told) == [
        ("criterion-passed", "I4"),
        ("eligibility-determined", "eligible"),
    ]
    assert {wrong.position, told[0].position} <= set(told[1].body.evidence)  # type: ignore[attr-defined]


def test_a_retraction_opens_the_criterion_again() -> None:
    study = _study(without("creatinine"))
    (only, *_) = study.post(_said(lab("creatinine", "0.8", "mg/dL", on="2026-11-24")))
    told = study.post(post("retracted", "2026-11-25", "data-manager", position=only.position))
    assert _about(told) == [
        ("criterion-reopened", "I4"),
        ("eligibility-determined", "pending"),
    ]
    assert told[1].body.missing == ("creatinine",)  # type: ignore[attr-defined]


def test_moving_day_0_decides_again() -> None:
    study = _study()
    moved = study.post(booked("V1", "2026-12-14", "2026-11-29T10:00:00-05:00"))
    assert _about(moved) == []
    cancelled = study.post(post("visit-cancelled", "2026-11-30T10:00:00-05:00", visit="V1"))
    reopened = [name for kind, name in _about(cancelled) if kind == "criterion-reopened"]
    assert reopened == ["E5", "E6", "E7", "E9", "E11"]


def test_only_an_investigator_confirms_and_only_what_is_eligible() -> None:
    given(study=_study()).when(CONFIRMED.by("coordinator")).refused("signer")
    pending = _study(without("hiv"))
    given(study=pending).when(CONFIRMED).refused("verdict")
    failing = _study((*eligible, said("unfit-comorbidity", True, "2026-11-28")))
    blocking = _said(said("unfit-comorbidity", True, "2026-11-28"))
    given(study=failing).when(CONFIRMED).refused("verdict", blocked_by=blocking)


def test_a_confirmation_binds_the_verdict_until_a_fact_changes_it() -> None:
    study = _study()
    study.post(CONFIRMED)
    who = study.participant()
    confirmed = who.eligibility.confirmed[-1]
    assert confirmed.body.verdict_hash == verdict_of(study.trial, who).digest()
    now = datetime(2026, 12, 1, tzinfo=UTC)
    assert confirmation_problem(study.trial, who, now) is None
    late = _said(lab("hbsag", reads="positive", on="2026-12-02"))
    study.post(late)
    problem = confirmation_problem(study.trial, study.participant(), now)
    assert problem is not None
    assert problem.rule == "stale"
    assert problem.evidence == (confirmed.position, study.position(late))


def test_a_new_value_that_changes_no_outcome_leaves_the_confirmation() -> None:
    study = _study()
    study.post(CONFIRMED)
    study.post(_said(lab("creatinine", "0.85", "mg/dL", on="2026-12-01")))
    now = datetime(2026, 12, 2, tzinfo=UTC)
    assert confirmation_problem(study.trial, study.participant(), now) is None


def test_the_verdict_is_worked_out_once_for_what_it_reads() -> None:
    study = _study()
    before = verdict_of(study.trial, study.participant())
    study.post(post("visit-completed", "2026-11-23T12:00:00-05:00", visit="V0", mode="in-person"))
    assert verdict_of(study.trial, study.participant()) is before
    study.post(_said(lab("weight", "66", "kg", on="2026-11-29")))
    assert verdict_of(study.trial, study.participant()) is not before


def test_every_standing_conclusion_can_be_recomputed() -> None:
    study = _study((*eligible, lab("creatinine", "4.4", "mg/dL", on="2026-11-28")))
    told = {one.criterion: one for one in verdict_of(study.trial, study.participant()).outcomes}
    concluded = {"criterion-passed": "passed", "criterion-failed": "failed"}
    for key, body in standing(study).items():
        if key[0] == "criterion":
            assert told[key[1]].outcome == concluded[body.type]
