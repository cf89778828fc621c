"""Inclusion criteria of LK-23-01, each on both sides of its limits, unknown, partial, conflicting.

Screening visit 2026-11-23, day 0 planned for 2026-12-14 (see charts).
"""

from __future__ import annotations

from tests.domain.eligibility.charts import (
    ACR,
    SLEDAI,
    SLICC,
    Fact,
    booked,
    consented,
    fact,
    lab,
    outcome,
    person,
    said,
    scored,
    screened,
    withdrew,
)
from tests.domain.tables import table, words


@table(
    """
    born       | says    | near | why
    2008-11-23 | passed  |      | 18 on the day of the visit
    2008-11-24 | failed  |      | 18 on the day after
    1950-11-24 | passed  |      | still 75
    1950-11-23 | failed  |      | 76 on the day of the visit
    1985-06-01 | passed  |      | in the middle
    2010-01-01 | failed  |      | a child
    1940-01-01 | failed  |      | far too old
    2008       | unknown |      | 17 or 18
    2007       | passed  |      | 18 or 19
    2008-11    | unknown |      | the month of the birthday
    2008-12    | failed  |      | the month after
    1950       | unknown |      | 75 or 76
    1951       | passed  |      | 74 or 75
    1949       | failed  |      | 76 or 77
    1950-11    | unknown |      | the month in which 76 is reached
    """
)
def test_i1_age(born: str, says: str, near: str | None) -> None:
    told = outcome("I1", screened(), person(born))
    assert (told.outcome, told.near_threshold) == (says, bool(near))


@table(
    """
    born       | screening  | says    | near | why
    2008-02-29 | 2026-02-28 | failed  | yes  | the one ambiguous day
    2008-02-29 | 2026-03-01 | passed  |      | the day after it
    1950-02-28 | 2026-02-28 | failed  |      | 76 without any ambiguity
    """
)
def test_i1_leap_days(born: str, screening: str, says: str, near: str | None) -> None:
    told = outcome("I1", screened(screening), person(born, at=screening, screening=screening))
    assert (told.outcome, told.near_threshold) == (says, bool(near))


def test_i1_is_unknown_without_a_visit_or_a_birth_date() -> None:
    assert outcome("I1", person()).missing == ("screening-visit",)
    assert outcome("I1", screened()).missing == ("birth-date",)
    assert outcome("I1").missing == ("screening-visit", "birth-date")


def test_i1_an_age_computed_for_another_visit_does_not_count() -> None:
    told = outcome("I1", screened("2026-11-23"), person(screening="2026-06-01"))
    assert (told.outcome, told.missing) == ("unknown", ("birth-date",))


# --- I2: classification ---------------------------------------------------------------------------


@table(
    """
    acr                            | acr_open | slicc                     | slicc_open | says | why
    malar-rash arthritis renal ana |          | synovitis           |     | passed  | four of ACR
    malar-rash arthritis renal     |          | synovitis renal     |     | failed  | short of both
    malar-rash arthritis renal     | ana      | synovitis renal     |     | unknown | ACR is open
    malar-rash arthritis renal     | ana      | renal dsdna c3 sm   |     | passed  | SLICC decides
    malar-rash arthritis renal ana |          |                     | *   | passed  | ACR decides
    malar-rash arthritis           | ana      | synovitis           |     | failed  | two and one
                                   | *        | synovitis renal ana sm |  | passed  | SLICC alone
    malar-rash                     |          | synovitis renal ana | sm  | unknown | SLICC is open
    malar-rash          |   | synovitis renal alopecia serositis |  | failed  | no immunology
    malar-rash          |   | ana dsdna sm c3                    |  | failed  | nothing clinical
    malar-rash          |   | synovitis renal alopecia serositis | ana | unknown | immunology open
    malar-rash          |   | synovitis renal ana coombs    |         | passed | Coombs alone
    malar-rash          |   | synovitis ana coombs anaemia  |         | failed | Coombs and anaemia
    malar-rash          |   | synovitis renal ana coombs    | anaemia | passed | one of the two
                        | * | synovitis                     |         | unknown | ACR not known
                        | * |                               | *       | unknown | nothing known
    """
)
def test_i2_classification(
    acr: str | None, acr_open: str | None, slicc: str | None, slicc_open: str | None, says: str
) -> None:
    told = outcome(
        "I2",
        _items("acr-1997", ACR, words(acr), words(acr_open)),
        _items("slicc-2012", SLICC, _long(slicc), _long(slicc_open)),
    )
    assert told.outcome == says


def _items(code: str, items: tuple[str, ...], present: list[str], unknown: list[str]) -> Fact:
    known = [one for one in items if one not in present and one not in unknown]
    return scored(code, *present, absent=[] if "*" in unknown else known)


def _long(cell: str | None) -> list[str]:
    short = {"dsdna": "anti-dsdna", "sm": "anti-sm", "c3": "low-complement"}
    short |= {"coombs": "direct-coombs", "anaemia": "haemolytic-anaemia"}
    return [short.get(one, one) for one in words(cell)]


