"""Exclusions by history and by a person's word: E2, E9, E11, E12, E14 to E16.

Screening visit 2026-11-23, day 0 planned for 2026-12-14 (see charts).
"""

from __future__ import annotations

from typing import Any

from tests.domain.eligibility.charts import (
    Fact,
    booked,
    dosed,
    history,
    illnesses_taken,
    outcome,
    said,
    screened,
)
from tests.domain.tables import table


def _told(criterion: str, *facts: Fact) -> Any:
    return outcome(criterion, screened(), booked(), *facts, illnesses_taken)


# --- E2: dialysis ---------------------------------------------------------------------------------


@table(
    """
    since      | until      | status   | says    | why
    2025-11-23 | 2025-11-23 |          | failed  | twelve months before
    2025-11-22 | 2025-11-22 |          | passed  | a day more
    2020-01-01 | 2025-11-23 |          | failed  | ended twelve months before
    2020-01-01 | 2025-11-22 |          | passed  | ended a day before that
    2020-01-01 |            |          | failed  | never ended
    2020       | 2025-11    |          | unknown | ended some day of the month
    2020       | 2025-10    |          | passed  | ended the month before
    2020       | 2025-12    |          | failed  | ended the month after
    2020       |            | resolved | unknown | over since some day
    2026-11-23 |            |          | failed  | began at the visit
    2026-11-24 |            |          | passed  | began the day after
               |            |          | failed  | never ended and nobody knows its start
               | 2025-11-22 |          | passed  | ended before whenever it began
    """
)
def test_e2_dialysis(since: str | None, until: str | None, status: str | None, says: str) -> None:
    item = history("dialysis", "Dialysis", started_on=since, ended_on=until, status=status)
    assert _told("E2", item, said("renal-replacement-expected", False)).outcome == says


def test_e2_twelve_months_are_calendar_months() -> None:
    item = history("dialysis", "Dialysis", started_on="2023-02-28", ended_on="2023-02-28")
    no = said("renal-replacement-expected", False)
    assert outcome("E2", screened("2024-02-29"), item, no, illnesses_taken).outcome == "failed"
    assert outcome("E2", screened("2024-03-01"), item, no, illnesses_taken).outcome == "passed"


@table(
    """
    dialysis | expected | says    | missing                    | why
             | no       | passed  |                            | neither
             | yes      | failed  |                            | expected
             |          | unknown | renal-replacement-expected | not asked
    recent   | no       | failed  |                            | recent dialysis
    recent   |          | failed  |                            | recent whatever is expected
    old      | no       | passed  |                            | long ago
    old      | yes      | failed  |                            | long ago and expected again
    """
)
def test_e2_either_limb(
    dialysis: str | None, expected: str | None, says: str, missing: str | None
) -> None:
    when = {"recent": "2026-06-01", "old": "2020-06-01"}
    facts = []
    if dialysis:
        day = when[dialysis]
        facts.append(history("dialysis", "Dialysis", started_on=day, ended_on=day))
    if expected:
        facts.append(said("renal-replacement-expected", expected == "yes"))
    told = _told("E2", *facts)
    assert (told.outcome, told.missing) == (says, (missing,) if missing else ())


# --- E9: major surgery ----------------------------------------------------------------------------


@table(
    """
    day        | planned | attested | says    | why
               |         | no       | passed  | none
               |         | yes      | failed  | planned by word
               |         |          | unknown | not asked
    2026-09-15 |         | no       | failed  | ninety days before day 0
    2026-09-14 |         | no       | passed  | ninety-one days before
    2026-12-14 |         | no       | failed  | on day 0
    2026-12-15 |         | no       | passed  | after day 0
    2026-09    |         | no       | unknown | some day of a month
    2026-10    |         | no       | failed  | a month inside
    2026-08    |         | no       | passed  | a month before
    2026       |         | no       | unknown | this year
    2027-02-01 | yes     | no       | failed  | planned by the record
    2020-02-01 | yes     | no       | failed  | a plan that nobody took back
    2026-09-15 |         |          | failed  | recent whatever is planned
    """
)
def test_e9_surgery(day: str | None, planned: str | None, attested: str | None, says: str) -> None:
    facts = []
    if day:
        plan = True if planned else None
        facts.append(history("major-surgery", "Hip", started_on=day, planned=plan))
    if attested:
        facts.append(said("major-surgery-planned", attested == "yes"))
    assert _told("E9", *facts).outcome == says


def test_e9_moving_day_0_decides_again() -> None:
    surgery = history("major-surgery", "Hip", started_on="2026-09-15")
    facts = (screened(), surgery, said("major-surgery-planned", False), illnesses_taken)
    assert outcome("E9", *facts, booked("2026-12-14")).outcome == "failed"
    assert outcome("E9", *facts, booked("2026-12-15")).outcome == "passed"
    assert outcome("E9", *facts).missing == ("planned-day-0",)


def test_e9_an_unknown_day_is_asked_for() -> None:
    surgery = history("major-surgery", "Hip", item="S1", started_on="2026-09")
    told = _told("E9", surgery, said("major-surgery-planned", False))
    assert told.missing == ("history/S1/started_on",)


# --- E11: active infection ------------------------------------------------------------------------


