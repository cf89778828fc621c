"""Amendments: who is under which version since when, and which version judges which act."""

from typing import Any

import pytest

from domain.in_force import awaited, governing, in_force
from domain.journey.consent import reconsent_due
from domain.journey.safety import runs_of
from domain.schedule import schedule
from domain.time import When
from domain.trial.protocol import Protocol
from tests.specs import (
    WHO,
    Expected,
    Said,
    Study,
    authorised,
    cleared,
    concluded,
    confirmed,
    consented,
    deviation,
    deviations,
    dosed,
    enrolled,
    event,
    given,
    lk_23_01,
    open_protocol,
    protocol_but,
    referred,
    said,
    screened,
    screening,
    screening_visit,
    standing,
    treated,
    visit,
)

BEGAN, AMENDED = "2026-10-02", "2026-12-15"


def version(number: str, **changes: Any) -> Protocol:
    return protocol_but(version=number, **changes)


def activation(number: str, at: str, site: str = "01") -> Said:
    return said("protocol-activated", at, "sponsor", site=site, protocol=number)


def two_sites(**changes: Any) -> Study:
    """Sites 01 and 02 work under 2.0; 3.0 is published, and active nowhere."""
    study = Study()
    study.tell(said("site-opened", BEGAN, "sponsor", site="02", name="B", timezone="UTC"))
    study.tell(activation("2.0", BEGAN), activation("2.0", BEGAN, "02"))
    study.publish(version("3.0", **changes), BEGAN)
    return study


def assigned(
    number: str, since: str, because: str = "activated", previous: str = "2.0"
) -> Expected:
    return concluded(
        "protocol-version-assigned",
        protocol=number,
        previous=previous,
        since=since,
        because=because,
    )


def under(study: Study, day: str, who: str = WHO) -> str:
    return governing(study.trial, study.participant(who), When.parse(day)).version


# --- approval and activation ----------------------------------------------------------------------


def approval(at: str, by: str = "ethics-committee", site: str = "01") -> Said:
    return said("protocol-approved", at, "sponsor", site=site, protocol="3.0", by=by)


def asking(*approvals: str) -> Study:
    return two_sites(settings={"approvals": list(approvals)})


def test_a_version_is_activated_after_those_have_approved_it_whom_it_names() -> None:
    study = asking("ethics-committee", "authority")
    given(study=study).when_told(activation("3.0", AMENDED)).refused("order")
    study.tell(approval("2026-12-10"))
    given(study=study).when_told(activation("3.0", AMENDED)).refused("order")
    study.tell(approval("2026-12-11", "authority"))
    given(study=study).when_told(activation("3.0", AMENDED)).recorded_as_said()
    given(study=study).when_told(activation("3.0", AMENDED, "02")).refused("order")


def test_an_activation_does_not_take_effect_before_the_approval() -> None:
    study = asking("ethics-committee")
    study.tell(approval("2026-12-12"))
    early = activation("3.0", "2026-12-11")
    given(study=study).when_told(early).refused("order", blocked_by=approval("2026-12-12"))
    given(study=study).when_told(activation("3.0", "2026-12-12")).recorded_as_said()


def test_an_approval_names_a_site_and_a_version_and_is_given_once() -> None:
    study = asking("ethics-committee")
    given(study=study).when_told(approval("2026-12-10", site="09")).refused("order")
    unknown = approval("2026-12-10").but(protocol="9.0")
    given(study=study).when_told(unknown).refused("order")
    study.tell(approval("2026-12-10"))
    again = approval("2026-12-11")
    given(study=study).when_told(again).refused("order", blocked_by=approval("2026-12-10"))


# --- who is carried over --------------------------------------------------------------------------


def test_a_participant_is_carried_over_with_an_event_that_says_since_when_and_why() -> None:
    study = two_sites()
    given(*treated, study=study)
    study.tell(activation("3.0", AMENDED))
    given(study=study).when_it_is("2026-12-15T12:00:00Z").then(
        assigned("3.0", AMENDED),
        concluded("visit-lapsed", visit="V2"),
        concluded("visit-lapsed", visit="V3"),
        deviation("visit-window", subject="V2"),
        deviation("visit-window", subject="V3"),
    )
    assert study.tick("2026-12-15T13:00:00Z") == ()


