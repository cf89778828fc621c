"""The synthetic cohort as messages, in order and shuffled; and what a study looks like when
positions are read as the events that stand there."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from domain.kernel import Conclusion
from domain.trial.protocol import Protocol
from projections.catalogue import VIEWS
from services.bootstrap import Cairn
from services.demo.acts import Act, Demo
from services.demo.cohort import SITES, acts_of
from services.publishing import built_in_protocol
from tests.domain.test_laws import state
from tests.kafka.posting import Sent

VALID_DAYS = 1_000
"""Of a screening: the cohort's lives are told long after they were lived."""


def lasting_protocol(study: str) -> Protocol:
    """LK-23-01 under another name, with screenings that stay valid."""
    found = built_in_protocol()
    settings = found.settings.model_copy(update={"screening_validity_days": VALID_DAYS})
    return found.model_copy(update={"study": study, "settings": settings})


def told(now: datetime) -> list[Act]:
    """The cohort, in the order in which it was recorded. Corrections are left out: they name a
    position, which their sender learns from an answer."""
    zones = {site: ZoneInfo(zone) for site, (_, zone) in SITES.items()}
    acts = acts_of(Demo(built_in_protocol(), now.replace(second=0, microsecond=0), zones))
    return [act for act in acts if act.corrects is None]


def message(act: Act) -> Sent:
    """What the sender of an act writes, with when its own system recorded it."""
    document = {**act.document(None), "recorded_at_source": act.posted_at.isoformat()}
    if act.participant is not None:
        document["participant"] = act.participant
    return (act.participant or "study").encode(), json.dumps(document).encode(), ()


def shuffled(messages: Sequence[Sent], window: int, choose: random.Random) -> list[Sent]:
    """Half of the messages twice, and all of them shuffled within windows."""
    twice = [one for each in messages for one in [each] * choose.choice((1, 2))]
    found: list[Sent] = []
    for start in range(0, len(twice), window):
        some = twice[start : start + window]
        choose.shuffle(some)
        found += some
    return found


# --- what a study looks like ----------------------------------------------------------------------


def picture(cairn: Cairn, study: str) -> dict[str, Any]:
    """Every participant's events, state and rows, the same in whatever order they were recorded."""
    trial = cairn.hot.trial(study)
    names = _names(cairn, study)
    found: dict[str, Any] = {"slots": sorted(trial.slots)}
    for who in cairn.ledger.participants(study):
        participant = cairn.hot.participant(study, who)
        found[f"events of {who}"] = sorted(
            f"{one.source} {one.id}"
            for one in participant.history
            if not isinstance(one.body, Conclusion)
        )
        found[f"state of {who}"] = _text(state(participant))
        for view in VIEWS:
            found[f"{view.name} of {who}"] = sorted(
                _row(view.name, row.columns | row.item, names)
                for row in view.of(trial, participant).values()
            )
    return found


def _row(view: str, row: dict[str, Any], names: Mapping[int, str]) -> str:
    if view == "enrolment":
        del row["position"]  # of whatever was recorded last
    return json.dumps(_named(row, names), sort_keys=True, default=str)


def _names(cairn: Cairn, study: str) -> dict[int, str]:
    """Position -> the event that stands there by source and id, or by what it concludes."""
    names = {}
    for stored in cairn.ledger.read(study, 0, 1_000_000):
        event = orjson.loads(stored.body)
        about = event["id"] or f"{event['type']} of {event['participant']}"
        names[stored.position] = f"{event['source']} {about}"
    return names


_PLACES = ("position", "evidence")
_WHEN_RECORDED = ("version", "recorded_at", "occurred_at", "at", "changed")
"""What the order of recording gives by its meaning."""
_TOLD = re.compile(r"position ([0-9]+)")


def _named(value: Any, names: Mapping[int, str], *, place: bool = False) -> Any:
    match value:
        case dict() | Mapping():
            return {
                name: _named(one, names, place=name in _PLACES)
                for name, one in value.items()
                if name not in _WHEN_RECORDED
            }
        case list():
            named = [_named(one, names, place=place) for one in value]
            return sorted(named) if place else named
        case int() if place:
            return names[value]
        case str():
            return _TOLD.sub(lambda found: names[int(found[1])], value)
        case _:
            return value


_SEALED = re.compile(r"Sealed\(sealed='[^']*', key='[^']*'\)")


def _text(value: Any) -> str:
    """A state as text; the same words sealed twice are other bytes each time."""
    return _SEALED.sub("Sealed", repr(value))
