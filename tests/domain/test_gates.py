"""What decisions are refused for, and what facts are recorded beside."""

from datetime import datetime

import pytest

from domain.kernel import Impossible
from tests.specs import (
    Said,
    Study,
    authorised,
    cleared,
    concluded,
    confirmed,
    consented,
    deviation,
    died,
    dosed,
    dosing_visit,
    enrolled,
    given,
    on_study,
    protocol_but,
    referred,
    said,
    screened,
    screening,
    screening_visit,
    treated,
    visit,
)

LATER = "2026-12-08T09:00:00-05:00"

withdrawn = said(
    "consent-withdrawn", "2026-12-05T09:00:00-05:00", scope=["treatment", "visits", "samples"]
)
discontinued = said("discontinued", "2026-12-05T09:00:00-05:00", cause="physician-decision")
completed = said("completed", "2027-05-24T12:00:00-04:00", "investigator")
lost = said("lost-to-follow-up", "2026-12-05T09:00:00-05:00", "investigator", attempts=3)
study_hold = said("hold-placed", "2026-12-02T09:00:00Z", "sponsor", scope="study", cause="signal")
site_hold = said("hold-placed", "2026-12-02T09:00:00Z", "sponsor", scope="01", cause="audit")
lifted = said("hold-released", "2026-12-03T09:00:00Z", "sponsor", scope="study", cause="reviewed")
newer_form = said(
    "consent-form-approved", "2026-11-25T09:00:00Z", "sponsor", form_version="2.0", reconsent=True
)
failed = said("screen-failed", "2026-12-05T09:00:00-05:00", "investigator", criteria=["I4"])


# --- referral and screening -----------------------------------------------------------------------


def test_a_referral_is_closed_once() -> None:
    closed = said("referral-closed", "2026-11-03T10:00:00-05:00", cause="declined")
    given(referred).when(closed).then(closed)
    given(referred, closed).when(closed.on("2026-11-04")).refused("terminal", blocked_by=closed)


def test_a_new_referral_opens_a_closed_one() -> None:
    closed = said("referral-closed", "2026-11-03T10:00:00-05:00", cause="declined")
    again = referred.on("2026-11-05T10:00:00-05:00")
    given(referred, closed, again).when(closed.on("2026-11-06")).recorded_as_said()


def test_a_consented_participant_is_not_closed_as_a_referral() -> None:
    closed = said("referral-closed", "2026-11-03T10:00:00-05:00", cause="declined")
    given(referred, consented).when(closed).refused("order", blocked_by=consented)


def test_screening_fails_once_and_not_after_a_dose() -> None:
    given(referred).when(failed).refused("order")
    given(*screening).when(failed).then(failed)
    given(*screening, failed).when(failed.on(LATER)).refused("terminal", blocked_by=failed)
    given(*treated).when(failed.on(LATER)).refused("dosed", blocked_by=dosed)


def test_screening_is_opened_again_as_often_as_the_protocol_allows() -> None:
    again = said("rescreening-opened", "2026-12-06T09:00:00-05:00", cause="resolved")
    given(*screening).when(again).refused("order")
    given(*screening, failed).when(again).then(again)
    second = failed.on("2026-12-07T09:00:00-05:00")
    history = (*screening, failed, again, second)
    given(*history).when(again.on(LATER)).refused("attempts", blocked_by=again)
    given(*treated).when(again.on(LATER)).refused("dosed", blocked_by=dosed)
    given(*screening, failed, withdrawn).when(again).refused("consent")


# --- consent --------------------------------------------------------------------------------------


def test_a_procedure_before_consent_is_recorded_beside_its_deviation() -> None:
    early = consented.on("2026-11-24T09:00:00-05:00")
    given(referred, screened).when(early).then(
        early,
        cleared(deviation("consent", rule="consent-before-procedure", subject=None)),
        deviation(
            "consent", [screened, early], rule="consent-before-procedure", subject="screening"
        ),
    )


def test_consent_on_the_day_of_the_visit_is_in_time_when_the_hour_is_not_known() -> None:
    by_day = consented.on("2026-11-23")
    given(referred, by_day).when(screened).then(screened)


