"""The cohort under a draft: everybody folded once, one after the other, and judged twice.

One participant is in memory at a time. Who cannot be read or judged is named, and the others go on.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from domain.participant import Participant, replay
from domain.trial.protocol import Protocol
from domain.what_if import Reading, changes, facts_alone, told, under
from infra.ledger.types import StoreAway, Stored, StoreFull
from infra.projection.folds import Folds, recorded
from services import logs
from services.bootstrap import Cairn
from services.views.asked import Lagging, Query, moment_of
from services.views.past import Past, Pause, breathe
from services.what_if.asked import draft_of
from services.what_if.report import Compared, Failing


def cohort_under(
    cairn: Cairn, study: str, body: bytes, content_type: str, query: Query
) -> "Cohort":
    """The study's cohort under the draft in a body. Raises what `draft_of` raises, and NotFound."""
    draft = draft_of(body, content_type, study)
    if query.wait_for is not None and (head := cairn.reads.log.head(study)) < query.wait_for:
        raise Lagging(head)
    return Cohort(cairn, study, draft.protocol, query)


class Cohort:
    """A study's participants under today's protocol and under a draft.

    It blocks; a worker thread may iterate it. NotFound when the study was not registered by then.
    """

    def __init__(
        self, cairn: Cairn, study: str, draft: Protocol, query: Query, pause: Pause = breathe
    ) -> None:
        self._ledger = cairn.reads.log
        self._study = study
        self._query = query
        self._pause = pause
        past = Past(Folds(cairn.reads.log, cairn.reads.documents), cairn.reads.hot)
        self._past = past
        self.cut = past.cut(study, query)
        self.on = past.on(study, query, cairn.clock())
        self._trial = past.trial(study, self.cut)
        self._draft = under(self._trial, draft)
        self.draft = draft
        self.size = sum(map(len, self._names()))
        """How many participants there are in all."""
        self.looked_at = 0
        """Participants whose turn has come, of whatever site."""

    @property
    def position(self) -> int:
        """The position of the log that is compared."""
        return self.cut.position

    def percent(self) -> int:
        """How far it has come, in whole percent."""
        return min(100 * self.looked_at // max(self.size, 1), 100)

    def head(self) -> dict[str, Any]:
        """What is compared, for whoever reads the answer."""
        return {
            "study": self._study,
            "position": self.position,
            "on": self.on.text,
            "protocols": {"today": list(self._trial.protocols), "what_if": self.draft.version},
        }

    def __iter__(self) -> Generator[Compared, None, None]:
        """Each participant of the query's site, by name. StoreAway."""
        for stored in self._ledger.histories(self._study, up_to=self.position):
            self._pause()
            self.looked_at += 1
            one = self._compared(stored)
            if one is not None and self._query.site in (None, one.site):
                yield one

    def _names(self) -> Iterator[list[str]]:
        after = ""
        while page := self._ledger.participants(self._study, after):
            after = page[-1]
            yield page

    def _compared(self, stored: Sequence[Stored]) -> Compared | None:
        """None for somebody who was not there then."""
        name, site = stored[0].stream, None
        failed: Failing = "history"
        try:
            found = self._folded(stored)
            if found is None:
                return None
            site = found.site
            if self._query.site not in (None, site):
                return Compared(name, site)
            failed, facts = "today", facts_alone(found)
            now = moment_of(self.on, self._trial.zone(site))
            today = told(Reading(self._trial, facts, now))
            failed = "what-if"
            return Compared(
                name, site, tuple(changes(today, told(Reading(self._draft, facts, now))))
            )
        except (StoreAway, StoreFull):
            raise
        except Exception as error:  # noqa: BLE001  one participant must not hide all the others
            logs.defect(error)
            return Compared(name, site, failed=failed)

    def _folded(self, stored: Sequence[Stored]) -> Participant | None:
        if self.cut.partial is None:
            return replay(stored[0].stream, map(recorded, stored))
        then = self._past.participant(self._trial, stored[0].stream, self.cut)
        return None if then is None else then.participant
