"""The library's application recorder on a study's log: its notification ids are our positions."""

import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    ListenNotifySubscription,
    Notification,
    StoredEvent,
    Subscription,
)

from infra.ledger.ledger import Ledger
from infra.ledger.types import Append, Appended, Conflict, Draft, Duplicate, Stored

POLL_SECONDS = 1.0
PAGE_EVENTS = 500


class StreamMoved(IntegrityError):
    """A stream stands at another version; the outcome says where."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__("the stream stands at another version")
        self.conflict = conflict


class RecordedBefore(IntegrityError):
    """An event id is taken; the outcome says by which event, and whether it is the same."""

    def __init__(self, duplicate: Duplicate) -> None:
        super().__init__("the event id was recorded before")
        self.duplicate = duplicate


class LedgerRecorder(ApplicationRecorder):
    """Records in and selects from one study's log.

    `first_version` is the number that the application gives to a stream's first event.
    """

    def __init__(self, ledger: Ledger, study: str, *, first_version: int = 1) -> None:
        self._ledger = ledger
        self._study = study
        self._shift = first_version - 1

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append all events or none, and give their positions.

        `source`, `event_id` and `fingerprint` are those of the first event; `study_version` is the
        condition of the append. Raises StreamMoved, RecordedBefore, StoreAway, StoreFull.
        """
        if not stored_events:
            return []
        drafts = [self._draft(event) for event in stored_events]
        identity = {name: kwargs.get(name) for name in ("source", "event_id", "fingerprint")}
        first = stored_events[0]
        drafts[0] = self._draft(first, **identity)
        outcome = self._ledger.append_now(
            self._study, Append(tuple(drafts), kwargs.get("study_version"))
        )
        match outcome:
            case Appended():
                return [stored.position for stored in outcome.stored]
            case Conflict():
                raise StreamMoved(outcome)
            case Duplicate():
                raise RecordedBefore(outcome)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """A stream's events between two versions."""
        after = 0 if gt is None else gt - self._shift
        events = self._ledger.stream(self._study, str(originator_id), max(after, 0))
        if lte is not None:
            events = [event for event in events if event.version + self._shift <= lte]
        if desc:
            events.reverse()
        return [
            StoredEvent(event.stream, event.version + self._shift, event.topic, event.body)
            for event in events[:limit]
        ]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The log's events from a position on, of some topics or all."""
        after = (start or 0) - 1 if inclusive_of_start else (start or 0)
        found: list[Notification] = []
        while len(found) < limit:
            page = self._ledger.read(self._study, max(after, 0), PAGE_EVENTS, stop)
            found += [self._notification(one) for one in page if not topics or one.topic in topics]
            if len(page) < PAGE_EVENTS:
                break
            after = page[-1].position
        return found[:limit]

    def max_notification_id(self) -> int | None:
        """The position of the last event; None when there is none."""
        return self._ledger.head(self._study) or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """The log's events after a position, and then those that follow, as they come."""
        return _LedgerSubscription(self, gt=gt, topics=topics)

    def listen(self, wake: threading.Event) -> Any:
        """Set an event when something is appended to the study; what is returned ends it."""

        def heard(study: str) -> None:
            if study == self._study:
                wake.set()

        return self._ledger.listen(heard)

    def _draft(self, event: StoredEvent, **identity: Any) -> Draft:
        version = event.originator_version - self._shift
        return Draft(str(event.originator_id), version, event.topic, event.state, **identity)

    def _notification(self, stored: Stored) -> Notification:
        return Notification(
            originator_id=stored.stream,
            originator_version=stored.version + self._shift,
            topic=stored.topic,
            state=stored.body,
            id=stored.position,
        )


class _LedgerSubscription(ListenNotifySubscription[LedgerRecorder]):
    """Woken by the ledger; a wake-up is a hint and may be lost, so that it also looks by itself."""

    def __init__(
        self, recorder: LedgerRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._deaf = recorder.listen(self._has_been_notified)
        self._timer = threading.Thread(target=self._look, name="ledger-poll", daemon=True)
        self._over = threading.Event()
        self._timer.start()

    def stop(self) -> None:
        """End the subscription."""
        super().stop()
        self._deaf()
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._has_been_notified.set()
