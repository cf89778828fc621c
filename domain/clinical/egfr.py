"""Estimated glomerular filtration rate by the CKD-EPI creatinine equation of 2021.

    142 x min(S/k, 1)^a x max(S/k, 1)^-1.200 x 0.9938^age (x 1.012 if female)

with S the serum creatinine in mg/dL, k = 0.7 and a = -0.241 for women, k = 0.9 and a = -0.302 for
men (Inker et al., N Engl J Med 2021;385:1737-1749). Valid from 18 years; age in completed years.
The result is in mL/min/1.73 m2 and is never rounded here: it is compared as it is.
"""

from decimal import Context, Decimal
from functools import lru_cache
from typing import Literal

PRECISION = 34
"""Significant digits of the arithmetic; far more than any comparison needs."""

AGE_MIN_YEARS = 18
UMOL_PER_MG_DL = Decimal("88.4")
"""Micromoles a litre in one milligram a decilitre, as laboratories convert creatinine."""

Sex = Literal["female", "male"]

_EXACT = Context(prec=PRECISION)
_SCALE = Decimal(142)
_HIGH = Decimal("-1.200")
_AGING = Decimal("0.9938")
_KNEE = {"female": Decimal("0.7"), "male": Decimal("0.9")}
_LOW = {"female": Decimal("-0.241"), "male": Decimal("-0.302")}
_FACTOR = {"female": Decimal("1.012"), "male": Decimal(1)}


@lru_cache(maxsize=4096)
def ckd_epi_2021(
    creatinine: Decimal, age: int, sex: Sex, unit: Literal["mg/dL", "umol/L"] = "mg/dL"
) -> Decimal:
    """eGFR in mL/min/1.73 m2; ValueError where the equation does not hold.

    It falls with rising creatinine and with rising age, and is higher for men at equal values
    above the knees, so bounds of the inputs give bounds of the result.
    """
    if creatinine <= 0:
        raise ValueError("creatinine is not positive")
    if age < AGE_MIN_YEARS:
        raise ValueError("the equation holds from 18 years")
    knee = _KNEE[sex] * (UMOL_PER_MG_DL if unit == "umol/L" else 1)
    ratio = _EXACT.divide(creatinine, knee)
    power = _EXACT.power(ratio, _LOW[sex] if ratio < 1 else _HIGH)
    aged = _EXACT.power(_AGING, age)
    return _product(_SCALE, power, aged, _FACTOR[sex])


def _product(first: Decimal, *others: Decimal) -> Decimal:
    for other in others:
        first = _EXACT.multiply(first, other)
    return first
