"""Recording the cohort: every act through the door, in the order in which it was posted.

The acts are judged as of the day they were posted on, by a clock that runs through them, so that
histories can be read as they were known then. Ids make a second start find everything there.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from domain.kernel import Actor, Refusal
from infra.ledger.types import Found
from services.bootstrap import Cairn
from services.demo.acts import SOURCE, Act, Demo
from services.demo.people import lives
from services.door import posted
from services.publishing import Publishing
from services.record import EventIdReused, Recording, Terms
from services.state import HotState, recorded

STUDY = "LK-23-01"
OPENED_DAYS_AGO = 400
SITES = {
    "01": ("Synthetic University Hospital East", "America/New_York"),
    "02": ("Synthetic Medical Center Central", "America/Chicago"),
}
SPONSOR = Actor(id="sponsor", role="sponsor")
FIRST = "site-opened:01"
"""The first act: its time tells for which day the cohort was made."""


@dataclass(slots=True)
class Added:
    """What became of the cohort."""

    recorded: int = 0
    known: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(id, rule): what a study that has its own participants may refuse."""


@dataclass(slots=True)
class Clock:
    """Time as the acts have it."""

    now: datetime

    def __call__(self) -> datetime:
        """The moment of the act at hand."""
        return self.now


def acts_of(demo: Demo) -> list[Act]:
    """Everything that happened, in the order in which it was posted."""
    told = [*_opening(demo), *(act for life in lives(demo) for act in life.acts)]
    return sorted(told, key=lambda act: act.posted_at)


def add_cohort(cairn: Cairn, acts: list[Act], advance: Callable[[int], None]) -> Added:
    """Record the acts that are not recorded yet. StoreAway, StoreFull."""
    return asyncio.run(_Recorder(cairn).all(acts, advance))


def register(cairn: Cairn) -> None:
    """Publish the protocol as of the day before the study began, where it is not there yet.

    What is recorded later is never recorded before it: published today, the cohort's history
    would be known since today alone.
    """
    if cairn.hot.trial_or_blank(STUDY).registered is not None:
        return
    clock = Clock(cairn.clock() - timedelta(days=OPENED_DAYS_AGO + 1))
    hot = HotState(cairn.ledger, cairn.documents)
    recording = Recording(cairn.ledger, cairn.keys, hot, clock)
    publishing = Publishing(recording, cairn.documents)
    asyncio.run(publishing.publish_built_in(Terms(SPONSOR, SOURCE)))


def demo_of(cairn: Cairn) -> Demo:
    """The circumstances: as of now, or of the day the cohort was first made."""
    trial = cairn.hot.trial(STUDY)
    now = cairn.clock().replace(second=0, microsecond=0)
    found = cairn.ledger.find(STUDY, SOURCE, FIRST)
    if found is not None:
        began = _at(cairn, found)
        now = began + timedelta(days=OPENED_DAYS_AGO)
    zones = {site: ZoneInfo(zone) for site, (_, zone) in SITES.items()}
    return Demo(next(iter(trial.protocols.values())), now, zones)


def _at(cairn: Cairn, found: Found) -> datetime:
    (stored,) = cairn.ledger.read(STUDY, found.position - 1, 1)
    return recorded(stored).occurred_at.earliest()


def _opening(demo: Demo) -> Iterator[Act]:
    """The study before its first participant: sites, their protocol, the consent form."""
    began = (demo.now - timedelta(days=OPENED_DAYS_AGO)).astimezone(UTC)
    version = demo.protocol.version

    def act(name: str, kind: str, minutes: int, /, **data: str | bool) -> Act:
        at = began + timedelta(minutes=minutes)
        return Act(name, None, SPONSOR, at, kind, at.isoformat().replace("+00:00", "Z"), data)

    for site, (name, zone) in SITES.items():
        later = 0 if f"site-opened:{site}" == FIRST else 1
        yield act(f"site-opened:{site}", "site-opened", later, site=site, name=name, timezone=zone)
        activated = f"protocol-activated:{site}"
        yield act(activated, "protocol-activated", 2, site=site, protocol=version)
    yield act("consent-form-approved:1.0", "consent-form-approved", 3, form_version="1.0")


class _Recorder:
    def __init__(self, cairn: Cairn) -> None:
        self._ledger = cairn.ledger
        self._clock = Clock(cairn.clock())
        # Its own view of the participants: the process that serves keeps another.
        hot = HotState(cairn.ledger, cairn.documents)
        self._recording = Recording(cairn.ledger, cairn.keys, hot, self._clock)
        self._added = Added()

    async def all(self, acts: list[Act], advance: Callable[[int], None]) -> Added:
        """One after the other; what was posted together is recorded together."""
        for _, together in groupby(acts, key=_together):
            some = list(together)
            await self._record(some)
            advance(len(some))
        return self._added

    async def _record(self, acts: list[Act]) -> None:
        first = acts[0]
        self._clock.now = first.posted_at.astimezone(UTC)
        terms = Terms(first.actor, SOURCE)
        acts = [act for act in acts if act.corrects is None or self._corrected(act) is not None]
        try:
            events = [
                posted(act.document(self._corrected(act)), participant=act.participant)
                for act in acts
            ]
            if not events:
                return
            if first.participant is None:
                answers = [await self._recording.record_study(STUDY, one, terms) for one in events]
            else:
                answer = await self._recording.record(STUDY, first.participant, events, terms)
                answers = [answer]
        except (Refusal, EventIdReused) as refusal:
            rule = refusal.rule if isinstance(refusal, Refusal) else "event-id-reused"
            self._added.refused += [(act.id, rule) for act in acts]
            return
        for place in (place for answer in answers for place in answer.places):
            self._added.known += place.replayed
            self._added.recorded += not place.replayed

    def _corrected(self, act: Act) -> int | None:
        if act.corrects is None:
            return None
        found = self._ledger.find(STUDY, SOURCE, act.corrects)
        return None if found is None else found.position


def _together(act: Act) -> tuple[datetime, str | None, str]:
    return act.posted_at, act.participant, act.actor.role
