"""Lists and figures of the past: a study folded anew from its log, one participant after the other.

What is kept meanwhile is the page, and what figures count; never the study. A list in the order of
its participants is read from the cursor on and no further than its page.
"""

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from domain.asof import TrueThen
from domain.time import When
from domain.trial.study import Trial
from projections import enrolment, safety, schedule
from services.views import figures, safety_board, work
from services.views.asked import Page, Place, Query, cursor_of
from services.views.counted import Counted
from services.views.lists import Asking, Entry, Listing
from services.views.past import Cut, Past, Pause, Slots

Found = tuple[Entry, tuple[int, ...]]
"""An entry of a list, and the positions whose dates leave it unsure that they belong there."""


class Retold:
    """Answers of the past."""

    def __init__(self, past: Past, clock: Callable[[], datetime]) -> None:
        self._past = past
        self._clock = clock

    def listed(self, study: str, listing: Listing, query: Query, pause: Pause) -> Page:
        """A page of a list."""
        place, cut, trial, on = self._begin(study, listing.place_shape, query)
        asking = Asking(query, on, trial)
        if listing.view is safety.VIEW:
            return self._safety(listing, asking, cut, place, pause)
        first = str(place[0]) if place is not None and listing.by_participant else ""
        everybody = self._past.participants(trial, cut, pause, first)
        found = _first(_entries(everybody, listing, asking, place), listing, query.limit + 1)
        return _page(listing, asking, found, cut, listing.beside(asking))

    def enrolment(self, study: str, query: Query, pause: Pause) -> Page:
        """The funnel and the accrual."""
        _, cut, trial, on = self._begin(study, (), query)
        slots: Slots = {}
        unsure = Unsure()
        rows = (
            row
            for one in unsure.noted(self._past.participants(trial, cut, pause, slots=slots))
            for row in enrolment.rows(trial, one.participant)
            if query.site in (None, row.columns["site"])
        )
        items, reached = figures.funnel(figures.funnel_of(rows), on)
        then = self._past.trial_of(trial, cut, slots, figures.latest_protocol(trial))
        extra = {"funnel": reached, "accrual": figures.accrual(then)}
        return Page(cut.position, items, None, {**extra, **unsure.shown(cut)})

    def worklist(self, study: str, query: Query, pause: Pause) -> Page:
        """What waited for somebody."""
        place, cut, trial, on = self._begin(study, work.PLACE, query)

        def waiting() -> Iterator[work.Work]:
            for one in self._past.participants(trial, cut, pause):
                if query.site in (None, one.participant.site):
                    for where, item in _waiting(trial, one, query, on):
                        if place is None or where > place:
                            yield where, {**item, **_mark(cut, one.unsure)}

        found = heapq.nsmallest(query.limit + 1, waiting(), key=lambda one: one[0])
        return _paged(cut, found, query.limit)

    def counted(self, study: str, shape: Counted, query: Query, pause: Pause) -> Page:
        """Figures over the rows of a view."""
        place, cut, trial, on = self._begin(study, shape.place, query)
        unsure = Unsure()
        parts = (
            part
            for one in unsure.noted(self._past.participants(trial, cut, pause))
            for part in shape.of_rows(shape.view.rows(trial, one.participant), query, on)
        )
        later = [line for line in shape.lines(parts, trial) if place is None or line[0] > place]
        return _paged(cut, later[: query.limit + 1], query.limit, unsure.shown(cut))

    def _begin(
        self, study: str, shape: tuple[type, ...], query: Query
    ) -> tuple[Place | None, Cut, Trial, When]:
        """Where the page begins, which part of the log counts, the study, and its "now"."""
        place, pinned = None, None
        if shape and (after := query.after((int, *shape))) is not None:
            pinned, place = int(after[0]), after[1:]
        cut = self._past.cut(study, query, pinned)
        return place, cut, self._past.trial(study, cut), self._past.on(study, query, self._clock())

    def _safety(
        self, listing: Listing, asking: Asking, cut: Cut, place: Place | None, pause: Pause
    ) -> Page:
        """Adverse events, and beside them what everybody's events add up to."""
        query, trial = asking.query, asking.trial
        beside, slots = figures.Beside(query.site), Slots()

        def everybody() -> Iterator[Found]:
            for one in self._past.participants(trial, cut, pause, slots=slots):
                rows = list(listing.view.rows(trial, one.participant))
                beside.look_at(rows)
                for entry in listing.entries(rows):
                    if _later(entry, listing, asking, place):
                        yield entry, one.unsure

        found = _first(everybody(), listing, query.limit + 1)
        protocol = figures.latest_protocol(trial)
        then = self._past.trial_of(trial, cut, slots, protocol)
        extra = figures.beside(then, asking.on, beside.owed, beside.against)
        if query.cursor is None:
            extra["figures"] = safety_board.board(
                then,
                protocol,
                asking.on,
                site=query.site,
                counts=beside.counts,
                serious=beside.first_serious(),
                clocks=extra["clocks"],
            )
        return _page(listing, asking, found, cut, extra)


class Unsure:
    """How many of those who passed by have something told of them that may lie after the moment."""

    def __init__(self) -> None:
        self._participants = 0

    def noted(self, everybody: Iterator[TrueThen]) -> Iterator[TrueThen]:
        """Everybody, counted in passing."""
        for one in everybody:
            self._participants += bool(one.unsure)
            yield one

    def shown(self, cut: Cut) -> dict[str, Any]:
        """The count, where the question was what was true."""
        return {} if cut.valid_at is None else {"uncertain": self._participants}


def _entries(
    everybody: Iterator[TrueThen], listing: Listing, asking: Asking, place: Place | None
) -> Iterator[Found]:
    for one in everybody:
        entries = listing.entries(list(listing.view.rows(asking.trial, one.participant)))
        for entry in sorted(entries, key=listing.place):
            if _later(entry, listing, asking, place):
                yield entry, one.unsure


def _later(entry: Entry, listing: Listing, asking: Asking, place: Place | None) -> bool:
    return (place is None or listing.place(entry) > place) and listing.wanted(entry, asking)


def _first(found: Iterator[Found], listing: Listing, count: int) -> list[Found]:
    if listing.by_participant:
        return list(islice(found, count))
    return heapq.nsmallest(count, found, key=lambda one: listing.place(one[0]))


def _waiting(trial: Trial, one: TrueThen, query: Query, on: When) -> Iterator[work.Work]:
    visits = schedule.rows(trial, one.participant)
    yield from work.of_visits(visits, on, work.closing_days(query))
    yield from work.of_clocks(safety.rows(trial, one.participant), on)
    yield from work.of_summaries(enrolment.rows(trial, one.participant), on)


def _mark(cut: Cut, unsure: tuple[int, ...]) -> dict[str, Any]:
    """What an item says of dates that leave it unsure."""
    return {} if cut.valid_at is None else {"uncertain": list(unsure)}


def _page(
    listing: Listing, asking: Asking, found: list[Found], cut: Cut, extra: dict[str, Any]
) -> Page:
    shown = found[: asking.query.limit]
    more = None
    if len(found) > len(shown):
        more = cursor_of((cut.position, *listing.place(shown[-1][0])))
    items = [{**listing.item(entry, asking), **_mark(cut, unsure)} for entry, unsure in shown]
    return Page(cut.position, items, more, extra)


def _paged(
    cut: Cut, found: list[work.Work], limit: int, extra: dict[str, Any] | None = None
) -> Page:
    more = cursor_of((cut.position, *found[limit - 1][0])) if len(found) > limit else None
    return Page(cut.position, [item for _, item in found[:limit]], more, extra or {})
