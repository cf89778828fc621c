"""The relay: hands every study's ledger to Apache Kafka, in order and without a gap.

The ledger itself is the outbox. A batch is read, sent, acknowledged by the brokers, and only then
the cursor is moved: a crash in between sends some of it again, never less. Why a consumer that
keeps its position sees each event once and in order, whoever crashes, is paused or runs twice:
every relay writes an unbroken run of each partition's events, beginning after a cursor up to which
all had been written. Whatever runs are mixed, an event is first seen after all those before it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from infra.kafka.activity import Activity
from infra.kafka.agreement import Halted, Reason, resumed
from infra.kafka.brokers import Brokers
from infra.kafka.cursors import Overtaken, RelayCursor, RelayCursors
from infra.kafka.messages import Encode, Message, message
from infra.kafka.outlet import PRODUCER_BATCH_BYTES, Outlet, tails
from infra.kafka.topics import FOR_EVER, ensure_topic, events_topic, is_topic
from infra.ledger.ledger import Ledger
from infra.ledger.types import StoreAway
from infra.postgres.lease import LEASE_SECONDS, Lease, LeaseLost

BATCH_EVENTS_MAX = 1_000
BATCH_EVENTS_MIN = 50
"""Between the two a batch is at most twice the one before: large events are not read in vain."""
PARTITION_BYTES_MAX = 400_000
"""Of one batch in one partition, so that it is one batch of the producer; a single larger message
is sent by itself."""
POLL_SECONDS = 0.5
"""How soon an event is found whose wake-up was lost, and a waiting relay asks for the lease."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
HALTED_SECONDS = 10.0
"""How often a halted relay looks whether an operator has mended what it halted at."""
STOP_SECONDS_MAX = 15.0

Notice = Callable[..., None]
"""Told what happened: a fixed name, and circumstances by keyword; never anything personal."""

TROUBLES = (KafkaError, LeaseLost, Overtaken, StoreAway, psycopg.Error)
"""What passes by itself, or by taking up the work again."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a relay works with; the same for all studies."""

    ledger: Ledger
    cursors: RelayCursors
    conninfo: str
    """Where leases are taken."""
    brokers: Brokers
    encode: Encode
    notice: Notice
    outlet: Callable[[Brokers, str], Outlet] = Outlet
    lease_seconds: float = LEASE_SECONDS
    beat: Callable[[], None] = lambda: None
    """Called again and again while every study's thread lives."""
    activity: Activity = field(default_factory=Activity)


class CannotStartOver(Exception):
    """The study cannot be relayed anew as things are; the message is a sentence for a person."""


