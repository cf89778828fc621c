"""Workers: the views of every study, kept by as many processes as there are partitions to share.

A worker is a member of a consumer group over the studies' topics. Kafka only says who takes care of
which partition; how far one has come stands in the database, changed in one transaction with the
rows and only from where it was read. Of two workers that both believe to have a partition (one was
paused, the group moved on) one writes and the other finds that out. Offsets are never committed to
Kafka.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import IllegalStateError, KafkaError

from infra.kafka.activity import Activity
from infra.kafka.brokers import ANSWER_MILLISECONDS, Brokers
from infra.kafka.cursors import RelayCursor, RelayCursors
from infra.kafka.share import Restore, Share
from infra.kafka.topics import events_topic
from infra.ledger.ledger import Ledger
from infra.ledger.types import StoreAway
from infra.projection.batch import Gap, Halted
from infra.projection.folds import Folds
from infra.projection.following import Following, Notice
from infra.projection.lane import Portion, take_in
from infra.projection.partitions import Partition, divide
from infra.projection.tables import Overtaken, ViewTables

GROUP = "cairn.projector"
BATCH_EVENTS = 1_000
SESSION_SECONDS = 6.0
"""After so long a worker that died is missed, and its partitions go to the others."""
POLL_INTERVAL_SECONDS = 60.0
"""A worker that does not come back for messages for so long hangs, and is put out of the group."""
POLL_SECONDS = 0.05
POLL_SECONDS_BUSY = 0.02
"""While events come: how soon a partition that none of them is in is known to have them all."""
POLL_SECONDS_WAITING = 0.005
"""While a message is there that the relay's cursor has not reached: it does in a moment."""
WAITING_MESSAGES_MAX = 5_000
BUSY_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""How often it is looked for new studies, and for views that are to be divided."""
METADATA_SECONDS = 5.0
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
FETCH_BYTES_MAX = 512 * 1024
"""Of one partition at once. Small, so that all partitions come side by side."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a worker works with."""

    brokers: Brokers
    ledger: Ledger
    relayed: RelayCursors
    folds: Folds
    tables: ViewTables
    restore: Restore
    notice: Notice
    group: str = GROUP
    session_seconds: float = SESSION_SECONDS
    beat: Callable[[], None] = lambda: None
    """Called each time the work has gone round, brokers away or not."""
    activity: Activity = field(default_factory=Activity)


class Stalled(KafkaError):  # type: ignore[misc]
    """The brokers have more of a partition, and the client does not ask for it any more."""


