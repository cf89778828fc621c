"""Digests of generations: equal ones have equal rows, so that what was kept live can be proven to
be what the log gives.

A participant's digest is the SHA-256 over the canonical JSON of all their rows in the order of
keys, each an array of key, columns and item. A generation's is the SHA-256 over its participants in
the order of names (code points): of each the name, a zero byte and their digest. So a participant's
rows are read again only when an event may have changed them.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import Any, LiteralString

import orjson
from psycopg import Connection, sql

from infra.ledger.types import STUDY_STREAM
from infra.postgres.pool import borrowed
from infra.projection.folds import recorded
from infra.projection.sharing import Place, Range, Sharing
from infra.projection.tables import SQL, ViewTables, statements

FETCH_PARTICIPANTS = 50
READ_EVENTS = 1_000

ByParticipant = Mapping[str, tuple[bytes | None, ...]]
"""The digest of each participant in each of some generations; None: no rows."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What the generations of a view were, in one snapshot."""

    position: int
    """No event up to here changes them any more."""
    found: ByParticipant


@dataclass(frozen=True, slots=True)
class Noting:
    """Tells what the rows of a range are, in generations of a view."""

    view: str
    generations: tuple[int, ...]

    def on(self, place: Place, one: Range) -> Noted:
        """Read them in one snapshot with where the generations stand. Raises StoreAway."""
        with borrowed(place.tables.pool) as connection:
            connection.execute(SQL["snapshot"])
            values = {
                "study": place.study,
                "view": self.view,
                "version": place.tables.views[self.view].version,
                "generations": list(self.generations),
            }
            row = connection.execute(SQL["stand"], values).fetchone()
            assert row is not None
            reader = DigestReader(connection, place.tables, place.study, self)
            return Noted(row[0], reader.within(one))


class DigestReader:
    """Reads digests within a transaction of the caller's."""

    def __init__(
        self,
        connection: Connection[tuple[Any, ...]],
        tables: ViewTables,
        study: str,
        noting: Noting,
    ) -> None:
        self._connection = connection
        self._study = study
        self._generations = noting.generations
        view = tables.views[noting.view]
        self._columns = sql.SQL(", ").join(map(sql.Identifier, ("key", *view.columns, "item")))
        self._all = sql.SQL(statements(view)["all"])

    def within(self, one: Range) -> ByParticipant:
        """Of the participants of a range."""
        if one.before is None:
            return self._read("participant >= %(first)s", first=one.first)
        between = "participant >= %(first)s AND participant < %(before)s"
        return self._read(between, first=one.first, before=one.before)

    def of(self, names: Sequence[str]) -> ByParticipant:
        """Of some participants; those without rows are among them."""
        found = self._read("participant = ANY (%(names)s)", names=list(names))
        return {name: found.get(name, (None,) * len(self._generations)) for name in names}

    def _read(self, condition: LiteralString, **values: Any) -> dict[str, tuple[bytes | None, ...]]:
        rows = sql.SQL(
            "SELECT participant, string_agg(json_build_array({})::text, ',' ORDER BY key)"
            " FROM ({}) AS rows WHERE {} GROUP BY participant ORDER BY participant"
        ).format(self._columns, self._all, sql.SQL(condition))
        merged = heapq.merge(
            *(
                self._of_generation(rows, number, {**values, "generation": generation})
                for number, generation in enumerate(self._generations)
            ),
            key=itemgetter(0),
        )
        return {
            name: _alike({number: text for _, number, text in texts}, len(self._generations))
            for name, texts in groupby(merged, key=itemgetter(0))
        }

    def _of_generation(
        self, rows: sql.Composed, number: int, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, int, str]]:
        """Name, number of the generation and rows of each participant, by name."""
        with self._connection.cursor(f"digest_{number}") as cursor:
            cursor.itersize = FETCH_PARTICIPANTS
            cursor.execute(rows, {"study": self._study, **values})
            for name, text in cursor:
                yield name, number, text


def _alike(texts: Mapping[int, str], count: int) -> tuple[bytes | None, ...]:
    """Each generation's digest of one participant. Most have the same rows to the byte: then they
    are read only once."""
    known: dict[str, bytes] = {}
    for text in texts.values():
        if text not in known:
            known[text] = _digest(text)
    return tuple(known[texts[number]] if number in texts else None for number in range(count))


def _digest(rows: str) -> bytes:
    """However it is written: as canonical JSON it is one text."""
    content = orjson.dumps(orjson.loads(f"[{rows}]"), option=orjson.OPT_SORT_KEYS)
    return sha256(content).digest()


def noted(shared: Sharing, noting: Noting) -> Noted:
    """What the generations are, range by range: as of a position that none of them was before."""
    found: dict[str, tuple[bytes | None, ...]] = {}
    positions = []
    with closing(shared.widely(noting)) as parts:
        for part in parts:
            positions.append(part.position)
            found |= part.found
    return Noted(min(positions), found)


def brought_up(
    known: Noted,
    position: int,
    place: Place,
    noting: Noting,
    connection: Connection[tuple[Any, ...]],
) -> ByParticipant:
    """What the generations are at a later position, in a transaction in which they stand there.

    Rows change only where a projector takes in an event of the participant, or one of the study's
    that may reach anybody. So the others' are what they were.
    """
    reader = DigestReader(connection, place.tables, place.study, noting)
    touched = _touched(place, noting.view, known.position, position)
    return reader.within(Range()) if touched is None else {**known.found, **reader.of(touched)}


def _touched(place: Place, view: str, after: int, to: int) -> list[str] | None:
    """Participants with events between two positions; None: an event may have reached anybody."""
    names: set[str] = set()
    while events := place.folds.ledger.read(place.study, after, READ_EVENTS, to):
        for one in events:
            if one.stream != STUDY_STREAM:
                names.add(one.stream)
            elif place.tables.views[view].rests_on(recorded(one).body):
                return None
        after = events[-1].position
    return sorted(names)


def digest(place: Place, view: str, generation: int) -> str:
    """The digest (hex) of one generation."""
    return combined(Noting(view, (generation,)).on(place, Range()).found, 0)


def combined(found: ByParticipant, number: int) -> str:
    """The digest (hex) of one of the generations."""
    total = sha256()
    for name in sorted(found):
        one = found[name][number]
        if one is not None:
            total.update(name.encode() + b"\0" + one)
    return total.hexdigest()
