"""Three-valued results with what they rest on, and how they combine (Kleene's strong logic).

A known member decides where it can: one false member makes `all` false, whatever is missing. A
result cites only the members that decided it. For the unknown it says which facts would settle it,
separately for either way, so that the list stays the shortest through every combination.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import NamedTuple

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Truth

Needs = tuple[str, ...]
"""Facts that are asked for: observation codes, statements, anchors, parts of records."""


class Applied(NamedTuple):
    """The window in which facts counted: its anchor with its day, its first and last day."""

    anchor: str
    on: date | None
    first: date | None
    last: date | None


class Result(NamedTuple):
    """What a rule says of a participant."""

    truth: Truth
    evidence: tuple[int, ...]
    """Positions of the facts that decided it, ascending."""
    words: Callable[[], str]
    """The comparison made, in words; built only when somebody reads it."""
    for_true: Needs = ()
    """The fewest further facts by which it could become true."""
    for_false: Needs = ()
    near: bool = False
    """So close to a limit, or so ambiguous, that a human looks again."""
    applicable: bool = True
    notes: tuple[str, ...] = ()
    windows: tuple[Applied, ...] = ()


SEPARATOR = "; "
"""Between the phrases of an explanation."""


def merged(evidences: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Positions of several, ascending and without repeats."""
    return tuple(sorted(set().union(*evidences)))


def joined(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """Positions of two, ascending and without repeats."""
    if not one or not other:
        return one or other
    return tuple(sorted({*one, *other}))


def every(results: Sequence[Result]) -> Result:
    """All of them: false when one is, true when each is."""
    truth = min([one.truth for one in results])
    deciding = [one for one in results if one.truth == truth]
    return _combined(
        truth,
        deciding,
        results,
        for_true=()
        if truth == TRUE
        else together([one.for_true for one in results if one.truth != TRUE]),
        for_false=() if truth == FALSE else _easiest([one.for_false for one in deciding]),
    )


def some(results: Sequence[Result]) -> Result:
    """Any of them: true when one is, false when none can be."""
    truth = max([one.truth for one in results])
    deciding = [one for one in results if one.truth == truth]
    return _combined(
        truth,
        deciding,
        results,
        for_true=() if truth == TRUE else _easiest([one.for_true for one in deciding]),
        for_false=()
        if truth == FALSE
        else together([one.for_false for one in results if one.truth != FALSE]),
    )


def enough(count: int, results: Sequence[Result]) -> Result:
    """At least so many of them; bounded by those that are known."""
    certain = sum(one.truth == TRUE for one in results)
    possible = sum(one.truth != FALSE for one in results)
    truth = TRUE if certain >= count else FALSE if possible < count else UNKNOWN
    deciding = [one for one in results if one.truth == truth]
    open_ones = [one for one in results if one.truth == UNKNOWN]
    return _combined(
        truth,
        deciding,
        results,
        for_true=_fewest(count - certain, [one.for_true for one in open_ones]),
        for_false=_fewest(possible - count + 1, [one.for_false for one in open_ones]),
    )


def opposite(result: Result) -> Result:
    """True where it is false. The words stand: they state what was compared."""
    return result._replace(
        truth=TRUE - result.truth, for_true=result.for_false, for_false=result.for_true
    )


def decided(yes: Result, no: Result) -> Result:
    """True where `yes` holds, else false where `no` does, else unknown."""
    notes = yes.notes + no.notes
    if yes.truth == TRUE:
        return yes._replace(notes=notes) if notes else yes
    if no.truth == TRUE:
        settled = (yes.for_true, no.for_true, no.near, no.applicable, notes, no.windows)
        return Result(FALSE, no.evidence, no.words, *settled)
    return Result(
        UNKNOWN,
        merged((yes.evidence, no.evidence)),
        lambda: _listed([no, yes]),
        for_true=yes.for_true,
        for_false=no.for_true,
        near=yes.near or no.near,
        applicable=yes.applicable or no.applicable,
        notes=notes,
        windows=_windows([yes, no]),
    )


def _combined(
    truth: Truth,
    deciding: Sequence[Result],
    results: Sequence[Result],
    *,
    for_true: Needs,
    for_false: Needs,
) -> Result:
    notes = _notes(results)
    # What is known as well keeps the whole from being decided: the unknown rests on all of it.
    evidence = merged([one.evidence for one in (results if truth == UNKNOWN else deciding)])
    if len(deciding) == 1:
        one = deciding[0]
        told = (evidence, one.words, for_true, for_false, one.near, one.applicable, notes)
        return Result(truth, *told, one.windows)
    return Result(
        truth,
        evidence,
        lambda: _listed(deciding),
        for_true,
        for_false,
        True in [one.near for one in deciding],
        True in [one.applicable for one in deciding],
        notes,
        _windows(deciding),
    )


def _notes(results: Sequence[Result]) -> tuple[str, ...]:
    notes = [note for one in results for note in one.notes]
    return tuple(dict.fromkeys(notes)) if notes else ()


def _windows(results: Sequence[Result]) -> tuple[Applied, ...]:
    first = results[0].windows if results else ()
    if all(one.windows is first for one in results):
        return first
    return tuple(dict.fromkeys([window for one in results for window in one.windows]))


def _listed(results: Iterable[Result]) -> str:
    """The words of each, every phrase once."""
    phrases = [phrase for one in results for phrase in one.words().split(SEPARATOR)]
    return SEPARATOR.join(dict.fromkeys(phrases))


def together(lists: Iterable[Needs]) -> Needs:
    """What any of the lists asks for, once each."""
    return tuple(dict.fromkeys([need for needs in lists for need in needs]))


def _easiest(lists: Sequence[Needs]) -> Needs:
    """The shortest of the lists that ask for something; of equally short ones the first."""
    shortest: Needs = ()
    for needs in lists:
        if needs and (not shortest or len(needs) < len(shortest)):
            shortest = needs
    return shortest


def _fewest(count: int, lists: Sequence[Needs]) -> Needs:
    return together(sorted(lists, key=len)[: max(count, 0)])
