"""What-if on the pilot study, against counts of days and years over the CSV files themselves.

What is expected is computed here from the rows by dates alone; nothing of Cairn takes part in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from domain.time import When
from domain.trial.protocol import Protocol
from domain.trial.reading import plain, read
from services.views import Query
from services.what_if import Cohort, Report
from tests.imports.conftest import STUDY, rows

TODAY: Mapping[str, tuple[int, int, int]] = {
    "WEEK 2": (14, 3, 3),
    "WEEK 4": (28, 3, 3),
    "WEEK 6": (42, 3, 3),
    "WEEK 8": (56, 3, 3),
    "WEEK 12": (84, 4, 4),
    "WEEK 16": (112, 4, 4),
    "WEEK 20": (140, 4, 4),
    "WEEK 24": (168, 4, 4),
    "WEEK 26": (182, 3, 3),
}
"""Visit -> day from baseline, days before, days after, by the study's protocol."""

AFTER_DEATH = ("01-710-1083", "WEEK-2")
"""The one visit of the data that is dated after the participant's death, and was rejected."""


@dataclass(frozen=True)
class Draft:
    """What is edited."""

    windows: Mapping[str, tuple[int, int]]
    """Visit -> days before and after."""
    ages: Mapping[str, int]
    alone: bool
    """Whether the age is the only criterion that is left."""
    figures: tuple[int, int, int]
    """Visits now out and now in, participants now ineligible."""

    def protocol(self, today: Protocol) -> Protocol:
        document = plain(today)
        for visit in document["visits"]:
            window = self.windows.get(visit["code"].replace("-", " "))
            if window is not None:
                visit["before"], visit["after"] = window
        first = document["criteria"][0]
        first["rule"] = {"rule": "age", **self.ages}
        if self.alone:
            document["criteria"] = [first]
        found = read({**document, "version": "draft"})
        assert isinstance(found, Protocol), found
        return found


DRAFTS = {
    "narrower early, sixty and more": Draft(
        {"WEEK 2": (1, 1), "WEEK 4": (0, 2), "WEEK 8": (2, 2)},
        {"at_least": 60},
        alone=False,
        figures=(158, 0, 20),
    ),
    "wider late, seventy to eighty-five": Draft(
        {"WEEK 12": (7, 7), "WEEK 20": (2, 9), "WEEK 26": (5, 14)},
        {"at_least": 70, "at_most": 85},
        alone=True,
        figures=(8, 70, 96),
    ),
}


# --- the count over the rows ----------------------------------------------------------------------


def outside(data: Any, windows: Mapping[str, tuple[int, int]]) -> set[tuple[str, str]]:
    """Participant and visit of everything held outside its window, in days from baseline."""
    visits = rows(data, "sv")
    day_1 = {r["USUBJID"]: r["SVSTDTC"] for r in visits if r["VISIT"] == "BASELINE"}
    found = set()
    for row in visits:
        name, visit = row["USUBJID"], row["VISIT"]
        if visit not in TODAY or name not in day_1:
            continue
        target, before, after = TODAY[visit]
        before, after = windows.get(visit, (before, after))
        since = (date.fromisoformat(row["SVSTDTC"]) - date.fromisoformat(day_1[name])).days
        if not target - before <= since <= target + after:
            found.add((name, visit.replace(" ", "-")))
    return found - {AFTER_DEATH}


def ages(data: Any) -> dict[str, int]:
    """Completed years on the day of the first screening visit."""
    born = {row["USUBJID"]: date.fromisoformat(row["BRTHDTC"]) for row in rows(data, "dm")}
    screened = {
        row["USUBJID"]: date.fromisoformat(row["SVSTDTC"])
        for row in rows(data, "sv")
        if row["VISIT"] == "SCREENING 1"
    }
    return {
        name: day.year
        - born[name].year
        - ((day.month, day.day) < (born[name].month, born[name].day))
        for name, day in screened.items()
    }


def too_young_or_old(data: Any, limits: Mapping[str, int]) -> set[str]:
    low, high = limits.get("at_least", 0), limits.get("at_most", 200)
    return {name for name, age in ages(data).items() if not low <= age <= high}


# --- what is told ---------------------------------------------------------------------------------


def told(pilot: Any, draft: Draft) -> dict[str, Any]:
    store, _ = pilot
    today = next(iter(store.hot.trial(STUDY).protocols.values()))
    head = store.ledger.head(STUDY)
    report = Report()
    for one in Cohort(store, STUDY, draft.protocol(today), Query(on=When.parse("2026-11-25"))):
        report.add(one)
    assert store.ledger.head(STUDY) == head
    return report.document()


def named(items: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(one["participant"], one["what"]) for one in items}


def whom(items: list[dict[str, Any]]) -> set[str]:
    return {one["participant"] for one in items}


@pytest.fixture(scope="module", params=DRAFTS.values(), ids=DRAFTS)
def answered(request: pytest.FixtureRequest, pilot: Any) -> tuple[Draft, dict[str, Any]]:
    return request.param, told(pilot, request.param)


def test_visits_fall_out_and_in_as_a_count_of_days_says(answered: Any, data: Any) -> None:
    draft, found = answered
    today, then = outside(data, {}), outside(data, draft.windows)
    assert named(found["visits"]["now_out"]) == then - today
    assert named(found["visits"]["now_in"]) == today - then
    assert len(found["visits"]["now_out"]) == len(then - today)
    deviations = {kind: named(found["deviations"][kind]) for kind in ("new", "gone")}
    for kind, expected in (("new", then - today), ("gone", today - then)):
        windows = {one for one in deviations[kind] if one[1].startswith("visit-window ")}
        assert windows == {(name, f"visit-window {visit}") for name, visit in expected}
    assert found["totals"]["participants"] == 306
    assert found["failed"] == []


def test_verdicts_change_as_a_count_of_years_says(answered: Any, data: Any) -> None:
    draft, found = answered
    everybody = {row["USUBJID"] for row in rows(data, "dm")}
    wrong = too_young_or_old(data, draft.ages)
    verdicts = found["eligibility"]
    assert whom(verdicts["now_ineligible"]) == wrong
    assert whom(verdicts["now_eligible"]) == (everybody - wrong if draft.alone else set())
    assert verdicts["now_pending"] == []
    # Who has the age is pending as before, since nobody can compute the other criteria.
    assert whom(verdicts["other_reasons"]) == (set() if draft.alone else everybody - wrong)
    enrolled = {row["USUBJID"] for row in rows(data, "ds") if row["DSDECOD"] == "RANDOMIZED"}
    dosed = {row["USUBJID"] for row in rows(data, "ex")}
    new = named(found["deviations"]["new"])
    for rule, who in (("enrolled-ineligible", enrolled), ("dosed-ineligible", dosed)):
        assert {name for name, what in new if what == rule} == wrong & who


def test_the_figures_are_these(answered: Any) -> None:
    """The counts in plain numbers, so that a change of both sides is seen."""
    draft, found = answered
    visits, verdicts = found["totals"]["visits"], found["totals"]["eligibility"]
    assert (visits["now_out"], visits["now_in"], verdicts["now_ineligible"]) == draft.figures
