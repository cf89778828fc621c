"""Composition: the only file that chooses adapters. Settings in, a working Cairn out."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.documents import Documents, PostgresDocuments
from infra.feeds import FeedStore
from infra.kafka.brokers import (
    PARTITIONS,
    PARTITIONS_MAX,
    Brokers,
    SaslMechanism,
    SecurityProtocol,
)
from infra.kafka.cursors import RelayCursors
from infra.ledger.ledger import Ledger
from infra.ledger.postgres import PostgresLedger, PostgresLog
from infra.ledger.types import StoreAway
from infra.parked import ParkedMessages
from infra.postgres import embedded, migrate
from infra.postgres import settings as store
from infra.postgres.pool import Pool, borrowed, open_pool, open_read_pool
from infra.postgres.pool import conninfo_of as conninfo_of_pool
from infra.projection.folds import Folds
from infra.projection.projector import Projector
from infra.projection.sharing import Beside
from infra.projection.tables import StandbyTables, ViewTables
from infra.refusals import PostgresRefusals
from infra.room import MIB, ROOM_MIB, Room
from infra.vault.keyring import KeyRing, PostgresKeyStore, wrapping_key
from projections.catalogue import VIEWS
from services import logs
from services.auth import Tokens, open_tokens
from services.concluding import Concluding
from services.door import cloudevents, relayed
from services.feeds import CalendarFeeds
from services.publishing import Publishing
from services.reads import Reads
from services.receipts import Receipts, open_receipts
from services.record import Recording
from services.refusals import RefusalBook
from services.state import HotState
from services.views import Views

if TYPE_CHECKING:
    from infra.kafka.relay import Ports
    from infra.kafka.workers import Ports as WorkerPorts
    from services.inbound.process import Ports as InboundPorts

POOL_CONNECTIONS = 12
HELPER_CONNECTIONS = 2

_ADDRESS = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")


class NotConfigured(Exception):
    """Cairn cannot start as it is configured; the message is one sentence for a person."""


class Settings(BaseSettings):
    """What the environment says (`CAIRN_*`)."""

    model_config = SettingsConfigDict(env_prefix="CAIRN_", extra="ignore")

    data: Path = Path(".cairn")
    """The data folder: keys, tokens and the embedded database."""
    database_url: SecretStr | None = None
    """A PostgreSQL of one's own; without it the embedded one of the data folder."""
    read_url: SecretStr | None = None
    """A hot standby of that database, for what the API reads; without it everything is read there.
    With the primary behind it (`host=standby,primary target_session_attrs=prefer-standby`) that one
    answers while the standby is away; else reads are answered by 503."""
    memory_mib: int = Field(default=ROOM_MIB, ge=1)
    """What a process keeps of participants in memory, for judging and for the views together."""
    kafka_bootstrap: str | None = None
    """Brokers of an Apache Kafka, `host:port` with commas between; without it there is none."""
    kafka_partitions: int = Field(default=PARTITIONS, ge=1, le=PARTITIONS_MAX)
    """Of each topic of a study; fixed when the study's first event is sent."""
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_sasl_mechanism: SaslMechanism | None = None
    kafka_username: str | None = None
    kafka_password_file: Path | None = None
    kafka_ca_file: Path | None = None
    kafka_certificate_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_inbound_patience: timedelta = Field(
        default=timedelta(seconds=30), ge=timedelta(0), le=timedelta(days=1)
    )
    """How long an inbound message may wait for others that it has overtaken (ISO 8601)."""
    oidc_issuer: str | None = None
    oidc_audience: str | None = None

    def refuse_half(self) -> None:
        """Raise NotConfigured for settings that this version would silently ignore."""
        if self.oidc_issuer or self.oidc_audience:
            raise NotConfigured(
                "CAIRN_OIDC_ISSUER and CAIRN_OIDC_AUDIENCE are set, but this version knows local"
                " tokens only: unset them."
            )
        if self.read_url is not None and self.database_url is None:
            raise NotConfigured(
                "CAIRN_READ_URL is set without CAIRN_DATABASE_URL, of which it has to be a standby."
            )
        self.brokers()

    def brokers(self) -> Brokers | None:
        """The Apache Kafka of the settings, None without one. NotConfigured."""
        if not self.kafka_bootstrap:
            given = sorted(
                name
                for name in self.model_fields_set
                if name.startswith("kafka_") and name != "kafka_bootstrap"
            )
            if given:
                names = ", ".join(f"CAIRN_{name.upper()}" for name in given)
                raise NotConfigured(f"{names} is set without CAIRN_KAFKA_BOOTSTRAP.")
            return None
        return Brokers(
            bootstrap=_addresses(self.kafka_bootstrap),
            partitions=self.kafka_partitions,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=self._kafka_password(),
            ca_file=_there("CAIRN_KAFKA_CA_FILE", self.kafka_ca_file),
            certificate_file=_there("CAIRN_KAFKA_CERTIFICATE_FILE", self.kafka_certificate_file),
            key_file=_there("CAIRN_KAFKA_KEY_FILE", self.kafka_key_file),
        )

    def _kafka_password(self) -> str | None:
        given = (self.kafka_sasl_mechanism, self.kafka_username, self.kafka_password_file)
        if self.kafka_security_protocol.startswith("SASL") != all(given) or any(given) != all(
            given
        ):
            raise NotConfigured(
                "CAIRN_KAFKA_SASL_MECHANISM, CAIRN_KAFKA_USERNAME and CAIRN_KAFKA_PASSWORD_FILE"
                " belong together, and to a CAIRN_KAFKA_SECURITY_PROTOCOL with SASL."
            )
        path = _there("CAIRN_KAFKA_PASSWORD_FILE", self.kafka_password_file)
        return None if path is None else path.read_text().strip()


