"""E10: hepatitis B and C, HIV and tuberculosis as a decision table; E13: pregnancy.

Screening visit 2026-11-23, day 0 planned for 2026-12-14 (see charts).
"""

from __future__ import annotations

from tests.domain.eligibility.charts import (
    Fact,
    booked,
    history,
    illnesses_taken,
    lab,
    outcome,
    person,
    said,
    screened,
)
from tests.domain.tables import table, words

READS = {"+": "positive", "-": "negative", "?": "indeterminate"}
CLEAR = dict.fromkeys(("hbsag", "anti-hbc", "anti-hcv", "hiv", "igra"), "-")


def _e10(*facts: Fact, on: str = "2026-11-23", **results: str | None) -> object:
    """E10 with a clear panel but for some results (by code, `_` for `-`; None: not done)."""
    panel = {**CLEAR, **{code.replace("_", "-"): reads for code, reads in results.items()}}
    done = [lab(code, reads=READS[reads], on=on) for code, reads in panel.items() if reads]
    told = outcome("E10", screened(), booked(), *facts, *done)
    return told.outcome, told.missing


@table(
    """
    hbsag | anti_hbc | hbv_dna | says    | missing  | why
    -     | -        |         | passed  |          | never infected
    +     | -        |         | failed  |          | antigen
    +     | +        | +       | failed  |          | antigen and virus
    +     | +        | -       | failed  |          | antigen though no virus is found
    -     | +        | -       | passed  |          | over and no virus
    -     | +        | +       | failed  |          | virus without antigen
    -     | +        |         | unknown | hbv-dna  | the virus test is pending
    -     | +        | ?       | unknown | hbv-dna  | the virus test is unclear
          | -        |         | unknown | hbsag    | antigen not done
    ?     | -        |         | unknown | hbsag    | antigen unclear
    -     |          |         | unknown | anti-hbc | antibodies not done
    -     |          | -       | passed  |          | no virus whatever the antibodies
          |          | +       | failed  |          | virus whatever else
    """
)
def test_e10_hepatitis_b(
    hbsag: str | None, anti_hbc: str | None, hbv_dna: str | None, says: str, missing: str | None
) -> None:
    told = _e10(hbsag=hbsag, anti_hbc=anti_hbc, hbv_dna=hbv_dna)
    assert told == (says, tuple(words(missing)))


@table(
    """
    anti_hcv | hcv_rna | says    | missing  | why
    -        |         | passed  |          | never infected
    +        | -       | passed  |          | over
    +        | +       | failed  |          | active
    -        | +       | failed  |          | virus before antibodies
    +        |         | unknown | hcv-rna  | the virus test is pending
    +        | ?       | unknown | hcv-rna  | the virus test is unclear
             |         | unknown | anti-hcv | not done
             | -       | passed  |          | no virus whatever the antibodies
    """
)
def test_e10_hepatitis_c(
    anti_hcv: str | None, hcv_rna: str | None, says: str, missing: str | None
) -> None:
    assert _e10(anti_hcv=anti_hcv, hcv_rna=hcv_rna) == (says, tuple(words(missing)))


@table(
    """
    hiv | confirmatory | says    | missing          | why
    -   |              | passed  |                  | not reactive
    +   | +            | failed  |                  | reactive and confirmed
    +   | -            | passed  |                  | reactive and not confirmed
    +   |              | unknown | hiv-confirmatory | confirmation pending
    +   | ?            | unknown | hiv-confirmatory | confirmation unclear
        |              | unknown | hiv              | not done
    ?   |              | unknown | hiv              | unclear
    """
)
def test_e10_hiv(hiv: str | None, confirmatory: str | None, says: str, missing: str | None) -> None:
    assert _e10(hiv=hiv, hiv_confirmatory=confirmatory) == (says, tuple(words(missing)))


@table(
    """
    igra | history  | ruled_out | says    | why
    -    |          |           | passed  | no sign of it
    +    |          |           | unknown | perhaps latent
    ?    |          |           | unknown | unclear
         |          |           | unknown | not done
    -    | active   |           | failed  | diagnosed whatever the test
    +    | active   |           | failed  | diagnosed
    -    | resolved |           | passed  | over
    +    |          | yes       | passed  | ruled out by the investigator
    ?    |          | yes       | passed  | an unclear test ruled out
    +    |          | no        | unknown | not ruled out
    +    | latent   | yes       | passed  | known to be latent and ruled out
    """
)
def test_e10_tuberculosis(
    igra: str | None, history: str | None, ruled_out: str | None, says: str
) -> None:
    facts = [_tuberculosis(history)] if history else []
    if ruled_out:
        facts.append(said("active-tuberculosis-ruled-out", ruled_out == "yes"))
    assert _e10(*facts, illnesses_taken, igra=igra)[0] == says  # type: ignore[index]


def _tuberculosis(status: str) -> Fact:
    return history(
        "infection", "Tuberculosis", code="tuberculosis", started_on="2024-01-01", status=status
    )


