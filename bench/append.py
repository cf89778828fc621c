"""Appending single events: the ledger beside the library's recorder and other event stores.

The events are the twenty of `bench/journey.py`, as the ledger stores them; every contender gets the
same bytes, made beforehand, with a stream of its own for each caller. Everybody checks the stream's
version, so no lost update goes unseen; the ledger alone also checks the event's id, hashes and
chains.
"""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from bench.journey import FACTS
from bench.limits import KeyedInsert
from bench.measured import Row, Sample, in_turns, metered
from bench.rivals import Absent, EventsourcePy, Rival, UmaDB
from bench.setting import Setting
from domain.journey.consent import Consented
from domain.kernel import PROVISIONAL, Actor, Event, Recorded
from domain.time import When
from infra.ledger.envelope import template
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import Append, Appended, Draft
from infra.postgres.pool import open_pool
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.door import posted
from services.sealing import sealed

STUDY = "bench"
CALLERS = 256
LIBRARY_THREADS = 32
"""More threads make the library's recorder no faster: they wait for its table lock."""
JOURNEYS = 8
"""Of each caller in one round: whole ones, since the first event of a stream is another case."""
LONE_EVENTS = 400

Way = Callable[[], Sample]


def event(participant: str, version: int, number: int) -> Draft:
    """One event as a caller's request ends up: with an id, a source and its canonical bytes."""
    body = Consented(form_version=f"1.{number % 10}", signed_by="participant")
    return draft(participant, version, body, When.parse("2026-11-02T09:15:00-05:00"))


def draft(participant: str, version: int, body: Event, occurred_at: When) -> Draft:
    """An event with its place in the stream, ready to be appended."""
    recorded = Recorded(
        body=body,
        position=PROVISIONAL,
        version=version,
        occurred_at=occurred_at,
        recorded_at=datetime.now(UTC),
        actor=Actor(id="urn:bench", role="system"),
        participant=participant,
        source="urn:bench",
        id=f"B-{participant}-{version}",
        protocol="2.0",
    )
    return Draft(
        stream=participant,
        version=version,
        topic=f"participant.{body.type}.v1",
        template=template(recorded),
        source=recorded.source,
        event_id=recorded.id,
        fingerprint=os.urandom(32),
    )


def bodies() -> list[tuple[Event, When]]:
    """The journey's facts, protected values sealed as they are before anything is kept."""
    keys, found = KeyRing(bytes(32), MemoryKeyStore()), []
    for kind, when, data in FACTS:
        one = posted({"type": kind, "occurred_at": when, "data": data}, participant="P")
        found.append((sealed(keys, STUDY, "P", one.body), one.occurred_at))
    return found


def journey(participant: str) -> list[Draft]:
    """A participant's twenty events, ready to be appended one by one."""
    return [
        draft(participant, version, body, when)
        for version, (body, when) in enumerate(bodies(), start=1)
    ]


def appended(
    ledger: PostgresLedger, callers: int, journeys: int, waited: list[float], *processes: int
) -> Sample:
    """So many callers that each wait for their own; events a second, latencies in `waited`."""
    run = uuid4().hex[:8]
    facts = bodies()
    work = [
        [
            draft(f"{run}-{caller}-{number}", version, body, when)
            for number in range(journeys)
            for version, (body, when) in enumerate(facts, start=1)
        ]
        for caller in range(callers)
    ]
    gc.collect()
    gc.freeze()

    async def caller(drafts: Sequence[Draft]) -> None:
        for one in drafts:
            start = time.perf_counter()
            outcome = await ledger.append(STUDY, Append((one,)))
            waited.append(time.perf_counter() - start)
            assert isinstance(outcome, Appended)

    async def everybody() -> int:
        await asyncio.gather(*map(caller, work))
        return sum(map(len, work))

    return metered(lambda: asyncio.run(everybody()), *processes)


