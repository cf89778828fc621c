"""What happens in the cohort's lives, as events that somebody posts at some time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from domain.kernel import Actor
from domain.trial.protocol import Protocol
from services.roles import Role

SOURCE = "urn:cairn:demo"
SEED = 2301
SOON = timedelta(minutes=20)
"""How long after the fact it is posted, unless somebody is late."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The circumstances of the cohort."""

    protocol: Protocol
    now: datetime
    """The moment up to which it has been lived."""
    zones: Mapping[str, ZoneInfo]
    """Site -> its zone."""


@dataclass(frozen=True, slots=True)
class Act:
    """One event, who posts it, and when."""

    id: str
    participant: str | None
    actor: Actor
    posted_at: datetime
    type: str
    occurred_at: str
    data: Mapping[str, Any]
    reason: str | None = None
    corrects: str | None = None
    """The id of the event that this one corrects: its position is known once it is recorded."""

    def document(self, position: int | None) -> dict[str, Any]:
        """As a REST client posts it."""
        document: dict[str, Any] = {
            "id": self.id,
            "source": SOURCE,
            "type": self.type,
            "occurred_at": self.occurred_at,
            "data": dict(self.data) if position is None else {**self.data, "position": position},
        }
        if self.reason is not None:
            document["reason"] = self.reason
        return document


@dataclass(slots=True)
class Life:
    """One participant's acts, told day by day in the site's zone."""

    demo: Demo
    name: str
    site: str
    acts: list[Act] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        """The site's."""
        return self.demo.zones[self.site]

    @property
    def today(self) -> date:
        """The civil day of now at the site."""
        return self.demo.now.astimezone(self.zone).date()

    def day(self, before_today: int) -> date:
        """So many days ago."""
        return self.today - timedelta(days=before_today)

    def at(self, day: date, clock: str) -> datetime:
        """A time of day at the site."""
        return datetime.combine(day, time.fromisoformat(clock), self.zone)

    def chance(self, what: str) -> Random:
        """Chance that is the same at every start."""
        return Random(f"{SEED}/{self.name}/{what}")  # noqa: S311 - not for secrets

    def happened(
        self,
        role: Role,
        kind: str,
        moment: datetime | date,
        data: Mapping[str, Any] | None = None,
        *,
        late: timedelta = SOON,
        reason: str | None = None,
        corrects: str | None = None,
    ) -> str:
        """Add an act; its id. A date alone is posted in the evening of its day."""
        if isinstance(moment, datetime):
            occurred_at, known = moment.isoformat(timespec="seconds"), moment
        else:
            occurred_at, known = moment.isoformat(), self.at(moment, "18:00")
        name = f"{self.name}:{len(self.acts) + 1}"
        posted_at = min(known.astimezone(UTC) + late, self.demo.now)
        actor = Actor(id=f"{role}.site-{self.site}", role=role)
        self.acts.append(
            Act(
                id=name,
                participant=self.name,
                actor=actor,
                posted_at=posted_at,
                type=kind,
                occurred_at=occurred_at,
                data=data or {},
                reason=reason,
                corrects=corrects,
            )
        )
        return name