def test_another_sites_activation_carries_nobody_over() -> None:
    study = two_sites()
    given(*screening, study=study)
    study.tell(activation("3.0", AMENDED, "02"))
    assert study.tick("2026-12-16T12:00:00Z") == () or ("protocol-version",) not in standing(study)


def test_who_begins_under_the_amendment_is_not_carried_over_to_it() -> None:
    study = two_sites()
    study.tell(activation("3.0", "2026-10-20"))
    given(*screening, study=study)
    assert study.trial.version_for(study.participant()) == "3.0"
    assert ("protocol-version",) not in standing(study)
    assert [one.protocol.version for one in in_force(study.trial, study.participant())] == ["3.0"]


ENDINGS = (
    said("discontinued", "2026-12-14", cause="physician-decision"),
    said("died", "2026-12-14", on="2026-12-14"),
    said("lost-to-follow-up", "2026-12-14", "investigator", attempts=3),
    said("consent-withdrawn", "2026-12-14", scope=["visits"]),
)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda one: one.body.type)
def test_whose_journey_is_over_stays_under_the_version_of_its_end(ending: Said) -> None:
    study = two_sites()
    given(*treated, ending, study=study)
    study.tell(activation("3.0", AMENDED))
    study.tick("2026-12-16T12:00:00Z")
    assert study.trial.version_for(study.participant()) == "2.0"
    assert ("protocol-version",) not in standing(study)
    study.post(said("retracted", "2026-12-17", position=study.position(ending)))
    assert study.trial.version_for(study.participant()) == "3.0"
    assert ("protocol-version",) in standing(study)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda one: one.body.type)
def test_whose_journey_is_over_signs_no_newer_form(ending: Said) -> None:
    study = two_sites()
    given(*treated, study=study)
    newer = {"form_version": "2.0", "reconsent": True}
    study.tell(said("consent-form-approved", "2026-12-10", "sponsor", **newer))
    assert reconsent_due(study.trial, study.participant()) == "2.0"
    study.post(ending)
    assert reconsent_due(study.trial, study.participant()) is None


def test_who_failed_screening_stays_until_screening_is_opened_again() -> None:
    study = two_sites()
    failed = said("screen-failed", "2026-12-01", "investigator", criteria=["I4"])
    given(*screening, failed, study=study)
    study.tell(activation("3.0", AMENDED))
    assert study.trial.version_for(study.participant()) == "2.0"
    study.post(said("rescreening-opened", "2026-12-20", "investigator", cause="resolved"))
    assert study.trial.version_for(study.participant()) == "3.0"


def test_an_amendment_that_asks_for_consent_waits_for_it() -> None:
    study = two_sites(settings={"reconsent": True})
    given(*screening, study=study)
    study.tell(activation("3.0", AMENDED))
    study.tick("2026-12-15T12:00:00Z")
    participant = study.participant()
    assert study.trial.version_for(participant) == "2.0"
    waiting = awaited(study.trial, participant)
    assert waiting is not None
    assert waiting.body.protocol == "3.0"
    signed = consented.on("2026-12-18T09:00:00-05:00")
    given(study=study).when(signed).then(signed, assigned("3.0", "2026-12-18", "consented"))
    assert awaited(study.trial, study.participant()) is None
    assert under(study, "2026-12-17") == "2.0"
    assert under(study, "2026-12-18") == "3.0"


def test_a_transfer_brings_the_version_of_the_new_site_from_its_day_on() -> None:
    study = two_sites()
    study.tell(activation("3.0", "2026-12-01", "02"))
    given(*screening, study=study)
    moved = said("transferred", "2026-12-10", "investigator", site="02")
    outcome = given(study=study).when(moved)
    assert any(
        assigned("3.0", "2026-12-10", "transferred").matches(one, study) for one in outcome.recorded
    )
    assert under(study, "2026-12-09") == "2.0"
    assert under(study, "2026-12-10") == "3.0"


