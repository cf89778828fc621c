"""Reads of large studies answer from an index."""

from datetime import date
from typing import Any

import pytest

from infra.projection.tables import statements
from tests.projections.readers import study
from tests.projections.watched import STUDY, Watched

__all__ = ["study"]

# --- indexes --------------------------------------------------------------------------------------

READS: list[tuple[str, str, dict[str, Any], str]] = [
    # view          read           asked                              index
    ("schedule", "page", {"first": date(2026, 3, 1), "last": date(2026, 3, 2)}, "schedule_1_day"),
    (
        "schedule",
        "page",
        {"first": date(2026, 3, 1), "last": date(2026, 3, 2), "site": "01"},
        "schedule_1_site",
    ),
    ("schedule", "of_participant", {"participant": "P-0500"}, "schedule_1_pkey"),
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
        "status": None,
        "on": date(2026, 3, 1),
        "limit": 100,
        **asked,
    }
    with study.pool.connection() as connection:
        connection.execute(FILL[view])
        connection.execute(f"ANALYZE views.{view}_1")
        plan = connection.execute(
            "EXPLAIN " + statements(study.tables.views[view])[read], values, prepare=False
        )
        text = "\n".join(row[0] for row in plan)
    assert index in text, text
    assert "Seq Scan" not in text, text


FILL = {
    "schedule": f"""
        INSERT INTO views.schedule_1
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 4, '0'), 'V' || v, lpad((p % 20)::text, 2, '0'),
            'UTC', 'V' || v, '2026-01-01'::date + (p * 7 + v * 14) % 365, NULL, NULL, NULL, false,
            NULL, '{{}}'
        FROM generate_series(1, 1000) AS p, generate_series(0, 11) AS v
    """,
    "enrolment": f"""
        INSERT INTO views.enrolment_1
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 4, '0'), 'summary', lpad((p % 20)::text, 2, '0'),
            'UTC', 'screening', 'screening', NULL, NULL, true, true, false, false, false, false,
            '{{}}'
        FROM generate_series(1, 5000) AS p
    """,
}