def test_consent_is_compared_by_the_instant_not_by_the_day() -> None:
    late_in_the_evening = consented.on("2026-11-22T23:50:00-05:00")
    after_midnight = screened.on("2026-11-23T00:10:00-05:00")
    given(referred, late_in_the_evening).when(after_midnight).then(after_midnight)


def test_consent_at_the_very_moment_of_the_visit_is_in_time() -> None:
    at_once = consented.on(screened.at)
    given(referred, at_once).when(screened).then(screened)
    given(referred, consented.on("2026-11-23")).when(screened.on("2026-11-22")).then(
        screened.on("2026-11-22"), deviation("consent", rule="consent-before-procedure")
    )


def test_all_procedures_without_any_consent_are_one_deviation_that_counts_them() -> None:
    given(referred).when(screened).then(
        screened,
        deviation(
            "consent", subject=None, explanation="1 study procedure without a recorded consent"
        ),
    ).when(screening_visit).then(
        screening_visit,
        deviation(
            "consent",
            [screened, screening_visit],
            explanation="2 study procedures without a recorded consent",
        ),
    )


def test_a_form_nobody_approved_is_a_deviation() -> None:
    unknown = consented.but(form_version="0.9")
    given(referred).when(unknown).then(
        unknown, deviation("consent", [unknown], rule="consent-form-approved", subject="0.9")
    )


def test_a_visit_after_its_consent_was_withdrawn_is_a_deviation() -> None:
    late = visit("V2", LATER)
    given(*treated[:-1], withdrawn.on("2026-12-07T20:00:00-05:00")).when(late).then(
        late, deviation("consent", rule="consent-withdrawn", subject="visit V2")
    )


def test_withdrawing_samples_alone_leaves_visits_as_they_are() -> None:
    only_samples = withdrawn.on("2026-12-07T20:00:00-05:00").but(scope=["samples"])
    blood = said("sample-collected", LATER, sample="S1", type="serum")
    held = visit("V2", LATER)
    given(*treated, only_samples).when(held).then(held).when(blood).then(
        blood, deviation("consent", rule="consent-withdrawn", subject="sample S1")
    )


def test_a_procedure_before_the_newer_form_is_signed_is_a_deviation_until_it_is_signed() -> None:
    study = Study()
    given(*screening, study=study)
    study.tell(newer_form)
    held = visit("UNS", "2026-11-27T09:00:00-05:00")
    expected = deviation("consent", rule="reconsent", subject="visit UNS 2.0")
    signed = consented.on("2026-11-26T09:00:00-05:00").but(form_version="2.0")
    given(study=study).when(held).then(held, expected).when(signed).then(signed, cleared(expected))


# --- confirmation, enrolment, authorisation -------------------------------------------------------

GATED = {
    "confirmation": (screening, confirmed),
    "enrolment": ((*screening, confirmed), enrolled),
    "authorisation": (on_study, authorised),
}


@pytest.mark.parametrize(("history", "act"), GATED.values(), ids=GATED.keys())
@pytest.mark.parametrize(
    ("ending", "rule"),
    [
        (died.on("2026-12-05").but(on="2026-12-05"), "terminal"),
        (discontinued, "terminal"),
        (lost, "terminal"),
        (withdrawn, "scope"),
        (withdrawn.but(scope=["treatment"]), "scope"),
        (withdrawn.but(scope=["visits"]), "scope"),
    ],
    ids=["died", "discontinued", "lost", "all withdrawn", "treatment withdrawn", "no visits"],
)
def test_what_ends_the_journey_ends_its_decisions(
    history: tuple[Said, ...], act: Said, ending: Said, rule: str
) -> None:
    ahead = act.on(LATER) if act is not authorised else act
    given(*history, ending).when(ahead).refused(rule, blocked_by=ending)


@pytest.mark.parametrize(("history", "act"), GATED.values(), ids=GATED.keys())
def test_no_decision_without_consent(history: tuple[Said, ...], act: Said) -> None:
    without = tuple(one for one in history if one is not consented)
    given(*without).when(act).refused("consent")


