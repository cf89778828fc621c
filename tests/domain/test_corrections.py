"""Corrections and retractions: what follows from them, and what is refused."""

import pytest

from domain import catalogue
from domain.kernel import Kind
from domain.participant import effective_history
from tests.domain.corrections import COURSES, LATER, LATEST, Course
from tests.specs import (
    WHO,
    Said,
    Study,
    consented,
    deviations,
    died,
    dosed,
    dosing_visit,
    enrolled,
    given,
    lk_23_01,
    referred,
    said,
    screened,
    screening,
    standing,
    treated,
    visit,
)
from tests.specs import cleared as taken_back
from tests.specs import deviation as found

each = pytest.mark.parametrize("course", COURSES, ids=lambda one: one.fact.body.type)

Standing = dict[tuple[str, ...], tuple[object, ...]]


def concluded(study: Study) -> Standing:
    """What the log holds as concluded; a clock is closed, and a criterion reopened, for good."""
    return {
        key: body.substance()
        for key, body in standing(study).items()
        if not body.type.startswith("safety-clock") and body.type != "criterion-reopened"
    }


# --- what follows ---------------------------------------------------------------------------------


def test_every_type_of_fact_has_its_course() -> None:
    facts = {name for name, cls in catalogue.PARTICIPANT.items() if cls.kind is Kind.FACT}
    assert {course.fact.body.type for course in COURSES} == facts


@each
def test_what_follows_from_a_corrected_fact_is_recorded_with_the_correction(course: Course) -> None:
    study = course.study()
    study.tick(LATER)
    assert course.reads(study) == course.was
    correction = course.correction(study)
    given(study=study).when(correction).then(correction, *course.follows)
    assert course.reads(study) == course.now


@each
def test_a_fact_that_is_corrected_back_was_never_corrected(course: Course) -> None:
    study = course.study()
    study.tick(LATER)
    before = concluded(study)
    study.post(course.correction(study))
    study.post(course.back(study))
    assert concluded(study) == before
    assert course.reads(study) == course.was


@each
def test_a_fact_that_is_retracted_never_was(course: Course) -> None:
    if course.fact is referred:
        # Without its only referral there is no participant to compare with.
        return
    study, without = course.study(), Study(course.protocol)
    study.post(said("retracted", LATER, position=study.position(course.fact)))
    opened = said("site-opened", "2026-10-02", "sponsor", site="02", name="B", timezone="UTC")
    without.tell(opened)
    given(*(one for one in course.history if one is not course.fact), study=without)
    without.tick(LATER)
    assert concluded(study) == concluded(without)


@each
def test_a_correction_of_a_correction_is_the_last_word(course: Course) -> None:
    """Corrected wrongly, and the correction then corrected: as if corrected rightly at once."""
    study, at_once = course.study(), course.study()
    right = course.correction(at_once)
    at_once.post(right)
    target = study.position(course.fact)
    study.post(said("corrected", LATER, position=target, occurred_at="2026-11-24"))
    wrong = study.log[-1] if study.log[-1].type == "corrected" else None
    position = wrong.position if wrong else _last(study, "corrected")
    data = {**right.body.model_dump(mode="json", exclude={"type"}, exclude_none=True)}
    data = {"position": target, "occurred_at": course.fact.at, **data}
    study.post(said("corrected", LATER, position=position, data=data))
    assert concluded(study) == concluded(at_once)
    assert course.reads(study) == course.now
    now = {one.position: one for one in effective_history(study.participant().history)}
    assert now[target].corrected_by == _last(study, "corrected")


def _last(study: Study, kind: str) -> int:
    return max(one.position for one in study.log if one.type == kind)


def test_a_retracted_enrolment_frees_its_slot_and_a_retracted_retraction_takes_it_again() -> None:
    study = Study()
    given(*treated[:6], study=study)
    study.post(said("retracted", LATER, position=study.position(enrolled)))
    assert WHO not in study.trial.slots
    study.post(said("retracted", LATEST, position=_last(study, "retracted")))
    assert WHO in study.trial.slots


def test_a_participant_whose_only_referral_is_taken_back_has_no_site_and_stays_readable() -> None:
    study = Study()
    given(*screening, study=study)
    study.post(said("retracted", LATER, position=study.position(referred)))
    assert study.participant().site is None
    study.post(visit("UNS", LATER))


# --- what is refused ------------------------------------------------------------------------------

DEATH = died.on("2026-12-20").but(on="2026-12-20")
LATE_VISIT = visit("UNS", "2026-12-19T09:00:00-05:00")
NOW = "2026-12-22T10:00:00-05:00"


def corrected(study: Study, fact: Said, /, **how: object) -> Said:
    return said("corrected", NOW, "data-manager", position=study.position(fact), **how)


def history(*more: Said) -> Study:
    study = Study()
    given(*treated, *more, study=study)
    return study


@pytest.mark.parametrize(
    ("fact", "rule"),
    [(dosed, "future"), (consented, "future"), (screened, "future"), (dosing_visit, "future")],
    ids=lambda one: one if isinstance(one, str) else one.body.type,
)
def test_a_fact_is_not_corrected_into_the_future(fact: Said, rule: str) -> None:
    study = history()
    ahead = corrected(study, fact, occurred_at="2027-01-07T10:00:00-05:00")
    given(study=study).when(ahead).impossible(rule)


@pytest.mark.parametrize("fact", [dosed, consented, screened, dosing_visit, LATE_VISIT])
def test_a_living_persons_act_is_not_corrected_to_after_the_death(fact: Said) -> None:
    study = history(LATE_VISIT, DEATH)
    late = corrected(study, fact, occurred_at="2026-12-21T10:00:00-05:00")
    given(study=study).when(late).impossible("after-death")