class Worker:
    """Keeps the views of the partitions that the group gives it, until told to stop."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. It never ends by itself: brokers or a store that are away are
        waited for."""
        failures = 0
        while not stop.is_set():
            try:
                with _Member(self._ports) as member:
                    while not stop.is_set():
                        member.turn()
                        failures = 0
                        self._ports.activity.goes_on()
                        self._ports.beat()
            except (KafkaError, IllegalStateError, StoreAway) as trouble:
                kind = type(trouble).__name__
                self._ports.activity.interrupted(kind)
                self._ports.notice("worker-interrupted", kind=kind)
                self._ports.beat()
                stop.wait(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what the group gives and takes; called in a thread of the client."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._gained: set[TopicPartition] = set()
        self._lost: set[TopicPartition] = set()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Partitions are taken away. Nothing is to be saved: it stands in the database."""
        with self._lock:
            self._lost.update(revoked)
            self._gained.difference_update(revoked)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Partitions are given: not read before it is known from where."""
        given = list(assigned)
        self._consumer.pause(*given)
        for place in given:
            self._consumer.seek(place, 0)
        with self._lock:
            self._gained.update(given)

    def taken(self) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """What was given and taken since it was last asked."""
        with self._lock:
            gained, lost = self._gained, self._lost
            self._gained, self._lost = set(), set()
        return gained, lost


class _Member:
    """One membership in the group."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._consumer = KafkaConsumer(
            **ports.brokers.options(),
            group_id=ports.group,
            partition_assignment_strategy=[CooperativeStickyAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(ports.session_seconds * 1_000),
            heartbeat_interval_ms=int(ports.session_seconds * 1_000 / 4),
            max_poll_interval_ms=int(POLL_INTERVAL_SECONDS * 1_000),
            max_poll_records=BATCH_EVENTS,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            metadata_max_age_ms=int(METADATA_SECONDS * 1_000),
            bootstrap_timeout_ms=ANSWER_MILLISECONDS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        self._changes = _Changes(self._consumer)
        self._topics: dict[str, str] = {}
        """Topic -> its study."""
        self._shares: dict[TopicPartition, Share] = {}
        self._heads: dict[str, int] = {}
        self._look_at = 0.0
        self._busy: dict[str, float] = {}
        """Study -> until when events are expected of it (monotonic)."""
        self._deaf = ports.ledger.listen(self._wake)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the group, so that the others need not wait for the time-out."""
        self._deaf()
        self._ports.activity.held = {}
        self._consumer.close(autocommit=False, timeout_ms=ANSWER_MILLISECONDS)

    def turn(self) -> None:
        """Take in what comes within a moment. Raises KafkaError, StoreAway."""
        looking = time.monotonic() >= self._look_at
        if looking:
            self._look()
            self._look_at = time.monotonic() + LOOK_SECONDS
        if not self._topics:
            time.sleep(POLL_SECONDS)
            return
        busy = any(until > time.monotonic() for until in self._busy.values())
        pause = POLL_SECONDS_BUSY if busy else POLL_SECONDS
        if busy and any(share.waiting for share in self._shares.values()):
            pause = POLL_SECONDS_WAITING
        polled = self._consumer.poll(timeout_ms=int(pause * 1_000))
        self._change()
        for place in polled:
            self._wake(self._topics.get(place.topic, ""))
        for study in sorted({share.study for share in self._shares.values()}):
            if looking or self._busy.get(study, 0.0) > time.monotonic():
                self._take(study, polled)

    def _wake(self, study: str) -> None:
        self._busy[study] = time.monotonic() + BUSY_SECONDS

    # --- whose is what ----------------------------------------------------------------------------

    def _look(self) -> None:
        """Subscribe to the topics of all studies that are relayed, and divide their views."""
        ports = self._ports
        topics = {}
        for study in ports.ledger.studies():
            relayed = ports.relayed.find(study)
            if relayed is not None:
                topics[events_topic(study)] = study
                divided = self._divide(study, relayed)
                shares = [one for one in self._shares.values() if one.study == study]
                # Another worker may have divided, and a projector joined, what stood here before.
                self._close(one for one in shares if divided or one.is_nowhere)
        # Who joins without knowing the topics' partitions may lead the group, and give out none.
        topics = {name: of for name, of in topics.items() if self._is_there(name)}
        if topics != self._topics:
            self._consumer.subscribe(list(topics), listener=self._changes)
            self._topics = topics

    def _is_there(self, topic: str) -> bool:
        return topic in self._topics or bool(self._consumer.partitions_for_topic(topic))

    def _divide(self, study: str, relayed: RelayCursor) -> bool:
        """Divide views that are not, once the relay keeps up: it has all that was there when it
        was last looked at."""
        earlier = self._heads.get(study)
        self._heads[study] = self._ports.ledger.head(study)
        if earlier is None or relayed.halted is not None or relayed.position < earlier:
            return False
        self._ports.tables.begin(study)
        return divide(self._ports.tables, study, relayed.partitions)

    def _change(self) -> None:
        """Take on what the group gave, and let go of what it took."""
        gained, lost = self._changes.taken()
        for place in lost | gained:
            self._shares.pop(place, None)
        for place in gained & self._consumer.assignment():
            study = self._topics[place.topic]
            relayed = self._ports.relayed.find(study)
            if relayed is not None:
                partition = Partition(place.partition, relayed.partitions)
                ports = self._ports
                following = Following(ports.folds, ports.tables, study, ports.notice, partition)
                self._shares[place] = Share(study, place.partition, following)
        if lost or gained:
            held = Counter(share.study for share in self._shares.values())
            self._ports.activity.changed(dict(held))

    def _close(self, shares: Iterable[Share]) -> None:
        """Read no more of them before it is known from the database where they stand."""
        for share in shares:
            share.close()
            place = self._place(share)
            if place in self._consumer.assignment():
                self._consumer.pause(place)

    def _open(self, share: Share) -> None:
        """Find out where a share stands and read on from there."""
        if share.following.waits or not share.following.lanes():
            return
        offset = None if share.distrusted else share.kept_offset()
        if offset is not None:
            self._read_from(share, offset)
            return
        # The end first: what is written to the topic later was not in the ledger, or is read from
        # both, and known by its position.
        place = self._place(share)
        end = self._consumer.end_offsets([place])[place]
        share.catching_up = (self._ports.ledger.head(share.study), end)

    def _catch_up(self, share: Share) -> None:
        """Read some of the ledger, then the topic from where that leads."""
        assert share.catching_up is not None
        position, offset = share.catching_up
        if not share.following.step(position) and share.front() is not None:
            share.catching_up = None
            self._read_from(share, offset)

    def _read_from(self, share: Share, offset: int) -> None:
        place = self._place(share)
        self._consumer.seek(place, share.begin(offset))
        self._consumer.resume(place)

    def _place(self, share: Share) -> TopicPartition:
        return TopicPartition(events_topic(share.study), share.number)

    # --- taking in --------------------------------------------------------------------------------

    def _take(self, study: str, polled: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Take in what there is of a study, in all its partitions that are ours."""
        relayed = self._ports.relayed.find(study)
        portions: list[tuple[Share, Portion]] = []
        for place, share in self._shares.items():
            if share.study != study:
                continue
            try:
                portion = self._next(share, polled.get(place, ()), relayed)
            except StoreAway:
                raise
            except Exception as error:  # noqa: BLE001  a partition must not hold up the others
                self._failed(share, error)
                continue
            if portion is not None:
                portions.append((share, portion))
        if portions:
            self._write(portions)

    def _next(
        self, share: Share, records: Sequence[Any], relayed: RelayCursor | None
    ) -> Portion | None:
        if not share.is_open:
            if share.catching_up is None:
                self._open(share)
            if share.catching_up is not None:
                self._catch_up(share)
            return None
        front = share.front()
        if front is None:
            self._close([share])
            return None
        if len(share.following.lanes()) > 1:
            # Views that stand behind (a new one, one that was halted) come along by the ledger.
            share.following.step(front.position, leave=front)
        portion = share.portion(records, relayed, self._ports.restore)
        if not share.waiting and share.is_stalled(records, relayed, time.monotonic()):
            self._refuse_stalled(share)
        self._hold_back(share)
        return portion

    def _refuse_stalled(self, share: Share) -> None:
        """Stalled when the brokers have more: a new member asks for it. Gap when they have not:
        what the relay had sent is lost there, and the ledger has it."""
        place = self._place(share)
        if self._consumer.end_offsets([place])[place] > share.expected:
            raise Stalled
        raise Gap

    def _hold_back(self, share: Share) -> None:
        """Read no more of a partition while many of its messages wait for the relay's cursor."""
        place = self._place(share)
        if len(share.waiting) > WAITING_MESSAGES_MAX:
            self._consumer.pause(place)
        elif place in self._consumer.paused():
            self._consumer.resume(place)

    def _write(self, portions: Sequence[tuple[Share, Portion]]) -> None:
        """Write portions together, or each by itself when that fails."""
        try:
            take_in([portion for _, portion in portions])
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  as above
            if len(portions) == 1:
                self._failed(portions[0][0], error)
            else:
                for one in portions:
                    self._write([one])

    def _failed(self, share: Share, error: Exception) -> None:
        """Read the partition again from where the database says it stands."""
        match error:
            case Overtaken():
                pass
            case Halted():
                share.following.halt(error)
            case Gap():
                share.distrusted = True
                self._ports.notice("messages-missing", study=share.study, partition=share.number)
            case KafkaError():
                raise error
            case _:
                share.following.failed(error)
        self._close([share])
