"""CKD-EPI 2021 against published and independently computed values."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clinical.egfr import UMOL_PER_MG_DL, ckd_epi_2021
from tests.domain.tables import table


@table(
    """
    sex    | age | creatinine | egfr     | why
    female | 25  | 0.5        | 133.4014 | below the knee
    female | 40  | 0.7        | 112.0543 | at the knee for women
    female | 55  | 0.9        | 75.4988  | above the knee
    female | 34  | 2.1        | 31.1235  | just above thirty
    female | 34  | 2.19       | 29.5951  | looks like thirty when it is rounded
    female | 75  | 1.8        | 29.0191  | old age
    male   | 40  | 0.9        | 110.7256 | at the knee for men
    male   | 55  | 1.2        | 71.4178  | as kidney.org computes
    male   | 60  | 2.4        | 30.1346  | just above thirty for men
    male   | 60  | 2.5        | 28.6940  | just below thirty for men
    male   | 75  | 3.5        | 17.4551  | severe
    """
)
def test_reference_values(sex: Any, age: str, creatinine: str, egfr: str) -> None:
    found = ckd_epi_2021(Decimal(creatinine), int(age), sex)
    assert round(found, 4) == Decimal(egfr)


@table(
    """
    sex    | age | creatinine | why
    female | 18  | 2.3526     | a woman of 18
    female | 30  | 2.2107     | a woman of 30
    female | 45  | 2.0453     | a woman of 45
    female | 60  | 1.8924     | a woman of 60
    female | 75  | 1.7508     | a woman of 75
    male   | 18  | 2.9948     | a man of 18
    male   | 30  | 2.8142     | a man of 30
    male   | 45  | 2.6037     | a man of 45
    male   | 60  | 2.4090     | a man of 60
    male   | 75  | 2.2288     | a man of 75
    """
)
def test_thirty_lies_at_the_known_creatinine(sex: Any, age: str, creatinine: str) -> None:
    step, limit = Decimal("0.0001"), Decimal(creatinine)
    assert ckd_epi_2021(limit - step, int(age), sex) > 30
    assert ckd_epi_2021(limit + step, int(age), sex) < 30


@pytest.mark.parametrize(("creatinine", "age"), [("0", 40), ("-1", 40), ("1", 17)])
def test_outside_the_equation_there_is_no_value(creatinine: str, age: int) -> None:
    with pytest.raises(ValueError, match=r"creatinine|18 years"):
        ckd_epi_2021(Decimal(creatinine), age, "male")


_creatinines = st.decimals("0.1", "20", places=3)
_ages = st.integers(18, 100)
_sexes = st.sampled_from(["female", "male"])


@given(_creatinines, _ages, _sexes)
def test_micromoles_and_milligrams_agree(creatinine: Decimal, age: int, sex: Any) -> None:
    in_mg = ckd_epi_2021(creatinine, age, sex)
    in_umol = ckd_epi_2021(creatinine * UMOL_PER_MG_DL, age, sex, "umol/L")
    assert abs(in_mg - in_umol) < Decimal("1e-25")


@given(_creatinines, _creatinines, _ages, _ages, _sexes)
def test_it_falls_with_creatinine_and_with_age(
    one: Decimal, other: Decimal, young: int, old: int, sex: Any
) -> None:
    low, high = sorted((one, other))
    younger, older = sorted((young, old))
    assert ckd_epi_2021(low, younger, sex) >= ckd_epi_2021(high, older, sex)
