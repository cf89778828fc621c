"""One participant: what would be recorded if events were posted now, and what would then differ.

The events go through the door, the judgement and the ledger of a rehearsal: on top of what is
recorded, and gone afterwards. With a draft they are judged by the draft.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from domain.kernel import Refusal
from domain.participant import Participant
from domain.trial.study import Trial
from domain.what_if import Reading, changes, facts_alone, told, under
from infra.projection.folds import Folds
from services.bootstrap import Cairn
from services.errors import problem_of
from services.rehearsal import rehearsal
from services.state import NotFound
from services.terms import Answer, Terms
from services.views.asked import Query, moment_of
from services.views.past import Past
from services.what_if.asked import Supposed
from services.what_if.report import Compared, Report

Document = dict[str, Any]


async def single(
    cairn: Cairn, study: str, name: str, supposing: Supposed, terms: Terms, query: Query
) -> Document:
    """The answer of `/participants/{participant}/what-if`.

    A refusal of the events is an answer. Raises NotFound, Invalid, and what recording raises about
    ids and versions.
    """
    if supposing.posted:
        return await _with_events(cairn, study, name, supposing, terms, query)
    return await asyncio.to_thread(_under_draft, cairn, study, name, supposing, query)


def _under_draft(
    cairn: Cairn, study: str, name: str, supposing: Supposed, query: Query
) -> Document:
    assert supposing.draft is not None
    reads = cairn.reads
    past = Past(Folds(reads.log, reads.documents), reads.hot)
    cut = past.cut(study, query)
    trial = past.trial(study, cut)
    then = past.participant(trial, name, cut)
    if then is None:
        raise NotFound("participant")
    facts = facts_alone(then.participant)
    now = moment_of(past.on(study, query, cairn.clock()), trial.zone(facts.site))
    draft = under(trial, supposing.draft.protocol)
    sides = Reading(trial, facts, now), Reading(draft, facts, now)
    return _document(study, cut.position, *sides)


async def _with_events(
    cairn: Cairn, study: str, name: str, supposing: Supposed, terms: Terms, query: Query
) -> Document:
    draft = supposing.draft.protocol if supposing.draft is not None else None
    stage = await asyncio.to_thread(rehearsal, cairn, cairn.clock, draft=draft)
    hot = stage.recording.hot
    position = await asyncio.to_thread(stage.recording.ledger.head, study)
    trial, before = await asyncio.to_thread(_as_it_is, cairn, study, name, position)
    would: Document
    try:
        answer = await stage.recording.record(study, name, supposing.posted, terms)
    except Refusal as refusal:
        problem = problem_of(refusal)
        assert problem is not None
        would = {"recorded": False, "refusal": problem.document(), "events": []}
    else:
        would = _recorded(answer)
    # Kept in the rehearsal's memory by the recording itself: this reads nothing anew.
    after = await asyncio.to_thread(hot.participant, study, name)
    drafted = await asyncio.to_thread(hot.trial, study)
    on = query.on
    now = cairn.clock() if on is None else moment_of(on, trial.zone(after.site or before.site))
    facts = facts_alone(before)
    sides = Reading(trial, facts, now), Reading(drafted, facts_alone(after), now)
    return _document(study, position, *sides, would)


def _as_it_is(cairn: Cairn, study: str, name: str, position: int) -> tuple[Trial, Participant]:
    """The study and the participant at a position; the participant may be new."""
    folds = Folds(cairn.ledger, cairn.documents)
    trial = cairn.hot.trial(study)
    if trial.position > position:
        trial = folds.trial(study, position)
    return trial, folds.participant(study, name, position)


def _recorded(answer: Answer) -> Document:
    """What would be appended: positions are those that it would have if it were posted now."""
    events = []
    for stored in answer.events:
        event: Document = orjson.loads(stored.body)
        # No hash is shown: the chain would be made anew.
        del event["previous"]
        events.append(event)
    return {"recorded": True, "replayed": answer.replayed, "refusal": None, "events": events}


def _document(
    study: str,
    position: int,
    today: Reading,
    what_if: Reading,
    would: Mapping[str, Any] | None = None,
) -> Document:
    before, after = told(today), told(what_if)
    report = Report()
    site = what_if.participant.site or today.participant.site
    report.add(Compared(today.participant.id, site, tuple(changes(before, after))))
    found = report.document()
    return {
        "study": study,
        "participant": today.participant.id,
        "site": site,
        "position": position,
        "protocols": {"today": before.protocol.version, "what_if": after.protocol.version},
        **({} if would is None else {"would": dict(would)}),
        **{part: lists for part, lists in found.items() if part not in ("failed", "truncated")},
    }