def test_a_death_is_not_corrected_to_before_a_visit() -> None:
    study = history(LATE_VISIT, DEATH)
    earlier = corrected(study, DEATH, data={"on": "2026-12-18"})
    outcome = given(study=study).when(earlier)
    outcome.impossible("after-death")
    assert outcome.refusal is not None
    assert outcome.refusal.blocked_by == (study.position(LATE_VISIT),)
    given(study=study).when(corrected(study, DEATH, data={"on": "2026-12-19"})).recorded_as_said()


def test_a_death_does_not_come_back_while_later_visits_stand() -> None:
    study = history(DEATH)
    study.post(said("retracted", NOW, position=study.position(DEATH)))
    study.post(visit("UNS", "2026-12-21T09:00:00-05:00"))
    back = said("retracted", NOW, position=_last(study, "retracted"))
    given(study=study).when(back).impossible("after-death")


def test_a_visit_is_not_moved_behind_the_death_by_taking_a_correction_back() -> None:
    late = visit("UNS", "2026-12-21T09:00:00-05:00")
    study = history(late)
    mistaken = study.position(late)
    study.post(said("corrected", NOW, position=mistaken, occurred_at="2026-12-18"))
    study.post(DEATH, now=study.clock)
    back = said("retracted", NOW, position=_last(study, "corrected"))
    given(study=study).when(back).impossible("after-death")


def test_a_correction_is_not_corrected_into_the_impossible() -> None:
    study = history(LATE_VISIT, DEATH)
    study.post(corrected(study, LATE_VISIT, occurred_at="2026-12-18"))
    data = {"position": study.position(LATE_VISIT), "occurred_at": "2026-12-21"}
    worse = said("corrected", NOW, position=_last(study, "corrected"), data=data)
    given(study=study).when(worse).impossible("after-death")


def test_a_correction_of_a_correction_does_not_turn_to_another_event() -> None:
    study = history(LATE_VISIT)
    study.post(corrected(study, LATE_VISIT, occurred_at="2026-12-18"))
    data = {"position": study.position(dosed), "occurred_at": "2026-12-18"}
    turned = said("corrected", NOW, position=_last(study, "corrected"), data=data)
    given(study=study).when(turned).refused("order")


def test_a_retraction_does_not_turn_to_another_event() -> None:
    study = history(LATE_VISIT)
    study.post(said("retracted", NOW, position=study.position(LATE_VISIT)))
    data = {"position": study.position(dosed)}
    turned = said("corrected", NOW, position=_last(study, "retracted"), data=data)
    given(study=study).when(turned).refused("order")


def test_a_birth_date_is_not_corrected_to_after_what_is_recorded() -> None:
    person = said("demographics-recorded", "2026-11-23", birth_date="1990-05-04", sex="female")
    study = history(visit("UNS", "1995-05-04"))
    study.post(person, birth="1990-05-04", historical=True)
    data = {"birth_date": {"sealed": "x", "key": "1"}, "sex": "female"}
    fix = corrected(study, person, data=data)
    with pytest.raises(Exception, match="before the birth") as refused:
        study.post(fix, birth="1996-05-04")
    assert refused.value.rule == "before-birth"  # type: ignore[attr-defined]
    study.post(fix, birth="1994-05-04")


def test_what_was_impossible_before_is_not_held_against_a_correction() -> None:
    """Two sites told of a death and of a later visit: each can still be put right."""
    study = history(visit("UNS", "2026-12-21T09:00:00-05:00"))
    study.post(DEATH, now=study.clock)
    given(study=study).when(
        corrected(study, dosed, occurred_at="2026-12-07T11:00:00-05:00")
    ).recorded_as_said()


def test_a_value_that_makes_no_sense_is_refused_in_a_correction_too() -> None:
    scored = said("observation-recorded", "2026-11-23", code="sledai-2k", value=7)
    study = Study(lk_23_01())
    given(*screening, scored, study=study)
    wrong = corrected(study, scored, data={"code": "sledai-2k", "value": "many"})
    given(study=study).when(wrong).impossible("not-a-number")


def test_a_signature_is_neither_corrected_nor_taken_back() -> None:
    signed = said("signed", LATER, "investigator", meaning="review", up_to_version=3)
    study = history(signed)
    changed = corrected(study, signed, data={"meaning": "approval", "up_to_version": 4})
    given(study=study).when(changed).refused("signer", blocked_by=signed)
    away = said("retracted", NOW, "data-manager", position=study.position(signed))
    given(study=study).when(away).refused("signer", blocked_by=signed)


@pytest.mark.parametrize("kind", ["corrected", "retracted"])
def test_history_from_elsewhere_corrects_nothing_that_is_not_here(kind: str) -> None:
    how = {"occurred_at": "2026-12-01"} if kind == "corrected" else {}
    study = history()
    with pytest.raises(Exception, match="no event") as refused:
        study.post(said(kind, NOW, position=9_999, **how), historical=True)
    assert refused.value.rule == "order"  # type: ignore[attr-defined]


def test_a_corrected_consent_settles_what_seemed_to_come_before_it() -> None:
    study = Study()
    late = consented.on("2026-11-24T09:00:00-05:00")
    given(referred, late, screened, study=study)
    assert ("consent-before-procedure", "screening") in deviations(study)
    at = study.position(late)
    fix = said("corrected", "2026-11-25", "data-manager", position=at, occurred_at=consented.at)
    early = found("consent", rule="consent-before-procedure", subject="screening")
    given(study=study).when(fix).then(fix, taken_back(early))