class StudyRelay:
    """Relays one study while it holds the study's lease, and waits for the lease otherwise."""

    def __init__(self, ports: Ports, study: str, stop: threading.Event) -> None:
        self._ports = ports
        self._study = study
        self._stop = stop
        self._woken = threading.Event()
        self._halted: str | None = None
        self._failures = 0

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def run(self) -> None:
        """Relay until told to stop. It never ends by itself."""
        while not self._stop.is_set():
            pause = POLL_SECONDS
            try:
                self._turn()
            except Halted as halted:
                pause = HALTED_SECONDS
                self._halt(halted)
            except TROUBLES as trouble:
                pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
                self._failures += 1
                self._ports.activity.interrupted(type(trouble).__name__, self._study)
                self._tell("relay-interrupted", kind=type(trouble).__name__)
            except Exception as error:  # noqa: BLE001  one study must not hold up the others
                pause = HALTED_SECONDS
                self._ports.activity.interrupted(type(error).__name__, self._study)
                self._tell("relay-failed", kind=type(error).__name__)
            self._stop.wait(pause)

    def _turn(self) -> None:
        """Relay under the lease until told to stop; nothing when another relay holds it."""
        if not is_topic(events_topic(self._study)):
            raise Halted(Reason.TOPIC_NAME)
        name, seconds = _lease_name(self._study), self._ports.lease_seconds
        lease = Lease.taken(self._ports.conninfo, name, seconds)
        activity = self._ports.activity
        if lease is None:
            activity.goes_on(self._study)
            return
        with lease:
            cursor = self._ports.cursors.begin(self._study, self._ports.brokers.partitions)
            after = self._agreed(cursor, lease)
            self._resume(cursor, after)
            activity.held[self._study] = 1
            try:
                Tenure(self._ports, cursor, after, lease, self._woken).relay(self._stop)
            finally:
                activity.held.pop(self._study, None)

    def _agreed(self, cursor: RelayCursor, lease: Lease) -> int:
        """Where to go on, when topic and ledger tell the same story. Halted, and TROUBLES."""
        ports, topic = self._ports, events_topic(self._study)
        # After a crash before this line there is no topic yet, and after it an empty one.
        bytes_max = ensure_topic(ports.brokers, topic, cursor.partitions, FOR_EVER)
        lease.keep()
        if bytes_max < PRODUCER_BATCH_BYTES:
            raise Halted(Reason.TOPIC_LIMIT)
        found = tails(ports.brokers, topic)
        lease.keep()
        if not found:  # made just now, and not known to every broker yet
            raise UnknownTopicOrPartitionError
        if not len(found) == cursor.partitions == ports.brokers.partitions:
            raise Halted(Reason.PARTITIONS_CHANGED)

        def hash_at(position: int) -> str:
            (stored,) = ports.ledger.read(self._study, position - 1, 1)
            return stored.hash

        return resumed(cursor, found, ports.ledger.head(self._study), hash_at)

    def _resume(self, cursor: RelayCursor, after: int) -> None:
        if cursor.halted is not None:
            self._ports.cursors.halt(self._study, None)
        self._halted, self._failures = None, 0
        self._ports.activity.goes_on(self._study)
        if after < cursor.position:
            self._tell("topic-behind", position=after, cursor=cursor.position)
        self._tell("relay-resumed", position=after)

    def _halt(self, halted: Halted) -> None:
        """Keep the reason where every process shows it; say it once."""
        self._ports.activity.goes_on(self._study)
        if self._halted == halted.reason:
            return
        try:
            self._ports.cursors.begin(self._study, self._ports.brokers.partitions)
            self._ports.cursors.halt(self._study, halted.reason)
        except StoreAway:
            return
        self._halted = halted.reason
        self._tell("relay-halted", reason=halted.reason.value, position=halted.position)

    def _tell(self, name: str, **circumstances: str | int | None) -> None:
        self._ports.notice(name, study=self._study, **circumstances)


