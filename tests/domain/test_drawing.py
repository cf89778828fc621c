"""What was concluded is concluded again when anything has changed that it rests on."""

from dataclasses import replace

import pytest

from domain.admit import difference
from domain.kernel import Actor, Conclusion, Recorded
from domain.participant import Participant, evolve
from domain.time import When
from tests.specs import (
    Said,
    Study,
    confirmed,
    consented,
    dosed,
    enrolled,
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
CLOSED = said("referral-closed", "2026-12-08", cause="other")
MOVED = said("transferred", "2026-12-10", "investigator", site="02")
BEGUN = (referred, consented, screened)
DOSED = (*BEGUN, dosed)


def _study() -> Study:
    study = Study()
    study.tell(said("site-opened", BEGAN, "sponsor", site="02", name="B", timezone="Asia/Tokyo"))
    study.tell(said("protocol-activated", BEGAN, "sponsor", site="01", protocol="2.0"))
    study.tell(said("protocol-activated", BEGAN, "sponsor", site="02", protocol="2.0"))
    study.publish(protocol_but(version="3.0"), BEGAN)
    return study


def _after(who: Participant, one: Said) -> Participant:
    """With one more fact, of which nothing is concluded yet."""
    version = who.version + 1
    at, actor = When.parse(NOW).earliest(), Actor(id="a", role="coordinator")
    return evolve(who, Recorded(one.body, 100 + version, version, one.when, at, actor, who.id))


def _told(study: Study, who: Participant, at: str) -> list[Conclusion]:
    return difference(study.trial, who, When.parse(at).earliest())


@pytest.mark.parametrize(
    ("known", "comes"),
    [
        pytest.param((referred,), screened, id="screening"),
        pytest.param((referred, screened, dosed), CLOSED, id="referral"),
        pytest.param((referred, screened), consented, id="consent"),
        pytest.param((referred, consented), SAMPLE, id="visits"),
        pytest.param(BEGUN, dosed, id="treatment"),
        pytest.param(DOSED, said("died", "2026-12-08", on="2026-12-08"), id="closure"),
        pytest.param((*DOSED, PERSON, UNTESTED), A_MAN, id="demographics of a procedure"),
        pytest.param((*DOSED, UNCHECKED), FOUND, id="findings of a procedure"),
        pytest.param(BEGUN, NEW_FORM, id="consent forms"),
        pytest.param((*BEGUN, confirmed, enrolled), AMENDED, id="amendment"),
        pytest.param((*BEGUN, AMENDED), MOVED, id="transfer"),
        pytest.param(DOSED, LATER, id="time"),
    ],
)
def test_a_change_is_concluded_from(known: tuple[Said, ...], comes: Said | str) -> None:
    study, who = _study(), Participant("01-001")
    for one in known:
        if one.body.type == "protocol-activated":
            study.tell(one)
        else:
            who = _after(who, one)
    before = _told(study, who, NOW)
    if isinstance(comes, str):
        after = _told(study, who, comes)
        anew = _told(study, replace(who, _computed={}, _derived={}), comes)
    else:
        if comes in (NEW_FORM, AMENDED):
            study.tell(comes)
        else:
            who = _after(who, comes)
        after = _told(study, who, NOW)
        anew = _told(study, replace(who, _computed={}, _derived={}), NOW)
    assert after == anew
    assert after != before, "the change means something"
