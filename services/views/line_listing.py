"""The line listing: one adverse event a line, the same columns whatever is known of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from projections.safety import RELATIONS

_FIRST = ("participant", "site", "ae", "term", "status", "onset", "end", "days_since_dose")
_WEIGHT = ("grade", "ctcae_version", "severity", "serious", "serious_reported")
_JUDGED = ("suspected", "expected", "action", "outcome", "dose_limiting")
_CODING = ("dictionary", "version", "code", "system_organ_class")
_OPINIONS = ("investigator", "sponsor")
_AND = "; "


def lines(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The adverse events of a study's list as flat lines; lists in them as text."""
    return [dict(_line(item)) for item in items]


def columns() -> list[str]:
    """The names of the columns, also of a listing without lines."""
    empty: dict[str, Any] = {"relations": {cause: {} for cause in RELATIONS}}
    return [name for name, _ in _line(empty)]


def _line(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in (*_FIRST, *_WEIGHT):
        yield name, item.get(name)
    for name in ("seriousness", "because"):
        yield name, _AND.join(item.get(name, ()))
    for opinion in _OPINIONS:
        yield f"causality.{opinion}", item.get("causality", {}).get(opinion)
    for cause in RELATIONS:
        for opinion in _OPINIONS:
            yield f"relations.{cause}.{opinion}", item["relations"][cause].get(opinion)
    for name in _JUDGED:
        yield name, item.get(name)
    coding = item.get("coding") or {}
    for name in _CODING:
        yield f"coding.{name}", coding.get(name)
    yield "clocks", _AND.join(map(_clock, item.get("clocks", ())))
    yield "contradictions", _AND.join(item.get("contradictions", ()))
    yield "evidence", " ".join(map(str, item.get("evidence", ())))
    if "uncertain" in item:
        yield "uncertain", " ".join(map(str, item["uncertain"]))


def _clock(clock: Mapping[str, Any]) -> str:
    late = f", late by {clock['late_by']}" if clock["late_by"] is not None else ""
    return f"{clock['clock']} {clock['status']}, due {clock['due_at']}{late}"