@pytest.mark.parametrize(("history", "act"), GATED.values(), ids=GATED.keys())
def test_no_decision_before_a_newer_form_is_signed(history: tuple[Said, ...], act: Said) -> None:
    study = Study()
    study.tell(newer_form)
    given(*history, study=study).when(act).refused("reconsent", blocked_by=newer_form)
    signed = consented.on("2026-11-26T09:00:00-05:00").but(form_version="2.0")
    given(signed, study=study).when(act).recorded_as_said()


def test_a_form_without_a_new_signature_blocks_nothing() -> None:
    study = Study()
    study.tell(newer_form.but(reconsent=False))
    given(*screening, confirmed, study=study).when(enrolled).recorded_as_said()


@pytest.mark.parametrize(
    ("role", "may"),
    [("investigator", True), ("administrator", True), ("coordinator", False), ("sponsor", False)],
)
def test_only_an_investigator_confirms(role: str, may: bool) -> None:
    outcome = given(*screening).when(confirmed.by(role))
    if may:
        outcome.recorded_as_said()
    else:
        outcome.refused("signer")


def test_enrolment_needs_a_confirmation_that_stands() -> None:
    given(*screening).when(enrolled).refused("verdict")
    moved = said("transferred", "2026-11-30T18:00:00-05:00", site="02")
    study = Study()
    study.tell(said("site-opened", "2026-11-01T00:00:00Z", site="02", name="B", timezone="UTC"))
    given(*screening, confirmed, moved, study=study).when(enrolled).refused(
        "stale", blocked_by=moved
    )
    too_late = enrolled.on("2026-12-15T09:00:00-05:00")
    given(*screening, confirmed).when(too_late).refused("stale", blocked_by=[screened, confirmed])


def test_a_participant_is_enrolled_once() -> None:
    given(*on_study).when(enrolled.on(LATER)).refused("order", blocked_by=enrolled)


@pytest.mark.parametrize("hold", [study_hold, site_hold], ids=["study", "site"])
def test_a_hold_stops_enrolment_and_dose_and_nothing_else(hold: Said) -> None:
    study = Study()
    given(*screening, confirmed, study=study)
    study.tell(hold)
    later = enrolled.on("2026-12-04T09:00:00-05:00")
    given(study=study).when(later).refused("hold", blocked_by=hold)
    held = visit("UNS", "2026-12-04T10:00:00-05:00")
    given(study=study).when(held).then(held)
    given(enrolled, study=study).when(authorised).refused("hold", blocked_by=hold)
    study.tell(lifted.but(scope=hold.body.model_dump()["scope"]))
    given(study=study).when(authorised).recorded_as_said()


def test_another_sites_hold_stops_nothing_here() -> None:
    study = Study()
    study.tell(
        said("site-opened", "2026-11-01T00:00:00Z", site="02", name="B", timezone="UTC"),
        site_hold.but(scope="02"),
    )
    given(*screening, confirmed, study=study).when(enrolled).recorded_as_said()


def test_enrolment_waits_for_a_free_slot() -> None:
    study = Study(protocol_but(accrual=2))
    for who in ("01-002", "01-003"):
        study.post(*screening, confirmed, enrolled, who=who, historical=True)
    taken = [one.position for one in study.log if one.type == "slot-taken"]
    outcome = given(*screening, confirmed, study=study).when(enrolled)
    outcome.refused("cap")
    assert outcome.refusal is not None
    assert outcome.refusal.blocked_by == tuple(taken)
    mistaken = study.position(enrolled, "01-003")
    study.post(said("retracted", LATER, position=mistaken), who="01-003")
    assert study.log[-1].type == "slot-freed"
    given(study=study).when(enrolled.on(LATER)).recorded_as_said()


def test_only_the_enrolled_are_dosed() -> None:
    given(*screening, confirmed).when(authorised).refused("order")


def test_the_single_dose_is_authorised_once() -> None:
    given(*treated).when(authorised.on(LATER)).refused("dosed", blocked_by=dosed)


