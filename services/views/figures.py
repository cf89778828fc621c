"""What belongs to a list beside its items: clocks, contradictions, the boundary, the funnel."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from domain.time import When
from domain.trial.protocol import Protocol
from domain.trial.stopping import tally
from domain.trial.study import Trial, zone_named
from projections import enrolment, safety
from projections.view import Row
from services.views import safety_board
from services.views.asked import day_of, moment_of

EXTRA_MAX = 1_000
"""So many clocks or contradictions are listed beside a page at most."""

OWED = ("running", "breached")

Funnel = tuple[str | None, str, str, str, date | None, int, tuple[int, ...]]
"""Site, zone, stage, the stage after it and from when; how many, how many reached what."""


def owed_clocks(rows: Iterable[Row], on: When) -> list[dict[str, Any]]:
    """Clocks of reports that are owed, the most urgent first."""
    found = heapq.nsmallest(EXTRA_MAX, _owed(rows, on), key=lambda one: one[0])
    return [clock for _, clock in found]


def _owed(rows: Iterable[Row], on: When) -> Iterator[tuple[Any, dict[str, Any]]]:
    for row in rows:
        if row.columns["owed_since"] is None:
            continue
        moment = moment_of(on, zone_named(str(row.columns["zone"])))
        for clock in safety.shown(row.item, moment)["clocks"]:
            if clock["status"] in OWED:
                due = datetime.fromisoformat(clock["due_at"])
                place = (due, row.participant, row.key, clock["clock"], clock["occasion"])
                yield place, {**_whose(row), "ae": row.item["ae"], **clock}


def contradictions(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Everything that contradicts, by participant."""
    found = (
        ((row.participant, row.key, number), {**_whose(row), **one})
        for row in rows
        for number, one in enumerate(row.item["found"])
    )
    return [one for _, one in heapq.nsmallest(EXTRA_MAX, found, key=lambda one: one[0])]


def beside(trial: Trial, on: When, owed: Iterable[Row], against: Iterable[Row]) -> dict[str, Any]:
    """What belongs beside a list of adverse events: clocks owed, the boundary, contradictions."""
    return {
        "clocks": owed_clocks(owed, on),
        "toxicity": toxicity(trial, on),
        "contradictions": contradictions(against),
    }


class Beside:
    """Rows that belong beside a list of adverse events, gathered while everybody passes by."""

    def __init__(self, site: str | None) -> None:
        self._site = site
        self.owed: list[Row] = []
        self.against: list[Row] = []
        self.serious: list[Row] = []
        self.counts = safety_board.Counts()

    def look_at(self, rows: Iterable[Row]) -> None:
        """Keep what belongs there, within bounds."""
        for row in rows:
            if self._site not in (None, row.columns["site"]):
                continue
            if row.columns["owed_since"] is not None:
                self.owed.append(row)
            if row.columns["contradicted"] and len(self.against) < EXTRA_MAX:
                self.against.append(row)
            if row.columns["serious"]:
                self.serious.append(row)
            if row.columns["kind"] == safety.EVENT:
                self.counts.add(safety_board.counted(row))
        if len(self.serious) > 2 * safety_board.SERIOUS_MAX:
            self.serious = self.first_serious()
        if len(self.owed) > 2 * EXTRA_MAX:
            self.owed = heapq.nsmallest(
                EXTRA_MAX, self.owed, key=lambda row: str(row.columns["owed_since"])
            )

    def first_serious(self) -> list[Row]:
        """The serious events that are listed, by onset."""
        return heapq.nsmallest(
            safety_board.SERIOUS_MAX,
            self.serious,
            key=lambda row: (str(row.columns["onset"]), row.participant, row.key),
        )


def toxicity(trial: Trial, on: When) -> dict[str, Any]:
    """How the study stands against its stopping boundary."""
    protocol = latest_protocol(trial)
    today = day_of(on, zone_named(protocol.settings.sponsor_timezone))
    found = tally(trial, protocol, today)
    return {
        "dosed": found.dosed,
        "evaluable": found.evaluable,
        "pending": found.pending,
        "with_dlt": found.with_dlt,
        "boundary": found.boundary,
        "crossed": found.crossed,
    }


def latest_protocol(trial: Trial) -> Protocol:
    """The version that was activated last anywhere, else the one that registered the study.

    As of the event that registers it there is none yet, and so no rule.
    """
    if trial.activated:
        return trial.protocols[trial.activated[-1].body.protocol]
    none = Protocol(study=trial.study, version="none", title="No protocol is published.")
    return next(iter(trial.protocols.values()), none)


def funnel_of(rows: Iterable[Row]) -> Iterator[Funnel]:
    """The participants' rows as parts of the funnel, one each."""
    for row in rows:
        columns: Any = row.columns
        reached = tuple(int(columns[name]) for name in enrolment.MILESTONES)
        place = (columns["site"], columns["zone"], columns["stage"], columns["stage_then"])
        yield (*place, columns["stage_until"], 1, reached)


def funnel(parts: Iterable[Funnel], on: When) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """How many participants are in each stage at each site, and how many ever reached what."""
    stages: dict[tuple[str, str], int] = {}
    total = [0] * (1 + len(enrolment.MILESTONES))
    for site, zone, stage, then, until, count, reached in parts:
        ended = until is not None and day_of(on, zone_named(zone)) >= until
        place = (site or "", then if ended else stage)
        stages[place] = stages.get(place, 0) + count
        total = [sum(pair) for pair in zip(total, (count, *reached), strict=True)]
    items = [
        {"site": site or None, "stage": stage, "participants": count}
        for (site, stage), count in sorted(stages.items())
    ]
    return items, dict(zip(("referred", *enrolment.MILESTONES), total, strict=True))


def accrual(trial: Trial) -> dict[str, Any]:
    """How many of the study's slots are taken."""
    return {"cap": latest_protocol(trial).accrual, "taken": len(trial.slots)}


def _whose(row: Row) -> dict[str, Any]:
    return {"participant": row.participant, "site": row.columns["site"]}
