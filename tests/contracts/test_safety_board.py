"""Figures for a safety board on PostgreSQL: counted by hand, at any cut, for one site or all."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.time import When
from infra.postgres.pool import Pool
from services.views import line_listing
from tests import specs
from tests.projections.readers import listed
from tests.projections.watched import STUDY, Watched, watched

ON = When.parse("2026-12-20T12:00:00-05:00")
AT = "2026-12-20T06:45:00-05:00"
A, B, C = "01-001", "01-002", "02-001"


@pytest.fixture
def board(pool: Pool) -> Iterator[Watched]:
    """Three dosed at two sites, two weeks apart; five events, one before any dose."""
    with watched(pool) as study:
        study.clock.now = datetime(2026, 12, 20, 12, tzinfo=UTC)
        for who, day in ((A, "2026-11-22"), (B, "2026-12-06")):
            study.post(who, *_dosed(day), historical=True)
        study.post(C, *(one for one in _dosed("2026-12-20", site="02")), historical=True)
        for who, one in EVENTS:
            study.post(who, one, historical=True)
        study.projector.catch_up(STUDY)
        yield study


def _dosed(day: str, site: str = "01") -> tuple[specs.Said, ...]:
    early = "2026-11-01T09:00:00-05:00"
    acts = (specs.screened, specs.screening_visit, specs.confirmed, specs.enrolled)
    dose = specs.dosed.on(f"{day}T06:00:00-05:00")
    return (specs.referred.but(site=site), specs.consented.on(early), *acts, dose)


def _event(name: str, at: str, **data: Any) -> specs.Said:
    return specs.event(name, f"{at}T09:00:00-05:00", **data)


RASH = {"term": "Rash"}
EVENTS = [
    (A, _event("AE-1", "2026-11-20", grade=1, causality="unrelated")),
    (A, _event("AE-2", "2026-11-23", grade=2, causality="possible", **RASH)),
    (A, _event("AE-3", "2026-12-01", grade=3, causality="unlikely", **RASH)),
    (
        B,
        _event(
            "AE-1", "2026-12-10", grade=3, causality="probable", seriousness=["hospitalisation"]
        ),
    ),
    (B, _event("AE-2", "2026-12-19", seriousness=["disability"], serious=False)),
]


def figures(study: Watched, **asked: Any) -> Any:
    return listed(study, "safety", **{"on": ON, **asked}).extra["figures"]


def counts(rows: list[dict[str, Any]], name: str) -> dict[Any, tuple[int, ...]]:
    """Group -> events, participants, serious, suspected, dose-limiting."""
    names = ("events", "participants", "serious", "suspected", "dose_limiting")
    return {row[name]: tuple(row[one] for one in names) for row in rows}


def test_events_are_counted_by_grade_term_and_causality(board: Watched) -> None:
    found = figures(board)
    assert counts([found["adverse_events"] | {"all": 1}], "all") == {1: (5, 2, 2, 3, 1)}
    assert (
        counts(found["by_grade"], "grade")
        == {
            1: (1, 1, 0, 0, 0),
            2: (1, 1, 0, 1, 0),
            3: (2, 2, 1, 1, 1),
            None: (1, 1, 1, 1, 0),
        }
        | {}
    )
    assert counts(found["by_term"], "term") == {
        "Headache": (3, 2, 2, 2, 1),
        "Rash": (2, 1, 0, 1, 0),
    }
    assert counts(found["by_causality"], "causality") == {
        "not-judged": (1, 1, 1, 1, 0),
        "possible": (1, 1, 0, 1, 0),
        "probable": (1, 1, 1, 1, 1),
        "unlikely": (1, 1, 0, 0, 0),
        "unrelated": (1, 1, 0, 0, 0),
    }


def test_events_are_counted_by_the_time_since_the_dose(board: Watched) -> None:
    rows = figures(board)["by_days_since_dose"]
    assert [(row["from"], row["to"], row["dosed"], row["events"]) for row in rows] == [
        (None, -1, True, 1),
        (0, 1, True, 1),
        (2, 7, True, 1),
        (8, 28, True, 2),
        (29, 90, True, 0),
        (91, None, True, 0),
        (None, None, False, 0),
    ]


def test_exposure_serious_list_and_clocks_by_hours_left(board: Watched) -> None:
    page = listed(board, "safety", on=ON)
    found = page.extra["figures"]
    assert found["exposure"] == {"enrolled": 3, "dosed": 3, "participant_days": 28 + 14 + 0}
    assert [(one["participant"], one["ae"], one["because"]) for one in found["serious"]] == [
        (B, "AE-1", ["hospitalisation"]),
        (B, "AE-2", ["disability"]),
    ]
    assert found["serious"][1]["owed"] == ["site-to-sponsor", "sponsor-15-day"]
    assert found["serious"][1]["contradictions"] == ["serious-not-flagged"]
    left = [
        (clock["clock"], clock["status"], clock["hours_left"]) for clock in page.extra["clocks"]
    ]
    assert left == [
        ("site-to-sponsor", "breached", -219),
        ("site-to-sponsor", "breached", -3),
        ("sponsor-15-day", "running", 131),
        ("sponsor-15-day", "running", 347),
    ]
    assert page.extra["clocks"][1]["late_by"] == "PT3H"
    assert [row["clocks"] for row in found["clocks_by_hours_left"]] == [2, 0, 0, 1, 1]


def test_the_table_of_dose_limiting_toxicity_has_everybody_dosed_and_the_boundary(
    board: Watched,
) -> None:
    found = figures(board)["toxicity"]
    assert [
        (one["participant"], one["dosed_on"], one["window_ends"], one["status"], one["events"])
        for one in found["participants"]
    ] == [
        (A, "2026-11-22", "2026-12-20", "pending", []),
        (B, "2026-12-06", "2027-01-03", "with-dlt", ["AE-1"]),
        (C, "2026-12-20", "2027-01-17", "pending", []),
    ]
    assert found["statuses"] == {"pending": 2, "with-dlt": 1}
    assert [row["stops_at"] for row in found["boundary"]] == [None, 2, 3, 3, 3, 4, 4, 4, 5, 5]
    later = figures(board, on=When.parse("2026-12-21T12:00:00-05:00"))["toxicity"]
    assert later["statuses"] == {"completed": 1, "pending": 1, "with-dlt": 1}


def test_a_crossing_is_shown_with_its_reason_until_it_is_lifted_and_after(board: Watched) -> None:
    grave = specs.event("AE-9", "2026-12-20T06:30:00-05:00", grade=4, causality="definite")
    board.post(A, grave)
    board.projector.catch_up(STUDY)
    rules = {one["rule"]: one for one in figures(board)["toxicity"]["rules"]}
    assert rules["halt-grade"]["status"] == "standing"
    assert "1 of 3 dosed" in rules["halt-grade"]["explanation"]
    board.tell(specs.said("hold-released", AT, scope="study", cause="reviewed"))
    board.tell(specs.said("hold-placed", AT, scope="02", cause="monitoring"))
    board.projector.catch_up(STUDY)
    found = figures(board)["toxicity"]
    assert {one["rule"]: one["status"] for one in found["rules"]}["halt-grade"] == "lifted"
    assert [(one["scope"], one["cause"]) for one in found["holds"]] == [("02", "monitoring")]


def test_a_data_cut_counts_what_was_known_by_then(board: Watched) -> None:
    def known(position: int) -> int:
        events: int = figures(board, as_of=position)["adverse_events"]["events"]
        return events

    head = board.ledger.head(STUDY)
    last = next(position for position in range(1, head + 1) if known(position) == 4)
    cut = figures(board, as_of=last)
    assert cut["adverse_events"]["serious"] == 1
    assert [one["ae"] for one in cut["serious"]] == ["AE-1"]
    assert figures(board)["adverse_events"]["events"] == 5
    assert figures(board, as_of=board.ledger.head(STUDY)) == figures(board)


def test_a_site_has_its_own_events_and_exposure_and_the_studys_boundary(board: Watched) -> None:
    found = figures(board, site="02")
    assert found["adverse_events"]["events"] == 0
    assert found["exposure"] == {"enrolled": 1, "dosed": 1, "participant_days": 0}
    assert [one["participant"] for one in found["toxicity"]["participants"]] == [C]
    assert found["toxicity"]["boundary"] == figures(board)["toxicity"]["boundary"]


def test_figures_come_with_the_first_page_only(board: Watched) -> None:
    first = listed(board, "safety", on=ON, limit=2)
    second = listed(board, "safety", on=ON, limit=2, cursor=first.next)
    assert "figures" in first.extra
    assert "figures" not in second.extra
    assert "clocks" in second.extra


def test_the_line_listing_has_the_same_columns_for_every_event(board: Watched) -> None:
    lines = line_listing.lines(listed(board, "safety", on=ON).items)
    assert [list(line) for line in lines] == [line_listing.columns()] * 5
    last = lines[-1]
    assert (last["participant"], last["ae"], last["because"]) == (B, "AE-2", "disability")
    assert last["contradictions"] == "serious-not-flagged"
    assert last["clocks"].startswith(
        "site-to-sponsor breached, due 2026-12-20T09:00:00-05:00, late"
    )
