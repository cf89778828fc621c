"""Rows that were imported before: still the same, changed in the data set, or changed here.

A row whose content changed is a correction of the event that it became, with the reason `import`.
Where somebody corrected or took back that event here meanwhile, two sources disagree: a person has
to decide, and the row is rejected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.journey.oversight import Corrected
from domain.kernel import Clear, Event, Recorded, Sealed, WrittenByCairn
from domain.participant import Participant, Reading, reading
from domain.time import When
from infra.vault.keyring import KeyRing
from services.door import Posted

REASON = "import"
CORRECTED_SINCE = "corrected-since"
RETRACTED_SINCE = "retracted-since"
TYPE_CHANGED = "type-changed"


@dataclass(frozen=True, slots=True)
class Known:
    """The log says what the row says, or what it said when it was imported last."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The row says something else now."""

    correction: dict[str, Any]
    """As a REST client would post it."""
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disputed:
    """The row changed, and so did the event here, or it cannot be corrected into what it says."""

    rule: str


class Revising:
    """Compares one participant's rows with what was imported of them before."""

    def __init__(self, keys: KeyRing, study: str, source: str, participant: Participant) -> None:
        self._keys = keys
        self._study = study
        self._source = source
        self._name = participant.id
        self._read: Reading = reading(participant.history)
        self._events: dict[str, Recorded] = {}
        self._corrections: dict[int, list[Recorded]] = {}
        for one in participant.history:
            if one.source != source or one.id is None:
                continue
            if isinstance(one.body, Corrected):
                self._corrections.setdefault(one.body.position, []).append(one)
            else:
                self._events[one.id] = one

    def looked_up(self, posted: Posted, document: Mapping[str, Any]) -> Known | Changed | Disputed:
        """What became of a row's event since; it must be one that was imported before."""
        assert posted.id is not None
        first = self._events[posted.id]
        if first.type != posted.body.type:
            return Disputed(TYPE_CHANGED)
        mine = self._corrections.get(first.position, [])
        now = self._read.events[first.position]
        taken_back = first.position in self._read.retracted
        if not taken_back and not self._differences(posted, now):
            return Known()
        last = _as_imported(self._read, first, mine)
        if not self._differences(posted, last):
            return Known()
        if taken_back:
            return Disputed(RETRACTED_SINCE)
        if now.corrected_by is not None and now.corrected_by not in {one.position for one in mine}:
            return Disputed(CORRECTED_SINCE)
        data: dict[str, Any] = {"position": first.position, "data": document["data"]}
        if posted.occurred_at.text != now.occurred_at.text:
            data["occurred_at"] = posted.occurred_at.text
        return Changed(
            {
                "id": f"{posted.id}/correction-{len(mine) + 1}",
                "source": self._source,
                "type": "corrected",
                "reason": REASON,
                "data": data,
            },
            self._differences(posted, now),
        )

    def imported(self, name: str | None) -> bool:
        """Whether an event of the id was imported before."""
        return name in self._events

    def gone(self, names: Sequence[str | None], domains: Sequence[str]) -> list[str]:
        """Events of the domains that were imported before, stand, and have no row any more."""
        kept = set(names)
        return [
            name
            for name, one in self._events.items()
            if name not in kept
            and name.partition(":")[0] in domains
            and one.position not in self._read.retracted
        ]

    def _differences(self, posted: Posted, recorded: Recorded) -> tuple[str, ...]:
        """Names of what the row says otherwise than the event."""
        found = ["occurred_at"] if posted.occurred_at.text != recorded.occurred_at.text else []
        for name, value in posted.body:
            if name != "type" and not self._same(posted.body, name, value, recorded.body):
                found.append(name)
        return tuple(found)

    def _same(self, body: Event, name: str, value: object, recorded: Event) -> bool:
        if WrittenByCairn in type(body).model_fields[name].metadata:
            return True
        known = getattr(recorded, name)
        if isinstance(value, Clear) and isinstance(known, Sealed):
            clear = self._keys.unseal(self._study, self._name, f"{body.type}.{name}", known)
            # After an erasure nobody can tell, and nothing is to be said anew.
            return clear is None or clear == _plain(value.value)
        return bool(value == known)


def _as_imported(read: Reading, first: Recorded, mine: Sequence[Recorded]) -> Recorded:
    """The event as the import told it last, whatever was said about it here."""
    standing = [one for one in mine if one.position not in read.retracted]
    return reading((first, *standing)).events[first.position]


def _plain(value: object) -> object:
    return value.text if isinstance(value, When) else value