def test_a_correction_of_the_consent_takes_the_carrying_over_back() -> None:
    study = two_sites()
    study.tell(activation("3.0", "2026-12-01"))
    late = said("referred", "2026-11-01T10:00:00-05:00", site="01", channel="clinician")
    given(late, study=study)
    study.tick("2026-12-02T12:00:00Z")
    assert ("protocol-version",) in standing(study)
    fix = said("corrected", "2026-12-03", position=study.position(late), occurred_at="2026-12-02")
    given(study=study).when(fix).then(fix, cleared(assigned("3.0", "2026-12-01")))


# --- which version judges -------------------------------------------------------------------------

CRITERIA = tuple(one for one in lk_23_01().criteria if one.id == "I6")
STRICTER = tuple(
    one.model_copy(update={"rule": one.rule.model_copy(update={"at_least": 9})}) for one in CRITERIA
)


@pytest.mark.parametrize(
    "changes",
    [
        {"visits": tuple(v.model_copy(update={"before": 0, "after": 0})
                         if v.code in ("V3", "V4") else v for v in open_protocol().visits)},
        {"dose": {"product": "Another", "route": "intravenous", "amount": "120"}},
        {"clocks": tuple(c.model_copy(update={"hours": 1}) if c.hours else c
                         for c in open_protocol().clocks)},
        {"toxicity": {"grade_non_laboratory": 1, "related_from": "unrelated"}},
        {"settings": {"sponsor_timezone": "Asia/Tokyo"}},
    ],
    ids=["windows", "dose", "clocks", "toxicity", "zone of the sponsor"],
)  # fmt: skip
def test_an_amendment_never_changes_what_was_concluded_about_earlier_acts(
    changes: dict[str, Any],
) -> None:
    study = two_sites(**changes)
    reaction = event("AE-1", "2026-12-10T09:00:00-05:00", grade=2, seriousness=["hospitalisation"])
    held = (visit("V2", "2026-12-08"), visit("V3", "2026-12-11"), visit("V4", "2026-12-13"))
    given(*treated, *held, reaction, study=study)
    study.tick("2026-12-14T12:00:00Z")
    before, slots, runs = (
        standing(study),
        study.trial.slots,
        runs_of(study.trial, study.participant()),
    )
    study.tell(activation("3.0", AMENDED))
    study.tick("2026-12-15T12:00:00Z")
    after = {key: one for key, one in standing(study).items() if key != ("protocol-version",)}
    assert after == before
    assert study.trial.slots == slots
    assert runs_of(study.trial, study.participant()) == runs


def test_a_stricter_criterion_makes_no_earlier_enrolment_a_deviation() -> None:
    study = Study(protocol_but(criteria=CRITERIA))
    study.tell(activation("2.0", BEGAN))
    study.publish(version("3.0", criteria=STRICTER), BEGAN)
    scored = said("observation-recorded", "2026-11-23", code="sledai-2k", value=7)
    given(*screening, scored, confirmed, enrolled, authorised, dosed, study=study)
    assert deviations(study) == set()
    study.tell(activation("3.0", AMENDED))
    study.tick("2026-12-15T12:00:00Z")
    assert not {rule for rule, _ in deviations(study) if "ineligible" in rule}
    assert standing(study)["criterion", "I6"].type == "criterion-passed"


def test_who_is_not_dosed_yet_is_judged_by_the_amendment() -> None:
    study = Study(protocol_but(criteria=CRITERIA))
    study.tell(activation("2.0", BEGAN))
    study.publish(version("3.0", criteria=STRICTER), BEGAN)
    scored = said("observation-recorded", "2026-11-23", code="sledai-2k", value=7)
    given(*screening, scored, confirmed, enrolled, study=study)
    study.tell(activation("3.0", "2026-12-05"))
    study.tick("2026-12-05T12:00:00Z")
    assert standing(study)["criterion", "I6"].type == "criterion-failed"
    assert not deviations(study), "the enrolment was right when it was made"
    given(study=study).when(authorised).refused("stale")


