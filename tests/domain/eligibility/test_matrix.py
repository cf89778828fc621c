"""Every criterion in six situations: below, on and above its limit, unknown, partial, conflicting.

Screening visit 2026-11-23, day 0 planned for 2026-12-14 (see charts). What is known is a list of
words: `yes`, `no` answer the criterion's statement, `taken` says that the histories are complete,
`code=result` is a result, `since..until` a course or an item of the history, the same one each
time; `@` gives a date other than the visit's. Two of the same date are two facts of one moment.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.domain.eligibility.charts import (
    ACR,
    SLEDAI,
    SLICC,
    Fact,
    booked,
    consented,
    history,
    illnesses_taken,
    lab,
    medicines_taken,
    outcome,
    person,
    said,
    scored,
    screened,
    steroid,
    took,
    withdrew,
)
from tests.domain.tables import words
from tests.specs import lk_23_01

SITUATIONS = ("below", "on", "above", "unknown", "partial", "conflict")

MATRIX = """
    which | situation | known                                      | says    | shown | why
    I1    | below     | born=2008-11-25                            | failed  |       | 17
    I1    | on        | born=2008-11-23                            | passed  |       | 18 today
    I1    | on        | born=1950-11-24                            | passed  |       | 75 still
    I1    | above     | born=2008-11-22                            | passed  |       | 18
    I1    | above     | born=1950-11-22                            | failed  |       | 76
    I1    | unknown   |                                            | unknown |       | not told
    I1    | partial   | born=2008-11                               | unknown |       | 17 or 18
    I1    | partial   | born=2008-10                               | passed  |       | 18 by then
    I1    | conflict  | born=1991-05-05 born=1931-05-05            | unknown |       | 35 or 95
    I1    | conflict  | born=2008 born=2008-11-20                  | passed  |       | one says more

    I2    | below     | acr=3 slicc=0                              | failed  |       | three
    I2    | on        | acr=4                                      | passed  |       | four
    I2    | above     | acr=5                                      | passed  |       | five
    I2    | unknown   |                                            | unknown |       | not told
    I2    | partial   | acr=3,1 slicc=0                            | unknown |       | one open
    I2    | partial   | acr=2,1 slicc=0                            | failed  |       | 3 at most
    I2    | conflict  | acr=3 acr=4                                | passed  |       | present once

    I3    | below     | titre=1:155 dsdna=-                        | failed  |       | lower
    I3    | on        | titre=1:160 dsdna=-                        | passed  |       | the limit
    I3    | above     | titre=1:165 dsdna=-                        | passed  |       | higher
    I3    | unknown   | dsdna=-                                    | unknown |       | no titre
    I3    | partial   | titre=>1:40 dsdna=-                        | unknown |       | censored
    I3    | partial   | titre=1:320@2026-05 dsdna=-                | unknown |       | perhaps old
    I3    | conflict  | titre=1:80 titre=1:640 dsdna=-             | passed  |       | one is enough

    I4    | below     | egfr=27.3                                  | failed  |       | lower
    I4    | on        | egfr=30.0                                  | passed  | yes   | the limit
    I4    | above     | egfr=32.8                                  | passed  |       | higher
    I4    | unknown   |                                            | unknown |       | not done
    I4    | partial   | egfr=>25                                   | unknown |       | censored
    I4    | partial   | egfr=52@2026-11                            | unknown |       | month only
    I4    | conflict  | egfr=28 egfr=41                            | unknown |       | both sides

    I5    | below     | 2026-09-02.. taken                         | failed  |       | shorter
    I5    | on        | 2026-08-31.. taken                         | passed  |       | 12 weeks
    I5    | above     | 2026-08-29.. taken                         | passed  |       | longer
    I5    | unknown   |                                            | unknown |       | not taken
    I5    | partial   | 2026.. taken                               | unknown |       | this year
    I5    | partial   | 2025..2026-11 taken                        | unknown |       | until when
    I5    | conflict  | 2026-08-29.. 2026-08-31.. taken            | passed  | yes   | both pass
    I5    | conflict  | 2026-08-31.. 2026-09-01.. taken            | unknown | yes   | one passes
    I5    | conflict  | 2026-09-01.. 2026-09-03.. taken            | failed  | yes   | neither

    I6    | below     | score=5                                    | failed  |       | five
    I6    | on        | score=6                                    | passed  |       | six
    I6    | above     | score=7                                    | passed  |       | seven
    I6    | unknown   |                                            | unknown |       | not done
    I6    | partial   | signs=myositis                             | unknown |       | at least 4
    I6    | partial   | signs=myositis,alopecia                    | passed  |       | at least 6
    I6    | conflict  | score=4 score=9                            | unknown |       | both sides

    I7    | below     | signed withdrew=visits                     | failed  |       | taken back
    I7    | above     | signed                                     | passed  |       | given
    I7    | unknown   |                                            | unknown |       | not asked
    I7    | partial   | signed withdrew=samples                    | passed  |       | samples only
    I7    | partial   | signed=2026-11                             | passed  |       | month only
    I7    | conflict  | signed=2026-11-25 withdrew=visits          | failed  |       | which is last
    I7    | conflict  | signed=2026-11-26 withdrew=visits          | passed  |       | signed again

    I8    | below     | no                                         | failed  |       | not willing
    I8    | above     | yes                                        | passed  |       | willing
    I8    | unknown   |                                            | unknown |       | not asked
    I8    | partial   | yes@2026-12                                | passed  |       | month only
    I8    | partial   | no@2026-12 yes@2026-12-05                  | unknown |       | which is last
    I8    | conflict  | yes no                                     | unknown |       | one moment

    E1    | below     | 2026-10-01..2026-10-13 taken               | passed  |       | 13 days
    E1    | on        | 2026-10-01..2026-10-14 taken               | passed  |       | 14 days
    E1    | above     | 2026-10-01..2026-10-15 taken               | failed  |       | 15 days
    E1    | unknown   |                                            | unknown |       | not taken
    E1    | partial   | 2026-10-01..2026-10 taken                  | unknown |       | 1 to 31 days
    E1    | conflict  | ..2026-09-11 ..2026-09-13 taken            | passed  | yes   | 12 or 14 days
    E1    | conflict  | ..2026-09-13 ..2026-09-14 taken            | unknown | yes   | 14 or 15 days
    E1    | conflict  | ..2026-09-14 ..2026-09-16 taken            | failed  | yes   | 15 or 17 days

    E2    | below     | ..2025-11-21 no taken                      | passed  |       | long over
    E2    | on        | ..2025-11-23 no taken                      | failed  |       | 12 months
    E2    | above     | ..2025-11-25 no taken                      | failed  |       | recent
    E2    | unknown   | taken                                      | unknown |       | not asked
    E2    | partial   | ..2025-11 no taken                         | unknown |       | month only
    E2    | partial   | yes@2026-12 taken                          | failed  |       | month only
    E2    | conflict  | yes no taken                               | unknown |       | answers
    E2    | conflict  | ..2025-11-20 ..2025-11-22 no taken         | passed  | yes   | both over
    E2    | conflict  | ..2025-11-22 ..2025-11-23 no taken         | unknown | yes   | one recent
    E2    | conflict  | ..2025-11-23 ..2025-11-24 no taken         | failed  | yes   | both recent

    E3    | below     | weight=55 mg=27.4 taken                    | passed  |       | less
    E3    | on        | weight=55 mg=27.5 taken                    | passed  |       | the limit
    E3    | above     | weight=55 mg=27.6 taken                    | failed  |       | more
    E3    | unknown   | mg=27.5 taken                              | unknown |       | no weight
    E3    | partial   | weight=>50 mg=27.5 taken                   | unknown |       | censored
    E3    | conflict  | weight=55 weight=50 mg=27.5 taken          | unknown |       | two weights
    E3    | conflict  | weight=55 mg=27.3 mg=27.5 taken            | passed  | yes   | both allowed
    E3    | conflict  | weight=55 mg=27.5 mg=27.6 taken            | unknown | yes   | one is more
    E3    | conflict  | weight=55 mg=27.6 mg=28 taken              | failed  | yes   | both more

    E4    | below     | 2026-08-29.. taken                         | passed  |       | earlier
    E4    | on        | 2026-08-31.. taken                         | failed  |       | 12 weeks
    E4    | above     | 2026-09-02.. taken                         | failed  |       | later
    E4    | unknown   |                                            | unknown |       | not taken
    E4    | partial   | 2026-08.. taken                            | unknown |       | month only
    E4    | conflict  | 2026-08-28.. 2026-08-30.. taken            | passed  | yes   | both earlier
    E4    | conflict  | 2026-08-30.. 2026-08-31.. taken            | unknown | yes   | one earlier
    E4    | conflict  | 2026-08-31.. 2026-09-01.. taken            | failed  | yes   | both in it

    E5    | below     | ..2026-09-17 taken                         | failed  |       | 88 days
    E5    | on        | ..2026-09-15 taken                         | passed  |       | 90 days
    E5    | above     | ..2026-09-13 taken                         | passed  |       | 92 days
    E5    | unknown   |                                            | unknown |       | not taken
    E5    | partial   | ..2026-09 taken                            | unknown |       | month only
    E5    | conflict  | ..2026-09-14 ..2026-09-15 taken            | passed  | yes   | both 90 days
    E5    | conflict  | ..2026-09-15 ..2026-09-16 taken            | unknown | yes   | one 89 days
    E5    | conflict  | ..2026-09-16 ..2026-09-18 taken            | failed  | yes   | neither

    E6    | below     | ..2026-09-06 taken                         | failed  |       | 99 days
    E6    | on        | ..2026-09-05 taken                         | passed  |       | 5 half-lives
    E6    | above     | ..2026-09-04 taken                         | passed  |       | 101 days
    E6    | unknown   |                                            | unknown |       | not taken
    E6    | partial   | ..2026-09 taken                            | unknown |       | month only
    E6    | conflict  | ..2026-09-03 ..2026-09-05 taken            | passed  | yes   | both 100 days
    E6    | conflict  | ..2026-09-05 ..2026-09-06 taken            | unknown | yes   | one 99 days
    E6    | conflict  | ..2026-09-06 ..2026-09-07 taken            | failed  | yes   | neither

    E7    | below     | ..2025-12-17 taken                         | failed  |       | 362 days
    E7    | on        | ..2025-12-15 taken                         | passed  |       | 52 weeks
    E7    | above     | ..2025-12-13 taken                         | passed  |       | 366 days
    E7    | unknown   |                                            | unknown |       | not taken
    E7    | partial   | ..2025-12 taken                            | unknown |       | month only
    E7    | conflict  | ..2025-12-14 ..2025-12-15 taken            | passed  | yes   | both 52 weeks
    E7    | conflict  | ..2025-12-15 ..2025-12-16 taken            | unknown | yes   | one 363 days
    E7    | conflict  | ..2025-12-16 ..2025-12-18 taken            | failed  | yes   | neither

    E8    | below     | 2026-12-13.. taken                         | failed  |       | before day 0
    E8    | on        | 2026-12-14.. taken                         | failed  |       | on day 0
    E8    | above     | 2026-12-15.. taken                         | passed  |       | after day 0
    E8    | unknown   |                                            | unknown |       | not taken
    E8    | partial   | 2026-12.. taken                            | unknown |       | month only
    E8    | conflict  | 2026-12-15.. 2026-12-17.. taken            | passed  | yes   | both after
    E8    | conflict  | 2026-12-14.. 2026-12-15.. taken            | unknown | yes   | one on day 0
    E8    | conflict  | 2026-12-12.. 2026-12-14.. taken            | failed  | yes   | both by then

    E9    | below     | 2026-09-13.. no taken                      | passed  |       | 92 days
    E9    | on        | 2026-09-15.. no taken                      | failed  |       | 90 days
    E9    | above     | 2026-09-17.. no taken                      | failed  |       | 88 days
    E9    | unknown   | taken                                      | unknown |       | not asked
    E9    | partial   | 2026-09.. no taken                         | unknown |       | month only
    E9    | conflict  | yes no taken                               | unknown |       | answers
    E9    | conflict  | 2026-09-12.. 2026-09-14.. no taken         | passed  | yes   | both earlier
    E9    | conflict  | 2026-09-14.. 2026-09-15.. no taken         | unknown | yes   | one within
    E9    | conflict  | 2026-09-15.. 2026-09-18.. no taken         | failed  | yes   | both within

    E10   | below     | panel@2026-10-24 taken                     | unknown |       | too old
    E10   | on        | panel@2026-10-26 taken                     | passed  |       | 28 days
    E10   | above     | panel@2026-10-28 taken                     | passed  |       | fresh
    E10   | unknown   | taken                                      | unknown |       | not done
    E10   | partial   | panel@2026-10 taken                        | unknown |       | month only
    E10   | partial   | hbsag=+ taken                              | failed  |       | one is enough
    E10   | conflict  | panel igra=+ taken                         | unknown |       | one moment

    E11   | below     | 2026-12-01..2026-12-12 no taken            | passed  |       | over
    E11   | on        | 2026-12-01..2026-12-14 no taken            | failed  |       | until day 0
    E11   | above     | 2026-12-01..2026-12-16 no taken            | failed  |       | after day 0
    E11   | unknown   | taken                                      | unknown |       | not asked
    E11   | partial   | 2026-12-01..2026-12 no taken               | unknown |       | month only
    E11   | conflict  | yes no taken                               | unknown |       | answers
    E11   | conflict  | ..2026-12-11 ..2026-12-13 no taken         | passed  | yes   | both over
    E11   | conflict  | ..2026-12-13 ..2026-12-14 no taken         | unknown | yes   | one over
    E11   | conflict  | ..2026-12-14 2026-12-01.. no taken         | failed  | yes   | both last

    E12   | below     | 2026-12-13.. taken                         | failed  |       | before day 0
    E12   | on        | 2026-12-14.. taken                         | failed  |       | on day 0
    E12   | above     | 2026-12-15.. taken                         | passed  |       | after day 0
    E12   | unknown   |                                            | unknown |       | not taken
    E12   | partial   | 2026-12.. taken                            | unknown |       | month only
    E12   | conflict  | 2026-12-15.. 2026-12-18.. taken            | passed  | yes   | both after
    E12   | conflict  | 2026-12-14.. 2026-12-15.. taken            | unknown | yes   | one on day 0
    E12   | conflict  | 2026-12-10.. 2026-12-14.. taken            | failed  | yes   | both by then

    E13   | below     | bearing hcg=- no                           | passed  |       | negative
    E13   | on        | bearing hcg=? no                           | unknown |       | unclear
    E13   | above     | bearing hcg=+ no                           | failed  |       | positive
    E13   | unknown   | bearing no                                 | unknown |       | not tested
    E13   | partial   | hcg=+ no                                   | unknown |       | sex not told
    E13   | partial   | hcg=- no                                   | passed  |       | whatever sex
    E13   | conflict  | bearing hcg=- hcg=+ no                     | unknown |       | one moment

    E14   | below     | no                                         | failed  |       | refused
    E14   | above     | yes                                        | passed  |       | agreed
    E14   | unknown   |                                            | unknown |       | not asked
    E14   | partial   | yes@2026-12                                | passed  |       | month only
    E14   | partial   | no@2026-12 yes@2026-12-05                  | unknown |       | which is last
    E14   | conflict  | yes no                                     | unknown |       | one moment

    E15   | below     | no                                         | passed  |       | fit
    E15   | above     | yes                                        | failed  |       | unfit
    E15   | unknown   |                                            | unknown |       | not asked
    E15   | partial   | yes@2026-12                                | failed  |       | month only
    E15   | partial   | no@2026-12 yes@2026-12-05                  | unknown |       | which is last
    E15   | conflict  | yes no                                     | unknown |       | one moment

    E16   | below     | no                                         | passed  |       | no harm
    E16   | above     | yes                                        | failed  |       | harm
    E16   | unknown   |                                            | unknown |       | not asked
    E16   | partial   | yes@2026-12                                | failed  |       | month only
    E16   | partial   | no@2026-12 yes@2026-12-05                  | unknown |       | which is last
    E16   | conflict  | yes no                                     | unknown |       | one moment
