"""POST of events: one, an array, a batch or a stream. The hot routes: raw bytes in and out."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AbstractContextManager
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from domain.kernel import Problem, Refusal
from services.api import access, asked
from services.api.atomic import atomically
from services.api.naming import chosen_name, is_name
from services.api.replies import answer_reply, json_reply
from services.api.streams import Answering, items
from services.auth import Caller
from services.batch import Batch, Item
from services.bootstrap import Cairn
from services.door import Invalid, Posted, TooLarge
from services.door.content import ARRAY_MAX_EVENTS, Content, Form, form_of, parsed
from services.door.refused import invalid
from services.errors import problem_of
from services.terms import Terms

router = APIRouter(tags=["Events"])


@router.post("/studies/{study}/participants/{participant}/events", status_code=201)
async def post_participant_events(request: Request) -> Response:
    """Record what happened to a participant.

    One event, or an array that is recorded all or nothing. NDJSON is a stream of events that each
    stand alone.
    """
    caller, study = access.within_study(request)
    cairn, participant = access.cairn_of(request), str(request.path_params["participant"])
    if not is_name(participant):
        raise invalid("/participant", "string-pattern-mismatch")
    with _gate(request):
        form = _form(request)
        if form == "ndjson":
            return _streamed(request, cairn, caller, study, participant)
        content = parsed(form, await asked.body_of(request), request.headers.raw, ARRAY_MAX_EVENTS)
        posted = asked.with_key(request, _all_read(content, study, participant))
        if not posted:
            raise invalid("", "too-short")
        terms = asked.terms_of(request, caller)
        await access.may_post(cairn, caller, study, participant, posted)
        try:
            answer = await cairn.recording.record(study, participant, posted, terms)
        except Refusal as refusal:
            await cairn.refusals.keep(study, participant, posted, refusal, terms)
            raise
        return answer_reply(study, answer, cairn.receipts)


@router.post("/studies/{study}/participants", status_code=201)
async def post_participant(request: Request) -> Response:
    """Refer a participant under a name that Cairn chooses.

    The body is a `referred` event without `participant`.
    """
    caller, study = access.within_study(request)
    cairn, name = access.cairn_of(request), chosen_name()
    with _gate(request):
        content = parsed(_form(request), await asked.body_of(request), request.headers.raw, 1)
        (document,) = content.documents or [None]
        posted = content.read(_named_alone(document), study, name)
        if posted.body.type != "referred":
            raise invalid("/type", "referred-first")
        (posted,) = asked.with_key(request, [posted])
        terms = asked.terms_of(request, caller)
        await access.may_post(cairn, caller, study, name, [posted])
        try:
            answer = await cairn.recording.record_new(study, posted, terms, chosen_name)
        except Refusal as refusal:
            await cairn.refusals.keep(study, None, [posted], refusal, terms)
            raise
        return answer_reply(study, answer, cairn.receipts)


@router.post("/studies/{study}/events", status_code=201)
async def post_study_events(request: Request) -> Response:
    """Record events of many participants, or of the study itself.

    One JSON object is answered like a single event. An array or NDJSON is a batch: each item
    stands alone and has its result, in order; with `Prefer: handling=atomic` all or nothing.
    """
    caller, study = access.within_study(request)
    cairn = access.cairn_of(request)
    with _gate(request):
        form = _form(request)
        atomic = "atomic" in asked.handling(request)
        if form == "ndjson" and not atomic:
            return _streamed(request, cairn, caller, study, None)
        terms = asked.terms_of(request, caller)
        if form == "ndjson":
            read = await _few(items(request.receive, _reader(form, study, None)))
            return await atomically(cairn, caller, study, read, terms)
        content = parsed(form, await asked.body_of(request), request.headers.raw)
        if not content.many:
            return await _single(request, cairn, caller, study, content, terms)
        _not_of_batches(request, len(content.documents))
        read = _items(content, study)
        if atomic:
            return await atomically(cairn, caller, study, read, terms)
        batch = Batch(cairn, caller, study, terms, request.app.state.measures.refused)
        return json_reply([result async for result in batch.results(_each(read))])


async def _single(
    request: Request, cairn: Cairn, caller: Caller, study: str, content: Content, terms: Terms
) -> Response:
    posted = content.read(content.documents[0], study)
    (posted,) = asked.with_key(request, [posted])
    who = posted.participant
    try:
        if who is None:
            await access.may_post_study(cairn, caller, study, posted)
            answer = await cairn.recording.record_study(study, posted, terms)
        else:
            await access.may_post(cairn, caller, study, who, [posted])
            answer = await cairn.recording.record(study, who, [posted], terms)
    except Refusal as refusal:
        await cairn.refusals.keep(study, who, [posted], refusal, terms)
        raise
    return answer_reply(study, answer, cairn.receipts)


def _streamed(
    request: Request, cairn: Cairn, caller: Caller, study: str, participant: str | None
) -> Response:
    _not_of_batches(request, 2)
    terms = asked.terms_of(request, caller)
    read = _reader("ndjson", study, participant)

    def results(receive: Receive) -> AsyncGenerator[dict[str, Any], None]:
        batch = Batch(cairn, caller, study, terms, request.app.state.measures.refused)
        return batch.results(items(receive, read))

    return Answering(results, _gate(request))


def _form(request: Request) -> Form:
    binary = "ce-specversion" in request.headers
    return form_of(request.headers.get("content-type"), binary)


def _gate(request: Request) -> AbstractContextManager[None]:
    gate: AbstractContextManager[None] = request.app.state.gate
    return gate


def _reader(form: Form, study: str, participant: str | None) -> Any:
    content = Content(form, [], many=True)
    return lambda document: content.read(document, study, participant)


def _all_read(content: Content, study: str, participant: str) -> list[Posted]:
    """All documents as events, or Invalid with the problems of all of them."""
    posted: list[Posted] = []
    problems: list[Problem] = []
    for index, document in enumerate(content.documents):
        try:
            posted.append(content.read(document, study, participant))
        except Invalid as error:
            place = f"/{index}" if content.many else ""
            problems += [Problem(place + one.pointer, one.rule) for one in error.problems]
    if problems:
        raise Invalid(problems)
    return posted


def _items(content: Content, study: str) -> list[Item]:
    read = []
    for index, document in enumerate(content.documents):
        try:
            read.append(Item(index, posted=content.read(document, study)))
        except Invalid as error:
            read.append(Item(index, problem=problem_of(error)))
    return read


async def _few(read: AsyncIterator[Item]) -> list[Item]:
    """As many items as can be recorded at once; TooLarge."""
    found: list[Item] = []
    async for item in read:
        found.append(item)
        if len(found) > ARRAY_MAX_EVENTS:
            raise TooLarge(ARRAY_MAX_EVENTS)
    return found


async def _each(read: Iterable[Item]) -> AsyncIterator[Item]:
    for item in read:
        yield item


def _not_of_batches(request: Request, count: int) -> None:
    """`Idempotency-Key` and `If-Match` name one event and one participant."""
    if "idempotency-key" in request.headers and count != 1:
        raise invalid("", "idempotency-key-on-several-events")
    if "if-match" in request.headers:
        raise invalid("", "if-match-on-a-batch")


def _named_alone(document: object) -> object:
    if isinstance(document, dict) and document.get("participant") is not None:
        raise invalid("/participant", "chosen-by-cairn")
    return document
