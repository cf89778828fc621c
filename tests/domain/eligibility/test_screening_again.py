"""A second attempt at screening, and the age that follows from a birth date kept sealed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from domain.complete import completed
from domain.kernel import Actor, Event, Proposed
from domain.time import When
from tests.domain.eligibility.charts import (
    Fact,
    booked,
    chart,
    fact,
    folded,
    lab,
    outcome,
    person,
    referred,
    said,
    screened,
)
from tests.domain.tables import table
from tests.specs import Study, lk_23_01

NOW = datetime(2027, 6, 1, tzinfo=UTC)
FAILED = fact("screen-failed", "2026-12-01", criteria=["I4"])
AGAIN = fact("rescreening-opened", "2027-01-10", cause="new-treatment")
FIRST, SECOND = screened("2026-11-23"), screened("2027-01-15")


@table(
    """
    criterion | drawn      | says    | why
    I3        | 2026-11-23 | passed  | antibodies are within six months of the second visit
    I3        | 2026-07-15 | passed  | six months before the second visit
    I3        | 2026-07-14 | unknown | a day more
    I4        | 2026-11-23 | unknown | the kidney of the first attempt
    I4        | 2027-01-15 | passed  | the kidney of the second
    I6        | 2026-11-23 | unknown | the activity of the first attempt
    I6        | 2027-01-16 | passed  | the activity of the second
    """
)
def test_results_of_the_first_attempt_count_only_in_the_second_ones_window(
    criterion: str, drawn: str, says: str
) -> None:
    result = {
        "I3": lab("anti-dsdna", reads="positive", on=drawn),
        "I4": lab("egfr", "77", on=drawn),
        "I6": lab("sledai-2k", "9", on=drawn),
    }[criterion]
    told = outcome(criterion, FIRST, result, FAILED, AGAIN, SECOND)
    assert told.outcome == says


@table(
    """
    answered                  | says    | why
    2026-11-23                | unknown | in the first attempt
    2027-01-09                | unknown | before screening was opened again
    2027-01-10                | passed  | on the day of opening
    2027-01-16                | passed  | in the second attempt
    """
)
def test_what_was_said_in_the_first_attempt_is_asked_again(answered: str, says: str) -> None:
    word = said("able-to-follow-visits", at=answered)
    assert outcome("I8", FIRST, word, FAILED, AGAIN, SECOND).outcome == says


# --- the age --------------------------------------------------------------------------------------


def _proposed(one: Fact, born: str | None) -> Proposed:
    return Proposed(
        body=one.body,
        occurred_at=When.parse(one.at),
        actor=Actor(id="a", role="coordinator"),
        now=NOW,
        participant="01-001",
        birth=When.parse(born) if born else None,
    )


def _unaged(at: str = "2026-11-20") -> Fact:
    """Demographics as they are posted: the age is Cairn's to add."""
    one = person(at=at)
    return replace(one, data={**one.data, "age_at_screening": None})


def _completed(before: list[Fact], one: Fact, born: str | None) -> Fact:
    """The fact as Cairn records it after the others."""
    body: Event = completed(Study(lk_23_01()).trial, chart(before), _proposed(one, born))
    return replace(one, data=body.model_dump(mode="json", exclude_none=True))


def _age(*facts: Fact) -> Any:
    told = outcome("I1", *facts)
    return told.outcome, told.explanation.split(" ", maxsplit=1)[0]


def test_demographics_after_the_visit_carry_the_age() -> None:
    before = [referred(), FIRST]
    told = _completed(before, _unaged(), "1990-05-05")
    assert _age(*before, told) == ("passed", "36")


def test_the_visit_after_demographics_carries_the_age() -> None:
    before = [referred(), _unaged()]
    told = _completed(before, FIRST, "1990-05-05")
    assert _age(*before, told) == ("passed", "36")


def test_a_partial_birth_date_gives_two_ages() -> None:
    before = [referred(), FIRST]
    assert _age(*before, _completed(before, _unaged(), "2008")) == ("unknown", "17-18")


def test_a_second_visit_counts_anew() -> None:
    before = [referred(), _unaged()]
    first = _completed(before, FIRST, "1990-12-24")
    second = _completed([*before, first, FAILED, AGAIN], SECOND, "1990-12-24")
    assert _age(*before, first) == ("passed", "35")
    assert _age(*before, first, FAILED, AGAIN, second) == ("passed", "36")


def test_a_corrected_visit_day_and_a_corrected_birth_date_change_the_age() -> None:
    before = [referred(), _unaged()]
    visit = _completed(before, FIRST, "1990-11-24")
    assert _age(*before, visit) == ("passed", "35")
    later = fact("corrected", "2026-12-01", position=3, occurred_at="2026-11-24")
    moved = _completed([*before, visit], later, "1990-11-24")
    assert _age(*before, visit, moved) == ("passed", "36")
    data = {name: value for name, value in before[1].data.items() if value is not None}
    other = fact("corrected", "2026-12-02", position=2, data=data)
    born = _completed([*before, visit, moved], other, "2009-01-01")
    assert _age(*before, visit, moved, born) == ("failed", "17")


def test_an_age_from_before_the_birth_date_was_corrected_is_not_taken() -> None:
    before = [referred(), _unaged()]
    visit = _completed(before, FIRST, "1990-11-24")
    data = {name: value for name, value in before[1].data.items() if value is not None}
    unread = fact("corrected", "2026-12-02", position=2, data=data)
    told = outcome("I1", *before, visit, unread)
    assert (told.outcome, told.missing) == ("unknown", ("birth-date",))


def test_without_a_birth_date_at_hand_nothing_is_written() -> None:
    before = [referred(), FIRST]
    assert "age_at_screening" not in _completed(before, _unaged(), None).data


def test_the_site_decides_on_which_day_the_visit_was() -> None:
    before = [referred(), _unaged()]
    late = screened("2026-11-24T03:30:00Z")
    told = _completed(before, late, "1990-11-24")
    assert told.data["age_at_screening"]["on"] == "2026-11-23"
    assert folded(dict(enumerate([*before, told], start=1))).screening.attempt is not None
    assert outcome("I1", *before, told, booked()).outcome == "passed"