@pytest.mark.parametrize(
    ("day", "refused"),
    [
        ("2026-12-07T09:00:00-05:00", True),
        ("2026-12-20T09:00:00-05:00", True),
        ("2026-12-21T09:00:00-05:00", False),
    ],
)
def test_the_first_doses_keep_their_distance(day: str, refused: bool) -> None:
    study = Study(protocol_but(settings={"screening_validity_days": 60}))
    study.post(*on_study, who="01-002", historical=True)
    study.post(authorised, dosed, who="01-002", historical=True)
    slot = study.log[-1].position
    outcome = given(*on_study, study=study).when(authorised.on(day))
    if refused:
        outcome.refused("stagger")
        assert outcome.refusal is not None
        assert outcome.refusal.blocked_by == (slot,)
    else:
        outcome.recorded_as_said()


def test_an_authorised_dose_keeps_others_at_a_distance_until_it_is_not_given() -> None:
    study = Study(protocol_but(settings={"screening_validity_days": 60}))
    study.post(*on_study, authorised, who="01-002", historical=True)
    tomorrow = authorised.on("2026-12-08T09:00:00-05:00")
    given(*on_study, study=study).when(tomorrow).refused("stagger")
    study.post(said("dose-not-given", "2026-12-07T15:00:00-05:00", cause="fever"), who="01-002")
    given(study=study).when(tomorrow).recorded_as_said()


def test_after_the_first_doses_the_distance_is_over() -> None:
    study = Study(protocol_but(settings={"screening_validity_days": 60}))
    for who, day in (("01-002", "2026-12-07"), ("01-003", "2026-12-21"), ("01-004", "2027-01-04")):
        acts = (authorised.on(f"{day}T08:00:00-05:00"), dosed.on(f"{day}T10:00:00-05:00"))
        study.post(*on_study, *acts, who=who, historical=True)
    next_day = authorised.on("2027-01-05T09:00:00-05:00")
    given(*on_study, study=study).when(next_day).recorded_as_said()


# --- the dose -------------------------------------------------------------------------------------


def test_a_dose_without_authorisation_is_recorded_beside_its_deviation() -> None:
    given(referred, consented).when(dosed).then(
        dosed, deviation("dosing", [dosed], rule="dose-authorised"), concluded("slot-taken")
    )


def test_an_authorisation_that_arrives_late_settles_the_deviation() -> None:
    unsettled = deviation("dosing", rule="dose-authorised")
    given(*on_study, dosed).when(dosing_visit).recorded_as_said()
    study = Study()
    given(*on_study, dosed, study=study)
    recorded = study.post(authorised, historical=True)
    assert any(cleared(unsettled).matches(one, study) for one in recorded)


def test_a_second_dose_is_recorded_beside_its_deviation() -> None:
    again = dosed.on("2026-12-09T10:00:00-05:00")
    given(*treated).when(again).then(
        again,
        deviation("dosing", [dosed, again], rule="single-dose"),
        deviation("visit-window", rule="visit-missed", subject="V2"),
        concluded("visit-lapsed", visit="V2"),
    )


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"product": "Placebo"}, "dose-product"),
        ({"route": "intravenous"}, "dose-route"),
        ({"amount": "2", "unit": "10*6/kg"}, "dose-amount"),
    ],
)
def test_another_product_route_or_amount_is_a_deviation(changed: dict[str, str], rule: str) -> None:
    other = dosed.but(**changed)
    given(*on_study, authorised).when(other).then(
        other, deviation("dosing", [other], rule=rule), concluded("slot-taken")
    )


# --- closure --------------------------------------------------------------------------------------


def test_a_participant_is_lost_after_the_documented_attempts() -> None:
    given(*treated).when(lost.on(LATER).but(attempts=2)).refused("attempts")
    given(*treated).when(lost.on(LATER)).recorded_as_said()
    given(*treated, lost.on(LATER)).when(lost.on("2026-12-09")).refused("terminal")


def test_who_was_lost_and_reached_again_goes_on() -> None:
    found = said("recontacted", "2026-12-06T09:00:00-05:00")
    given(*on_study, lost, found).when(authorised).recorded_as_said()


def test_completion_follows_a_dose_and_the_last_visit() -> None:
    given(*on_study).when(completed).refused("not-dosed")
    given(*treated).when(completed).refused("order")
    last = visit("V11", "2027-05-24T09:00:00-04:00")
    given(*treated, last).when(completed).recorded_as_said()
    given(*treated, last, completed).when(completed.on("2027-06-01")).refused(
        "terminal", blocked_by=completed
    )


