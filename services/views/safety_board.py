"""Figures for a safety board: what happened, to how many, how soon after the dose, what is owed.

They count adverse events as they stand at the cut that the reader asks for. With a site asked for
(or seen alone) the events, participants and exposure are that site's; the boundary is the study's.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from domain.time import When
from domain.trial.protocol import Protocol
from domain.trial.stopping import boundary_table, followed
from domain.trial.study import Trial, zone_named
from projections import safety
from projections.view import Row
from services.views.asked import day_of, moment_of

TERMS_MAX = 1_000
"""So many terms are listed, the most frequent first."""

SERIOUS_MAX = 1_000
PARTICIPANTS_MAX = 1_000

SINCE_DOSE_DAYS = ((None, -1), (0, 1), (2, 7), (8, 28), (29, 90), (91, None))
"""First and last civil day from the first dose; before it, and beyond the last, without limit."""

LEFT_HOURS = ((None, -1), (0, 23), (24, 71), (72, 167), (168, None))
"""First and last whole hour left of a reporting limit; below zero it has passed."""

COUNTED = (
    "term",
    "grade",
    "serious",
    "suspected",
    "causality",
    "since_dose",
    "dose_limiting",
)

Event = tuple[Any, ...]
"""Participant, and the columns of COUNTED."""


def counted(row: Row) -> Event:
    """What the figures need of an adverse event's row."""
    return (row.participant, *(row.columns[name] for name in COUNTED))


@dataclass(slots=True)
class Tally:
    """Counts of one group of events, which come participant by participant."""

    events: int = 0
    serious: int = 0
    suspected: int = 0
    dose_limiting: int = 0
    participants: int = 0
    _last: str | None = None

    def add(self, event: Event) -> None:
        """One event more."""
        who, _, _, serious, suspected, _, _, limiting = event
        self.events += 1
        self.serious += bool(serious)
        self.suspected += bool(suspected)
        self.dose_limiting += bool(limiting)
        self.participants += who != self._last
        self._last = who

    def shown(self) -> dict[str, int]:
        """The counts, with participants counted once."""
        return {
            "events": self.events,
            "participants": self.participants,
            "serious": self.serious,
            "suspected": self.suspected,
            "dose_limiting": self.dose_limiting,
        }