@dataclass(slots=True)
class Cairn:
    """Everything an entry point needs, wired together."""

    settings: Settings
    pool: Pool
    ledger: Ledger
    documents: Documents
    keys: KeyRing
    hot: HotState
    recording: Recording
    publishing: Publishing
    refusals: RefusalBook
    tokens: Tokens
    calendars: CalendarFeeds
    receipts: Receipts
    tables: ViewTables
    projector: Projector
    reads: Reads
    concluding: Concluding
    relayed: RelayCursors
    clock: Callable[[], datetime]

    def problems(self) -> list[str]:
        """Why the store is not to be trusted with events; empty when all is well. StoreAway."""
        with borrowed(self.pool) as connection:
            waiting = [one.name for one in migrate.pending(connection)]
            unsafe = store.problems(connection)
        return [*unsafe, *(f"migration {name} is not applied" for name in waiting)]

    def lag(self) -> dict[str, dict[str, int]]:
        """How many events each reader of the ledger is behind, by study. StoreAway."""
        behind = {study: self.projector.lag(study) for study in self.ledger.studies()}
        lags = {
            view: {study: lag[view] for study, lag in behind.items()} for view in self.tables.views
        }
        if self.settings.kafka_bootstrap:
            lags["relay"] = {study: self._unsent(study) for study in behind}
        if self.reads.standby is not None:
            with suppress(StoreAway):
                lags["standby"] = {study: self._not_copied(study) for study in behind}
        return lags

    def halted(self) -> dict[str, str]:
        """Why a study is not relayed before an operator has looked, by study. StoreAway."""
        if not self.settings.kafka_bootstrap:
            return {}
        found = ((study, self.relayed.find(study)) for study in self.ledger.studies())
        return {study: one.halted for study, one in found if one is not None and one.halted}

    def _not_copied(self, study: str) -> int:
        copied = self.reads.log.head(study)
        return max(0, self.ledger.head(study) - copied)

    def _unsent(self, study: str) -> int:
        cursor = self.relayed.find(study)
        return max(0, self.ledger.head(study) - (cursor.position if cursor else 0))

    def close(self) -> None:
        """Append what is queued, then let go of the store."""
        self.ledger.close()
        self.pool.close()
        if self.reads.standby is not None:
            self.reads.standby.close()


