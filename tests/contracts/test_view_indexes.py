"""Reads of large studies answer from an index."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from infra.projection.tables import statements
from projections.catalogue import VIEWS
from projections.view import View
from tests.projections.readers import study
from tests.projections.watched import STUDY, Watched

__all__ = ["study"]

# --- indexes --------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

READS: list[tuple[str, str, dict[str, Any], str]] = [
    # view          read           asked                              index
    ("schedule", "page", {"first": date(2026, 3, 1), "last": date(2026, 3, 2)}, "schedule_2_day"),
    (
        "schedule",
        "page",
        {"first": date(2026, 3, 1), "last": date(2026, 3, 2), "site": "01"},
        "schedule_2_site",
    ),
    (
        "schedule",
        "page",
        {"first": date(2026, 3, 1), "last": date(2026, 3, 2), "status": "overdue"},
        "schedule_2_day",
    ),
    ("schedule", "of_participant", {"participant": "P-00500"}, "schedule_2_pkey"),
    ("schedule", "matrix", {"after": "P-00500"}, "schedule_2_pkey"),
    (
        "schedule",
        "workload",
        {"first": date(2026, 3, 2), "last": date(2026, 3, 8), "day": None, "moment": NOON},
        "schedule_2_work",
    ),
    ("schedule", "open", {"on": date(2026, 1, 2)}, "schedule_2_due"),
    (
        "schedule",
        "opening",
        {"on": date(2026, 3, 1), "before": date(2026, 3, 15)},
        "schedule_2_due",
    ),
    ("calendar", "page", {"site": "01"}, "calendar_1_site"),
    ("calendar", "page", {"after": "P-05000"}, "calendar_1_pkey"),
    ("schedule", "lapsing", {"on": date(2026, 1, 2)}, "schedule_2_late"),
    ("eligibility", "missing", {"after": "P-00500"}, "eligibility_2_awaited"),
    ("eligibility", "missing", {"site": "07"}, "eligibility_2_awaited_site"),
    ("eligibility", "missing", {"criterion": "I4"}, "eligibility_2_awaited_criterion"),
    ("eligibility", "missing", {"participant": "P-00500"}, "eligibility_2_awaited"),
    ("eligibility", "criteria", {}, "eligibility_2_criterion"),
    ("eligibility", "criteria", {"site": "07"}, "eligibility_2_criterion"),
    ("enrolment", "page", {"stage": None, "after": "P-0500"}, "enrolment_1_pkey"),
    ("enrolment", "page", {"stage": None, "site": "07"}, "enrolment_1_site"),
]


@pytest.mark.parametrize(("view", "read", "asked", "index"), READS)
def test_a_read_of_a_large_study_uses_its_index(
    study: Watched, view: str, read: str, asked: dict[str, Any], index: str
) -> None:
    study.tables.prepare()
    values: dict[str, Any] = {
        "study": STUDY,
        "generation": 1,
        "after": "",
        "after_day": date.min,
        "after_key": "",
        "site": None,
        "participant": None,
        "criterion": None,
        "status": None,
        "on": date(2026, 3, 1),
        "limit": 100,
        **asked,
    }
    with study.pool.connection() as connection:
        connection.execute(FILL[view])
        connection.commit()
        connection.autocommit = True
        # As the server does by itself after so many rows.
        connection.execute(f"VACUUM (ANALYZE) views.{view}_{study.tables.views[view].version}")
        plan = connection.execute(
            "EXPLAIN " + statements(study.tables.views[view])[read], values, prepare=False
        )
        text = "\n".join(row[0] for row in plan)
    assert index in text, text
    assert "Seq Scan" not in text, text


def test_a_large_study_is_read_page_by_page_each_visit_once(study: Watched) -> None:
    study.projector.catch_up(STUDY)
    with study.pool.connection() as connection:
        connection.execute(FILL["schedule"])
    first, last = date(2026, 3, 1), date(2026, 3, 14)
    asked: dict[str, Any] = {
        "first": first,
        "last": last,
        "site": None,
        "participant": None,
        "status": None,
        "on": first,
        "limit": 500,
        "after_day": date.min,
        "after": "",
        "after_key": "",
    }
    found = []
    with study.tables.reading(STUDY, ["schedule"]) as reading:
        while page := reading.rows("schedule", "page", **asked):
            found += [(row.columns["day"], row.participant, row.key) for row in page]
            day, participant, key = found[-1]
            asked |= {"after_day": day, "after": participant, "after_key": key}
    assert found == sorted(set(found))
    days = [
        date(2026, 1, 1) + timedelta((p * 7 + v * 14) % 365)
        for p in range(1, 10_001)
        for v in range(12)
    ]
    assert len(found) == sum(first <= day <= last for day in days) > 4_000


FILL = {
    "calendar": f"""
        INSERT INTO views.calendar_1
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 5, '0'), 'V' || v, lpad((p % 20)::text, 2, '0'),
            true, '{{}}'
        FROM generate_series(1, 10000) AS p, generate_series(0, 11) AS v
    """,
    "schedule": f"""
        INSERT INTO views.schedule_2
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 5, '0'), 'V' || v, lpad((p % 20)::text, 2, '0'),
            'UTC', 'V' || v, day, CASE WHEN p % 3 = 0 THEN 'completed' END, day - 3, day + 4, false,
            NULL, day, NULL, '{{}}'
        FROM generate_series(1, 10000) AS p, generate_series(0, 11) AS v,
            LATERAL (SELECT '2026-01-01'::date + (p * 7 + v * 14) % 365 AS day) AS days
    """,
    "eligibility": f"""
        INSERT INTO views.eligibility_2
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 5, '0'), 'criterion/' || c,
            lpad((p % 20)::text, 2, '0'), 'UTC', 'pending', 'I' || c,
            CASE WHEN (p + c) % 8 = 0 THEN 'unknown' ELSE 'passed' END, false, (p + c) % 8 = 0,
            json_build_object('explanation', repeat('words ', 80))
        FROM generate_series(1, 2500) AS p, generate_series(1, 8) AS c
    """,
    "enrolment": f"""
        INSERT INTO views.enrolment_1
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 4, '0'), 'summary', lpad((p % 20)::text, 2, '0'),
            'UTC', 'screening', 'screening', NULL, NULL, true, true, false, false, false, false,
            '{{}}'
        FROM generate_series(1, 5000) AS p
    """,
}


@pytest.mark.parametrize("view", list(VIEWS), ids=lambda view: view.name)
def test_rows_that_nobody_reads_are_removed_without_seeking_each_in_a_list(
    study: Watched, view: View
) -> None:
    study.tables.prepare()
    asked = {"study": STUDY, "generation": 1, "limit": 10_000}
    with study.pool.connection() as connection:
        # Never analysed: the server guesses that there are few rows.
        plan = connection.execute("EXPLAIN " + statements(view)["clear"], asked, prepare=False)
        text = "\n".join(row[0] for row in plan)
    assert "Filter: (ctid = ANY" not in text, text
