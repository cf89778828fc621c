"""A verdict that is kept is decided again wherever a new fact may change it: each kind of fact that
a rule reads, and each that makes a chart no longer blank, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.eligibility.evaluate import evaluate, verdict_under
from domain.eligibility.reads import read_by
from domain.journey.eligibility import conclude
from domain.kernel import Conclusion
from domain.participant import Participant, evolve
from domain.time import When
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from domain.what_if import under
from tests.domain.eligibility.charts import (
    NEW_YORK,
    Fact,
    booked,
    chart,
    consented,
    dosed,
    eligible,
    fact,
    history,
    lab,
    person,
    referred,
    said,
    scored,
    screened,
    steroid,
    then,
    took,
    withdrew,
)
from tests.domain.eligibility.small import AT_SCREENING, RULES
from tests.specs import Study, lk_23_01

CANCELLED = fact("visit-cancelled", "2026-12-01", visit="V1")
REOPENED = fact("rescreening-opened", "2026-12-05", cause="other")
SCREENED_AGAIN = screened("2026-12-06")
LATER_DAY = booked("2027-02-20", at="2026-12-02T09:00:00-05:00")

CHANGES: dict[str, Fact] = {
    "consent": consented(),
    "withdrawal": withdrew("treatment"),
    "screening": SCREENED_AGAIN,
    "screening opened again": REOPENED,
    "booking": LATER_DAY,
    "cancellation": CANCELLED,
    "dose": dosed("2026-12-08"),
    "demographics": person(born="2012-04-12", sex="male", at="2026-11-24"),
    "medicine": took("rituximab", ["immunosuppressant", "biologic"], "2026-11-01"),
    "cell therapy": took("CAR-T", "cell-therapy", "2020-01-01"),
    "history": history("cancer", "Melanoma", started_on="2025"),
    "statement": said("able-to-follow-visits", False, at="2026-11-24"),
    "answer": said("breast-feeding", True, at="2026-11-24"),
    "classification": scored("acr-1997", on="2026-11-24"),
    "slicc": scored("slicc-2012", on="2026-11-24"),
    "titre": lab("ana-titre", "1:20", on="2026-11-24"),
    "creatinine": lab("creatinine", "4.4", "mg/dL", on="2026-11-24"),
    "weight": lab("weight", "12", "kg", on="2026-11-24"),
    "activity": scored("sledai-2k", on="2026-11-24"),
    "hepatitis": lab("hbsag", reads="positive", on="2026-11-24"),
    "pregnancy": lab("hcg-serum", reads="positive", on="2026-11-24"),
}
CHARTS: dict[str, tuple[Fact, ...]] = {
    "nothing": (referred(),),
    "everything": eligible,
    "no booking": tuple(one for one in eligible if one.type != "visit-booked"),
    "no screening": tuple(one for one in eligible if one.type != "screening-started"),
    "a late booking": (*eligible, LATER_DAY),
    "much steroid": (*eligible, steroid("20", "2026-10-01", record="much")),
}
TRIAL = Study(lk_23_01()).trial

TOKYO = ZoneInfo("Asia/Tokyo")


def _in_zone(zone: str) -> Trial:
    """The study with its site in another zone."""
    site = TRIAL.sites["01"]
    moved = replace(site, body=site.body.model_copy(update={"timezone": zone}))
    return replace(TRIAL, sites={"01": moved})


def _is_as_anew(who: Participant) -> None:
    kept, anew = evaluate(TRIAL, who), verdict_under(lk_23_01(), who, NEW_YORK)
    # First by the truths of leaves alone, then with all that outcomes rest on.
    assert kept.told == tuple(one.outcome for one in anew.outcomes)
    assert kept.outcomes == anew.outcomes


@pytest.mark.parametrize("known", CHARTS)
@pytest.mark.parametrize("comes", CHANGES)
def test_whatever_comes_is_decided_by(known: str, comes: str) -> None:
    who = chart(CHARTS[known])
    evaluate(TRIAL, who).worked_out()
    _is_as_anew(then(who, CHANGES[comes], 1_000))
    # The earlier state remembers what the later one was told, as after a retraction.
    _is_as_anew(who)


def test_what_comes_together_is_all_decided_by() -> None:
    for one, other in (("creatinine", "titre"), ("titre", "creatinine"), ("statement", "answer")):
        who = chart(eligible)
        evaluate(TRIAL, who).worked_out()
        _is_as_anew(then(then(who, CHANGES[one], 1_000), CHANGES[other], 1_001))
        _is_as_anew(who)


def test_whoever_moves_to_another_zone_is_judged_by_its_days() -> None:
    # In UTC and at night the window had begun; at the site it is the day before.
    at_night = lab("creatinine", "4.4", "mg/dL", on="2026-12-14T03:00:00Z")
    who = chart(eligible, at_night)
    _is_as_anew(who)
    tokyo = _in_zone("Asia/Tokyo")
    assert evaluate(tokyo, who).outcomes == verdict_under(lk_23_01(), who, TOKYO).outcomes
    assert evaluate(tokyo, who).told != evaluate(TRIAL, who).told


ALONE = {**CHANGES, "booking": booked(), "screening": screened(), "screened": SCREENED_AGAIN}


@pytest.mark.parametrize("one", ALONE)
def test_a_single_fact_is_not_nothing(one: str) -> None:
    # The verdict on nothing at all, which everybody shares, is there before.
    _is_as_anew(chart(referred()))
    _is_as_anew(chart(referred(), ALONE[one]))


WINDOW = {"anchor": "screening", "back": "P14D"}
BEFORE_DOSE = AT_SCREENING
AT_DAY_0 = {"anchor": "day-0", "back": "P14D"}
EVER = {"anchor": "lifetime"}
BIOLOGIC = {"classes": ["biologic"], "complete_when": None}
FIT: dict[str, Any] = {"rule": "attested", "statement": "fit"}
ABLE: dict[str, Any] = {"rule": "attested", "statement": "able"}
OF_FIT = {"statement/fit", "reopened", "day-0"}
OF_ABLE = {"statement/able", "reopened", "day-0"}
AGREED: dict[str, Any] = {"rule": "consent"}
VALUE = {"rule": "value", "code": "haemoglobin", "unit": "g/dL", "at_least": "8"}


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        (AGREED, {"consent"}),
        (FIT, OF_FIT),
        ({"rule": "age", "at_least": 18}, {"screening", "demographics"}),
        ({"rule": "all", "of": [FIT, AGREED]}, {*OF_FIT, "consent"}),
        ({"rule": "any", "of": [AGREED, FIT]}, {*OF_FIT, "consent"}),
        ({"rule": "at-least", "count": 1, "of": [AGREED, FIT]}, {*OF_FIT, "consent"}),
        ({"rule": "not", "of": AGREED}, {"consent"}),
        ({"rule": "applies-to", "sexes": ["female"], "of": AGREED}, {"demographics", "consent"}),
        ({"rule": "decided", "yes": FIT, "no": AGREED}, {*OF_FIT, "consent"}),
        ({"rule": "decided", "yes": AGREED, "no": FIT}, {*OF_FIT, "consent"}),
        ({"rule": "remark", "when": FIT, "note": "n", "of": AGREED}, {*OF_FIT, "consent"}),
        ({"rule": "remark", "when": AGREED, "note": "n", "of": FIT}, {*OF_FIT, "consent"}),
        ({**VALUE, "within": WINDOW}, {"observation/haemoglobin", "screening"}),
        ({**VALUE, "within": BEFORE_DOSE}, {"observation/haemoglobin", "screening", "day-0"}),
        (
            {**VALUE, "within": {**WINDOW, "until": "day-0"}},
            {"observation/haemoglobin", "screening", "day-0"},
        ),
        ({**VALUE, "within": AT_DAY_0}, {"observation/haemoglobin", "day-0"}),
        ({**VALUE, "within": EVER}, {"observation/haemoglobin", "day-0"}),
        (
            {"rule": "egfr", "creatinine": "creatinine", "at_least": "30", "within": WINDOW},
            {"observation/creatinine", "screening", "demographics"},
        ),
        (
            {"rule": "egfr", "creatinine": "creatinine", "at_least": "30", "within": AT_DAY_0},
            {"observation/creatinine", "screening", "demographics", "day-0"},
        ),
        (
            {"rule": "history", "categories": ["cancer"], "within": WINDOW, "complete_when": None},
            {"histories", "screening"},
        ),
        (
            {"rule": "history", "categories": ["cancer"], "complete_when": "fit"},
            {"histories", *OF_FIT},
        ),
        ({"rule": "medication-taken", **BIOLOGIC, "within": WINDOW}, {"medications", "screening"}),
        (
            {"rule": "medication-taken", **BIOLOGIC, "complete_when": "fit", "within": AT_DAY_0},
            {"medications", *OF_FIT},
        ),
        (
            {"rule": "medication-changed", **BIOLOGIC, "within": WINDOW},
            {"medications", "screening"},
        ),
        (
            {"rule": "medication-days", **BIOLOGIC, "more_than_days": 14, "within": WINDOW},
            {"medications", "screening"},
        ),
        (
            {"rule": "medication-held", **BIOLOGIC, "at_least": "P12W", "anchor": "screening"},
            {"medications", "screening"},
        ),
        (
            {"rule": "medication-elapsed", **BIOLOGIC, "at_least_days": 14, "anchor": "day-0"},
            {"medications", "day-0"},
        ),
        (
            {
                "rule": "daily-dose",
                "classes": ["corticosteroid"],
                "complete_when": None,
                "more_than": "1",
                "weight": "weight",
                "within": WINDOW,
            },
            {"medications", "observation/weight", "day-0", "screening"},
        ),
    ],
)
def test_a_rule_is_asked_again_by_all_that_it_reads(rule: dict[str, Any], kinds: set[str]) -> None:
    assert read_by(RULES.validate_python(rule)) == kinds


# --- what follows from a verdict ------------------------------------------------------------------

NOW = When.parse("2026-12-20T12:00:00Z").earliest()


def _concluded_as_anew(trial: Trial, who: Participant) -> tuple[Conclusion, ...]:
    kept = conclude(trial, who, NOW)
    assert kept == conclude(trial, replace(who, _computed={}, _derived={}), NOW)
    return kept


def test_other_evidence_of_the_same_outcome_is_concluded() -> None:
    who = chart(eligible)
    before = _concluded_as_anew(TRIAL, who)
    after = _concluded_as_anew(TRIAL, then(who, lab("creatinine", "0.9", "mg/dL"), 1_000))
    assert [one.key() for one in after] == [one.key() for one in before]
    assert after != before
    # And once more, when that is what is remembered.
    again = then(then(who, lab("creatinine", "0.9", "mg/dL"), 1_000), ONCE_MORE, 1_001)
    assert _concluded_as_anew(TRIAL, again) != after


ONCE_MORE = lab("creatinine", "0.85", "mg/dL", on="2026-11-24")


@pytest.mark.parametrize("all_of_it", [True, False])
def test_what_the_log_says_is_not_concluded_once_more(all_of_it: bool) -> None:
    who = chart(eligible)
    news = _concluded_as_anew(TRIAL, who)
    last = who.history[-1]
    for number, one in enumerate(news if all_of_it else news[:1]):
        body = one.model_copy(update={"evidence": ()})
        who = evolve(who, replace(last, body=body, position=2_000 + number))
    assert _concluded_as_anew(TRIAL, who)[0] is not news[0]


def test_criteria_of_another_version_are_concluded_by_their_names() -> None:
    renamed = tuple(one.model_copy(update={"id": f"{one.id}-2"}) for one in lk_23_01().criteria)
    fields = {name: getattr(lk_23_01(), name) for name in Protocol.model_fields}
    other = Protocol.model_validate({**fields, "criteria": renamed})
    who = chart(eligible)
    before = _concluded_as_anew(TRIAL, who)
    assert _concluded_as_anew(under(TRIAL, other), who) != before
    for number, one in enumerate(before):
        who = evolve(who, replace(who.history[-1], body=one, position=2_000 + number))
    assert _concluded_as_anew(TRIAL, who) == before
    assert _concluded_as_anew(under(TRIAL, other), who) != before