@table(
    """
    since      | until      | status   | treated | attested | says    | why
               |            |          |         | no       | passed  | none
               |            |          |         | yes      | failed  | by word
               |            |          |         |          | unknown | not asked
    2026-12-01 |            |          |         | no       | failed  | open
    2026-12-01 |            | active   |         | no       | failed  | active
    2026-12-01 |            |          | yes     | no       | passed  | adequately treated
    2026-12-01 |            |          | no      | no       | failed  | not adequately treated
    2026-12-01 | 2026-12-13 |          |         | no       | passed  | over the day before day 0
    2026-12-01 | 2026-12-15 |          |         | no       | failed  | over after day 0
    2026-12-01 | 2026-12    |          |         | no       | unknown | over some day of the month
    2026-11-01 |            | resolved |         | no       | passed  | said to be resolved
    2026-12-15 |            |          |         | no       | passed  | after day 0
    2026-12-01 |            |          |         | yes      | failed  | both
    """
)
def test_e11_infection(
    since: str | None,
    until: str | None,
    status: str | None,
    treated: str | None,
    attested: str | None,
    says: str,
) -> None:
    facts = []
    if since:
        facts.append(
            history(
                "infection",
                "Cystitis",
                started_on=since,
                ended_on=until,
                status=status,
                adequately_treated=None if treated is None else treated == "yes",
            )
        )
    if attested:
        facts.append(said("active-infection", attested == "yes"))
    assert _told("E11", *facts).outcome == says


def test_e11_the_same_record_again_ends_it() -> None:
    facts = (screened(), booked(), said("active-infection", False), illnesses_taken)
    open_one = history("infection", "Cystitis", item="H1", started_on="2026-12-01")
    over = history(
        "infection",
        "Cystitis",
        item="H1",
        at="2026-12-09",
        started_on="2026-12-01",
        ended_on="2026-12-08",
    )
    assert outcome("E11", *facts, open_one).outcome == "failed"
    assert outcome("E11", *facts, open_one, over).outcome == "passed"
    assert outcome("E11", *facts, over, open_one).outcome == "passed"


# --- E12: cancer ----------------------------------------------------------------------------------


@table(
    """
    code                         | treated | says    | why
                                 |         | failed  | any cancer
                                 | yes     | failed  | any cancer though treated
    basal-cell-carcinoma-skin    | yes     | passed  | basal cell treated
    basal-cell-carcinoma-skin    | no      | failed  | basal cell not treated
    basal-cell-carcinoma-skin    |         | unknown | basal cell and nobody says
    squamous-cell-carcinoma-skin | yes     | passed  | squamous cell treated
    squamous-cell-carcinoma-skin | no      | failed  | squamous cell not treated
    squamous-cell-carcinoma-skin |         | unknown | squamous cell and nobody says
    cervical-carcinoma-in-situ   | yes     | passed  | cervix treated
    cervical-carcinoma-in-situ   | no      | failed  | cervix not treated
    melanoma                     | yes     | failed  | another skin cancer
    """
)
def test_e12_cancer(code: str | None, treated: str | None, says: str) -> None:
    done = None if treated is None else treated == "yes"
    item = history("cancer", "Tumour", started_on="2011", code=code, adequately_treated=done)
    told = _told("E12", item)
    assert told.outcome == says
    assert told.missing == (("history/Tumour/adequately_treated",) if says == "unknown" else ())


@table(
    """
    since      | says    | why
    1988       | failed  | long ago
    2026-12-14 | failed  | on day 0
    2026-12-15 | passed  | after day 0
    2026-12    | unknown | some day of the month
               | unknown | nobody knows when
    """
)
def test_e12_ever_until_day_0(since: str | None, says: str) -> None:
    told = _told("E12", history("cancer", "Breast", at="2026-12-20", started_on=since))
    assert told.outcome == says


def test_e12_one_that_counts_is_enough() -> None:
    exempt = history("cancer", "Skin", code="basal-cell-carcinoma-skin", adequately_treated=True)
    assert _told("E12", exempt).outcome == "passed"
    assert _told("E12", exempt, history("cancer", "Lung")).outcome == "failed"


@table(
    """
    criterion | statement                  | why
    E2        | renal-replacement-expected | E2
    E9        | major-surgery-planned      | E9
    E11       | active-infection           | E11
    E12       |                            | E12
    """
)
def test_an_empty_history_means_nothing_until_it_is_taken(
    criterion: str, statement: str | None
) -> None:
    facts = [screened(), booked()]
    facts += [said(statement, False)] if statement else []
    told = outcome(criterion, *facts)
    assert (told.outcome, told.missing) == ("unknown", ("medical-history-taken",))
    assert outcome(criterion, *facts, illnesses_taken).outcome == "passed"
    assert outcome(criterion, *facts, said("medical-history-taken", False)).outcome == "unknown"


# --- E14 to E16: a person's word ------------------------------------------------------------------


@table(
    """
    criterion | statement              | answer | says    | why
    E14       | agrees-contraception   | yes    | passed  | agrees
    E14       | agrees-contraception   | no     | failed  | does not agree
    E14       | agrees-contraception   |        | unknown | not asked to agree
    E15       | unfit-comorbidity      | no     | passed  | fit
    E15       | unfit-comorbidity      | yes    | failed  | unfit
    E15       | unfit-comorbidity      |        | unknown | fitness not judged
    E16       | data-quality-condition | no     | passed  | no harm to the data
    E16       | data-quality-condition | yes    | failed  | harm to the data
    E16       | data-quality-condition |        | unknown | data quality not judged
    """
)
def test_attested_exclusions(criterion: str, statement: str, answer: str | None, says: str) -> None:
    facts = [said(statement, answer == "yes")] if answer else []
    told = outcome(criterion, *facts)
    assert (told.outcome, told.missing) == (says, () if answer else (statement,))


def test_answers_given_after_the_dose_change_nothing() -> None:
    facts = (booked(), said("unfit-comorbidity", False), dosed("2026-12-14"))
    late = said("unfit-comorbidity", True, at="2026-12-15")
    assert outcome("E15", *facts, late).outcome == "passed"
