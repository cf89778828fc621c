"""The library's own contract for recorders, run against ours, and its application on our ledger.

What does not run, and why: the cases of aggregate recorders (ours gives positions, which that case
forbids; nothing is kept beside the log), tracking and process recorders and with them the factory's
case (a view's position is committed with its rows, by the projector), mappers and transcoders (the
bytes are canonical and hashed: nothing may transcode, compress or encipher them).
"""

from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import (
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    StoredEvent,
)
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from domain.journey.consent import Consented
from domain.journey.referral import Referred
from domain.kernel import PROVISIONAL, Actor, Event, Recorded
from domain.time import When
from infra.ledger import library
from infra.ledger.ledger import Ledger
from infra.ledger.mapper import Entry
from infra.ledger.memory import MemoryLedger
from infra.ledger.postgres import PostgresLedger
from infra.ledger.recorder import LedgerRecorder, RecordedBefore, StreamMoved
from infra.ledger.repository import Histories
from infra.postgres.pool import open_pool


class OurRecorder:
    """Streams are named by texts; the library's cases count versions from nought here."""

    INITIAL_VERSION = 0
    ledger: Ledger

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> LedgerRecorder:
        return LedgerRecorder(self.ledger, "S", first_version=0)


class InMemory(OurRecorder):
    def setUp(self) -> None:
        self.ledger = MemoryLedger()


class InPostgres(OurRecorder):
    @pytest.fixture(autouse=True)
    def _database(self, database: str) -> Any:
        pool = open_pool(database)
        self.ledger = PostgresLedger(pool)
        yield
        self.ledger.close()
        pool.close()


class TestMemoryRecorder(InMemory, ApplicationRecorderTestCase[LedgerRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestPostgresRecorder(InPostgres, ApplicationRecorderTestCase[LedgerRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestMemoryPositionsDoNotInterleave(InMemory, NonInterleavingNotificationIDsBaseCase):
    pass


class TestPostgresPositionsDoNotInterleave(InPostgres, NonInterleavingNotificationIDsBaseCase):
    pass


del ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase


def envelope(version: int, body: Event) -> Recorded:
    return Recorded(
        body=body,
        position=PROVISIONAL + version - 1,
        version=version,
        occurred_at=When.parse("2026-11-02"),
        recorded_at=When.parse("2026-11-22T12:00:00Z").earliest(),
        actor=Actor(id="dr.lee", role="investigator"),
        participant="A",
    )


HISTORY = [
    envelope(1, Referred(site="01", channel="site")),
    envelope(2, Consented(form_version="1.0", signed_by="participant")),
]


@pytest.fixture(params=["memory", "postgres"])
def application(request: pytest.FixtureRequest) -> Any:
    env = {"PERSISTENCE_MODULE": "infra.ledger.library"}
    if request.param == "postgres":
        env["CAIRN_DATABASE_URL"] = request.getfixturevalue("database")

    class Study(Application[str]):
        name = "LK-23-01"

    with Study(env) as made:
        yield made


def fold(_before: Any, entries: Any) -> Any:
    return [entry.recorded for entry in entries] or None


def test_an_application_of_the_library_saves_and_loads(application: Application[str]) -> None:
    recordings = application.save(*map(Entry.of, HISTORY))
    assert [one.notification.id for one in recordings] == [1, 2]
    loaded: Any = application.repository.get("A", projector_func=fold)
    assert [one.body for one in loaded] == [one.body for one in HISTORY]
    assert [one.position for one in loaded] == [1, 2]
    assert loaded[1].previous == loaded[0].hash
    assert len(loaded[1].hash) == 64
    first: Any = application.repository.get("A", version=1, projector_func=fold)
    assert first == loaded[:1]
    with pytest.raises(AggregateNotFoundError):
        application.repository.get("B", projector_func=fold)
    topics = [one.topic for one in application.notification_log.select(1, 10)]
    assert topics == ["participant.referred.v1", "participant.consented.v1"]


def test_a_lost_race_and_a_taken_id_are_told_apart(application: Application[str]) -> None:
    identity = {"source": "urn:edc", "event_id": "E1", "fingerprint": b"x"}
    application.save(Entry.of(HISTORY[0]), **identity)
    with pytest.raises(RecordedBefore) as taken:
        application.save(Entry.of(HISTORY[0]), **identity)
    assert (taken.value.duplicate.position, taken.value.duplicate.same) == (1, True)
    with pytest.raises(StreamMoved) as moved:
        application.save(Entry.of(HISTORY[0]))
    assert moved.value.conflict.version == 1
    assert issubclass(RecordedBefore, IntegrityError)
    assert issubclass(StreamMoved, IntegrityError)


@pytest.mark.parametrize(
    "ask",
    [
        lambda factory: factory.aggregate_recorder(),
        lambda factory: factory.tracking_recorder(),
        lambda factory: factory.process_recorder(),
        lambda factory: factory.mapper(mapper_class=object),
    ],
)
def test_what_would_bypass_the_ledger_is_not_offered(ask: Any) -> None:
    factory = InfrastructureFactory.construct({"PERSISTENCE_MODULE": library.__name__})
    assert isinstance(factory, library.LedgerFactory)
    with pytest.raises(InfrastructureFactoryError):
        ask(factory)


def test_histories_are_folded_from_the_first_event_or_are_blank() -> None:
    ledger = MemoryLedger()
    LedgerRecorder(ledger, "S").insert_events([StoredEvent("B", 1, "participant.x.v1", b"{}")])
    histories = Histories[list[str]](ledger, "S", lambda name, history: [name, *map(repr, history)])
    assert histories.get("A") == ["A"]
