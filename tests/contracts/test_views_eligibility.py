"""What coordinators see of eligibility: why, who is pending on what, which criterion fails most."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from services.views import Query
from tests import specs
from tests.domain.eligibility.charts import Fact, eligible, lab, without
from tests.projections.readers import listed, study
from tests.projections.watched import STUDY, Watched

__all__ = ["study"]

WITHDREW = Fact("consent-withdrawn", "2026-11-25", {"scope": ["treatment", "visits"]})
POSITIVE = lab("hbsag", reads="positive", on="2026-11-25")

COHORT: dict[str, tuple[Fact, ...]] = {
    # participant  what is known of whom
    "01-001": eligible,
    "01-002": without("creatinine", "hiv"),
    "01-003": (*without("creatinine"), POSITIVE),
    "01-004": (*eligible, POSITIVE, lab("creatinine", "4.4", "mg/dL", on="2026-11-25")),
    "01-005": (*without("creatinine"), WITHDREW),
    "01-006": (*without("creatinine"), lab("egfr", "30.2", "mL/min/{1.73_m2}")),
}


@pytest.fixture
def cohort(study: Watched) -> Watched:
    """Somebody eligible, pending, excluded with and without gaps, gone, and close to a limit."""
    study.clock.now = datetime(2026, 11, 30, 16, tzinfo=UTC)
    for name, facts in COHORT.items():
        study.post(name, *(specs.Said(one.body, one.at) for one in facts), historical=True)
    study.projector.catch_up(STUDY)
    return study


def test_only_who_may_still_become_eligible_is_waited_for(cohort: Watched) -> None:
    rows = [
        (one["participant"], one["criterion"], one["missing"])
        for one in listed(cohort, "missing").items
    ]
    assert rows == [
        ("01-002", "I4", ["creatinine"]),
        ("01-002", "E10", ["hiv"]),
    ]


def test_what_waits_is_gone_when_it_comes_and_still_to_be_seen_in_the_past(cohort: Watched) -> None:
    before = cohort.ledger.head(STUDY)
    cohort.post("01-002", specs.Said(lab("creatinine", "70", "umol/L").body, "2026-11-23"))
    cohort.projector.catch_up(STUDY)
    assert [one["criterion"] for one in listed(cohort, "missing").items] == ["E10"]
    past = listed(cohort, "missing", as_of=before)
    assert [one["criterion"] for one in past.items] == ["I4", "E10"]


def test_criteria_are_counted_and_what_fails_most_comes_first(cohort: Watched) -> None:
    page = listed(cohort, "criteria", limit=1000)
    counted = {one["criterion"]: one for one in page.items}
    assert [one["criterion"] for one in page.items[:2]] == ["E10", "I4"]
    for name, numbers in (
        # criterion  failed, unknown, passed, close to a limit
        ("E10", (2, 1, 3, 0)),
        ("I4", (1, 3, 2, 1)),
        ("I1", (0, 0, 6, 0)),
    ):
        one = counted[name]
        told = (one["failed"], one["unknown"], one["passed"], one["near_threshold"])
        assert told == numbers, name
    assert counted["I4"]["rule"].startswith("eGFR")
    assert [one["criterion"] for one in page.items[3:6]] == ["I1", "I2", "I3"]


def test_the_figures_are_what_the_participants_own_views_add_up_to(cohort: Watched) -> None:
    told: Counter[tuple[str, str]] = Counter()
    for name in COHORT:
        found = cohort.reading.participant(STUDY, name, "eligibility", Query())
        told.update((one["id"], one["outcome"]) for one in found["criteria"])
    figures = {
        (one["criterion"], outcome): one[outcome]
        for one in listed(cohort, "criteria", limit=1000).items
        for outcome in ("passed", "failed", "unknown")
    }
    assert figures == {key: told[key] for key in figures}
    assert sum(figures.values()) == 24 * len(COHORT)


def _criterion(cohort: Watched, name: str, criterion: str) -> dict[str, Any]:
    found = cohort.reading.participant(STUDY, name, "eligibility", Query())
    return next(one for one in found["criteria"] if one["id"] == criterion)


def test_an_outcome_close_to_its_limit_is_flagged(cohort: Watched) -> None:
    close = _criterion(cohort, "01-006", "I4")
    assert (close["outcome"], close["near_threshold"]) == ("passed", True)
    assert _criterion(cohort, "01-001", "I4")["near_threshold"] is False


def test_an_outcome_says_its_windows_its_rule_and_whom_it_concerns(cohort: Watched) -> None:
    titre = _criterion(cohort, "01-001", "I3")
    assert titre["windows"] == [
        {"anchor": "screening", "on": "2026-11-23", "first": "2026-05-23", "last": "2026-12-13"}
    ]
    assert len(titre["rule_hash"]) == 64
    assert titre["applicable"] is True
    assert titre["notes"] == []
