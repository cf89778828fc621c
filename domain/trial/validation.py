"""What makes a protocol whole: every reference resolves, every window can be kept, every rule can
be decided. All problems are listed at once, each with its place and one of the names in `RULES`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from domain.kernel import Problem
from domain.trial import decidable
from domain.trial.decidable import Words, undecidable
from domain.trial.overlay import NAMED_BY, escaped, stands
from domain.trial.protocol import Entry, Plausible, Protocol, Visit, each_time
from domain.trial.study import zone_named

RULES: Mapping[str, str] = MappingProxyType(
    {
        **decidable.RULES,
        "another-study-than-addressed": "The document names another study than its address.",
        "another-version-than-addressed": "The document names another version than its address.",
        "cannot-repeat": "Only a follow-up visit with a day can come again and again.",
        "clock-after-itself": "A duty that follows a report starts from another clock's, which is "
        "no such duty itself; only it names one.",
        "clock-with-two-limits": "A clock has hours or days, not both.",
        "clock-without-limit": "A clock needs hours or days.",
        "dangling-assumption": "An assumption is listed for a place that does not exist.",
        "dose-amount-without-unit": "An amount of the product needs a unit.",
        "duplicate-code": "The name stands twice in the list.",
        "duplicate-unit": "The unit stands twice for the code.",
        "end-visit-not-last": "Planned visits follow the visit that ends the study.",
        "impossible-range": "The lowest plausible value lies above the highest.",
        "impossible-window": "No day can keep the visit's window and its distance to the one "
        "before it, or a window is given for a visit that is said to have none.",
        "no-dosing-visit": "Visits are planned from the dose, and no visit gives it.",
        "no-items": "A score or list of items needs its items with their weights.",
        "no-previous-visit": "A distance to the visit before needs a visit before.",
        "not-a-dosing-visit": "The dose is given at a visit of another kind.",
        "not-day-0": "The dosing visit is day 0 by definition, without a window.",
        "overlapping-windows": "The window shares a day with an earlier visit's window.",
        "quantity-without-unit": "A quantity needs its unit.",
        "several-dosing-visits": "Only one visit can be the anchor of the schedule.",
        "several-end-visits": "Only one visit can end the study.",
        "unknown-item": "The item is not one of the code's items.",
        "unknown-procedure": "There is no such procedure.",
        "unknown-source": "There is no such source.",
        "unknown-time-zone": "There is no such time zone.",
        "unknown-visit": "There is no such visit.",
        "unplanned-visit-with-day": "An unscheduled or early-termination visit has no day.",
        "visit-without-day": "A planned visit needs its day.",
        "visits-out-of-order": "Visits stand in the order of their days.",
    }
)
"""Rule -> what it asks."""

_UNPLANNED = ("early-termination", "unscheduled")


def problems_of(protocol: Protocol, spared: Words | None = None) -> list[Problem]:
    """Everything that is wrong with the protocol; `spared` names count as defined."""
    spared = spared or {}
    return [
        *_settings(protocol),
        *_dictionary(protocol),
        *_procedures(protocol, spared),
        *_dose(protocol, spared),
        *_days(protocol),
        *dict.fromkeys(_windows(protocol)),
        *_clocks(protocol),
        *_criteria(protocol, spared),
        *_assumptions(protocol, spared),
    ]


def _known(name: str, defined: Iterable[str], part: str, spared: Words) -> bool:
    if name in defined:
        return True
    others = spared.get(part, frozenset())
    return others is None or name in others


def repeated_names(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Names that stand twice in a list of the document, whatever else is wrong with its items."""
    for part, field in NAMED_BY.items():
        items = document.get(part)
        seen: set[str] = set()
        for index, item in enumerate(items if isinstance(items, list) else ()):
            name = item.get(field) if isinstance(item, Mapping) else None
            if not isinstance(name, str):
                continue
            if name in seen:
                yield Problem(f"/{part}/{index}/{field}", "duplicate-code")
            seen.add(name)