class LibraryRecorder(Rival):
    """The library's own PostgreSQL recorder in its default mode, which is the safe one."""

    name = "eventsourcing's recorder"
    callers = LIBRARY_THREADS

    def __init__(self, conninfo: str) -> None:
        parts = conninfo_to_dict(conninfo)
        self._datastore = PostgresDatastore(
            dbname=str(parts["dbname"]),
            host=str(parts["host"]),
            port=str(parts.get("port", 5432)),
            user=str(parts["user"]),
            password="",
            pool_size=LIBRARY_THREADS,
            max_overflow=LIBRARY_THREADS,
        )
        self._recorder = PostgresApplicationRecorder(self._datastore, events_table_name="events")
        self._recorder.create_table()

    def run(self, callers: int, journeys: int, events: Sequence[tuple[str, bytes]]) -> int:
        """Append, one event a call, in as many threads as callers."""
        threads = [
            threading.Thread(target=self._call, args=(journeys, events)) for _ in range(callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return callers * journeys * len(events)

    def _call(self, journeys: int, events: Sequence[tuple[str, bytes]]) -> None:
        for _ in range(journeys):
            stream = uuid4()
            for version, (topic, state) in enumerate(events, start=1):
                self._recorder.insert_events([StoredEvent(stream, version, topic, state)])

    def together(self, callers: int, journeys: int, events: Sequence[tuple[str, bytes]]) -> int:
        """Append whole journeys, one a call: what saving twenty new events of an aggregate does."""

        def call() -> None:
            for _ in range(journeys):
                stream = uuid4()
                self._recorder.insert_events(
                    [
                        StoredEvent(stream, n, topic, state)
                        for n, (topic, state) in enumerate(events)
                    ]
                )

        threads = [threading.Thread(target=call) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return callers * journeys * len(events)

    def close(self) -> None:
        """Let go of the connections."""
        self._datastore.close()


def stored_bytes() -> list[tuple[str, bytes]]:
    """Topic and bytes of each event, the same for everybody."""
    return [(one.topic, one.template) for one in journey("P-0")]


def rows(setting: Setting) -> Iterator[Row]:
    """The ledger beside whoever is installed: with many callers and with one."""
    with (
        closing(open_pool(setting.database())) as pool,
        closing(PostgresLedger(pool)) as ledger,
    ):
        script = setting.folder / "keyed.sql"
        rivals: list[Rival] = [
            LibraryRecorder(setting.plain_database()),
            KeyedInsert(setting.plain_database(), script),
        ]
        absent: dict[str, str] = {}
        for make in (partial(EventsourcePy, setting.plain_database()), partial(UmaDB, setting)):
            try:
                rivals.append(make())
            except Absent as why:
                absent[why.name] = str(why)
        try:
            yield from _many(setting, ledger, rivals, absent)
            yield from _one(setting, ledger, rivals)
        finally:
            for rival in rivals:
                rival.close()
        assert ledger.head(STUDY) == len(_positions(ledger))


WANTED = {LibraryRecorder.name: 40.0, EventsourcePy.name: 30.0, UmaDB.name: 4.0}


def _many(
    setting: Setting, ledger: PostgresLedger, rivals: Sequence[Rival], absent: dict[str, str]
) -> Iterator[Row]:
    waited: list[float] = []
    journeys, events = setting.size(JOURNEYS, 3), stored_bytes()
    ways: dict[str, Way] = {"": partial(_ours, setting, ledger, CALLERS, journeys, waited)}
    for rival in rivals:
        ways[rival.name] = partial(_theirs, setting, rival, rival.callers, events)
    appended(ledger, CALLERS, 1, [])
    found = in_turns(ways, setting.rounds)
    what = f"append, one event a call, {CALLERS} callers"
    for rival in rivals:
        beside = f"{rival.name}, {rival.callers} callers"
        theirs = found[rival.name]
        yield Row(what, "events/s", found[""], beside, theirs, ratio_min=WANTED.get(rival.name))
    for name, why in absent.items():
        yield Row(what, "events/s", found[""], name, note=f"{name} not measured: {why}")
    yield Row(f"the same, p50 of a call, {CALLERS} callers", "ms", [Sample(_part(waited, 50))])
    yield Row(f"the same, p99 of a call, {CALLERS} callers", "ms", [Sample(_part(waited, 99))])


def _one(setting: Setting, ledger: PostgresLedger, rivals: Sequence[Rival]) -> Iterator[Row]:
    events, journeys = stored_bytes(), setting.size(LONE_EVENTS, 100) // len(FACTS)
    ways: dict[str, Way] = {"": partial(_ours, setting, ledger, 1, journeys, [])}
    for rival in rivals:
        ways[rival.name] = partial(_theirs, setting, rival, 1, events, journeys)
    found = in_turns(ways, setting.rounds)
    for rival in rivals:
        theirs = found[rival.name]
        wanted = 1.5 if isinstance(rival, LibraryRecorder) else None
        yield Row("append, one caller", "events/s", found[""], rival.name, theirs, ratio_min=wanted)


def _ours(
    setting: Setting, ledger: PostgresLedger, callers: int, journeys: int, waited: list[float]
) -> Sample:
    return appended(ledger, callers, journeys, waited, setting.keeper)


def _theirs(
    setting: Setting,
    rival: Rival,
    callers: int,
    events: Sequence[tuple[str, bytes]],
    journeys: int | None = None,
) -> Sample:
    count = journeys or max(1, setting.size(rival.events, rival.events // 4) // callers // 20)
    return metered(lambda: rival.run(callers, count, events), setting.keeper, *rival.processes)


def _part(waited: list[float], percent: int) -> float:
    return sorted(waited)[len(waited) * percent // 100] * 1e3


def _positions(ledger: PostgresLedger) -> range:
    """Every position from 1 to the last, each read once."""
    last = 0
    while page := ledger.read(STUDY, last, 5_000):
        assert [one.position for one in page] == list(range(last + 1, last + 1 + len(page)))
        last = page[-1].position
    return range(1, last + 1)
