"""Atomic batches: everything in one transaction, or nothing and the list of why."""

from typing import Any

from starlette.responses import Response

from domain.kernel import Refusal
from services.api import access
from services.api.replies import json_reply, problem_reply
from services.auth import Caller
from services.batch import Item, Result, failed, placed
from services.bootstrap import Cairn
from services.door import Posted, TooLarge
from services.door.content import ARRAY_MAX_EVENTS
from services.door.refused import invalid
from services.errors import problem_of
from services.problems import Answered, answered
from services.terms import Group, Terms


async def atomically(
    cairn: Cairn, caller: Caller, study: str, read: list[Item], terms: Terms
) -> Response:
    """Record all items or none: 200 with their places, 422 or 409 with the list."""
    if len(read) > ARRAY_MAX_EVENTS:
        raise TooLarge(ARRAY_MAX_EVENTS)
    wrong = [failed(item.index, item.problem) for item in read if item.problem is not None]
    if wrong:
        return problem_reply(_listed("invalid", "Some items are not valid.", wrong))
    members: dict[str, list[tuple[int, Posted]]] = {}
    for item in read:
        assert item.posted is not None
        if item.posted.participant is None:
            raise invalid(f"/{item.index}/participant", "required")
        members.setdefault(item.posted.participant, []).append((item.index, item.posted))
    if not members:
        return json_reply([])
    for name, pairs in members.items():
        await access.may_post(cairn, caller, study, name, [posted for _, posted in pairs])
    groups = [Group(name, tuple(one for _, one in pairs)) for name, pairs in members.items()]
    try:
        answers = await cairn.recording.record_all(study, groups, terms)
    except Refusal as refusal:
        return await _refused(cairn, study, members, refusal, terms)
    results = [
        placed(index, place)
        for answer, pairs in zip(answers, members.values(), strict=True)
        for (index, _), place in zip(pairs, answer.places, strict=True)
    ]
    return json_reply(sorted(results, key=_index))


async def _refused(
    cairn: Cairn,
    study: str,
    members: dict[str, list[tuple[int, Posted]]],
    refusal: Refusal,
    terms: Terms,
) -> Response:
    problem = problem_of(refusal)
    assert problem is not None
    assert refusal.participant is not None
    assert refusal.index is not None
    index, posted = members[refusal.participant][refusal.index]
    refusal.index = None
    await cairn.refusals.keep(study, refusal.participant, [posted], refusal, terms)
    detail = f"Nothing was recorded: item {index} is refused."
    listed = _listed(problem.kind.type, detail, [failed(index, problem)])
    return problem_reply(
        Answered(listed.kind, listed.detail, {**problem.members, **listed.members})
    )


def _listed(name: str, detail: str, items: list[Result]) -> Answered:
    return answered(name, detail, items=items)


def _index(result: dict[str, Any]) -> int:
    index: int = result["index"]
    return index