def test_i2_items_add_up_over_the_years() -> None:
    told = outcome(
        "I2",
        scored("acr-1997", "malar-rash", "arthritis", on="2019-03-04"),
        scored("acr-1997", "renal", "ana", on="2026-11-23"),
    )
    assert (told.outcome, told.evidence) == ("passed", (1, 2))


def test_i2_what_was_present_once_stays() -> None:
    told = outcome(
        "I2",
        scored("acr-1997", "malar-rash", "arthritis", "renal", "ana", on="2019"),
        scored("acr-1997", "malar-rash", on="2026-11-23"),
    )
    assert told.outcome == "passed"


def test_i2_items_recorded_after_day_0_do_not_count() -> None:
    late = scored("acr-1997", "malar-rash", "arthritis", "renal", "ana", on="2026-12-20")
    assert outcome("I2", booked(), late).outcome == "unknown"


def test_i2_the_nephritis_route_is_remarked_and_not_granted() -> None:
    told = outcome(
        "I2",
        scored("acr-1997", "renal"),
        scored("slicc-2012", "renal", "ana"),
        lab("ana", reads="positive"),
        fact(
            "history-recorded",
            "2026-11-23",
            item="H1",
            category="other",
            term="Lupus nephritis class IV",
            code="lupus-nephritis-by-biopsy",
            started_on="2024-05",
        ),
    )
    assert told.outcome == "failed"
    assert "nephritis" in " ".join(told.notes)


# --- I3: antibodies -------------------------------------------------------------------------------


@table(
    """
    titre    | says    | why
    1:160    | passed  | the limit itself
    1:159    | failed  | one below
    1:80     | failed  | a string would sort it above
    1:320    | passed  | the next dilution
    1:100    | failed  | another base below
    1:1000   | passed  | another base above
    1/160    | passed  | with a slash
    160      | passed  | the denominator alone
    80       | failed  | a low denominator alone
    >=1:160  | passed  | at least the limit
    >1:1280  | passed  | censored above
    <1:80    | failed  | censored below
    <1:160   | failed  | censored just below the limit
    <=1:160  | unknown | censored at the limit
    >1:80    | unknown | censored below the limit upwards
    >=1:80   | unknown | censored from below the limit
    >1:160   | passed  | censored above the limit
    <1:320   | unknown | censored around the limit
    """
)
def test_i3_titres_against_a_negative_anti_dsdna(titre: str, says: str) -> None:
    facts = (screened(), lab("ana-titre", titre), lab("anti-dsdna", reads="negative"))
    assert outcome("I3", *facts).outcome == says


@table(
    """
    titre | dsdna         | says    | missing   | why
          | positive      | passed  |           | antibodies whatever the titre
    1:80  | negative      | failed  |           | both known and low
          | negative      | unknown | ana-titre | the titre would settle it
    1:160 |               | passed  |           | titre whatever the antibodies
    1:80  |               | unknown | anti-dsdna | the antibodies would settle it
          |               | unknown | ana-titre | the shortest list is one test
    1:80  | indeterminate | unknown | anti-dsdna | an unclear result settles nothing
    1:640 | negative      | passed  |           | either is enough
    """
)
def test_i3_either_is_enough(
    titre: str | None, dsdna: str | None, says: str, missing: str | None
) -> None:
    facts = [lab("ana-titre", titre)] if titre else []
    facts += [lab("anti-dsdna", reads=dsdna)] if dsdna else []
    told = outcome("I3", screened(), *facts)
    assert (told.outcome, told.missing) == (says, tuple(words(missing)))


@table(
    """
    screening  | drawn      | says    | why
    2026-08-31 | 2026-02-28 | passed  | six months before the end of August
    2026-08-31 | 2026-02-27 | unknown | a day more
    2024-08-31 | 2024-02-29 | passed  | six months before in a leap year
    2024-08-31 | 2024-02-28 | unknown | a day more in a leap year
    2026-03-31 | 2025-09-30 | passed  | six months before the end of March
    2026-03-31 | 2025-09-29 | unknown | a day more before September ends
    2026-11-23 | 2026-05-23 | passed  | the same day six months before
    2026-11-23 | 2026-05-22 | unknown | a day more than six months
    2026-11-23 | 2026-11-23 | passed  | at the visit
    2026-11-23 | 2026-11-30 | passed  | within screening
    2026-11-23 | 2026-12-13 | passed  | the day before day 0
    2026-11-23 | 2026-12-14 | unknown | on day 0
    2026-11-23 | 2026-06    | passed  | a whole month inside
    2026-11-23 | 2026-05    | unknown | a month that straddles
    2026-11-23 | 2026       | unknown | a year that straddles
    2026-11-23 | 2026-05-23T00:30:00-04:00 | passed  | the first hour at the site
    2026-11-23 | 2026-05-23T03:30:00Z      | unknown | still the day before at the site
    """
)
def test_i3_six_calendar_months(screening: str, drawn: str, says: str) -> None:
    facts = (screened(screening), booked(), lab("ana-titre", "1:320", on=drawn))
    assert outcome("I3", *facts).outcome == says


