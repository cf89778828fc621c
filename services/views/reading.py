"""Reading views: one participant from its history, a study from the tables, the past from the log.

A participant's own view is computed from its history, which is short, and so is never behind what
was just recorded. Lists come from the tables that the projector keeps, and name the position that
they reflect. The past, of one or of all, is folded anew with the same functions.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from domain.time import When
from domain.trial.study import Trial
from infra.documents import Documents
from infra.ledger.ledger import Log
from infra.projection.folds import Folds
from infra.projection.tables import Reading, ViewTables
from projections import safety
from services.state import HotState, NotFound
from services.views import figures, safety_board, work
from services.views.asked import Lagging, Page, Place, Query, cursor_of
from services.views.counted import COUNTED, Counted
from services.views.lists import LISTS, Asking, Entry, Listing
from services.views.participants import SHAPES, answer, stale
from services.views.past import Past, Pause, breathe
from services.views.retold import Retold

WAIT_SECONDS = 5.0
WAIT_POLL_SECONDS = 0.02
FETCH_ROWS = 500

PARTICIPANT_VIEWS = tuple(SHAPES)
STUDY_VIEWS = (*LISTS, *COUNTED, "enrolment", "worklist")


class Views:
    """Answers from the views of every study. All of it blocks; a worker thread may call it."""

    def __init__(
        self,
        ledger: Log,
        documents: Documents,
        hot: HotState,
        tables: ViewTables,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._hot = hot
        self._tables = tables
        self._clock = clock
        self._folds = Folds(ledger, documents)
        self._past = Past(self._folds, hot)
        self._retold = Retold(self._past, clock)

    def participant(self, study: str, name: str, view: str, query: Query) -> dict[str, Any]:
        """One participant's view: `summary`, `eligibility`, `schedule` or `safety`.

        Raises NotFound (also when there was nobody then), Lagging, StoreAway.
        """
        self.recorded(study, query)
        self._hot.trial(study, fresh=False)
        on = self._past.on(study, query, self._clock())
        if query.past:
            cut = self._past.cut(study, query)
            trial = self._past.trial(study, cut)
            found = self._past.participant(trial, name, cut)
            if found is None:
                raise NotFound("participant")
            told = {**answer(view, trial, found.participant, on), "position": cut.position}
            return told if query.valid_at is None else {**told, "uncertain": list(found.unsure)}
        trial, present, position = self._past.present(study, name)
        _reached(position, query)
        try:
            return {**answer(view, trial, present, on), "position": position}
        except Exception:
            kept = self._kept(study, name, view, on)
            if kept is None:
                raise
            return kept

    def study(self, study: str, view: str, query: Query, pause: Pause = breathe) -> Page:
        """A part of one of the study's lists (STUDY_VIEWS).

        `pause` is called now and then while the past is folded; what it raises ends the work.
        Raises NotFound, Invalid for a cursor that is none of the list's, Lagging, StoreAway.
        """
        self.recorded(study, query)
        self._hot.trial(study, fresh=False)
        if query.past:
            return self._of_the_past(study, view, query, pause)
        match view:
            case "enrolment":
                return self._enrolment(study, query)
            case "worklist":
                return self._worklist(study, query)
            case "workload" | "adherence" | "criteria":
                return self._counted(study, COUNTED[view], query)
            case _:
                return self._list(study, LISTS[view], query)

    def _of_the_past(self, study: str, view: str, query: Query, pause: Pause) -> Page:
        match view:
            case "enrolment":
                return self._retold.enrolment(study, query, pause)
            case "worklist":
                return self._retold.worklist(study, query, pause)
            case "workload" | "adherence" | "criteria":
                return self._retold.counted(study, COUNTED[view], query, pause)
            case _:
                return self._retold.listed(study, LISTS[view], query, pause)

    # --- lists ------------------------------------------------------------------------------------

    def _list(self, study: str, listing: Listing, query: Query) -> Page:
        after = query.after(listing.place_shape)
        on = self._past.on(study, query, self._clock())
        name = listing.view.name
        with self._reading(study, [name], query) as reading:
            trial = self._trial_at(study, reading.position)
            asking = Asking(query, on, trial)
            found = _wanted(reading, listing, asking, after, query.limit + 1)
            stale = reading.stale(name, {entry[0].participant for entry in found})
            extra = listing.beside(asking)
            if listing.view is safety.VIEW:
                asked = {"site": query.site, "limit": figures.EXTRA_MAX}
                owed: list[Any] = list(reading.rows("safety", "owed", **asked))
                against: list[Any] = list(reading.rows("safety", "contradicted", **asked))
                extra = figures.beside(trial, on, owed, against)
                if query.cursor is None:
                    extra["figures"] = _board(asking, reading, extra["clocks"])
            return _page(listing, asking, found, reading.position, stale, extra)

    # --- figures ----------------------------------------------------------------------------------

    def _enrolment(self, study: str, query: Query) -> Page:
        on = self._past.on(study, query, self._clock())
        with self._reading(study, ["enrolment"], query) as reading:
            position = reading.position
            parts = reading.tuples("enrolment", "funnel", site=query.site)
        trial = self._trial_at(study, position)
        items, reached = figures.funnel(((*part[:6], part[6:]) for part in parts), on)
        extra = {"funnel": reached, "accrual": figures.accrual(trial)}
        return Page(position, items, None, extra)

    def _worklist(self, study: str, query: Query) -> Page:
        after = query.after(work.PLACE)
        on = self._past.on(study, query, self._clock())
        with self._reading(study, work.VIEWS, query) as reading:
            position = reading.position
            found = _first(work.found(reading, query, on), after, query.limit + 1)
        return _paged(position, found, query.limit)

    def _counted(self, study: str, shape: Counted, query: Query) -> Page:
        """Figures over the rows of a view."""
        on = self._past.on(study, query, self._clock())
        after = query.after(shape.place)
        with self._reading(study, [shape.view.name], query) as reading:
            position = reading.position
            parts = shape.read(reading, query, on)
        lines = shape.lines(parts, self._trial_at(study, position))
        return _paged(position, _first(lines, after, query.limit + 1), query.limit)

    def _kept(self, study: str, name: str, view: str, on: When) -> dict[str, Any] | None:
        """What the table still has of a participant whose events cannot be projected."""
        of_view = SHAPES[view][0].name
        with self._tables.reading(study, [of_view]) as reading:
            rows: list[Any] = list(reading.rows(of_view, "of_participant", participant=name))
            since = reading.stale(of_view, [name]).get(name)
            trial = self._trial_at(study, reading.position)
        if not rows:
            return None
        return {**stale(view, trial, name, rows, since, on), "position": reading.position}

    # --- positions --------------------------------------------------------------------------------

    def recorded(self, study: str, query: Query) -> None:
        """Wait until the log has the position that the reader waits for. Raises Lagging."""
        if query.wait_for is None:
            return
        deadline = time.monotonic() + WAIT_SECONDS
        while (head := self._ledger.head(study)) < query.wait_for:
            if time.monotonic() >= deadline:
                raise Lagging(head)
            time.sleep(WAIT_POLL_SECONDS)

    @contextmanager
    def _reading(self, study: str, names: Sequence[str], query: Query) -> Iterator[Reading]:
        """The tables, once they reflect the position that the reader waits for. Raises Lagging."""
        if query.wait_for is not None and not self._tables.wait(
            study, names, query.wait_for, WAIT_SECONDS
        ):
            active = self._tables.active(study)
            raise Lagging(min(active[name].position if name in active else 0 for name in names))
        with self._tables.reading(study, names) as reading:
            _reached(reading.position, query)
            yield reading

    def _trial_at(self, study: str, position: int) -> Trial:
        """The study as the tables reflect it."""
        trial = self._hot.trial(study, fresh=False)
        if trial.position > position:
            folded = self._folds.trial(study, position)
            return folded if folded.registered is not None else trial
        return self._hot.trial(study) if trial.position < position else trial


def _reached(position: int, query: Query) -> None:
    """Raise Lagging where the next connection led to a copy that has not come as far."""
    if query.wait_for is not None and position < query.wait_for:
        raise Lagging(position)


def _wanted(
    reading: Reading, listing: Listing, asking: Asking, after: Place | None, count: int
) -> list[Entry]:
    """So many entries after a place; rows that are not wanted are passed over."""
    found: list[Entry] = []
    part = count
    while len(found) < count:
        rows = listing.fetch(reading, asking, after, part)
        entries = list(listing.entries(rows))
        found.extend(entry for entry in entries if listing.wanted(entry, asking))
        if len(entries) < part:
            break
        after, part = listing.place(entries[-1]), FETCH_ROWS
    return found[:count]


def _page(
    listing: Listing,
    asking: Asking,
    found: Sequence[Entry],
    position: int,
    stale: dict[str, int],
    extra: dict[str, Any],
) -> Page:
    shown = found[: asking.query.limit]
    more = cursor_of(listing.place(shown[-1])) if len(found) > len(shown) else None
    items = []
    for entry in shown:
        item = listing.item(entry, asking)
        since = stale.get(entry[0].participant)
        items.append(item if since is None else {**item, "stale_since": since})
    return Page(position, items, more, extra)


def _board(asking: Asking, reading: Reading, clocks: list[dict[str, Any]]) -> dict[str, Any]:
    site, limit = asking.query.site, safety_board.SERIOUS_MAX
    serious: list[Any] = list(reading.rows("safety", "serious", site=site, limit=limit))
    return safety_board.board(
        asking.trial,
        figures.latest_protocol(asking.trial),
        asking.on,
        site=site,
        counts=safety_board.Counts(reading.tuples("safety", "figures", site=site)),
        serious=serious,
        clocks=clocks,
    )


def _paged(position: int, found: Sequence[work.Work], limit: int) -> Page:
    """The items of one page, of which there may be one more than it takes."""
    more = cursor_of(found[limit - 1][0]) if len(found) > limit else None
    return Page(position, [item for _, item in found[:limit]], more)


def _first(waiting: Iterable[work.Work], after: Place | None, count: int) -> list[work.Work]:
    later = (one for one in waiting if after is None or one[0] > after)
    return heapq.nsmallest(count, later, key=lambda one: one[0])