def test_an_old_act_is_corrected_under_the_version_that_governed_it() -> None:
    tight = tuple(
        one.model_copy(update={"before": 0, "after": 0}) if one.code == "V4" else one
        for one in open_protocol().visits
    )
    study = two_sites(visits=tight)
    held = visit("V4", "2026-12-14")
    given(*treated, visit("V2", "2026-12-08"), visit("V3", "2026-12-10"), held, study=study)
    study.tell(activation("3.0", AMENDED))
    study.tick("2026-12-16T12:00:00Z")
    inside = said(
        "corrected", "2026-12-16", position=study.position(held), occurred_at="2026-12-13"
    )
    given(study=study).when(inside).then(inside)
    moved = said("corrected", "2026-12-16", position=study.position(held), occurred_at="2026-12-15")
    outside = deviation("visit-window", rule="visit-window", subject="V4")
    given(study=study).when(moved).then(moved, outside)
    row = next(one for one in schedule(study.trial, study.participant()) if one.visit == "V4")
    assert row.protocol == "3.0", "now it was held under the amendment"


def test_the_order_in_which_activations_arrive_does_not_matter() -> None:
    def told(*activations: Said) -> Study:
        study = Study()
        study.publish(version("3.0"), BEGAN)
        study.publish(version("4.0"), BEGAN)
        given(*screening, study=study)
        study.tell(*activations)
        study.tick("2026-12-20T12:00:00Z")
        return study

    acts = (activation("2.0", BEGAN), activation("3.0", "2026-12-01"), activation("4.0", AMENDED))
    one, other = told(*acts), told(acts[2], acts[0], acts[1])
    for day, number in (("2026-11-30", "2.0"), ("2026-12-01", "3.0"), (AMENDED, "4.0")):
        assert under(one, day) == under(other, day) == number
    assert standing(one)["protocol-version",].substance() == (
        standing(other)["protocol-version",].substance()
    )


def test_an_activation_that_is_recorded_late_governs_from_its_own_day_on() -> None:
    study = two_sites()
    given(*treated, study=study)
    held = visit("V2", "2026-12-08")
    (recorded, *_) = study.post(held, now=When.parse("2026-12-09T12:00:00Z").earliest())
    study.clock = When.parse("2026-12-10T12:00:00Z").earliest()
    study.tell(activation("3.0", "2026-12-08"))
    study.tick("2026-12-10T13:00:00Z")
    assert recorded.protocol == "2.0", "what was known when it was recorded"
    assert under(study, "2026-12-08") == "3.0"
    assert under(study, "2026-12-07") == "2.0"


@pytest.mark.parametrize("act", [referred, consented, screened, screening_visit])
def test_a_date_is_governed_by_what_was_active_on_that_day(act: Said) -> None:
    study = two_sites()
    study.tell(activation("3.0", "2026-12-15"))
    given(act if act is referred else referred, study=study)
    assert under(study, "2026-12-14") == "2.0"
    assert under(study, "2026-12-15") == "3.0"
    assert under(study, "2026-12-15T00:00:00-05:00") == "3.0"
    assert under(study, "2026-12-14T23:59:59-05:00") == "2.0"
    assert under(study, "2026-11") == "2.0"


def test_an_observation_may_be_told_in_the_words_of_either_version() -> None:
    words = dict(lk_23_01().dictionary)
    height = words.pop("height")
    study = Study()
    study.tell(activation("2.0", BEGAN))
    study.publish(version("3.0", dictionary={**words, "girth": height}, criteria=()), BEGAN)
    given(*screening, study=study)
    study.tell(activation("3.0", AMENDED))
    study.tick("2026-12-16T12:00:00Z")
    old = said("observation-recorded", "2026-12-01", code="height", value=170, unit="cm")
    given(study=study).when(old).recorded_as_said()
    given(study=study).when(old.but(code="girth")).recorded_as_said()
    given(study=study).when(old.on("2026-12-16")).impossible("unknown-code")
