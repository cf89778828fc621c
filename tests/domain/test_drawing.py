"""What was concluded is concluded again when anything has changed that it rests on."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from domain import visit_calendar
from domain.admit import difference
from domain.journey.oversight import DeviationDetected
from domain.kernel import Actor, Conclusion, Recorded
from domain.participant import Participant, evolve
from domain.planned import PlannedVisit
from domain.schedule import schedule
from domain.time import When
from domain.trial.study import Trial
from domain.what_if import under
from tests.specs import (
    ZONE,
    Said,
    Study,
    authorised,
    booked,
    confirmed,
    consented,
    dosed,
    enrolled,
    event,
    lk_23_01,
    open_protocol,
    protocol_but,
    referred,
    said,
    screened,
    screening_visit,
    update,
    visit,
)

BEGAN = "2026-10-02"
NOW, LATER = "2026-12-16T12:00:00Z", "2027-01-20T12:00:00Z"

PERSON = said("demographics-recorded", "2026-11-23", birth_date="1990-05-04", sex="female")
A_MAN = said("demographics-recorded", "2026-11-24", birth_date="1990-05-04", sex="male")
UNTESTED = visit(
    "V1", "2026-12-07T11:00:00-05:00", procedures=[{"code": "pregnancy-test", "done": False}]
)
FOUND = said("observation-recorded", "2026-11-25", code="hbsag", interpretation="positive")
UNCHECKED = visit(
    "V0", "2026-11-26T09:30:00-05:00", procedures=[{"code": "hepatitis-pcr", "done": False}]
)
SAMPLE = said("sample-collected", "2026-10-20", sample="S1", type="serum")
NEW_FORM = said(
    "consent-form-approved", "2026-11-10", "sponsor", form_version="2.0", reconsent=True
)
AMENDED = said("protocol-activated", "2026-11-28", "sponsor", site="01", protocol="3.0")
FAILED = said("screen-failed", "2026-12-01", "investigator", criteria=["I1"])
FAILED_EARLY = FAILED.on("2026-11-26")
"""Before the amendment: whose journey is over stays under the version of its end."""
DISCONTINUED = said("discontinued", "2026-11-26", cause="other")
REOPENED = said("rescreening-opened", "2026-12-02", "investigator", cause="other")
CLOSED = said("referral-closed", "2026-12-08", cause="other")
MOVED = said("transferred", "2026-12-10", "investigator", site="02")
NEXT_DOOR = said("transferred", "2026-12-10", "investigator", site="03")
"""A site in the same zone, under another version."""
ELSEWHERE = referred.but(site="04")
OPENED = said("site-opened", BEGAN, "sponsor", site="04", name="D", timezone=ZONE)
BY_DAY, AT_MIDNIGHT = consented.on("2026-11-23"), screened.on("2026-11-23T01:00:00Z")
"""The same day in UTC; at the site it is the evening before."""
REFERRED_AGAIN = referred.but(site="03").on("2026-11-20")
LOST_AT_NIGHT = said("lost-to-follow-up", "2026-12-10T02:00:00Z", "investigator", attempts=3)
SEEN_AT_NIGHT = visit("V2", "2026-12-09T02:00:00Z")
AMENDED_AT_NIGHT = AMENDED.on("2026-11-28T02:00:00Z")
RECONSENT = AMENDED.but(protocol="4.0")
CONSENTED_AT_NIGHT = consented.on("2026-11-28T04:00:00Z")
"""Once the day of the amendment had begun in UTC and Tokyo, not yet at the site."""
RECONSENTED = consented.on("2026-12-03")
WITHDRAWN = said("consent-withdrawn", "2026-12-01", scope=["visits"])
LEFT = said("discontinued", "2026-12-10", cause="other")
ENDED_BEFORE = event("AE-1", "2026-12-10T10:00:00Z", onset="2026-12-09T02:00:00Z", end="2026-12-08")
"""In Tokyo; at the site both are one day."""
SEVERE = event(
    "AE-1", "2026-12-12T10:00:00Z", grade=4, seriousness=["life-threatening"], causality="possible"
)
SERIOUS = SEVERE.but(grade=2, seriousness=["hospitalisation"])
"""No toxicity that counts, and yet reported to the authority where it may come from the dose."""
LEARNED = update("AE-1", "2026-12-13", causality="unrelated", seriousness=["hospitalisation"])
MILD = event("AE-1", "2026-12-12T10:00:00Z", grade=1)
WORSE = update("AE-1", "2026-12-13", seriousness=["hospitalisation"])
STARTED = said(
    "safety-clock-started",
    "2026-12-12",
    ae="AE-9",
    clock="site-to-sponsor",
    started_at="2026-12-12T10:00:00Z",
    due_at="2026-12-13T10:00:00Z",
    recipient="sponsor",
    because="serious",
)
AT_ONCE = event("AE-1", "2026-12-08T04:00:00Z", onset="2026-12-07", grade=4, causality="possible")
FATAL = event("AE-1", "2026-12-12T10:00:00Z", grade=5, outcome="fatal", end="2026-12-12")
DIED = said("died", "2026-12-13", on="2026-12-13")
DOSED_LONG_AGO = dosed.on("2026-11-05T10:00:00-05:00")
DOSED_AGAIN = dosed.on("2026-12-14T10:00:00-05:00")
DOSED_AT_NIGHT = dosed.on("2026-12-08T02:00:00Z")
AUTHORISED_THAT_DAY = authorised.on("2026-12-08")
LAPSED = said("visit-lapsed", "2026-12-15", visit="V0", latest="2026-12-13")
BEGUN = (referred, consented, screened)
TAKEN_BACK = said("retracted", "2026-12-01", position=103)
"""The third of them."""
DOSED = (*BEGUN, dosed)


Change = Said | str | Callable[[Trial], Trial]
"""A fact, a moment, or another study."""


def _study() -> Study:
    study = Study()
    clocks = tuple(
        one.model_copy(update={"hours": 12}) if one.clock == "site-to-sponsor" else one
        for one in open_protocol().clocks
    )
    visits = tuple(one for one in open_protocol().visits if one.code != "V7")
    amended = protocol_but(version="3.0", dose={"single": False}, clocks=clocks, visits=visits)
    study.publish(amended, BEGAN)
    study.publish(protocol_but(version="4.0", settings={"reconsent": True}), BEGAN)
    for site, zone, version in (("02", "Asia/Tokyo", "2.0"), ("03", ZONE, "3.0")):
        study.tell(said("site-opened", BEGAN, "sponsor", site=site, name=site, timezone=zone))
        study.tell(said("protocol-activated", BEGAN, "sponsor", site=site, protocol=version))
    study.tell(said("protocol-activated", BEGAN, "sponsor", site="01", protocol="2.0"))
    return study


def _nowhere_active(trial: Trial) -> Trial:
    return replace(trial, activated=())


def _in_tokyo(trial: Trial) -> Trial:
    """With the participant's site in another zone."""
    there = trial.sites["02"].body.model_copy(update={"site": "01"})
    return replace(trial, sites={**trial.sites, "01": replace(trial.sites["01"], body=there)})


