"""The order of facts in effective time, whatever order they arrived in."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations

import pytest

from domain.journey.screening import ObservationRecorded
from domain.kernel import Actor, Noted, Recorded, joined
from domain.time import When

NINE = "2026-11-02T09:00:00Z"


def fact(
    code: str, value: str, when: str = NINE, *, name: str = "1", source: str = "urn:lab"
) -> Recorded:
    return Recorded(
        body=ObservationRecorded(code=code, value=Decimal(value)),
        position=1,
        version=1,
        occurred_at=When.parse(when),
        recorded_at=datetime(2026, 11, 3, tzinfo=UTC),
        actor=Actor(id="lab", role="system"),
        participant="A",
        source=source,
        id=name,
    )


ORDERS = {
    "earlier first": [fact("c3", "90", "2026-11-01"), fact("c3", "71")],
    "the content decides where the times are the same": [fact("c3", "71"), fact("hb", "11")],
    "the first field that differs": [fact("c3", "12"), fact("c3", "2"), fact("c30", "1")],
    "equal numbers that are written differently": [fact("c3", "1.0"), fact("c3", "1.00")],
    "one moment in two texts": [fact("c3", "2", "2026-11-02T04:00:00-05:00"), fact("c3", "1")],
    "who sent it": [fact("c3", "1", name="2", source="urn:a"), fact("c3", "1", name="1")],
    "the id": [fact("c3", "1", name="1"), fact("c3", "1", name="2")],
}


@pytest.mark.parametrize("told", ORDERS.values(), ids=ORDERS)
def test_facts_stand_in_one_order_however_they_arrive(told: list[Recorded]) -> None:
    for arrival in permutations(told):
        facts: tuple[Noted[ObservationRecorded], ...] = ()
        for recorded in arrival:
            assert isinstance(recorded.body, ObservationRecorded)
            facts = joined(facts, recorded.body, recorded)
        assert [one.recorded for one in facts] == told
        backwards = facts[::-1]
        assert sorted(backwards, key=Noted.rank) == list(facts)
