"""What stands of a consent that was given and taken back, however exactly either is known."""

from itertools import permutations

import pytest

from domain.stage import stage
from domain.time import When
from domain.trial.study import zone_named
from tests.specs import (
    WHO,
    ZONE,
    Said,
    Study,
    confirmed,
    consented,
    deviation,
    enrolled,
    given,
    on_study,
    referred,
    said,
    screening,
    visit,
)

NEW_YORK = zone_named(ZONE)
NOW = When.parse("2027-01-15T12:00:00Z").latest()


def withdrew(at: str, *scope: str) -> Said:
    """Consent taken back, whole unless a part is named."""
    return said("consent-withdrawn", at, scope=list(scope or ("treatment", "visits")))


AT_NINE, AT_TEN = "2026-12-04T09:00:00-05:00", "2026-12-04T10:00:00-05:00"

STANDING = [
    # signed, withdrawn, and what stands
    ("2026-12-04", "2026-12-04", "withdrawn"),
    (AT_TEN, "2026-12-04", "withdrawn"),
    ("2026-12-04", AT_NINE, "withdrawn"),
    (AT_NINE, AT_NINE, "withdrawn"),
    (AT_NINE, AT_TEN, "withdrawn"),
    (AT_TEN, AT_NINE, "given"),
    ("2026-12-03", "2026-12-04", "withdrawn"),
    ("2026-12-05", "2026-12-04", "given"),
    ("2026-12-05", AT_NINE, "given"),
    ("2026-12", "2026-12-04", "withdrawn"),
    ("2026-12-04", "2026-12", "withdrawn"),
    ("2027-01-01", "2026-12", "given"),
    # 20:00 in New York is the next day in UTC: it may still be before the withdrawal.
    ("2026-12-05T01:00:00Z", "2026-12-04", "withdrawn"),
    ("2026-12-05T05:00:00Z", "2026-12-04", "given"),
]


@pytest.mark.parametrize(("signed", "withdrawn", "stands"), STANDING)
def test_a_withdrawal_counts_unless_a_form_was_signed_later(
    signed: str, withdrawn: str, stands: str
) -> None:
    for order in permutations((referred, consented.on(signed), withdrew(withdrawn))):
        study = Study()
        for one in order:
            study.post(one, now=NOW)
        who = study.participant()
        assert who.consent.status(NEW_YORK) == stands
        assert (who.consent.current(NEW_YORK) is None) is (stands == "withdrawn")
        left = stage(study.trial, who, NOW)
        assert left == ("withdrawn" if stands == "withdrawn" else "consented")


@pytest.mark.parametrize(
    "decision",
    [confirmed, enrolled, said("dose-authorised", "2026-12-07T08:00:00-05:00", "investigator")],
)
def test_no_gate_opens_on_a_consent_of_the_day_it_was_taken_back(decision: Said) -> None:
    before = (*screening, confirmed) if decision is enrolled else screening
    before = on_study if decision.body.type == "dose-authorised" else before
    day, decided = "2026-12-04", decision.on("2026-12-07T09:00:00-05:00")
    back, again = withdrew(day), consented.on(day)
    given(*before, back, again).when(decided).refused("scope", blocked_by=back)
    assert given(*before, back, consented.on("2026-12-05")).when(decided).refusal is None
    assert given(*before, withdrew(AT_NINE), consented.on(AT_TEN)).when(decided).refusal is None


def test_a_visit_after_a_consent_of_the_day_it_was_taken_back_is_a_deviation() -> None:
    back, later = withdrew("2026-12-04"), visit("V0", "2026-12-06")
    given(*screening, back, consented.on("2026-12-04")).when(later).then(
        later, deviation("consent", [back, later], rule="consent-withdrawn")
    )
    given(*screening, back, consented.on("2026-12-05")).when(later).then(later)


def test_a_withdrawal_of_samples_alone_does_not_end_consent() -> None:
    study = Study()
    study.post(referred, consented, withdrew("2026-12-04", "samples"))
    assert study.participant(WHO).consent.status(NEW_YORK) == "given"