def _addresses(text: str) -> tuple[str, ...]:
    """`host:port`s with commas between; NotConfigured."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(
        _ADDRESS.fullmatch(one) and 0 < int(one.rpartition(":")[2]) < 65_536 for one in found
    ):
        raise NotConfigured("CAIRN_KAFKA_BOOTSTRAP has to be host:port, with commas between.")
    return found


def _there(variable: str, path: Path | None) -> Path | None:
    if path is not None and not os.access(path, os.R_OK):
        raise NotConfigured(f"{variable} names no file that can be read.")
    return path


def now() -> datetime:
    """The clock of the process."""
    return datetime.now(UTC)


def conninfo_of(settings: Settings) -> str:
    """How to reach the store: the database of the settings, or the embedded one that runs.

    Raises NotConfigured.
    """
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    found = embedded.running(settings.data)
    if found is None:
        raise NotConfigured(
            "No store: set CAIRN_DATABASE_URL, or run `cairn up` on this data folder."
        )
    return found


def open_cairn(
    settings: Settings, *, conninfo: str | None = None, clock: Callable[[], datetime] = now
) -> Cairn:
    """A working Cairn on the store of the settings (or on `conninfo`), migrated to this version.

    Raises NotConfigured, and MigrationProblem when the store belongs to another version.
    """
    settings.refuse_half()
    where = conninfo or conninfo_of(settings)
    try:
        migrate.migrate(where)
    except psycopg.OperationalError as error:
        raise NotConfigured("The database of CAIRN_DATABASE_URL does not answer.") from error
    pool = open_pool(where, size=POOL_CONNECTIONS)
    return assembled(
        settings,
        pool=pool,
        ledger=PostgresLedger(pool),
        documents=PostgresDocuments(pool),
        keys=KeyRing(wrapping_key(settings.data / "wrapping-key"), PostgresKeyStore(pool)),
        refusals=PostgresRefusals(pool),
        clock=clock,
    )


def assembled(
    settings: Settings,
    *,
    pool: Pool,
    ledger: Ledger,
    documents: Documents,
    keys: KeyRing,
    refusals: Any,
    clock: Callable[[], datetime],
) -> Cairn:
    """The services on top of adapters that are open."""
    room = Room(settings.memory_mib * MIB)
    hot = HotState(ledger, documents, room)
    recording = Recording(ledger, keys, hot, clock)
    tables = ViewTables(pool, VIEWS)
    return Cairn(
        settings=settings,
        pool=pool,
        ledger=ledger,
        documents=documents,
        keys=keys,
        hot=hot,
        recording=recording,
        publishing=Publishing(recording, documents),
        refusals=RefusalBook(refusals, hot, clock),
        tokens=open_tokens(settings.data, clock),
        calendars=CalendarFeeds(FeedStore(pool), clock),
        receipts=open_receipts(settings.data / "receipt-key"),
        tables=tables,
        projector=Projector(ledger, documents, tables, logs.warned, room),
        reads=_reads(settings, ledger, documents, hot, tables, room, clock),
        concluding=Concluding(recording, tables, clock, logs.defect),
        relayed=RelayCursors(pool),
        clock=clock,
    )


def projection_parts(conninfo: str) -> tuple[Folds, ViewTables]:
    """What a process needs that helps to build views; open until it ends."""
    pool = open_pool(conninfo, size=HELPER_CONNECTIONS)
    return Folds(PostgresLog(pool), PostgresDocuments(pool)), ViewTables(pool, VIEWS)


def helpers(cairn: Cairn, processes: int) -> Beside:
    """So many processes beside this one, on the same store."""
    return Beside(processes, partial(projection_parts, conninfo_of_pool(cairn.pool)))


def _reads(
    settings: Settings,
    ledger: Ledger,
    documents: Documents,
    hot: HotState,
    tables: ViewTables,
    room: Room,
    clock: Callable[[], datetime],
) -> Reads:
    """What answers readers: the store itself, or its standby. NotConfigured."""
    if settings.read_url is None:
        return Reads(ledger, documents, hot, Views(ledger, documents, hot, tables, clock))
    # The standby gets the views' tables from there; it makes none.
    tables.prepare()
    standby = open_read_pool(settings.read_url.get_secret_value(), size=POOL_CONNECTIONS)
    if not _copies(tables.pool, standby):
        standby.close()
        raise NotConfigured("CAIRN_READ_URL leads to no standby of this database.")
    log, copies = PostgresLog(standby), PostgresDocuments(standby)
    folds, copied = HotState(log, copies, room), StandbyTables(standby, VIEWS)
    return Reads(log, copies, folds, Views(log, copies, folds, copied, clock), standby)


def _copies(primary: Pool, standby: Pool) -> bool:
    """Whether the standby is one of the primary, as far as can be told now."""
    try:
        return store.same_cluster(primary, standby)
    except StoreAway as error:
        logs.warned("standby-away", kind=type(error).__name__)
        return True


def brokers_of(settings: Settings) -> Brokers:
    """The Apache Kafka that there has to be. NotConfigured."""
    brokers = settings.brokers()
    if brokers is None:
        raise NotConfigured("There are no brokers: set CAIRN_KAFKA_BOOTSTRAP.")
    return brokers


def relay_ports(cairn: Cairn) -> "Ports":
    """What the relay works with. NotConfigured without brokers."""
    # Kafka's client takes its time to load: only who talks to brokers waits for it.
    from infra.kafka.relay import Ports

    return Ports(
        ledger=cairn.ledger,
        cursors=cairn.relayed,
        conninfo=conninfo_of_pool(cairn.pool),
        brokers=brokers_of(cairn.settings),
        encode=cloudevents.written,
        notice=_relay_told,
    )


def _relay_told(name: str, **circumstances: Any) -> None:
    """Log it; that the relay goes on is the one thing that nobody has to look at."""
    (logs.happened if name == "relay-resumed" else logs.warned)(name, **circumstances)


def worker_ports(cairn: Cairn) -> "WorkerPorts":
    """What a worker of the consumer group works with. NotConfigured without brokers."""
    from infra.kafka.workers import Ports as WorkerPorts

    brokers = cairn.settings.brokers()
    if brokers is None:
        raise NotConfigured("There are no brokers: set CAIRN_KAFKA_BOOTSTRAP.")
    return WorkerPorts(
        brokers=brokers,
        ledger=cairn.ledger,
        relayed=cairn.relayed,
        folds=cairn.projector.folds,
        tables=cairn.tables,
        restore=relayed.restored,
        notice=logs.warned,
    )


def inbound_ports(cairn: Cairn) -> "InboundPorts":
    """What the inbound process works with. NotConfigured without brokers."""
    from infra.kafka.inbound import Inbox, prepare, reread
    from infra.kafka.results import ResultProducer
    from services.inbound.process import Ports as InboundPorts

    brokers = cairn.settings.brokers()
    if brokers is None:
        raise NotConfigured("There are no brokers: set CAIRN_KAFKA_BOOTSTRAP.")
    return InboundPorts(
        inbox=partial(Inbox, brokers),
        results=ResultProducer(brokers),
        parked=ParkedMessages(cairn.pool),
        prepare=partial(prepare, brokers),
        reread=partial(reread, brokers),
    )
