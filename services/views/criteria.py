"""Figures over the criteria of a study: which one fails most, and which one is still open."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from domain.eligibility.english import english
from domain.time import When
from domain.trial.protocol import Criterion, Protocol
from domain.trial.study import Trial
from infra.projection.tables import Reading
from projections.view import Row
from services.views import figures
from services.views.asked import Place, Query

PLACE = (int, int, int, str)
"""The shape of a line's place: what fails most first, then what is most unknown, then in order."""

PARTICIPANTS_MAX = 10**9

Said = tuple[str, str, bool, int]
"""Criterion, outcome, whether it was close to a limit; of how many participants."""

_OUTCOMES = ("failed", "unknown", "passed")
_NOBODY = dict.fromkeys((*_OUTCOMES, "near_threshold"), 0)


def parts_of(rows: Iterable[Row], query: Query, _on: When) -> Iterator[Said]:
    """The rows of eligibility as parts of the figures, one each."""
    for row in rows:
        criterion, outcome = row.columns["criterion"], row.columns["outcome"]
        if criterion is not None and query.site in (None, row.columns["site"]):
            yield str(criterion), str(outcome), bool(row.columns["near"]), 1


def parts_read(reading: Reading, query: Query, _on: When) -> list[Said]:
    """The same, counted by the store."""
    found: list[Any] = reading.tuples("eligibility", "criteria", site=query.site)
    return found


def lines(parts: Iterable[Said], trial: Trial) -> list[tuple[Place, dict[str, Any]]]:
    """A line for each criterion, that which fails most often first.

    Everybody counts who was referred, also after a failed screening. The wording and the rule are
    those of the version activated last, else of the last that has the criterion.
    """
    said: dict[str, dict[str, int]] = {}
    for criterion, outcome, near, count in parts:
        line = said.setdefault(criterion, dict(_NOBODY))
        line[outcome] += count
        line["near_threshold"] += count if near else 0
    known = _criteria(trial, said.keys())
    counted = {name: said.get(name, _NOBODY) for name in known}
    order = {name: number for number, name in enumerate(known)}
    return sorted(
        (
            (
                PARTICIPANTS_MAX - line["failed"],
                PARTICIPANTS_MAX - line["unknown"],
                order[name],
                name,
            ),
            {**_told(*known[name]), **line},
        )
        for name, line in counted.items()
    )


def _criteria(trial: Trial, counted: AbstractSet[str]) -> dict[str, tuple[Protocol, Criterion]]:
    """The criteria in force, in order, then those that only other versions have."""
    latest = figures.latest_protocol(trial)
    found = {one.id: (latest, one) for one in latest.criteria}
    for protocol in reversed(list(trial.protocols.values())):
        for criterion in protocol.criteria:
            if criterion.id in counted:
                found.setdefault(criterion.id, (protocol, criterion))
    return found


def _told(protocol: Protocol, criterion: Criterion) -> Mapping[str, Any]:
    rule = criterion.rule
    return {
        "criterion": criterion.id,
        "kind": criterion.kind,
        "text": criterion.text,
        "rule": None if rule is None else english(rule, protocol),
    }
