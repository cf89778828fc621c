"""Steroid doses as prednisone: the table, how a dose is written, what cannot be read."""

from decimal import Decimal
from fractions import Fraction

from domain.clinical.steroids import Conversion, equivalent, milligrams_a_day
from tests.domain.tables import table
from tests.specs import lk_23_01

TABLE = tuple((one.name, one.equals_5mg_prednisone) for one in lk_23_01().steroids)


@table(
    """
    name                        | mg    | prednisone | why
    prednisone                  | 5     | 5          | itself
    prednisolone                | 5     | 5          | its active form
    cortisone                   | 25    | 5          | cortisone
    hydrocortisone              | 20    | 5          | hydrocortisone
    methylprednisolone          | 24    | 30         | not found inside prednisolone
    triamcinolone               | 4     | 5          | triamcinolone
    dexamethasone               | 4.5   | 30         | thirty exactly
    dexamethasone               | 0.75  | 5          | five exactly
    betamethasone               | 0.6   | 5          | betamethasone
    deflazacort                 | 36    | 30         | deflazacort
    Prednisone 5 mg tablet      | 10    | 10         | a product's name
    METHYLPREDNISOLONE          | 4     | 5          | capitals
    """
)
def test_equivalents_are_exact(name: str, mg: str, prednisone: str) -> None:
    factor = equivalent(name, TABLE)
    assert factor is not None
    assert Fraction(Decimal(mg)) * factor == int(prednisone)


@table(
    """
    name        | why
    budesonide  | not in the table
    pred        | an abbreviation is not guessed
    fluticasone | inhaled
    """
)
def test_what_is_not_in_the_table_is_not_converted(name: str) -> None:
    assert equivalent(name, TABLE) is None
    dose = Conversion(TABLE).dose(name, Decimal(1), "mg", "day", False)
    assert (dose.low, dose.high) == (0, None)


@table(
    """
    dose | unit   | per       | one_day | low   | high  | why
    10   | mg     | day       |         | 10    | 10    | once a day
    10   | mg     | d         |         | 10    | 10    | the unit symbol of a day
    5    | mg     | 12.h      |         | 10    | 10    | twice a day
    5    | mg     | 8h        |         | 15    | 15    | three times a day
    5    | mg     | 6.h       |         | 20    | 20    | four times a day
    20   | mg     | 2.d       |         | 0     | 20    | every other day
    20   | mg     | week      |         | 0     | 20    | once a week
    0.5  | g      | day       |         | 500   | 500   | grams
    750  | ug     | day       |         | 3/4   | 3/4   | micrograms
    10   | mg/d   |           |         | 10    | 10    | the rate within the unit
    10   | mg/day |           |         | 10    | 10    | the rate within the unit in words
    500  | mg     |           | yes     | 500   | 500   | a pulse of one day
    500  | mg     |           |         | 0     | none  | no frequency
    10   | tablet | day       |         | 0     | none  | not a weight
    10   | mg     | as needed |         | 0     | none  | not a frequency
         | mg     | day       |         | 0     | none  | no dose
    10   |        | day       |         | 0     | none  | no unit
    -1   | mg     | day       |         | 0     | none  | a negative dose
    0    | mg     | day       |         | 0     | 0     | nothing
    """
)
def test_how_a_dose_is_read(
    dose: str | None, unit: str | None, per: str | None, one_day: str | None, low: str, high: str
) -> None:
    amount = Decimal(dose) if dose is not None else None
    found = milligrams_a_day(amount, unit, per, one_day=one_day is not None)
    assert found.low == Fraction(low)
    assert found.high == (None if high == "none" else Fraction(high))
