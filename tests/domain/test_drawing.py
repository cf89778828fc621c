"""What was concluded is concluded again when anything has changed that it rests on."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from domain.admit import difference
from domain.kernel import Actor, Conclusion, Recorded
from domain.participant import Participant, evolve
from domain.time import When
from domain.trial.study import Trial
from domain.what_if import under
from tests.specs import (
    ZONE,
    Said,
    Study,
    confirmed,
    consented,
    dosed,
    enrolled,
    open_protocol,
    protocol_but,
    referred,
    said,
    screened,
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
REOPENED = said("rescreening-opened", "2026-12-02", "investigator", cause="other")
CLOSED = said("referral-closed", "2026-12-08", cause="other")
MOVED = said("transferred", "2026-12-10", "investigator", site="02")
NEXT_DOOR = said("transferred", "2026-12-10", "investigator", site="03")
"""A site in the same zone, under another version."""
ELSEWHERE = referred.but(site="04")
OPENED = said("site-opened", BEGAN, "sponsor", site="04", name="D", timezone=ZONE)
BY_DAY, AT_MIDNIGHT = consented.on("2026-11-23"), screened.on("2026-11-23T01:00:00Z")
"""The same day in UTC; at the site it is the evening before."""
BEGUN = (referred, consented, screened)
DOSED = (*BEGUN, dosed)


Change = Said | str | Callable[[Trial], Trial]
"""A fact, a moment, or another study."""


def _study() -> Study:
    study = Study()
    study.publish(protocol_but(version="3.0"), BEGAN)
    for site, zone, version in (("02", "Asia/Tokyo", "2.0"), ("03", ZONE, "3.0")):
        study.tell(said("site-opened", BEGAN, "sponsor", site=site, name=site, timezone=zone))
        study.tell(said("protocol-activated", BEGAN, "sponsor", site=site, protocol=version))
    study.tell(said("protocol-activated", BEGAN, "sponsor", site="01", protocol="2.0"))
    return study


def _nowhere_active(trial: Trial) -> Trial:
    return replace(trial, activated=())


def _drafted(trial: Trial) -> Trial:
    """Under a draft that plans the screening visit to be held later."""
    visits = tuple(
        one.model_copy(update={"after": 90}) if one.code == "V0" else one
        for one in open_protocol().visits
    )
    return under(trial, protocol_but(version="2.0", visits=visits))


def _after(who: Participant, one: Said) -> Participant:
    """With one more fact, of which nothing is concluded yet."""
    version = who.version + 1
    at, actor = When.parse(NOW).earliest(), Actor(id="a", role="coordinator")
    return evolve(who, Recorded(one.body, 100 + version, version, one.when, at, actor, who.id))


def _told(study: Study, who: Participant, at: str) -> list[Conclusion]:
    return difference(study.trial, who, When.parse(at).earliest())


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
        pytest.param((ELSEWHERE, BY_DAY, AT_MIDNIGHT), OPENED, id="zone"),
        pytest.param(DOSED, LATER, id="time"),
    ],
)
def test_a_change_is_concluded_from(known: tuple[Change, ...], comes: Change) -> None:
    study, who = _study(), Participant("01-001")
    for one in known:
        who = _happened(study, who, one)
    before = _told(study, who, NOW)
    at = comes if isinstance(comes, str) else NOW
    if not isinstance(comes, str):
        who = _happened(study, who, comes)
    after = _told(study, who, at)
    assert after == _told(study, replace(who, _computed={}, _derived={}), at)
    assert after != before, "the change means something"
