"""Rules on the medical history, compiled."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Truth
from domain.clinical.terms import ENDED
from domain.eligibility.disputed import DIFFER, under_each
from domain.eligibility.facts import Days, Facts, Span, shown, surely_before
from domain.eligibility.logic import Needs, Result
from domain.eligibility.medicines import Judged, completeness, exists
from domain.eligibility.observing import Compiled, unresolved
from domain.eligibility.rules import Exempt, History
from domain.eligibility.windows import Resolved, resolver
from domain.kernel import Noted, cited

if TYPE_CHECKING:
    from domain.journey.screening import HistoryRecorded

_KEY = "histories"


class Item:
    """One item of the history, by the record of it that stands."""

    __slots__ = ("body", "ended", "evidence", "others", "started", "told")

    def __init__(
        self,
        last: "Noted[HistoryRecorded]",
        lasts: "Sequence[Noted[HistoryRecorded]]",
        records: "Sequence[Noted[HistoryRecorded]]",
        facts: Facts,
    ) -> None:
        self.body = last.body
        self.others = tuple(noted.body for noted in records if noted is not last)
        """What else was said of it, before or beside the record that stands."""
        self.evidence = cited(*lasts)
        self.told: date = last.when.civil(facts.zone)[1]
        """The last day on which the record was true."""
        started, ended = self.body.started_on, self.body.ended_on
        self.started: Days | None = (started.first, started.last) if started is not None else None
        self.ended: Days | None = (ended.first, ended.last) if ended is not None else None

    @property
    def name(self) -> str:
        """What the item is called and its record, for people."""
        return f"{self.body.term} ({self.body.item})"

    def need(self, part: str) -> str:
        """A part of the record that is asked for."""
        return f"history/{self.body.item}/{part}"

    def lasted(self, *, lasting: bool) -> tuple[Days, Days | None]:
        """When it began and ended, as far as is known; None: no end."""
        latest = self.ended[1] if self.ended is not None else max(self.told, date.min)
        start = self.started or (date.min, latest)
        if self.ended is not None:
            return start, (max(self.ended[0], start[0]), self.ended[1])
        if not lasting:
            return start, start
        if self.body.status in ENDED:
            return start, (start[0], max(self.told, start[1]))
        return start, None

    def in_words(self) -> str:
        """The item and when it was, for people."""
        start = f" from {shown(self.started)}" if self.started is not None else ""
        end = f" until {shown(self.ended)}" if self.ended is not None else ""
        status = f", {self.body.status}" if self.body.status is not None else ""
        return f"{self.name}{start}{end}{status}"


def items_of(facts: Facts) -> list[tuple[Item, ...]]:
    """Every item of the participant's history, in the order of record ids, by each record that may
    stand: usually one."""
    found = facts.kept.get(_KEY)
    if found is None:
        by_id: dict[str, list[Noted[HistoryRecorded]]] = {}
        for noted in facts.record.histories:
            by_id.setdefault(noted.body.item, []).append(noted)
        found = facts.kept[_KEY] = [_read(by_id[one], facts) for one in sorted(by_id)]
    assert isinstance(found, list)
    return found


def _read(records: "list[Noted[HistoryRecorded]]", facts: Facts) -> tuple[Item, ...]:
    """By the last record, and by those beside it of which no order is sure and which differ."""
    last = records[-1]
    if len(records) == 1:
        return (Item(last, records, records, facts),)
    lasts = [one for one in records if not surely_before(one.when, last.when, facts.zone)]
    different = [one for one in lasts if one.body != last.body]
    standing = (last, *different) if different else (last,)
    return tuple(Item(one, standing, records, facts) for one in standing)


def history(rule: History) -> Compiled:
    """The history has an item of the kind, in the window, that is not exempt."""
    resolve = resolver(rule.within) if rule.within is not None else _at_any_time
    kind = " or ".join((*rule.categories, *rule.codes)).replace("-", " ")
    nothing = f"no {'planned ' if rule.planned else ''}{kind}"

    def evaluate(facts: Facts) -> Result:
        window, record = resolve(facts), completeness(facts, rule.complete_when)
        span = window.span
        if span is None:
            known = any(is_meant(item.body, rule) for ways in items_of(facts) for item in ways)
            return unresolved(nothing, window, () if known else record.needs, record.needs)

        def says(found: Sequence[Item]) -> Result:
            judged, changed_away = [], []
            for item in found:
                if is_meant(item.body, rule):
                    judged.append(_judged(item, rule, span))
                elif any(is_meant(body, rule) for body in item.others):
                    changed_away.append(item.evidence)
            return exists(judged, record, window, nothing, changed_away)

        meant = [
            ways if any(is_meant(item.body, rule) for item in ways) else ways[:1]
            for ways in items_of(facts)
        ]
        result = under_each(meant, says)
        notes = [f"{ways[0].name}: {DIFFER}" for ways in meant if len(ways) > 1]
        return result._replace(notes=tuple(notes), near=True) if notes else result

    return evaluate


def _at_any_time(_facts: Facts) -> Resolved:
    return Resolved(Span(None, None))


def is_meant(body: "HistoryRecorded", rule: History) -> bool:
    """Whether a record says what the rule asks for."""
    if rule.categories and body.category not in rule.categories:
        return False
    if rule.codes and body.code not in rule.codes:
        return False
    if rule.statuses and body.status not in rule.statuses:
        return False
    if body.status in rule.not_statuses:
        return False
    return bool(body.planned) == rule.planned


def _judged(item: Item, rule: History, span: Span) -> Judged:
    start, end = item.lasted(lasting=rule.lasting)
    inside = TRUE if rule.planned else span.meets(start, end)
    exempt, needs = _exempt(item, rule.exempt)
    if inside == UNKNOWN:
        needs = (*needs, *_dates_needed(item))

    def words() -> str:
        if exempt == TRUE:
            return f"{item.in_words()}: exempt"
        where = {TRUE: "counts", FALSE: "does not count", UNKNOWN: "may or may not count"}
        return f"{item.in_words()}: {where[min(inside, TRUE - exempt)]} ({span})"

    return Judged(min(inside, TRUE - exempt), words, needs, item.evidence)


def _exempt(item: Item, exempt: Exempt | None) -> tuple[Truth, Needs]:
    """Whether the item is one that does not count; a treatment not told of is open."""
    if exempt is None or (exempt.codes and item.body.code not in exempt.codes):
        return FALSE, ()
    if exempt.adequately_treated is None:
        return TRUE, ()
    treated = item.body.adequately_treated
    if treated is None and exempt.unsaid_counts:
        return FALSE, ()
    if treated is None:
        return UNKNOWN, (item.need("adequately_treated"),)
    return (TRUE if treated == exempt.adequately_treated else FALSE), ()


def _dates_needed(item: Item) -> Needs:
    needs = []
    if item.started is None or item.started[0] != item.started[1]:
        needs.append(item.need("started_on"))
    if item.ended is not None and item.ended[0] != item.ended[1]:
        needs.append(item.need("ended_on"))
    return tuple(needs) or (item.need("ended_on"),)
