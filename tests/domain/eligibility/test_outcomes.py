"""What an outcome carries: evidence, windows, words, versions; and the verdict of all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.eligibility.evaluate import Outcome, verdict_under
from domain.trial.protocol import Protocol
from tests.domain.eligibility.charts import (
    NEW_YORK,
    Fact,
    booked,
    chart,
    dosed,
    eligible,
    fact,
    history,
    lab,
    medicines_taken,
    outcome,
    person,
    said,
    screened,
    steroid,
    took,
    verdict,
    without,
)
from tests.domain.tables import table, words
from tests.specs import lk_23_01


def _named(one: Fact) -> str:
    """A fact by its code, statement, medicine or type, without what follows a dash."""
    for key in ("code", "statement", "medication"):
        if key in one.data:
            return str(one.data[key])
    return one.type


@table(
    """
    criterion | rests_on | why
    I1  | screening-started demographics-recorded | I1
    I2  | acr-1997 slicc-2012 | I2
    I3  | screening-started ana-titre anti-dsdna | I3
    I4  | screening-started demographics-recorded creatinine | I4
    I5  | screening-started hydroxychloroquine | I5
    I6  | screening-started sledai-2k | I6
    I7  | consented | I7
    I8  | able-to-follow-visits | I8
    E1  | screening-started medication-history-taken | E1
    E2  | screening-started medical-history-taken renal-replacement-expected | E2
    E3  | screening-started weight prednisone medication-history-taken | E3
    E4  | screening-started hydroxychloroquine medication-history-taken | E4
    E5  | visit-booked medication-history-taken | E5
    E6  | visit-booked medication-history-taken | E6
    E7  | visit-booked medication-history-taken | E7
    E8  | medication-history-taken | E8
    E9  | visit-booked medical-history-taken major-surgery-planned | E9
    E10 | screening-started hbsag anti-hbc anti-hcv hiv igra | E10
    E11 | visit-booked medical-history-taken active-infection | E11
    E12 | medical-history-taken | E12
    E13 | screening-started demographics-recorded breast-feeding pregnancy-intended hcg-serum | E13
    E14 | agrees-contraception | E14
    E15 | unfit-comorbidity | E15
    E16 | data-quality-condition | E16
    """
)
def test_what_the_outcomes_of_an_eligible_chart_rest_on(criterion: str, rests_on: str) -> None:
    told = outcome(criterion, eligible)
    assert told.outcome == "passed"
    assert sorted(_named(eligible[at - 1]) for at in told.evidence) == sorted(words(rests_on))


@table(
    """
    criterion | instead                | because    | why
    I4        | creatinine 4.1 mg/dL   | creatinine | the result and what it is computed from
    I3        | ana-titre 1:80         |            | both limbs when both fail
    E10       | hbsag positive         | hbsag      | the finding alone
    E13       | hcg-serum positive     | hcg-serum  | the finding and to whom it applies
    """
)
def test_a_failure_rests_on_what_decided_it(
    criterion: str, instead: str, because: str | None
) -> None:
    code, value, *unit = instead.split()
    reads = value if value in ("positive", "negative") else None
    result = lab(code, None if reads else value, *unit, reads=reads)
    base = without(code, "anti-dsdna")
    told = outcome(criterion, base, lab("anti-dsdna", reads="negative"), result)
    assert told.outcome == "failed"
    assert len(base) + 2 in told.evidence
    others = {_named(base[at - 1]) for at in told.evidence if at <= len(base)}
    assert others <= {"screening-started", "demographics-recorded"}


def test_windows_anchors_and_versions_are_told() -> None:
    told = outcome("I3", eligible)
    (window,) = told.windows
    assert (window.anchor, str(window.on)) == ("screening", "2026-11-23")
    assert (str(window.first), str(window.last)) == ("2026-05-23", "2026-12-13")
    assert told.protocol == "2.0"
    assert len(told.rule_hash) == 64
    assert told.explanation.startswith(
        "Antinuclear antibodies by immunofluorescence 1:640 on 2026-09-14: is at least 1:160 "
        "(2026-05-23 to 2026-12-13)"
    )


@table(
    """
    criterion | words | why
    I1  | 41 completed years on 2026-11-23: is at least 18 and at most 75 | an age
    I2  | 4 of 11 items, is at least 4 | a count
    I5  | covers 2026-08-31 to 2026-11-23 | a course
    I6  | 8 points on 2026-11-23 (items over 30 days), is at least 6 | a score
    I7  | consent form 1.0 was signed on 2026-11-20 | a signature
    E1  | 0 days of 2026-08-31 to 2026-11-22, is not more than 14 | a sum of days
    E3  | 5 mg of prednisone on the highest day at 64 kg, is not more than 0.5 mg/kg | a dose
    E4  | started 2024-02-01/2024-02-29: not in 2026-08-31 to 2026-11-23 | a change
    E8  | no medicine of class cell-therapy | nothing recorded
    E14 | agrees-contraception: yes on 2026-11-23, no is asked | a word
    """
)
def test_explanations_state_the_comparison(criterion: str, words: str) -> None:
    assert words in outcome(criterion, eligible).explanation


def test_a_washout_is_explained_in_days() -> None:
    course = took("belimumab", "biologic", "2026-01-01", "2026-10-01")
    told = outcome("E6", screened(), booked(), course, medicines_taken)
    passed = "belimumab (belimumab): 74 days before day 0 (2026-12-14), 97 are asked"
    assert told.explanation == passed


def test_nobody_is_asked_what_does_not_apply() -> None:
    told = outcome("E13", screened(), person(sex="male"))
    assert (told.outcome, told.applicable, told.explanation) == ("passed", False, "not applicable")


# --- the verdict ----------------------------------------------------------------------------------


def test_all_criteria_in_the_protocols_order() -> None:
    told = verdict(eligible).outcomes
    assert [one.criterion for one in told] == [one.id for one in lk_23_01().criteria]
    assert [one.kind for one in told] == ["inclusion"] * 8 + ["exclusion"] * 16


def test_eligible_only_when_every_criterion_passes() -> None:
    assert verdict(eligible).verdict == "eligible"
    for at, one in enumerate(eligible):
        if one.type in ("referred", "medication-recorded") or _named(one) in (
            "acr-1997",
            "slicc-2012",
            "ana-titre",
            "anti-dsdna",
        ):
            continue
        assert verdict(eligible[:at], eligible[at + 1 :]).verdict == "pending", one


def test_a_known_failure_dominates_what_is_unknown() -> None:
    told = verdict(said("unfit-comorbidity", True))
    assert told.verdict == "ineligible"
    assert [one.criterion for one in told.failing()] == ["E15"]
    assert len(told.unknown()) == 23
    assert told.evidence() == (1,)


def test_nobody_documented_is_pending() -> None:
    told = verdict()
    assert (told.verdict, told.evidence()) == ("pending", ())
    assert all(one.missing for one in told.outcomes)


def test_the_digest_binds_outcomes_and_version_and_nothing_else() -> None:
    told = verdict(eligible)
    again = verdict(eligible, lab("weight", "65", "kg", on="2026-11-30"))
    assert again.outcomes != told.outcomes
    assert again.digest() == told.digest()
    fields = {name: getattr(lk_23_01(), name) for name in Protocol.model_fields}
    later = Protocol.model_validate({**fields, "version": "3.0"})
    assert verdict(eligible, protocol=later).digest() != told.digest()
    assert verdict(eligible, said("unfit-comorbidity", at="2026-11-30")).digest() != told.digest()


def test_evidence_after_a_position_is_what_came_since() -> None:
    told = verdict(eligible, lab("weight", "65", "kg", on="2026-11-30"))
    assert told.evidence_after(len(eligible)) == (len(eligible) + 1,)
    assert told.evidence_after(len(eligible) + 1) == ()


def test_the_verdict_stays_when_life_goes_on_after_the_dose() -> None:
    before = verdict(eligible, dosed())
    after = verdict(
        eligible,
        dosed(),
        steroid("90", "2026-12-20", at="2026-12-21"),
        took("X1", "investigational", "2026-12-22", at="2026-12-22"),
        lab("creatinine", "4.4", "mg/dL", on="2026-12-21"),
        lab("hcg-serum", reads="positive", on="2026-12-21"),
        fact(
            "history-recorded",
            "2026-12-30",
            item="H",
            category="cancer",
            term="Lung",
            started_on="2026-12-28",
        ),
    )
    assert (before.verdict, after.verdict) == ("eligible", "eligible")


def test_a_criterion_without_a_rule_is_judged_by_a_person() -> None:
    protocol = lk_23_01()
    fields = {name: getattr(protocol, name) for name in type(protocol).model_fields}
    criteria = tuple(
        one.model_copy(update={"rule": None}) for one in protocol.criteria if one.id in ("I6", "E3")
    )
    bare = type(protocol).model_validate({**fields, "criteria": criteria, "assumptions": {}})

    def says(*facts: Fact) -> list[str]:
        return [one.outcome for one in verdict_under(bare, chart(facts), NEW_YORK).outcomes]

    assert says() == ["unknown", "unknown"]
    assert says(said("I6"), said("E3", False)) == ["passed", "passed"]
    assert says(said("I6", False), said("E3")) == ["failed", "failed"]


@pytest.mark.parametrize("one", verdict(eligible).outcomes, ids=lambda one: one.criterion)
def test_outcomes_are_told_without_the_clock(one: Outcome) -> None:
    again = outcome(one.criterion, eligible)
    assert again == one
    assert again.explanation == one.explanation


TOOK = steroid("27.5", "2026-01", record="P", indication="asthma")
PLANNED = history("major-surgery", "hip replacement", planned=True, started_on="2026-12-20")


@pytest.mark.parametrize(
    ("criterion", "first", "change"),
    [
        ("E1", TOOK, {"route": "topical"}),
        ("E1", TOOK, {"indication": "SLE"}),
        ("E1", TOOK, {"ended_on": "2026-02"}),
        ("E9", PLANNED, {"category": "other"}),
    ],
)
def test_what_by_a_later_record_does_not_count_any_more_is_cited(
    criterion: str, first: Fact, change: dict[str, str]
) -> None:
    then = replace(first, at="2026-11-24", data={**first.data, **change})
    before, after = outcome(criterion, eligible, first), outcome(criterion, eligible, first, then)
    assert (before.outcome, after.outcome) == ("failed", "passed")
    assert len(eligible) + 2 in after.evidence
