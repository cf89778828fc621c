"""The stage of a journey: endings first, then how far it has come."""

import pytest

from domain.stage import stage
from tests.specs import (
    Said,
    Study,
    authorised,
    confirmed,
    consented,
    died,
    dosed,
    given,
    on_study,
    referred,
    said,
    screened,
    screening,
    treated,
    visit,
)

prescreened = said("prescreened", "2026-11-01T12:00:00-05:00", proceed=True)
closed = said("referral-closed", "2026-11-05", cause="declined")
failed = said("screen-failed", "2026-12-02", criteria=["I4"])
again = said("rescreening-opened", "2026-12-03", cause="resolved")
left = said("discontinued", "2026-12-20", cause="other")
lost = said("lost-to-follow-up", "2026-12-20", attempts=3)
found = said("recontacted", "2026-12-22")
last_visit = visit("V11", "2027-05-24T09:00:00-04:00")
completed = said("completed", "2027-05-24T12:00:00-04:00", "investigator")


def withdrawn(*scope: str, at: str = "2026-12-20") -> Said:
    return said("consent-withdrawn", at, scope=list(scope))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ((referred,), "referred"),
        ((referred, prescreened), "prescreening"),
        ((referred, closed), "not-proceeding"),
        ((referred, closed, referred.on("2026-11-06")), "referred"),
        ((referred, withdrawn("visits")), "not-proceeding"),
        ((referred, consented), "consented"),
        ((referred, consented, screened), "screening"),
        ((*screening, confirmed), "eligible"),
        (on_study, "enrolled"),
        ((*on_study, authorised), "enrolled"),
        (treated, "follow-up"),
        ((referred, dosed), "follow-up"),
        ((*screening, failed), "screen-failed"),
        ((*screening, failed, again), "screening"),
        ((*on_study, withdrawn("treatment")), "withdrawn"),
        ((*treated, withdrawn("treatment")), "follow-up"),
        ((*treated, withdrawn("visits")), "withdrawn"),
        ((*treated, withdrawn("samples", "data")), "follow-up"),
        ((*treated, withdrawn("visits"), consented.on("2026-12-22")), "follow-up"),
        ((*treated, left), "discontinued"),
        ((*treated, lost), "lost"),
        ((*treated, lost, found), "follow-up"),
        ((*treated, last_visit, completed), "completed"),
        ((*treated, died), "deceased"),
        ((*treated, left, died), "deceased"),
        ((*treated, last_visit, completed, died.on("2027-06-01")), "deceased"),
    ],
)
def test_the_stage(history: tuple[Said, ...], expected: str) -> None:
    study = Study()
    given(*history, study=study)
    assert stage(study.trial, study.participant(), study.clock) == expected


def test_a_confirmation_that_no_longer_stands_leaves_the_participant_in_screening() -> None:
    study = Study()
    given(*screening, confirmed, study=study)
    study.tick("2026-12-16T00:00:00Z")
    assert stage(study.trial, study.participant(), study.clock) == "screening"


def test_a_retracted_death_brings_the_stage_back() -> None:
    study = Study()
    given(*treated, died, study=study)
    study.post(said("retracted", "2026-12-21", position=study.position(died)))
    assert stage(study.trial, study.participant(), study.clock) == "follow-up"
