"""Refusals: who was refused what, when and by which rule; never what they sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from infra.postgres.pool import Pool, borrowed
from infra.postgres.statements import load

SQL = load("refusals")


@dataclass(frozen=True, slots=True)
class RefusalKept:
    """One refused decision or impossible report, without its body."""

    study: str
    at: datetime
    actor: str
    role: str
    type: str
    """The event type that was refused."""
    problem: str
    """`refused`, `impossible` or `would-deviate`."""
    rules: tuple[str, ...]
    blocked_by: tuple[int, ...]
    participant: str | None = None
    site: str | None = None
    source: str | None = None
    event_id: str | None = None
    number: int = 0
    """Its place in the order of keeping; given by the store."""


class Refusals(Protocol):
    """Where refusals are kept."""

    def keep(self, refusals: Sequence[RefusalKept]) -> None:
        """Keep refusals, all or none; StoreAway."""

    def page(
        self, study: str, after: int, limit: int, site: str | None = None
    ) -> list[RefusalKept]:
        """At most `limit` refusals of a study (and a site) after a number; StoreAway."""


class MemoryRefusals:
    """Refusals in memory, for tests and dry runs."""

    def __init__(self) -> None:
        self._kept: list[RefusalKept] = []

    def keep(self, refusals: Sequence[RefusalKept]) -> None:
        """Keep refusals."""
        for one in refusals:
            self._kept.append(replace(one, number=len(self._kept) + 1))

    def page(
        self, study: str, after: int, limit: int, site: str | None = None
    ) -> list[RefusalKept]:
        """At most `limit` refusals of a study (and a site) after a number."""
        found = [
            one
            for one in self._kept
            if one.study == study and one.number > after and site in (None, one.site)
        ]
        return found[:limit]


class PostgresRefusals:
    """Refusals in the ledger's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def keep(self, refusals: Sequence[RefusalKept]) -> None:
        """Keep refusals. They are committed before the refusal is answered; after a crash between
        the two the sender asks again and there are two rows."""
        rows = [
            {
                "study": one.study,
                "at": one.at,
                "actor": one.actor,
                "role": one.role,
                "type": one.type,
                "problem": one.problem,
                "rules": list(one.rules),
                "blocked_by": list(one.blocked_by),
                "participant": one.participant,
                "site": one.site,
                "source": one.source,
                "event_id": one.event_id,
            }
            for one in refusals
        ]
        with borrowed(self._pool) as connection:
            for row in rows:
                # Numbers are dense and in commit order: whoever numbers holds the study.
                connection.execute(SQL["lock"], {"study": row["study"]})
                connection.execute(SQL["keep"], row)

    def page(
        self, study: str, after: int, limit: int, site: str | None = None
    ) -> list[RefusalKept]:
        """At most `limit` refusals of a study (and a site) after a number."""
        asked = {"study": study, "after": after, "limit": limit, "site": site}
        with borrowed(self._pool) as connection:
            rows = connection.execute(SQL["page"], asked).fetchall()
        return [_kept(study, row) for row in rows]


def _kept(study: str, row: tuple[Any, ...]) -> RefusalKept:
    number, at, actor, role, kind, problem, rules, blocked_by, participant, site, source, name = row
    return RefusalKept(
        study=study,
        number=number,
        at=at,
        actor=actor,
        role=role,
        type=kind,
        problem=problem,
        rules=tuple(rules),
        blocked_by=tuple(blocked_by),
        participant=participant,
        site=site,
        source=source,
        event_id=name,
    )
