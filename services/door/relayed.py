"""A relayed CloudEvent back as the event that the ledger has: the same bytes, by their hash."""

from typing import Any

import orjson

from domain import catalogue
from infra.ledger.markers import leaf
from infra.ledger.types import STUDY_STREAM, Stored

_TYPES = {"participant": catalogue.PARTICIPANT, "study": catalogue.STUDY}


def restored(value: bytes, study: str) -> Stored | None:
    """The stored event that `cloudevents.written` made this message of.

    None for anything of which the bytes do not come out as they were hashed.
    """
    try:
        cloud = orjson.loads(value)
        _, family, name, version = cloud["type"].split(".")
        participant = cloud["subject"][len(study) + 1 :] or None
        body = orjson.dumps(
            _envelope(cloud, study, participant, name, int(version[1:])),
            option=orjson.OPT_SORT_KEYS,
        )
        found = Stored(
            position=int(cloud["position"]),
            stream=participant or STUDY_STREAM,
            version=int(cloud["streamversion"]),
            topic=f"{family}.{name}.{version}",
            body=body,
            hash=cloud["leafhash"],
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    return found if leaf(body) == found.hash else None


def _envelope(
    cloud: dict[str, Any], study: str, participant: str | None, name: str, schema: int
) -> dict[str, Any]:
    """The envelope as the ledger keeps it, where what is not known is said to be null."""
    role, _, actor = cloud["actor"].partition(":")
    cause = cloud.get("causationid")
    family = _TYPES["study" if participant is None else "participant"]
    own = (cloud["id"], cloud["source"])
    if own == (f"{study}/{cloud['position']}", f"urn:cairn:study:{study}"):
        own = (None, cloud.get("origin"))
    envelope = {
        "actor": {"id": actor, "role": role},
        "cause": None if cause is None else int(cause),
        "data": cloud["data"],
        "id": own[0],
        "kind": family[name].kind.value,
        "occurred_at": cloud.get("time") or cloud["occurredat"],
        "participant": participant,
        "position": int(cloud["position"]),
        "previous": cloud.get("prevhash"),
        "protocol": cloud.get("protocolversion"),
        "reason": cloud.get("reason"),
        "recorded_at": cloud["recordedtime"],
        "schema": schema,
        "source": own[1],
        "type": name,
        "version": int(cloud["streamversion"]),
    }
    if "recordedatsource" in cloud:
        envelope["recorded_at_source"] = cloud["recordedatsource"]
    return envelope