@pytest.mark.parametrize("how", ["missed", "lapsed"])
def test_completion_follows_a_last_visit_that_did_not_take_place(how: str) -> None:
    study = Study()
    given(*treated, study=study)
    if how == "missed":
        study.post(said("visit-missed", "2027-05-31", visit="V11"))
    else:
        study.tick("2027-06-01T12:00:00Z")
    given(study=study).when(completed.on("2027-06-02T09:00:00Z")).recorded_as_said()


# --- oversight ------------------------------------------------------------------------------------


def test_a_correction_names_an_event_and_what_changes() -> None:
    study = Study()
    given(*treated, study=study)
    at = study.position(dosed)
    nothing = said("corrected", LATER, "data-manager", position=at)
    given(study=study).when(nothing).refused("order")
    given(study=study).when(nothing.but(position=9_999, occurred_at=LATER)).refused("order")
    given(study=study).when(said("retracted", LATER, position=9_999)).refused("order")


def test_a_conclusion_is_not_corrected() -> None:
    study = Study()
    given(referred, consented, dosed, study=study)
    drawn = next(one for one in study.log if one.type == "deviation-detected")
    given(study=study).when(said("retracted", LATER, position=drawn.position)).refused("order")


def test_a_signature_binds_a_version_that_exists() -> None:
    signature = said("signed", LATER, "investigator", meaning="review", up_to_version=3)
    study = Study()
    given(*treated, study=study).when(signature).recorded_as_said()
    signed = study.participant().oversight.signed[-1].body
    assert signed.signed_hash == study.participant().chain[2]
    given(study=study).when(signature.but(up_to_version=500)).refused("order")


def test_an_identity_is_erased_once_and_for_ever() -> None:
    erase = said(
        "identity-erased", LATER, "privacy-officer", basis="participant-request", scope=["all"]
    )
    study = Study()
    given(*screening, study=study).when(erase).recorded_as_said()
    given(study=study).when(erase.on("2026-12-09")).refused("erased", blocked_by=erase)
    undo = said("retracted", "2026-12-09", position=study.position(erase))
    given(study=study).when(undo).refused("erased", blocked_by=erase)


def test_a_deviation_that_is_judged_must_exist() -> None:
    study = Study()
    given(referred, consented, dosed, study=study)
    drawn = next(one for one in study.log if one.type == "deviation-detected")
    judged = said(
        "deviation-assessed",
        LATER,
        deviation=drawn.position,
        category="dosing",
        importance="important",
    )
    given(study=study).when(judged).then(judged)
    given(study=study).when(judged.but(deviation=1)).refused("order")


def test_only_an_open_site_takes_a_participant_over() -> None:
    moved = said("transferred", LATER, site="02")
    study = Study()
    study.tell(said("site-opened", "2026-11-01T00:00:00Z", site="02", name="B", timezone="UTC"))
    given(*screening, study=study).when(moved.but(site="99")).refused("order")
    given(study=study).when(moved.but(site="01")).refused("order")
    given(study=study).when(moved).recorded_as_said()
    given(*screening, discontinued).when(moved).refused("terminal", blocked_by=discontinued)
    given(*screening, withdrawn).when(moved).refused("scope", blocked_by=withdrawn)


# --- conclusions and impossible facts -------------------------------------------------------------

AT = {"started_at": LATER, "due_at": LATER}
DRAWN_BY_CAIRN = [
    said(
        "deviation-detected", LATER, rule="r", category="other", importance="minor", explanation="e"
    ),
    said("visit-lapsed", LATER, visit="V2", latest="2026-12-08"),
    said("serious-adverse-event-identified", LATER, ae="A", because=["death"]),
    said("dose-limiting-toxicity-identified", LATER, ae="A", because="death", explanation="e"),
    said("contradiction-found", LATER, ae="A", because="end-before-onset", explanation="e"),
    said("safety-clock-started", LATER, ae="A", clock="c", recipient="r", because="b", **AT),
    said("safety-clock-met", LATER, ae="A", clock="c", met_at=LATER, late=False, **AT),
    said("safety-clock-breached", LATER, ae="A", clock="c", **AT),
    said("safety-clock-closed", LATER, ae="A", clock="c", because="b", **AT),
    said("criterion-passed", LATER, criterion="I1", explanation="e"),
    said("criterion-failed", LATER, criterion="I1", explanation="e"),
    said("criterion-reopened", LATER, criterion="I1", explanation="e"),
    said("eligibility-determined", LATER, verdict="eligible"),
]