@table(
    """
    drawn      | says    | why
    2026-10-26 | passed  | twenty-eight days before the visit
    2026-10-25 | unknown | a day more
    2026-11-23 | passed  | at the visit
    2026-12-13 | passed  | the day before day 0
    2026-12-14 | unknown | on day 0
    2026-11    | passed  | a month inside
    2026-10    | unknown | a month that straddles
    """
)
def test_e10_results_must_be_fresh(drawn: str, says: str) -> None:
    assert _e10(on=drawn)[0] == says  # type: ignore[index]


def test_e10_the_shortest_list_is_the_first_line_of_tests() -> None:
    told = outcome("E10", screened(), booked())
    assert told.missing == ("hbsag", "anti-hbc", "anti-hcv", "hiv", "igra")


def test_e10_a_later_result_replaces_an_earlier_one() -> None:
    first, later = lab("hbsag", reads="positive"), lab("hbsag", reads="negative", on="2026-11-30")
    clear = [lab(code, reads="negative") for code in CLEAR if code != "hbsag"]
    assert outcome("E10", screened(), first, *clear).outcome == "failed"
    assert outcome("E10", screened(), later, first, *clear).outcome == "passed"


def test_cytomegalovirus_is_tested_and_keeps_nobody_out() -> None:
    facts = [lab(code, reads="negative") for code in CLEAR]
    told = outcome("E10", screened(), *facts, lab("cmv-igg", reads="positive"))
    assert told.outcome == "passed"


# --- E13: pregnancy -------------------------------------------------------------------------------

NO = (said("breast-feeding", False), said("pregnancy-intended", False))


@table(
    """
    sex      | bearing | urine | serum | says    | applicable | missing | why
    male     |         |       |       | passed  |            |  | not asked of men
    male     | no      |       |       | passed  |            |  | not asked of men who say no
    female   | yes     | -     |       | passed  | yes        |  | a negative urine test
    female   | yes     |       | -     | passed  | yes        |  | a negative serum test
    female   | yes     | +     |       | failed  | yes        |  | a positive urine test
    female   | yes     |       | +     | failed  | yes        |  | a positive serum test
    female   | yes     | -     | +     | failed  | yes        |  | one of two is positive
    female   | yes     | +     | -     | failed  | yes        |  | a serum test does not clear it
    female   | yes     |       |       | unknown | yes        | hcg-urine | not done
    female   | yes     | ?     |       | unknown | yes        | hcg-urine | unclear
    female   | no      |       |       | passed  | yes        |  | no test after the menopause
    female   |         |       |       | unknown | yes | childbearing-potential | potential not told
    female   |         | -     |       | passed  | yes        |  | negative whatever the potential
    intersex | yes     | -     |       | passed  | yes        |  | by organs not by label
    intersex | yes     | +     |       | failed  | yes        |  | by organs not by label positive
    male     | yes     | -     |       | passed  | yes        |  | a man who may become pregnant
    male     | yes     |       |       | unknown | yes        | hcg-urine | a man not tested
    unknown  | yes     | +     |       | failed  | yes        |  | whatever the sex
    """
)
def test_e13_the_test(
    sex: str,
    bearing: str | None,
    urine: str | None,
    serum: str | None,
    says: str,
    applicable: str | None,
    missing: str | None,
) -> None:
    potential = None if bearing is None else bearing == "yes"
    results = [("hcg-urine", urine), ("hcg-serum", serum)]
    tests = [lab(code, reads=READS[reads]) for code, reads in results if reads]
    told = outcome("E13", screened(), booked(), person(sex=sex, bearing=potential), *tests, *NO)
    assert (told.outcome, told.missing) == (says, tuple(words(missing)))
    assert told.applicable is bool(applicable)


@table(
    """
    feeding | intended | says    | missing            | why
    no      | no       | passed  |                    | neither
    yes     | no       | failed  |                    | breast-feeding
    no      | yes      | failed  |                    | intends to become pregnant
            | no       | unknown | breast-feeding     | breast-feeding not asked
    no      |          | unknown | pregnancy-intended | intention not asked
    yes     |          | failed  |                    | known whatever the other
    """
)
def test_e13_the_statements_are_asked_after_the_menopause_too(
    feeding: str | None, intended: str | None, says: str, missing: str | None
) -> None:
    answers = [("breast-feeding", feeding), ("pregnancy-intended", intended)]
    facts = [said(name, answer == "yes") for name, answer in answers if answer]
    told = outcome("E13", screened(), person("1960-01-01", bearing=False), *facts)
    assert (told.outcome, told.missing) == (says, tuple(words(missing)))


def test_e13_is_open_without_demographics() -> None:
    told = outcome("E13", screened(), *NO)
    assert (told.outcome, told.missing) == ("unknown", ("sex",))
    assert outcome("E13", screened(), person(sex="unknown"), *NO).missing == ("sex",)