class Tenure:
    """One holder's work: from taking the lease until it is told to stop, or something fails."""

    def __init__(
        self, ports: Ports, cursor: RelayCursor, after: int, lease: Lease, woken: threading.Event
    ) -> None:
        self._ports = ports
        self._cursor = cursor
        self._after = after
        self._events = BATCH_EVENTS_MIN
        self._lease = lease
        self._woken = woken

    def relay(self, stop: threading.Event) -> None:
        """Send what there is and what comes. Raises one of TROUBLES, or what it did not expect."""
        outlet = self._ports.outlet(self._ports.brokers, events_topic(self._cursor.study))
        ahead = ThreadPoolExecutor(1, thread_name_prefix=f"relay-{self._cursor.study}")
        try:
            prepared = self._prepared(ahead)
            while not stop.is_set():
                batch = prepared.result()
                if not batch:
                    self._woken.wait(POLL_SECONDS)
                    self._lease.keep()
                    prepared = self._prepared(ahead)
                    continue
                self._after = batch[-1].position
                self._events = min(max(2 * len(batch), BATCH_EVENTS_MIN), BATCH_EVENTS_MAX)
                # While the brokers take this batch, the next one is read and encoded.
                prepared = self._prepared(ahead)
                self._send(outlet, batch, stop)
        finally:
            ahead.shutdown()
            outlet.close()

    def _prepared(self, ahead: ThreadPoolExecutor) -> Future[list[Message]]:
        # Cleared before it is looked: what comes later wakes again.
        self._woken.clear()
        return ahead.submit(self._next)

    def _next(self) -> list[Message]:
        """The next events as messages: as many as one batch of each partition takes."""
        study, partitions = self._cursor.study, self._cursor.partitions
        sizes = [0] * partitions
        batch: list[Message] = []
        for stored in self._ports.ledger.read(study, self._after, self._events):
            one = message(stored, study, partitions, self._ports.encode)
            for partition in one.goes_to(partitions):
                sizes[partition] += one.size
            if batch and max(sizes) > PARTITION_BYTES_MAX:
                break
            batch.append(one)
        return batch

    def _send(self, outlet: Outlet, batch: Sequence[Message], stop: threading.Event) -> None:
        """Send a batch, wait until the brokers have it, and move the cursor."""
        self._lease.keep()
        outlet.hand_over(batch, self._cursor.partitions)
        # After a crash here some of the batch is written, in order; all of it is sent again.
        while not outlet.acknowledged(POLL_SECONDS):
            if stop.is_set():
                return
            self._lease.keep()
        # After a crash here all of it is written, and is sent again.
        last = batch[-1]
        if last.position <= self._cursor.position:
            return
        sent = list(self._cursor.sent)
        for one in batch:
            for partition in one.goes_to(len(sent)):
                sent[partition] = max(sent[partition], one.position)
        self._cursor = self._ports.cursors.move(self._cursor, last.position, last.hash, sent)


class Relay:
    """Relays every study of the ledger, or one, those that are new included."""

    def __init__(self, ports: Ports, only: str | None = None) -> None:
        self._ports = ports
        self._only = only
        self._relays: dict[str, StudyRelay] = {}
        self._woken = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Relay until told to stop, then end in order."""
        threads: list[threading.Thread] = []
        deaf = self._ports.ledger.listen(self._wake)
        try:
            while not stop.is_set():
                self._woken.clear()
                threads += [self._began(study, stop) for study in self._new()]
                if all(thread.is_alive() for thread in threads):
                    self._ports.beat()
                self._woken.wait(POLL_SECONDS)
        finally:
            deaf()
            for relay in self._relays.values():
                relay.wake()
            deadline = time.monotonic() + STOP_SECONDS_MAX
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def stop(self, stop: threading.Event) -> None:
        """Tell `run` to end, at once."""
        stop.set()
        self._woken.set()

    def _wake(self, study: str) -> None:
        known = self._relays.get(study)
        if known is not None:
            known.wake()
        else:
            self._woken.set()

    def _new(self) -> list[str]:
        try:
            studies = self._ports.ledger.studies()
        except StoreAway:
            return []
        return [one for one in studies if one not in self._relays and self._only in (None, one)]

    def _began(self, study: str, stop: threading.Event) -> threading.Thread:
        relay = self._relays[study] = StudyRelay(self._ports, study, stop)
        thread = threading.Thread(target=relay.run, name=f"relay-{study}", daemon=True)
        thread.start()
        return thread


def start_over(ports: Ports, study: str) -> None:
    """Let a study be relayed from its beginning, into a topic that is new or was deleted.

    What an operator does after restoring a database, or to have another number of partitions:
    consumers then begin anew as well. Raises CannotStartOver, and TROUBLES.
    """
    lease = Lease.taken(ports.conninfo, _lease_name(study), ports.lease_seconds)
    if lease is None:
        raise CannotStartOver(f"a relay of {study} is at work: stop it first")
    with lease:
        topic = events_topic(study)
        if any(tail.end for tail in tails(ports.brokers, topic)):
            raise CannotStartOver(f"{topic} holds messages: delete it first")
        ports.cursors.forget(study)


def _lease_name(study: str) -> str:
    return f"relay {study}"