@pytest.mark.parametrize("drawn", DRAWN_BY_CAIRN, ids=lambda one: one.body.type)
def test_a_conclusion_cannot_be_posted(drawn: Said) -> None:
    given(*treated).when(drawn).refused("signer")


@pytest.mark.parametrize(
    "fact",
    [
        visit("V2", "2026-12-08T09:06:00-05:00"),
        said("died", "2026-12-08T08:00:00-05:00", on="2026-12-09"),
        said(
            "adverse-event-reported",
            "2026-12-08T08:00:00-05:00",
            ae="A",
            term="Fever",
            onset="2026-12-09",
            aware_at="2026-12-08T08:00:00-05:00",
        ),
        said(
            "safety-report-submitted",
            "2026-12-08T08:00:00-05:00",
            ae="A",
            clock="c",
            recipient="sponsor",
            submitted_at="2026-12-08T09:06:00-05:00",
        ),
    ],
    ids=lambda one: one.body.type,
)
def test_nothing_has_happened_in_the_future(fact: Said) -> None:
    given(*treated).when(fact, now=LATER).impossible("future")


def test_a_senders_clock_may_run_five_minutes_ahead() -> None:
    ahead = visit("V2", "2026-12-08T09:05:00-05:00")
    given(*treated).when(ahead, now=LATER).then(ahead)


@pytest.mark.parametrize(
    ("at", "possible"),
    [
        ("2026-12-20T23:30:00-05:00", True),
        ("2026-12-20", True),
        ("2026-12", True),
        ("2026-12-21", False),
        ("2026-12-21T00:00:00-05:00", False),
    ],
)
def test_a_visit_lies_before_death_or_on_its_day(at: str, possible: bool) -> None:
    now = "2027-01-05T00:00:00Z"
    outcome = given(*treated, died).when(visit("UNS", at), now=now)
    if possible:
        outcome.recorded_as_said()
    else:
        outcome.impossible("after-death")


@pytest.mark.parametrize(
    ("at", "possible"),
    [("1990-05-03", False), ("1990-05-04", True), ("1990", True), ("1989", False)],
)
def test_nothing_happens_before_birth(at: str, possible: bool) -> None:
    study = Study()
    given(referred, study=study)
    story = visit("UNS", at)
    if possible:
        study.post(story, birth="1990-05-04")
    else:
        with pytest.raises(Impossible, match="birth"):
            study.post(story, birth="1990-05-04")


def test_a_correction_cannot_make_the_history_impossible() -> None:
    study = Study()
    given(*treated, visit("UNS", "2026-12-18"), died, study=study)
    at = study.position(visit("UNS", "2026-12-18"))
    later = said("corrected", "2026-12-22", position=at, occurred_at="2026-12-21")
    given(study=study).when(later).impossible("after-death")


def test_a_visit_that_no_protocol_plans_is_not_understood() -> None:
    given(*screening).when(visit("V99", LATER)).impossible("unknown-visit")
    given(*screening).when(visit("UNS", LATER)).recorded_as_said()


def test_strict_handling_refuses_instead_of_recording_a_deviation() -> None:
    given(referred, consented).when(dosed, strict=True).would_deviate("dose-authorised")
    given(*on_study, authorised).when(dosed, strict=True).recorded_as_said()


def test_all_or_nothing() -> None:
    study = Study()
    given(*screening, study=study)
    held = visit("UNS", "2026-11-24T09:00:00-05:00")
    given(study=study).when(held, enrolled).refused("verdict")
    assert all(one.body != held.body for one in study.log)


def test_the_log_says_which_event_led_to_a_conclusion() -> None:
    outcome = given(referred, consented).when(dosed)
    fact, drawn, slot = outcome.recorded
    assert (drawn.cause, slot.cause) == (fact.position, fact.position)
    assert isinstance(drawn.recorded_at, datetime)
    assert drawn.protocol == "2.0"