def _settings(protocol: Protocol) -> Iterator[Problem]:
    if not _is_zone(protocol.settings.sponsor_timezone):
        yield Problem("/settings/sponsor_timezone", "unknown-time-zone")


def _is_zone(name: str) -> bool:
    try:
        zone_named(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


# --- words ----------------------------------------------------------------------------------------


def _dictionary(protocol: Protocol) -> Iterator[Problem]:
    for code, entry in protocol.dictionary.items():
        for pointer, rule in _entry(entry):
            yield Problem(f"/dictionary/{escaped(code)}{pointer}", rule)


def _entry(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.kind == "quantity" and entry.unit is None:
        yield "", "quantity-without-unit"
    if entry.kind in ("items", "score") and not entry.items:
        yield "", "no-items"
    units = [entry.unit, *(unit.unit for unit in entry.units)]
    for index, unit in enumerate(units[1:]):
        if unit in units[: index + 1]:
            yield f"/units/{index}/unit", "duplicate-unit"
    if entry.plausible is not None and _upside_down(entry.plausible):
        yield "/plausible", "impossible-range"
    for name, members in entry.groups.items():
        for index, member in enumerate(members):
            if member not in entry.items:
                yield f"/groups/{escaped(name)}/{index}", "unknown-item"


def _upside_down(range_: Plausible) -> bool:
    return range_.low is not None and range_.high is not None and range_.low > range_.high


def _procedures(protocol: Protocol, spared: Words) -> Iterator[Problem]:
    for index, visit in enumerate(protocol.visits):
        counted: Counter[str] = Counter()
        for at, code in enumerate(visit.procedures):
            place = f"/visits/{index}/procedures/{at}"
            if not _known(code, protocol.procedures, "procedures", spared):
                yield Problem(place, "unknown-procedure")
            counted[code] += 1
            if counted[code] > 1:
                yield Problem(place, "duplicate-code")
    for code, procedure in protocol.procedures.items():
        for at, result in enumerate(procedure.after_results):
            if not _known(result.code, protocol.dictionary, "dictionary", spared):
                place = f"/procedures/{escaped(code)}/after_results/{at}/code"
                yield Problem(place, "unknown-observation")


# --- visits ---------------------------------------------------------------------------------------


def _dose(protocol: Protocol, spared: Words) -> Iterator[Problem]:
    dose = protocol.dose
    if dose.amount is not None and dose.unit is None:
        yield Problem("/dose/amount", "dose-amount-without-unit")
    if dose.visit is not None:
        visit = protocol.visits_by_code.get(dose.visit)
        if visit is not None and visit.kind != "dosing":
            yield Problem("/dose/visit", "not-a-dosing-visit")
        if visit is None and not _known(dose.visit, (), "visits", spared):
            yield Problem("/dose/visit", "unknown-visit")
    dosing = [index for index, visit in enumerate(protocol.visits) if visit.kind == "dosing"]
    for index in dosing[1:]:
        yield Problem(f"/visits/{index}/kind", "several-dosing-visits")
    if dosing or "visits" in spared:
        return
    for index, visit in enumerate(protocol.visits):
        if visit.day is not None and visit.anchor == "dose":
            yield Problem(f"/visits/{index}/anchor", "no-dosing-visit")


def _days(protocol: Protocol) -> Iterator[Problem]:
    ended = None
    latest: dict[str, int] = {}
    for index, visit in enumerate(protocol.visits):
        place = f"/visits/{index}"
        if (visit.day is None) != (visit.kind in _UNPLANNED):
            rule = "visit-without-day" if visit.day is None else "unplanned-visit-with-day"
            yield Problem(f"{place}/day", rule)
            continue
        if visit.day is None:
            continue
        if visit.repeat is not None:
            yield from _repeated(protocol, visit, place)
        if visit.kind == "dosing" and (visit.day, visit.before, visit.after) != (0, 0, 0):
            yield Problem(f"{place}/day", "not-day-0")
        if visit.day <= latest.get(visit.anchor, visit.day - 1):
            yield Problem(f"{place}/day", "visits-out-of-order")
        last = each_time(visit)[-1].day or visit.day
        latest[visit.anchor] = max(last, latest.get(visit.anchor, visit.day))
        if visit.kind == "end":
            if ended is not None:
                yield Problem(f"{place}/kind", "several-end-visits")
            ended = index
    planned = [index for index, visit in enumerate(protocol.visits) if visit.day is not None]
    if ended is not None and planned and planned[-1] != ended:
        yield Problem(f"/visits/{ended}/kind", "end-visit-not-last")


def _repeated(protocol: Protocol, visit: Visit, place: str) -> Iterator[Problem]:
    if visit.kind != "follow-up":
        yield Problem(f"{place}/repeat", "cannot-repeat")
    codes = Counter(one.code for other in protocol.visits for one in each_time(other))
    if any(counted > 1 and code.startswith(f"{visit.code}.") for code, counted in codes.items()):
        yield Problem(f"{place}/repeat", "duplicate-code")


def _windows(protocol: Protocol) -> Iterator[Problem]:
    planned = [
        (index, one)
        for index, visit in enumerate(protocol.visits)
        if visit.day is not None
        for one in each_time(visit)
    ]
    for index, visit in enumerate(protocol.visits):
        if visit.day is None:
            continue
        if not visit.windowed and (visit.before or visit.after):
            yield Problem(f"/visits/{index}/windowed", "impossible-window")
    if planned and planned[0][1].after_previous is not None:
        yield Problem(f"/visits/{planned[0][0]}/after_previous", "no-previous-visit")
    for (_, earlier), (index, visit) in pairwise(planned):
        if visit.after_previous is None or visit.anchor != earlier.anchor:
            continue
        if _first(earlier) + visit.after_previous > _last(visit):
            yield Problem(f"/visits/{index}/after_previous", "impossible-window")
    for anchor in ("screening", "dose"):
        windows = [(i, one) for i, one in planned if one.anchor == anchor and one.windowed]
        yield from _overlaps(windows)


def _overlaps(windows: list[tuple[int, Visit]]) -> Iterator[Problem]:
    ordered = sorted(windows, key=lambda pair: (_first(pair[1]), pair[0]))
    reached = None
    for index, visit in ordered:
        if reached is not None and _first(visit) <= reached:
            yield Problem(f"/visits/{index}", "overlapping-windows")
        reached = _last(visit) if reached is None else max(reached, _last(visit))


def _first(visit: Visit) -> int:
    assert visit.day is not None
    return visit.day - visit.before


def _last(visit: Visit) -> int:
    assert visit.day is not None
    return visit.day + visit.after


# --- duties, criteria, assumptions ----------------------------------------------------------------


def _clocks(protocol: Protocol) -> Iterator[Problem]:
    for index, clock in enumerate(protocol.clocks):
        if clock.hours is None and clock.days is None:
            yield Problem(f"/clocks/{index}", "clock-without-limit")
        if clock.hours is not None and clock.days is not None:
            yield Problem(f"/clocks/{index}", "clock-with-two-limits")
        first = {one.clock for one in protocol.clocks if one.starts != "report"}
        if clock.after not in first if clock.starts == "report" else clock.after is not None:
            yield Problem(f"/clocks/{index}/after", "clock-after-itself")
        if clock.timezone is not None and not _is_zone(clock.timezone):
            yield Problem(f"/clocks/{index}/timezone", "unknown-time-zone")


def _criteria(protocol: Protocol, spared: Words) -> Iterator[Problem]:
    for index, criterion in enumerate(protocol.criteria):
        source = criterion.source
        if source is not None and not _known(source, protocol.sources, "sources", spared):
            yield Problem(f"/criteria/{index}/source", "unknown-source")
        if criterion.rule is not None:
            place = f"/criteria/{index}/rule"
            yield from undecidable(criterion.rule, protocol, place, spared)


def _assumptions(protocol: Protocol, spared: Words) -> Iterator[Problem]:
    if spared:
        return
    document = protocol.model_dump(mode="json")
    for place in protocol.assumptions:
        if not stands(document, place):
            yield Problem(f"/assumptions/{escaped(place)}", "dangling-assumption")