class Counts:
    """Figures over adverse events, counted as they pass by; all of a participant's in a row."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._all = Tally()
        self._grades: dict[Any, Tally] = {}
        self._terms: dict[Any, Tally] = {}
        self._causes: dict[Any, Tally] = {}
        self._spans = {span: Tally() for span in SINCE_DOSE_DAYS}
        self._undosed = Tally()
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """One event more."""
        _, term, grade, _, _, causality, since, _ = event
        self._all.add(event)
        self._grades.setdefault(grade, Tally()).add(event)
        self._terms.setdefault(term, Tally()).add(event)
        self._causes.setdefault(causality, Tally()).add(event)
        if since is None:
            self._undosed.add(event)
        for (first, last), tally in self._spans.items():
            if since is not None and _within(since, first, last):
                tally.add(event)

    def shown(self) -> dict[str, Any]:
        """The figures; events of those who had no dose stand at the end of the days since it."""
        spans = [
            {"from": first, "to": last, "dosed": True, **tally.shown()}
            for (first, last), tally in self._spans.items()
        ]
        undosed = {"from": None, "to": None, "dosed": False, **self._undosed.shown()}
        return {
            "adverse_events": self._all.shown(),
            "by_grade": _by("grade", self._grades, _grade_first),
            "by_term": _by("term", self._terms, _frequent_first)[:TERMS_MAX],
            "by_causality": _by("causality", self._causes, _frequent_first),
            "by_days_since_dose": [*spans, undosed],
        }


def board(
    trial: Trial,
    protocol: Protocol,
    on: When,
    *,
    site: str | None,
    counts: Counts,
    serious: Iterable[Row],
    clocks: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """All figures at a moment: events of the study or site, its serious rows, its owed clocks."""
    today = day_of(on, zone_named(protocol.settings.sponsor_timezone))
    return {
        **counts.shown(),
        "exposure": _exposure(trial, site, today),
        "serious": [_serious(row, on) for row in serious],
        "clocks_by_hours_left": _left(clocks),
        "toxicity": _toxicity(trial, protocol, site, today),
    }


def _by(
    name: str, groups: Mapping[Any, Tally], order: Callable[[tuple[Any, Tally]], tuple[Any, ...]]
) -> list[dict[str, Any]]:
    return [{name: value, **tally.shown()} for value, tally in sorted(groups.items(), key=order)]


def _grade_first(group: tuple[Any, Tally]) -> tuple[Any, ...]:
    grade, _ = group
    return (grade is None, grade or 0)


def _frequent_first(group: tuple[Any, Tally]) -> tuple[Any, ...]:
    name, tally = group
    return (-tally.events, name)


def _within(number: int, first: int | None, last: int | None) -> bool:
    return (first is None or number >= first) and (last is None or number <= last)


# --- serious events and what is owed --------------------------------------------------------------


def _serious(row: Row, on: When) -> dict[str, Any]:
    item = safety.shown(row.item, moment_of(on, zone_named(str(row.columns["zone"]))))
    names = ("ae", "term", "onset", "days_since_dose", "grade", "because", "suspected", "expected")
    ended = ("outcome", "status", "dose_limiting", "contradictions")
    running = [clock["clock"] for clock in item["clocks"] if clock["hours_left"] is not None]
    return {
        "participant": row.participant,
        "site": row.columns["site"],
        **{name: item[name] for name in (*names, *ended)},
        "owed": running,
    }


def _left(clocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    hours = [clock["hours_left"] for clock in clocks]
    return [
        {"from": first, "to": last, "clocks": sum(_within(one, first, last) for one in hours)}
        for first, last in LEFT_HOURS
    ]


# --- exposure and dose-limiting toxicity ----------------------------------------------------------


def _exposure(trial: Trial, site: str | None, today: date) -> dict[str, int]:
    """How many were enrolled and dosed, and the days since their first doses, added up."""
    slots = [one.body for one in trial.slots.values() if site in (None, one.body.site)]
    doses = [slot.dosed_on.first for slot in slots if slot.dosed_on is not None]
    return {
        "enrolled": sum(slot.enrolled for slot in slots),
        "dosed": len(doses),
        "participant_days": sum(max((today - day).days, 0) for day in doses),
    }


def _toxicity(trial: Trial, protocol: Protocol, site: str | None, today: date) -> dict[str, Any]:
    people = [
        {
            "participant": one.participant,
            "site": one.site,
            "dosed_on": one.dosed_on.isoformat(),
            "window_ends": one.window_ends.isoformat(),
            "status": one.status,
            "events": list(one.events),
        }
        for one in followed(trial, protocol, today)
        if site in (None, one.site)
    ]
    rules = [(one, "standing") for one in trial.boundaries.values()]
    rules += [(one, "lifted") for one in trial.lifted.values()]
    return {
        "statuses": dict(sorted(Counter(one["status"] for one in people).items())),
        "participants": people[:PARTICIPANTS_MAX],
        "design": protocol.toxicity.boundary.design if protocol.toxicity is not None else None,
        "boundary": [
            {"evaluable": count, "stops_at": limit}
            for count, limit in boundary_table(trial, protocol)
        ],
        "rules": [
            {
                "rule": one.body.rule,
                "status": status,
                "count": one.body.with_toxicity,
                "explanation": one.body.explanation,
                "position": one.position,
                "evidence": list(one.body.evidence),
            }
            for one, status in rules
        ],
        "holds": [
            {"scope": one.body.scope, "cause": one.body.cause, "position": one.position}
            for one in trial.holds
        ],
    }