def _drafted(trial: Trial) -> Trial:
    """Under a draft that plans the screening visit to be held later."""
    visits = tuple(
        one.model_copy(update={"after": 90}) if one.code == "V0" else one
        for one in open_protocol().visits
    )
    return under(trial, protocol_but(version="draft", visits=visits))


def _after(who: Participant, one: Said) -> Participant:
    """With one more fact, of which nothing is concluded yet."""
    version = who.version + 1
    at, actor = When.parse(NOW).earliest(), Actor(id="a", role="coordinator")
    return evolve(who, Recorded(one.body, 100 + version, version, one.when, at, actor, who.id))


Told = tuple[list[Conclusion], tuple[PlannedVisit, ...]]


def _told(study: Study, who: Participant, at: str) -> Told:
    """What is concluded, and the calendar."""
    now = When.parse(at).earliest()
    return difference(study.trial, who, now), schedule(study.trial, who)


OF_THE_STUDY = ("protocol-activated", "consent-form-approved", "site-opened")


def _happened(study: Study, who: Participant, one: Change) -> Participant:
    """With what happens to the participant, or to the study."""
    if not isinstance(one, Said):
        assert callable(one)
        study.trial = one(study.trial)
    elif one.body.type in OF_THE_STUDY:
        study.tell(one)
    else:
        return _after(who, one)
    return who


