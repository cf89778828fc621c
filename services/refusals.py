"""Keeping refusals: what auditors may ask about decisions that were not taken."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from domain.kernel import Refusal
from infra.refusals import RefusalKept, Refusals
from services.door import Posted
from services.state import HotState
from services.terms import Terms


class RefusalBook:
    """Writes down who was refused what, and by which rule."""

    def __init__(self, refusals: Refusals, hot: HotState, clock: Callable[[], datetime]) -> None:
        self._refusals = refusals
        self._hot = hot
        self._clock = clock

    async def keep(
        self,
        study: str,
        participant: str | None,
        posted: Sequence[Posted],
        refusal: Refusal,
        terms: Terms,
    ) -> None:
        """Keep that posted events were refused; the one it is about, where that is known."""
        if refusal.index is not None:
            posted = posted[refusal.index : refusal.index + 1]
        rules: tuple[str, ...] = getattr(refusal, "rules", None) or (refusal.rule,)
        kept = [
            RefusalKept(
                study=study,
                at=self._clock(),
                actor=terms.actor.id,
                role=terms.actor.role,
                type=one.body.type,
                problem=refusal.problem,
                rules=rules,
                blocked_by=refusal.blocked_by,
                participant=participant,
                source=one.source or terms.source,
                event_id=one.id,
            )
            for one in posted
        ]
        await asyncio.to_thread(self._keep, study, participant, kept)

    def page(
        self, study: str, after: int, limit: int, site: str | None
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Refusals of a study as they are shown, and the cursor of the next page."""
        found = self._refusals.page(study, after, limit, site)
        more = found[-1].number if len(found) == limit else None
        return [_shown(one) for one in found], more

    def _keep(self, study: str, participant: str | None, kept: list[RefusalKept]) -> None:
        site = self._hot.participant(study, participant, fresh=False).site if participant else None
        self._refusals.keep([replace(one, site=site) for one in kept])


def _shown(one: RefusalKept) -> dict[str, Any]:
    return {
        "number": one.number,
        "at": one.at.isoformat().replace("+00:00", "Z"),
        "actor": {"id": one.actor, "role": one.role},
        "participant": one.participant,
        "site": one.site,
        "type": one.type,
        "problem": one.problem,
        "rule": one.rules[0],
        "rules": list(one.rules),
        "blocked_by": list(one.blocked_by),
        "source": one.source,
        "id": one.event_id,
    }