def test_i3_of_several_titres_the_highest_counts() -> None:
    facts = (screened(), lab("anti-dsdna", reads="negative"), lab("ana-titre", "1:320"))
    later = lab("ana-titre", "1:40", on="2026-11-30")
    told = outcome("I3", *facts, later)
    assert (told.outcome, told.evidence) == ("passed", (1, 3))


def test_i3_a_positive_ana_without_titre_leaves_it_open() -> None:
    facts = (screened(), lab("anti-dsdna", reads="negative"), lab("ana", reads="positive"))
    assert outcome("I3", *facts).missing == ("ana-titre",)


# --- I6: activity ---------------------------------------------------------------------------------


@table(
    """
    present                             | unknown | says    | why
    alopecia low-complement rash        |         | passed  | six exactly
    alopecia low-complement fever       |         | failed  | five
    seizure                             | *       | passed  | eight with 23 unknown
    arthritis                           | *       | unknown | four with 23 unknown
    arthritis                           | fever   | failed  | at most five
    arthritis                           | rash    | unknown | four or six
    arthritis fever                     | leukopenia | unknown | five or six
    arthritis fever thrombocytopenia    | seizure | passed  | six whatever the rest
                                        | *       | unknown | nothing known
                                        |         | failed  | nothing present
    fever leukopenia thrombocytopenia rash |      | failed  | five of four descriptors
    increased-dna-binding low-complement alopecia | | passed | serology counts
    """
)
def test_i6_activity(present: str | None, unknown: str | None, says: str) -> None:
    facts = _items("sledai-2k", SLEDAI, words(present), words(unknown))
    assert outcome("I6", screened(), facts).outcome == says


@table(
    """
    total | says    | why
    6     | passed  | six
    5     | failed  | five
    0     | failed  | none
    105   | passed  | all
    """
)
def test_i6_a_stated_total_is_taken(total: str, says: str) -> None:
    assert outcome("I6", screened(), lab("sledai-2k", total)).outcome == says


def test_i6_the_last_score_counts() -> None:
    first = scored("sledai-2k", "seizure", on="2026-11-24")
    second = scored("sledai-2k", "fever", on="2026-11-30")
    told = outcome("I6", screened(), second, first)
    assert (told.outcome, told.evidence) == ("failed", (1, 2))


def test_i6_two_scores_of_one_day_that_conflict_leave_it_open() -> None:
    facts = (lab("sledai-2k", "8"), lab("sledai-2k", "2"))
    told = outcome("I6", screened(), *facts)
    assert (told.outcome, told.missing) == ("unknown", ("sledai-2k",))


def test_i6_two_halves_of_one_day_complete_each_other() -> None:
    half = len(SLEDAI) // 2
    first = scored("sledai-2k", absent=SLEDAI[:half])
    second = scored("sledai-2k", "rash", absent=[one for one in SLEDAI[half:] if one != "rash"])
    assert outcome("I6", screened(), first, second).outcome == "failed"


# --- I7, I8 ---------------------------------------------------------------------------------------


@table(
    """
    events             | says    | why
                       | unknown | no consent yet
    given              | passed  | signed
    given visits       | failed  | visits withdrawn
    given treatment    | failed  | treatment withdrawn
    given samples      | passed  | samples only withdrawn
    given data         | passed  | data only withdrawn
    given visits again | passed  | signed again since
    """
)
def test_i7_consent(events: str | None, says: str) -> None:
    facts = {
        "given": consented(),
        "visits": withdrew("visits"),
        "treatment": withdrew("treatment"),
        "samples": withdrew("samples"),
        "data": withdrew("data"),
        "again": consented("2026-11-26T10:00:00-05:00", "1.1"),
    }
    told = outcome("I7", *(facts[one] for one in words(events)))
    assert told.outcome == says


@table(
    """
    answers | says    | why
            | unknown | not asked
    yes     | passed  | willing and able
    no      | failed  | not willing
    yes no  | failed  | the last answer counts
    no yes  | passed  | the last answer counts either way
    """
)
def test_i8_visits(answers: str | None, says: str) -> None:
    facts = [
        said("able-to-follow-visits", answer == "yes", f"2026-11-2{3 + day}")
        for day, answer in enumerate(words(answers))
    ]
    assert outcome("I8", *facts).outcome == says


def test_i8_two_answers_of_one_day_that_conflict_leave_it_open() -> None:
    facts = (said("able-to-follow-visits", True), said("able-to-follow-visits", False))
    told = outcome("I8", *facts)
    assert (told.outcome, told.evidence) == ("unknown", (1, 2))