@pytest.mark.parametrize(
    ("known", "comes"),
    [
        pytest.param((referred,), screened, id="screening"),
        pytest.param(BEGUN, FAILED, id="screening failed"),
        pytest.param((*BEGUN, FAILED), REOPENED, id="screening opened again"),
        pytest.param((referred, screened, dosed), CLOSED, id="referral"),
        pytest.param((referred, screened), consented, id="consent"),
        pytest.param((referred, consented), SAMPLE, id="visits"),
        pytest.param(BEGUN, dosed, id="treatment"),
        pytest.param(DOSED, said("died", "2026-12-08", on="2026-12-08"), id="closure"),
        pytest.param((*DOSED, PERSON, UNTESTED), A_MAN, id="demographics of a procedure"),
        pytest.param((*DOSED, UNCHECKED), FOUND, id="findings of a procedure"),
        pytest.param(BEGUN, NEW_FORM, id="consent forms"),
        pytest.param((*BEGUN, confirmed, enrolled), AMENDED, id="amendment"),
        pytest.param((_nowhere_active, *BEGUN), _drafted, id="draft"),
        pytest.param((*BEGUN, AMENDED), MOVED, id="transfer"),
        pytest.param(BEGUN, NEXT_DOOR, id="transfer within a zone"),
        pytest.param(BEGUN, WITHDRAWN, id="withdrawal"),
        pytest.param((*BEGUN, RECONSENT), RECONSENTED, id="consent to an amendment"),
        pytest.param(BEGUN, screening_visit, id="visit that was planned"),
        pytest.param(DOSED, LEFT, id="early end"),
        pytest.param(BEGUN, REFERRED_AGAIN, id="another referral"),
        pytest.param((*BEGUN, AMENDED), DISCONTINUED, id="end before an amendment"),
        pytest.param((*BEGUN, AMENDED), FAILED_EARLY, id="failure before an amendment"),
        pytest.param((*BEGUN, AMENDED, FAILED_EARLY), REOPENED, id="opened again, amended"),
        pytest.param((*BEGUN, AMENDED, FAILED_EARLY), dosed, id="dosed after a failure"),
        pytest.param(BEGUN, LAPSED, id="lapse"),
        pytest.param((*DOSED, LOST_AT_NIGHT), _in_tokyo, id="zone of an end"),
        pytest.param((*DOSED, SEEN_AT_NIGHT), _in_tokyo, id="zone of a visit"),
        pytest.param((*BEGUN, AMENDED_AT_NIGHT), _in_tokyo, id="zone of an amendment"),
        pytest.param(
            (referred, CONSENTED_AT_NIGHT, RECONSENT), _in_tokyo, id="zone of a version in force"
        ),
        pytest.param(DOSED, DOSED_AGAIN, id="second dose"),
        pytest.param((*DOSED, DOSED_AGAIN), AMENDED.on("2026-12-10"), id="dose amended"),
        pytest.param((*BEGUN, AUTHORISED_THAT_DAY, DOSED_AT_NIGHT), _in_tokyo, id="zone of a dose"),
        pytest.param(DOSED, AUTHORISED_THAT_DAY.on("2026-12-06"), id="late authorisation"),
        pytest.param(BEGUN, DOSED_LONG_AGO.on("2026-11-01"), id="dose before consent"),
        pytest.param((*DOSED, SEVERE), LEARNED, id="news of an event"),
        pytest.param((*BEGUN, DOSED_AGAIN, SEVERE), dosed, id="event after an earlier dose"),
        pytest.param((*BEGUN, DOSED_AGAIN, SERIOUS), dosed, id="duty after an earlier dose"),
        pytest.param((*DOSED, SEVERE), LATER, id="time of a duty"),
        pytest.param(DOSED, STARTED, id="duty that nothing calls for"),
        pytest.param((*BEGUN, SERIOUS), AMENDED, id="duty amended"),
        pytest.param((referred, consented), AMENDED, id="amendment of what had not begun"),
        pytest.param(BEGUN, TAKEN_BACK, id="screening taken back"),
        pytest.param(BEGUN, booked("V5", "2026-12-30"), id="booking"),
        pytest.param(BEGUN, said("visit-missed", "2026-12-14", visit="V5"), id="missed visit"),
        pytest.param(BEGUN, LEFT, id="end before the dose"),
        pytest.param((referred, consented), screening_visit, id="first visit"),
        pytest.param((referred, consented), booked("V5", "2026-12-30"), id="first booking"),
        pytest.param((referred, consented), WITHDRAWN, id="end of what had not begun"),
        pytest.param(DOSED, SEVERE, id="adverse event"),
        pytest.param((*DOSED, SEVERE), DOSED_LONG_AGO, id="event long after the dose"),
        pytest.param((*DOSED, MILD, WORSE), _in_tokyo, id="zone of what was learned"),
        pytest.param((*DOSED, ENDED_BEFORE), _in_tokyo, id="zone of an event"),
        pytest.param((*BEGUN, DOSED_AT_NIGHT, AT_ONCE), _in_tokyo, id="zone of a toxicity"),
        pytest.param((*DOSED, FATAL), DIED, id="death beside an event"),
        pytest.param((ELSEWHERE, BY_DAY, AT_MIDNIGHT), OPENED, id="zone"),
        pytest.param(DOSED, LATER, id="time"),
    ],
)
def test_a_change_is_concluded_from(known: tuple[Change, ...], comes: Change) -> None:
    study, who = _study(), Participant("01-001")
    for first in (referred, REFERRED_AGAIN):  # what all share of whom nothing is known, by version
        _told(study, _after(who, first), NOW)
    for one in known:
        who = _happened(study, who, one)
    before = _told(study, who, NOW)
    at = comes if isinstance(comes, str) else NOW
    if not isinstance(comes, str):
        who = _happened(study, who, comes)
    after = _told(study, who, at)
    visit_calendar._UNDATED.clear()
    assert after == _told(study, replace(who, _computed={}, _derived={}), at)
    assert after != before, "the change means something"


def test_what_makes_somebody_ineligible_after_the_dose_is_concluded_from() -> None:
    study, who = Study(lk_23_01()), Participant("01-001")
    for one in DOSED:
        who = _after(who, one)
    before = _told(study, who, NOW)
    who = _after(
        who, said("attested", "2026-12-06", statement="data-quality-condition", answer=True)
    )
    after = _told(study, who, NOW)
    assert after == _told(study, replace(who, _computed={}, _derived={}), NOW)
    ineligible = {one.rule for one in after[0] if isinstance(one, DeviationDetected)}
    assert "dosed-ineligible" in ineligible - {
        one.rule for one in before[0] if isinstance(one, DeviationDetected)
    }
