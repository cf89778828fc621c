"""What was corrected: beside each event of a history, and as an audit trail."""

from collections.abc import Sequence
from typing import Any

import orjson

from domain.audit_trail import Change, changes, now_reads
from domain.participant import Participant, reading
from infra.ledger.types import Stored
from projections.view import instant_text
from services.api.replies import event_bytes


def reads_now(participant: Participant, page: Sequence[Stored]) -> list[bytes]:
    """Recorded events; those that read otherwise since say so behind their hash.

    The bytes that were hashed stand in front, as ever.
    """
    read = reading(participant.history)
    shown = []
    for stored in page:
        body, more = event_bytes(stored), now_reads(read, stored.position)
        shown.append(body if not more else b"%s,%s" % (body[:-1], orjson.dumps(more)[1:]))
    return shown


def page_of(participant: Participant, after: int, limit: int) -> tuple[list[Change], bool]:
    """Changes after a position of the log, so many, and whether there are more.

    What one event changed stays together: the next page begins after that event.
    """
    told = [one for one in changes(participant.history) if one.by.position > after]
    end = limit
    while 0 < end < len(told) and told[end].by.position == told[end - 1].by.position:
        end += 1
    return told[:end], end < len(told)


COLUMNS = (
    "position",
    "type",
    "field",
    "how",
    "was",
    "now",
    "changed_at",
    "changed_by.id",
    "changed_by.role",
    "reason",
    "change",
)
"""The columns of the audit trail as a table, in this order; what else there is follows."""


def item(one: Change) -> dict[str, Any]:
    """A change as the API shows it."""
    by = one.by
    return {
        "position": one.subject.position,
        "version": one.subject.version,
        "type": one.subject.type,
        "field": one.field,
        "how": one.how,
        "was": one.was,
        "now": one.now,
        "recorded_at": instant_text(one.subject.recorded_at),
        "recorded_by": {"id": one.subject.actor.id, "role": one.subject.actor.role},
        "changed_at": instant_text(by.recorded_at),
        "changed_by": {"id": by.actor.id, "role": by.actor.role},
        "reason": by.reason,
        "change": by.position,
    }


def row(one: Change) -> dict[str, Any]:
    """A change as a row of a table: what was said stands in one cell, whatever it is."""
    return {**item(one), "was": _cell(one.was), "now": _cell(one.now)}


def _cell(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict) else value
