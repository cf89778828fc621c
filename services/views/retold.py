"""Lists and figures of the past: a study folded anew from its log, one participant after the other.

What is kept meanwhile is the page, and what figures count; never the study. A list in the order of
its participants is read from the cursor on and no further than its page.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from domain.asof import TrueThen
from domain.kernel import Recorded
from domain.participant import replay
from domain.time import When
from domain.trial.study import Trial
from infra.ledger.types import Stored
from infra.projection.folds import recorded
from projections import enrolment, safety, schedule
from projections.view import Row
from services.views import figures, safety_board, work
from services.views.asked import Page, Place, Query, cursor_of
from services.views.counted import Counted
from services.views.lists import Asking, Entry, Listing
from services.views.past import Cut, Past, Pause, Slots, T

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
        left_out = LeftOut(query.site)

        def entries(one: TrueThen) -> list[Entry]:
            rows = list(listing.view.rows(trial, one.participant))
            return sorted(listing.entries(rows), key=listing.place)

        everybody = self._past.participants(trial, cut, pause, entries, left_out.add, first=first)
        found = _first(_entries(everybody, listing, asking, place), listing, query.limit + 1)
        return _page(listing, asking, found, cut, {**listing.beside(asking), **left_out.shown()})

    def enrolment(self, study: str, query: Query, pause: Pause) -> Page:
        """The funnel and the accrual."""
        _, cut, trial, on = self._begin(study, (), query)
        slots: Slots = {}
        unsure, left_out = Unsure(), LeftOut(query.site)

        def of(one: TrueThen) -> list[Row]:
            return list(enrolment.rows(trial, one.participant))

        everybody = self._past.participants(trial, cut, pause, of, left_out.add, slots=slots)
        rows = (
            row
            for _, told in unsure.noted(everybody)
            for row in told
            if query.site in (None, row.columns["site"])
        )
        items, reached = figures.funnel(figures.funnel_of(rows), on)
        then = self._past.trial_of(trial, cut, slots, figures.latest_protocol(trial))
        extra = {"funnel": reached, "accrual": figures.accrual(then)}
        extra |= {**unsure.shown(cut), **left_out.shown()}
        return Page(cut.position, items, None, extra)

    def worklist(self, study: str, query: Query, pause: Pause) -> Page:
        """What waited for somebody."""
        place, cut, trial, on = self._begin(study, work.PLACE, query)
        left_out = LeftOut(query.site)

        def of(one: TrueThen) -> list[work.Work]:
            here = query.site in (None, one.participant.site)
            return list(_waiting(trial, one, query, on)) if here else []

        found = heapq.nsmallest(
            query.limit + 1,
            (
                (where, {**item, **_mark(cut, one.unsure)})
                for one, tasks in self._past.participants(trial, cut, pause, of, left_out.add)
                for where, item in tasks
                if place is None or where > place
            ),
            key=lambda one: one[0],
        )
        return _paged(cut, found, query.limit, left_out.shown())

    def counted(self, study: str, shape: Counted, query: Query, pause: Pause) -> Page:
        """Figures over the rows of a view."""
        place, cut, trial, on = self._begin(study, shape.place, query)
        unsure, left_out = Unsure(), LeftOut(query.site)

        def of(one: TrueThen) -> list[Any]:
            return list(shape.of_rows(shape.view.rows(trial, one.participant), query, on))

        everybody = self._past.participants(trial, cut, pause, of, left_out.add)
        parts = (part for _, told in unsure.noted(everybody) for part in told)
        later = [line for line in shape.lines(parts, trial) if place is None or line[0] > place]
        extra = {**unsure.shown(cut), **left_out.shown()}
        return _paged(cut, later[: query.limit + 1], query.limit, extra)

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
        beside, slots, left_out = figures.Beside(query.site), Slots(), LeftOut(query.site)

        def of(one: TrueThen) -> list[Row]:
            return list(listing.view.rows(trial, one.participant))

        def everybody() -> Iterator[Found]:
            for one, rows in self._past.participants(
                trial, cut, pause, of, left_out.add, slots=slots
            ):
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
        return _page(listing, asking, found, cut, {**extra, **left_out.shown()})


class LeftOut:
    """Those whose events cannot be read or judged: named beside an answer that is without them."""

    def __init__(self, site: str | None) -> None:
        self._site = site
        self._found: list[dict[str, Any]] = []

    def add(self, stored: Sequence[Stored]) -> None:
        """Name the participant of these events, to whoever may see the site they were at.

        Where each event can be read by itself, nothing is told of them up to the last one.
        """
        readable: list[Recorded] = []
        since = stored[-1].position
        for one in stored:
            try:
                readable.append(recorded(one))
            except Exception:  # noqa: BLE001  it was said already why it cannot be read
                since = one.position
                break
        site = replay(stored[0].stream, readable).site
        if self._site in (None, site) and len(self._found) < figures.EXTRA_MAX:
            whose = {"participant": stored[0].stream, "site": site}
            self._found.append({**whose, "stale_since": since})

    def shown(self) -> dict[str, Any]:
        """Them, where there are any."""
        return {"left_out": self._found} if self._found else {}


class Unsure:
    """How many of those who passed by have something told of them that may lie after the moment."""

    def __init__(self) -> None:
        self._participants = 0

    def noted(self, everybody: Iterator[tuple[TrueThen, T]]) -> Iterator[tuple[TrueThen, T]]:
        """Everybody, counted in passing."""
        for one, told in everybody:
            self._participants += bool(one.unsure)
            yield one, told

    def shown(self, cut: Cut) -> dict[str, Any]:
        """The count, where the question was what was true."""
        return {} if cut.valid_at is None else {"uncertain": self._participants}


def _entries(
    everybody: Iterator[tuple[TrueThen, list[Entry]]],
    listing: Listing,
    asking: Asking,
    place: Place | None,
) -> Iterator[Found]:
    for one, entries in everybody:
        for entry in entries:
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
