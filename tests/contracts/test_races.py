"""Two processes act at the same instant, and the study allows one of them: one wins, always."""

import asyncio
import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import pytest

from domain.kernel import Actor
from infra.documents import PostgresDocuments
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import Pool, open_pool
from services.door import posted
from services.publishing import Publishing, draft
from services.record import Group, Recording, Terms
from services.state import recorded
from tests import specs
from tests.contracts.racer import Attempt, race, recording_on

ROUNDS = 100
FIRST, SECOND, THIRD, FOURTH = "01-001", "01-002", "01-003", "01-004"
SPONSOR = Terms(Actor(id="a.sponsor", role="sponsor"), "urn:race")
TOLD = Terms(Actor(id="a.investigator", role="investigator"), "urn:race", historical=True)
CONFIRMED = (specs.referred, specs.consented, specs.screened, specs.confirmed)
PROTOCOL: dict[str, Any] = {
    "version": "1",
    "title": "Three slots, two first doses at a distance of two weeks",
    "settings": {"screening_validity_days": 60},
    "accrual": 3,
    "stagger": {"first": 2, "days": 14},
    "toxicity": {"boundary": {"design": "3+3"}},
}


@dataclass
class Racers:
    """Both processes, and the store to prepare rounds on and to read what came of them."""

    pipes: list[Connection]
    pool: Pool
    ledger: PostgresLedger = field(init=False)
    recording: Recording = field(init=False)

    def prepare(self, study: str) -> None:
        """A study with two of its three slots taken, and two who wait for the last one."""
        self.ledger = PostgresLedger(self.pool)
        self.recording = recording_on(self.pool, self.ledger)
        self._publish(study)
        for one in (
            specs.said("site-opened", "2026-10-01", site="01", name="Site", timezone=specs.ZONE),
            specs.said("consent-form-approved", "2026-10-01", form_version="1.0"),
        ):
            asyncio.run(self.recording.record_study(study, _posted(one), SPONSOR))
        enrolled = (*CONFIRMED, specs.enrolled)
        told = {FIRST: enrolled, SECOND: enrolled, THIRD: CONFIRMED, FOURTH: CONFIRMED}
        groups = [
            Group(who, tuple(_posted(one, who) for one in saids)) for who, saids in told.items()
        ]
        asyncio.run(self.recording.record_all(study, groups, TOLD))

    def tell(self, study: str, who: str, *saids: specs.Said) -> None:
        """What happened to a participant, as history."""
        events = [_posted(one, who) for one in saids]
        asyncio.run(self.recording.record(study, who, events, TOLD))

    def at_once(self, study: str, *acts: tuple[str, specs.Said]) -> list[str]:
        """What became of each process's act."""
        for pipe, (who, one) in zip(self.pipes, acts, strict=True):
            pipe.send(Attempt(study, who, one.role, _document(one)))
        return [_answer(pipe) for pipe in self.pipes]

    def log(self, study: str) -> list[tuple[str, str | None]]:
        """Type and participant of every event, in the order of the log."""
        stored = self.ledger.read(study, 0, 1_000)
        return [(one.type, one.participant) for one in map(recorded, stored)]

    def _publish(self, study: str) -> None:
        read = draft(json.dumps(PROTOCOL).encode(), "application/json", study=study)
        publishing = Publishing(self.recording, PostgresDocuments(self.pool))
        asyncio.run(publishing.publish_protocol(read, SPONSOR))


def _document(one: specs.Said) -> dict[str, Any]:
    data = one.body.model_dump(mode="json", exclude_none=True, exclude={"type"})
    return {"type": one.body.type, "occurred_at": one.at, "data": data}


def _posted(one: specs.Said, who: str | None = None) -> Any:
    return posted(_document(one), participant=who)


def _answer(pipe: Connection) -> str:
    assert pipe.poll(60), "a racer did not come back"
    return str(pipe.recv())


@pytest.fixture
def racers(database: str) -> Iterator[Racers]:
    processes = multiprocessing.get_context("spawn")
    start = processes.Barrier(2)
    pairs = [processes.Pipe() for _ in range(2)]
    children = [
        processes.Process(target=race, args=(database, theirs, start)) for _, theirs in pairs
    ]
    for child in children:
        child.start()
    with closing(open_pool(database, size=4)) as pool:
        yield Racers([ours for ours, _ in pairs], pool)
        for ours, _ in pairs:
            ours.send(None)
        for child in children:
            child.join(60)
            child.close()
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


@pytest.mark.slow
def test_of_two_acts_at_once_the_last_slot_the_stagger_and_a_hold_let_one_through(
    racers: Racers,
) -> None:
    found: Counter[tuple[str, ...]] = Counter()
    halted: Counter[str] = Counter()
    for number in range(1, ROUNDS + 1):
        study = f"RACE-{number}"
        racers.prepare(study)
        with closing(racers.ledger):
            slot = racers.at_once(study, (THIRD, specs.enrolled), (FOURTH, specs.enrolled))
            found["last slot", *sorted(slot)] += 1
            dose = racers.at_once(study, (FIRST, specs.authorised), (SECOND, specs.authorised))
            found["stagger", *sorted(dose)] += 1
            dosed = (FIRST, SECOND)[dose.index("recorded")]
            racers.tell(study, dosed, specs.dosed)
            waiting = (THIRD, FOURTH)[slot.index("recorded")]
            halted[_dose_against_halt(racers, study, dosed, waiting)] += 1
    assert found == {
        ("last slot", "cap", "recorded"): ROUNDS,
        ("stagger", "recorded", "stagger"): ROUNDS,
    }
    assert set(halted) <= {"hold", "recorded"}
    assert halted.total() == ROUNDS


def _dose_against_halt(racers: Racers, study: str, dosed: str, waiting: str) -> str:
    """A dose is authorised while an event is reported that halts the study: what became of it."""
    grave = specs.event("AE-1", "2026-12-22T09:00:00-05:00", grade=4, causality="possible")
    next_dose = specs.authorised.on("2026-12-22T10:00:00-05:00")
    reported, authorised = racers.at_once(study, (dosed, grave), (waiting, next_dose))
    assert reported == "recorded", "a safety report is never blocked"
    log = racers.log(study)
    crossed = [at for at, (name, _) in enumerate(log) if name == "stopping-boundary-crossed"]
    given = [at for at, one in enumerate(log) if one == ("dose-authorised", waiting)]
    assert len(crossed) == 1, "the halt stands in the log"
    assert [at < crossed[0] for at in given] == ([True] if authorised == "recorded" else [])
    return authorised
