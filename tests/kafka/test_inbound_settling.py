"""What becomes of messages, on a real store without a broker: who may, what waits, how long."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.kafka.inbound import Message
from infra.ledger.types import Append, StoreAway
from infra.parked import Parked, ParkedMessages
from services.auth import Caller, Claims
from services.bootstrap import Cairn
from services.inbound.message import Received, received
from services.inbound.settling import Settled, Settling
from services.roles import Role
from tests.kafka.posting import consented, event, opened, referred

STUDY = "S-1"
TOPIC = "cairn.S-1.inbound"
PATIENCE = timedelta(seconds=30)


@pytest.fixture
def cairn(database: str, tmp_path: Path) -> Iterator[Cairn]:
    with opened(database, tmp_path, STUDY) as found:
        yield found


class Desk:
    """Settles messages one after another, at a time that is told."""

    def __init__(self, cairn: Cairn, role: Role = "administrator", patience: timedelta = PATIENCE):
        self.cairn = cairn
        caller = Caller(Claims(role=role, id="inbound"))
        self.settling = Settling(cairn, caller, STUDY, TOPIC, patience)
        self.offset = 0
        self.waited = 0
        self.last = Settled()

    def read(self, document: Any, offset: int | None = None) -> Received:
        place = self.offset if offset is None else offset
        self.offset = max(self.offset, place + 1)
        message = Message(TOPIC, 0, place, b"k", json.dumps(document).encode(), ())
        return received(STUDY, message, self.settling.terms)

    def settle(self, *documents: Any, later: float = 0) -> dict[int, int]:
        """The status that each message is answered with, by offset."""
        return self.again([self.read(one) for one in documents], later)

    def again(self, messages: list[Received], later: float = 0) -> dict[int, int]:
        now = self.cairn.clock() + timedelta(seconds=later)
        self.last = asyncio.run(self.settling.settle(messages, now, self._meanwhile))
        results = [json.loads(one.value) for one in self.last.results]
        assert [one["status"] for one in results] == self.last.statuses
        return {one["offset"]: one["status"] for one in results}

    async def _meanwhile(self) -> None:
        self.waited += 1


def test_what_overtook_its_beginning_waits_and_is_recorded_with_it(cairn: Cairn) -> None:
    desk = Desk(cairn)
    assert desk.settle(consented("a"), consented("b")) == {0: 202, 1: 202}
    assert [one.offset for one in desk.last.parked] == [0, 1]
    assert desk.settle(referred("a")) == {0: 201, 2: 201}
    assert [one.offset for one in desk.last.released] == [0]
    assert [one.offset for one in desk.last.messages] == [2]
    assert desk.settle(referred("b"), later=31) == {1: 201, 3: 201}
    assert len(desk.settling.room) == 0


def test_what_comes_together_in_the_wrong_order_does_not_wait(cairn: Cairn) -> None:
    desk = Desk(cairn)
    early = {**consented("a"), "occurred_at": "2025-10-01"}
    assert desk.settle(early, referred("a")) == {0: 201, 1: 201}
    assert (desk.last.parked, desk.last.released) == ([], [])


def test_patience_ends_with_the_last_word_and_what_is_refused_is_kept(cairn: Cairn) -> None:
    desk = Desk(cairn)
    assert desk.settle(referred("a"), event("enrolled", "a", "2025-11-03")) == {0: 201, 1: 202}
    assert cairn.refusals.page(STUDY, 0, 10, None)[0] == []
    assert desk.settle(later=29) == {}
    assert desk.settle(later=31) == {1: 409}
    assert [one.offset for one in desk.last.released] == [1]
    assert [one["type"] for one in cairn.refusals.page(STUDY, 0, 10, None)[0]] == ["enrolled"]
    assert desk.settle(later=99) == {}


def test_without_patience_the_first_word_is_the_last(cairn: Cairn) -> None:
    desk = Desk(cairn, patience=timedelta(0))
    assert desk.settle(consented("a"), event("enrolled", "b", "2025-11-03")) == {0: 404, 1: 404}


def test_what_the_study_does_may_lift_what_waits(cairn: Cairn) -> None:
    desk = Desk(cairn)
    site = event("site-opened", None, "2025-01-01", site="02", name="B", timezone="Asia/Jakarta")
    opened_one = event("site-opened", None, "2025-01-01", site="01", name="A", timezone="UTC")
    assert desk.settle(opened_one, referred("a")) == {0: 201, 1: 201}
    moved = event("transferred", "a", "2025-11-03", site="02", reason="moved house")
    assert desk.settle(moved) == {2: 202}
    assert desk.settle(site) == {2: 201, 3: 201}


def test_a_message_that_waits_and_comes_again_goes_on_waiting_as_it_did(cairn: Cairn) -> None:
    desk = Desk(cairn)
    message = desk.read(consented("a"))
    assert desk.again([message]) == {0: 202}
    until = desk.last.parked[0].until
    assert desk.again([message], later=10) == {0: 202}
    assert desk.last.parked[0].until == until
    assert desk.again([message], later=31) == {0: 404}


@pytest.mark.parametrize(
    ("role", "kind", "status"),
    [
        ("system", "enrolled", 403),
        ("system", "corrected", 403),
        ("investigator", "corrected", 403),
        ("auditor", "consented", 403),
        ("system", "consented", 201),
    ],
)
def test_the_process_records_in_its_role(cairn: Cairn, role: Role, kind: str, status: int) -> None:
    Desk(cairn).settle(referred("a", id="1"))
    bodies = {
        "enrolled": event("enrolled", "a", "2025-11-03"),
        "consented": consented("a"),
        "corrected": event("corrected", "a", "2025-11-03", position=3, reason="a slip"),
    }
    assert Desk(cairn, role).settle(bodies[kind]) == {0: status}


def test_nothing_is_answered_while_the_store_is_away(
    cairn: Cairn, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, append, failures = Desk(cairn), cairn.ledger.append, iter((1, 2, 3))

    async def away(study: str, wanted: Append) -> Any:
        if next(failures, None) is not None:
            raise StoreAway("gone for a moment")
        return await append(study, wanted)

    monkeypatch.setattr(cairn.ledger, "append", away)
    assert desk.settle(referred("a"), consented("a"), {"type": "x"}) == {0: 201, 1: 201, 2: 422}
    assert desk.waited > 0


def test_what_the_topic_has_no_more_is_answered_so(cairn: Cairn) -> None:
    now = cairn.clock()
    desk = Desk(cairn)
    settled = desk.settling.gone([Parked(STUDY, TOPIC, 0, 7, "a", now, now)])
    (result,) = [json.loads(one.value) for one in settled.results]
    assert (result["offset"], result["status"]) == (7, 410)


def test_what_waits_is_known_by_place_after_a_restart(cairn: Cairn) -> None:
    desk, parked = Desk(cairn), ParkedMessages(cairn.pool)
    desk.settle(consented("a"), consented("b"))
    kept = desk.last.parked
    parked.park(kept)
    parked.park(kept)
    assert parked.of_partition(STUDY, TOPIC, 0) == kept
    parked.release(kept[:1])
    assert parked.of_partition(STUDY, TOPIC, 0) == kept[1:]
    assert parked.of_partition(STUDY, TOPIC, 1) == []
    assert parked.of_partition("S-2", TOPIC, 0) == []
