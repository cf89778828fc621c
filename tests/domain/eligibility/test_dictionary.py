"""What makes no sense for its code is refused, with the rule and never the value."""

from __future__ import annotations

from typing import Any

import pytest

from domain.eligibility.dictionary import check_observation, check_statement
from domain.journey.screening import Attested, ObservationRecorded
from domain.kernel import Impossible
from domain.refusals import IMPOSSIBLE
from tests.domain.tables import table
from tests.specs import lk_23_01, protocol_but


def _refused(**data: Any) -> str | None:
    given = {name: value for name, value in data.items() if value is not None}
    body = ObservationRecorded.model_validate(given)
    try:
        check_observation(lk_23_01(), body)
    except Impossible as found:
        refusal = found
    else:
        return None
    assert refusal.rule in IMPOSSIBLE
    assert str(data.get("value")) not in refusal.detail
    return refusal.rule


@table(
    """
    code       | value    | unit    | refused      | why
    weight     | 64       | kg      |              | a weight
    weight     | 25       | kg      |              | the lowest that makes sense
    weight     | 24.9     | kg      | implausible  | lighter than that
    weight     | 300      | kg      |              | the highest that makes sense
    weight     | 300.1    | kg      | implausible  | heavier than that
    weight     | 3        | kg      | implausible  | a slipped digit
    weight     | 141      | [lb_av] |              | in pounds
    weight     | 54       | [lb_av] | implausible  | pounds that are too few
    weight     | 64000    | g       |              | in grams
    weight     | 64       | g       | implausible  | kilograms called grams
    weight     | 64       | lb      | unknown-unit | pounds by another name
    weight     | 64       | KG      | unknown-unit | units are case-sensitive
    weight     | 64       |         | no-unit      | could be several units
    weight     | heavy    | kg      | not-a-number | a word
    weight     | -64      | kg      | implausible  | negative
    creatinine | 0.8      | mg/dL   |              | a creatinine
    creatinine | 0.8      | g/L     | unknown-unit | grams a litre
    creatinine | 80       | mg/dL   | implausible  | micromoles called milligrams
    egfr       | 61       | mL/min/{1.73_m2} |     | an eGFR
    egfr       | 61       |         |              | there is only one unit
    egfr       | >60      | mL/min/{1.73_m2} |     | censored
    egfr       | >300     | mL/min/{1.73_m2} | implausible | censored beyond sense
    egfr       | 61-70    | mL/min/{1.73_m2} | not-a-number | a range
    height     | 1.72     | m       |              | in metres
    height     | 172      | m       | implausible  | centimetres called metres
    glucose7   | 5        | mmol/L  | unknown-code | no such code
    """
)
def test_quantities(code: str, value: str, unit: str | None, refused: str | None) -> None:
    assert _refused(code=code, value=value, unit=unit) == refused


@table(
    """
    value    | unit    | refused      | why
    1:160    |         |              | a titre
    1:160    | {titer} |              | a titre with its unit
    1/160    |         |              | with a slash
    160      |         |              | the denominator
    >=1:160  |         |              | at least
    >1:1280  |         |              | above
    <1:80    |         |              | below
    1:0      |         | not-a-titre  | nothing diluted
    0        |         | not-a-titre  | zero
    1:-80    |         | not-a-titre  | negative
    1:16.5   |         | not-a-titre  | half a dilution
    16.5     |         | not-a-titre  | half a denominator
    2:160    |         | not-a-titre  | not one in something
    positive |         | not-a-titre  | a word
    1:160    | mg/dL   | unknown-unit | a unit of something else
    1:5      |         | implausible  | hardly diluted
    1:999999 |         | implausible  | diluted beyond sense
    """
)
def test_titres(value: str, unit: str | None, refused: str | None) -> None:
    assert _refused(code="ana-titre", value=value, unit=unit) == refused


@table(
    """
    code      | value | reads    | refused           | why
    hbsag     |       | negative |                   | a finding
    hbsag     | 0.1   | negative |                   | with the measured value
    hbsag     | 0.1   |          | no-interpretation | the measured value alone
    hbsag     |       |          | says-nothing      | nothing at all
    ana-titre |       | negative |                   | a titre that was negative
    weight    |       |          | says-nothing      | no value
    egfr      |       | negative |                   | an interpretation of a number
    """
)
def test_findings(code: str, value: str | None, reads: str | None, refused: str | None) -> None:
    assert _refused(code=code, value=value, interpretation=reads) == refused


@table(
    """
    code      | value | present        | absent   | refused             | why
    sledai-2k | 8     |                |          |                     | a total
    sledai-2k | 105   |                |          |                     | the highest total
    sledai-2k | 106   |                |          | implausible         | beyond the highest
    sledai-2k | -1    |                |          | implausible         | below nothing
    sledai-2k | 7.5   |                |          | not-a-number        | half a point
    sledai-2k | >8    |                |          | not-a-number        | a censored total
    sledai-2k |       | arthritis rash |          |                     | items
    sledai-2k | 6     | arthritis rash |          |                     | items and their total
    sledai-2k | 5     | arthritis rash |          | contradictory-total | less than its items
    sledai-2k | 105   | arthritis      | seizure  | contradictory-total | more than its items allow
    sledai-2k |       | arthritis nose |          | unknown-item        | no such item
    acr-1997  | 4     |                |          |                     | a count
    acr-1997  | 12    |                |          | implausible         | more than there are
    acr-1997  | 1     | renal ana      |          | contradictory-total | fewer than its items
    acr-1997  |       |                | renal    |                     | an item that is absent
    weight    | 64    | renal          |          | unknown-item        | a weight has no items
    """
)
def test_items(
    code: str, value: str | None, present: str | None, absent: str | None, refused: str | None
) -> None:
    there = dict.fromkeys((present or "").split(), "present")
    gone = dict.fromkeys((absent or "").split(), "absent")
    components = {**there, **gone} or None
    assert _refused(code=code, value=value, components=components) == refused


def test_without_a_dictionary_every_code_is_taken() -> None:
    bare = protocol_but(dictionary={}, statements={}, assumptions={})
    check_observation(bare, ObservationRecorded(code="whatever", value="anything"))
    check_statement(bare, Attested(statement="whatever", answer=True))


def test_a_statement_is_one_of_the_protocol() -> None:
    check_statement(lk_23_01(), Attested(statement="breast-feeding", answer=True))
    with pytest.raises(Impossible) as refused:
        check_statement(lk_23_01(), Attested(statement="left-handed", answer=True))
    assert refused.value.rule == "unknown-statement"


def test_a_criterion_without_a_rule_is_attested_under_its_own_name() -> None:
    criteria = tuple(
        one.model_copy(update={"rule": None}) for one in lk_23_01().criteria if one.id == "E15"
    )
    protocol = protocol_but(criteria=criteria)
    check_statement(protocol, Attested(statement="E15", answer=False))