"""

NO_MEANING = """
    which | situation | why
    I7    | on        | consent is current or it is not
    I8    | on        | an answer is yes or no
    E14   | on        | an answer is yes or no
    E15   | on        | an answer is yes or no
    E16   | on        | an answer is yes or no
"""


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    return [[cell.strip() for cell in line.split("|")] for line in lines[1:]]


STATEMENTS = {
    "I8": ("able-to-follow-visits",),
    "E2": ("renal-replacement-expected",),
    "E9": ("major-surgery-planned",),
    "E11": ("active-infection",),
    "E13": ("breast-feeding", "pregnancy-intended"),
    "E14": ("agrees-contraception",),
    "E15": ("unfit-comorbidity",),
    "E16": ("data-quality-condition",),
}
CATEGORIES = {"E2": "dialysis", "E9": "major-surgery", "E11": "infection", "E12": "cancer"}
CLASSES = {
    "I5": "antimalarial",
    "E4": "antimalarial",
    "E5": "investigational",
    "E6": "biologic",
    "E7": "msc-therapy",
    "E8": "cell-therapy",
}
HALF_LIVES_DAYS = {"E5": "17", "E6": "20"}
PANEL = ("hbsag", "anti-hbc", "anti-hcv", "hiv", "igra")
READS = {"+": "positive", "-": "negative", "?": "indeterminate"}


def _reading(code: str) -> Callable[[str, str], Fact]:
    return lambda value, on: lab(code, reads=READS[value], on=on)


def _acr(value: str, on: str) -> Fact:
    present, _, unknown = value.partition(",")
    known = int(present)
    return scored("acr-1997", *ACR[:known], absent=ACR[known + int(unknown or 0) :], on=on)


def _slicc(value: str, on: str) -> Fact:
    return scored("slicc-2012", *SLICC[: int(value)], on=on)


def _active(value: str, on: str) -> Fact:
    present = value.split(",")
    assert set(present) <= set(SLEDAI)
    return scored("sledai-2k", *present, absent=(), on=on)


RESULTS: dict[str, Callable[[str, str], Fact]] = {
    "born": lambda value, on: person(value, at=on),
    "acr": _acr,
    "slicc": _slicc,
    "titre": lambda value, on: lab("ana-titre", value, on=on),
    "dsdna": _reading("anti-dsdna"),
    "egfr": lambda value, on: lab("egfr", value, "mL/min/{1.73_m2}", on=on),
    "score": lambda value, on: lab("sledai-2k", value, on=on),
    "signs": _active,
    "signed": lambda value, _on: consented(value),
    "withdrew": lambda value, _on: withdrew(value),
    "weight": lambda value, on: lab("weight", value, "kg", on=on),
    "mg": lambda value, _on: steroid(value, "2026-01-01"),
    "hbsag": _reading("hbsag"),
    "igra": _reading("igra"),
    "hcg": _reading("hcg-serum"),
}


def _facts(criterion: str, word: str) -> list[Fact]:
    """The facts that one word of the table stands for."""
    said_so, _, at = word.partition("@")
    name, _, value = said_so.partition("=")
    on = at or "2026-11-23"
    if ".." in name:
        since, _, until = name.partition("..")
        return [_lasting(criterion, since, until)]
    match name:
        case "yes" | "no":
            return [said(one, name == "yes", on) for one in STATEMENTS[criterion]]
        case "taken":
            return [medicines_taken, illnesses_taken]
        case "panel":
            return [lab(code, reads="negative", on=on) for code in PANEL]
        case "bearing":
            return [person(bearing=True)]
        case "signed" if not value:
            return [consented()]
    return [RESULTS[name](value, on)]


def _lasting(criterion: str, since: str, until: str) -> Fact:
    """A course or an item of the history; of one whose start does not matter, since 2019."""
    start, end = since or "2019-04-01", until or None
    if criterion in CATEGORIES:
        return history(CATEGORIES[criterion], "Item", started_on=start, ended_on=end)
    if criterion == "E1":
        return steroid("15", start, end, record="R", indication="asthma")
    half_life = HALF_LIVES_DAYS.get(criterion)
    return took(
        "X",
        CLASSES[criterion],
        start,
        end,
        record="R",
        indication="SLE",
        half_life_days=half_life,
    )


@pytest.mark.parametrize(
    ("which", "situation", "known", "says", "shown"),
    [
        pytest.param(*row[:-1], id=f"{row[0]}-{row[1]}-{row[-1].replace(' ', '-')}")
        for row in _rows(MATRIX)
    ],
)
def test_a_criterion_in_a_situation(
    which: str, situation: str, known: str, says: str, shown: str
) -> None:
    facts = [one for word in words(known) for one in _facts(which, word)]
    told = outcome(which, screened(), booked(), facts)
    again = outcome(which, screened(), booked(), facts[::-1])
    assert (told.outcome, told.near_threshold) == (says, bool(shown)), told.explanation
    assert (again.outcome, again.near_threshold) == (says, bool(shown)), situation


def test_every_criterion_is_tried_in_every_situation() -> None:
    tried = {(row[0], row[1]) for row in _rows(MATRIX)}
    excused = {(row[0], row[1]) for row in _rows(NO_MEANING)}
    every = {(one.id, situation) for one in lk_23_01().criteria for situation in SITUATIONS}
    assert tried | excused == every
    assert not tried & excused
    assert len(every) == 24 * 6
