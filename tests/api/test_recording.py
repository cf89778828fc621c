"""Recording, seen from below: lost races, stale memory, repetitions, on both ledgers."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from domain.kernel import Actor, Impossible, Refused
from infra.documents import Documents, MemoryDocuments, PostgresDocuments
from infra.ledger.ledger import Ledger
from infra.ledger.memory import MemoryLedger
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import STUDY_STREAM, Append, Conflict, Outcome
from infra.vault.keyring import KeyRing, KeyStore, MemoryKeyStore, PostgresKeyStore, Wrapped
from services.door import Posted, posted
from services.publishing import Publishing, draft
from services.record import Recording
from services.state import HotState, NotFound
from services.terms import (
    Answer,
    EventIdReused,
    Group,
    PreconditionFailed,
    Terms,
)
from tests.api.conftest import PROTOCOL, STUDY, Clock, consented, event, referred

pytestmark = pytest.mark.anyio

TERMS = Terms(actor=Actor(id="dr.lee", role="administrator"), source="urn:test")


@dataclass
class Process:
    """What one process has of its own: its memory. Ledger, documents and keys are shared."""

    ledger: Ledger
    documents: Documents
    keys: KeyStore
    clock: Clock

    def __post_init__(self) -> None:
        self.hot = HotState(self.ledger, self.documents)
        ring = KeyRing(b"w" * 32, self.keys)
        self.recording = Recording(self.ledger, ring, self.hot, self.clock)

    def another(self) -> "Process":
        """A second process on the same store."""
        return Process(self.ledger, self.documents, self.keys, self.clock)

    async def record(self, name: str, *documents: dict[str, Any], **terms: Any) -> Answer:
        group = [read(document, name) for document in documents]
        return await self.recording.record(STUDY, name, group, replace(TERMS, **terms))

    async def study(self, document: dict[str, Any]) -> Answer:
        return await self.recording.record_study(STUDY, posted(document), TERMS)


def read(document: dict[str, Any], participant: str) -> Posted:
    return posted(document, participant=participant)


@pytest.fixture(params=["memory", "postgres"])
def ledgers(request: pytest.FixtureRequest) -> Iterator[tuple[Ledger, Documents, KeyStore]]:
    if request.param == "memory":
        yield MemoryLedger(), MemoryDocuments(), MemoryKeyStore()
        return
    pool = request.getfixturevalue("pool")
    ledger = PostgresLedger(pool)
    yield ledger, PostgresDocuments(pool), PostgresKeyStore(pool)
    ledger.close()


@pytest.fixture
async def here(anyio_backend: str, ledgers: tuple[Ledger, Documents, KeyStore]) -> Process:
    """A process with the small study published and two sites open."""
    process = Process(*ledgers, Clock())
    publishing = Publishing(process.recording, process.documents)
    await publishing.publish_protocol(
        draft(json.dumps(PROTOCOL).encode(), "application/json", study=STUDY, version="1.0"), TERMS
    )
    for site in ("01", "02"):
        await process.study(event("site-opened", "2026-10-01", site=site, name="A", timezone="UTC"))
    return process


async def test_a_process_that_lags_behind_judges_again_and_appends(here: Process) -> None:
    there = here.another()
    await here.record("a", referred())
    await there.record("a", consented())
    answer = await here.record("a", event("prescreened", proceed=True))
    assert answer.version == 3
    assert [one.version for one in here.ledger.stream(STUDY, "a")] == [1, 2, 3]


async def test_a_refusal_on_stale_memory_is_judged_again_on_what_is_new(here: Process) -> None:
    there = here.another()
    await here.record("a", referred(), event("referral-closed", "2026-11-10", cause="other"))
    await there.record("a", {**referred(), "occurred_at": "2026-11-12"})
    answer = await here.record("a", event("referral-closed", "2026-11-14", cause="other"))
    assert answer.version == 4
    await there.record("b", referred())
    assert (await here.record("b", consented())).version == 2


async def test_a_stale_memory_never_lets_a_second_decision_pass(here: Process) -> None:
    there = here.another()
    await here.record("a", referred())
    there.hot.participant(STUDY, "a")
    there.hot.trial(STUDY)
    closed = event("referral-closed", cause="other")
    await here.record("a", closed)
    with pytest.raises(Refused) as refused:
        await there.record("a", closed)
    assert refused.value.rule == "terminal"


async def test_a_version_is_compared_with_the_newest_not_with_memory(here: Process) -> None:
    there = here.another()
    await here.record("a", referred())
    there.hot.participant(STUDY, "a")
    there.hot.trial(STUDY)
    await here.record("a", consented())
    assert (await there.record("a", consented("2"), if_match=2)).version == 3
    with pytest.raises(PreconditionFailed) as failed:
        await here.record("a", consented("3"), if_match=2)
    assert (failed.value.current_version, failed.value.wanted) == (3, 2)


async def test_a_repetition_in_another_process_is_the_first_answer(here: Process) -> None:
    there = here.another()
    await here.record("a", referred())
    visit = {**event("visit-completed", visit="UNS", mode="in-person"), "id": "V"}
    there.hot.participant(STUDY, "a")
    there.hot.trial(STUDY)
    first = await here.record("a", visit)
    for process in (here, there, here.another()):
        again = await process.record("a", visit)
        assert again.replayed
        assert again.events == first.events
        assert (again.version, again.position) == (first.version, first.position)


async def test_a_decision_repeated_is_answered_not_judged_again(here: Process) -> None:
    await here.record("a", referred())
    closed = {**event("referral-closed", cause="other"), "id": "C"}
    first = await here.record("a", closed)
    again = await here.another().record("a", closed)
    assert again.replayed
    assert again.events == first.events


async def test_a_reused_id_is_found_wherever_it_was_used(here: Process) -> None:
    there = here.another()
    await here.record("a", {**referred(), "id": "1"})
    await here.record("b", referred())
    for process in (here, there):
        for name, document in (("a", referred("02")), ("b", referred()), ("c", referred())):
            with pytest.raises(EventIdReused):
                await process.record(name, {**document, "id": "1"})
    with pytest.raises(EventIdReused):
        await here.study({**event("hold-placed", scope="study", cause="x"), "id": "1"})
    groups = [
        Group("b", (read({**consented(), "id": "2"}, "b"),)),
        Group("d", (read({**referred(), "id": "2"}, "d"),)),
    ]
    head = here.ledger.head(STUDY)
    with pytest.raises(EventIdReused):
        await here.recording.record_all(STUDY, groups, TERMS)
    assert here.ledger.head(STUDY) == head


async def test_protected_content_is_recognised_without_being_kept(here: Process) -> None:
    secret = {**referred(contact={"first_name": "Xyzzy"}), "id": "1"}
    first = await here.record("a", secret)
    again = await here.another().record("a", secret)
    assert again.replayed
    assert again.events == first.events
    other = {**referred(contact={"first_name": "Yzzyx"}), "id": "1"}
    with pytest.raises(EventIdReused):
        await here.record("a", other)
    found = here.ledger.find(STUDY, "urn:test", "1")
    assert found is not None
    assert found.fingerprint is not None
    assert b"Xyzzy" not in found.fingerprint


async def test_several_participants_are_recorded_whole_or_not_at_all(here: Process) -> None:
    head = here.ledger.head(STUDY)
    groups = [
        Group("a", (read(referred(), "a"), read(consented(), "a"))),
        Group("b", (read(referred(), "b"), read(event("enrolled"), "b"))),
    ]
    with pytest.raises(Refused) as refused:
        await here.recording.record_all(STUDY, groups, TERMS)
    assert (refused.value.participant, refused.value.index) == ("b", 1)
    assert here.ledger.head(STUDY) == head
    answers = await here.recording.record_all(STUDY, groups[:1], TERMS)
    assert [one.participant for one in answers] == ["a"]
    with pytest.raises(ValueError, match="more than one group"):
        await here.recording.record_all(STUDY, [groups[0], groups[0]], TERMS)


async def test_the_refused_event_is_named_among_all_that_were_posted(here: Process) -> None:
    await here.record("a", {**referred(), "id": "1"})
    with pytest.raises(Impossible) as refused:
        await here.record(
            "a", {**referred(), "id": "1"}, consented(), consented(occurred_at="2027")
        )
    assert refused.value.index == 2


async def test_nothing_begins_without_a_referral_or_a_study(here: Process) -> None:
    with pytest.raises(NotFound):
        await here.record("a", consented())
    with pytest.raises(NotFound):
        await here.recording.record("S-9", "a", [read(referred(), "a")], TERMS)
    with pytest.raises(NotFound):
        await here.recording.record_study(
            "S-9", posted(event("hold-placed", scope="study", cause="x")), TERMS
        )


async def test_a_fact_in_flight_while_the_study_moves_is_judged_again(here: Process) -> None:
    await here.record("a", referred())
    there = here.another()
    await there.study(event("consent-form-approved", form_version="1.0"))
    answer = await here.record("a", consented("9"))
    assert [one.topic for one in answer.events] == [
        "participant.consented.v1",
        "participant.deviation-detected.v1",
    ]


class Contended(MemoryLedger):
    """Loses the race for the study's stream as often as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = 0
        self.asked: list[Append] = []

    async def append(self, study: str, append: Append) -> Outcome:
        self.asked.append(append)
        if self.losses and append.study_version is not None:
            self.losses -= 1
            return Conflict(STUDY_STREAM, append.study_version + 1)
        return await super().append(study, append)


@pytest.fixture
def ledgers_contended() -> tuple[Ledger, Documents, KeyStore]:
    return Contended(), MemoryDocuments(), MemoryKeyStore()


async def test_a_fact_stops_following_a_study_that_never_stands_still(
    ledgers_contended: tuple[Ledger, Documents, KeyStore],
) -> None:
    ledger = ledgers_contended[0]
    assert isinstance(ledger, Contended)
    process = Process(*ledgers_contended, Clock())
    publishing = Publishing(process.recording, process.documents)
    body = json.dumps(PROTOCOL).encode()
    found = draft(body, "application/json", study=STUDY, version="1.0")
    await publishing.publish_protocol(found, TERMS)
    ledger.losses, ledger.asked = 1_000, []
    assert (await process.record("a", referred())).version == 1
    assert [one.study_version is None for one in ledger.asked] == [False, False, False, True]
    ledger.losses, ledger.asked = 10, []
    answer = await process.record("a", event("referral-closed", cause="other"))
    assert answer.version == 2
    assert all(one.study_version is not None for one in ledger.asked)


async def test_a_name_that_cairn_chooses_is_asked_for_once_however_often_it_is_sent(
    here: Process,
) -> None:
    names = iter(f"P-{number}" for number in range(100))
    first = posted({**referred(), "id": "1"}, participant="x")

    def choose() -> str:
        return next(names)

    there = here.another()
    answers = await asyncio.gather(
        *(
            process.recording.record_new(STUDY, first, TERMS, choose)
            for process in (here, there) * 8
        )
    )
    assert len({answer.participant for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert len({answer.events for answer in answers}) == 1


async def test_taken_names_are_not_chosen_again(here: Process) -> None:
    await here.record("taken", referred())
    choose = iter(["taken", "free"]).__next__
    answer = await here.recording.record_new(
        STUDY, posted(referred(), participant="x"), TERMS, choose
    )
    assert answer.participant == "free"


async def test_two_processes_and_many_callers_lose_and_double_nothing(here: Process) -> None:
    there = here.another()
    await here.record("a", referred())

    async def post(process: Process, number: int) -> Answer:
        return await process.record("a", {**consented(f"{number}"), "id": f"{number}"})

    answers = await asyncio.gather(
        *(post(process, number) for number in range(20) for process in (here, there))
    )
    assert sum(not answer.replayed for answer in answers) == 20
    stream = here.ledger.stream(STUDY, "a")
    assert [one.version for one in stream] == list(range(1, len(stream) + 1))
    facts = [one for one in stream if "consented" in one.topic]
    assert len(facts) == 20
    for number in range(20):
        first, second = answers[2 * number], answers[2 * number + 1]
        assert first.events[0] == second.events[0]


class Counted(MemoryKeyStore):
    """Says how often keys were made, and for whom."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[set[str]] = []

    def put(self, study: str, made: Wrapped) -> Wrapped:
        self.made.append(set(made))
        return super().put(study, made)


async def test_who_is_new_at_the_same_moment_shares_the_commit_of_the_keys(here: Process) -> None:
    keys = Counted()
    process = Process(here.ledger, here.documents, keys, here.clock)
    process.hot.trial(STUDY)
    secret = referred(contact={"first_name": "Xyzzy"})
    answers = await asyncio.gather(*(process.record(name, secret) for name in "abc"))
    assert [answer.version for answer in answers] == [1, 1, 1]
    assert keys.made == [{"a", "b", "c"}]
    assert len({keys.get(STUDY, name) for name in "abc"}) == 3


async def test_who_is_taken_for_new_and_is_not_is_judged_as_who_he_is(here: Process) -> None:
    await here.record("a", {**referred(), "id": "1"}, consented())
    there = here.another()
    answer = await there.record("a", {**referred("02"), "id": "2"})
    assert answer.version == 3
    with pytest.raises(PreconditionFailed) as failed:
        await here.another().record("a", referred(), if_match=0)
    assert failed.value.current_version == 3
    closed = [event("referral-closed", "2026-11-10", cause="other")]
    await here.record("b", referred(), *closed)
    with pytest.raises(Refused) as refused:
        await here.another().record("b", {**referred(), "occurred_at": "2026-11-09"}, *closed)
    assert refused.value.index == 1


async def test_nobody_erased_has_a_key_again_for_being_referred_once_more(here: Process) -> None:
    secret = {**referred(contact={"first_name": "Xyzzy"}), "id": "1"}
    erased = event("identity-erased", basis="participant-request", scope=["all"])
    await here.record("a", secret)
    await here.record("a", {**erased, "reason": "asked"})
    assert here.keys.get(STUDY, "a") is None
    assert (await here.another().record("a", secret)).replayed
    assert here.keys.get(STUDY, "a") is None
    with pytest.raises(EventIdReused):
        await here.another().record("a", {**secret, "occurred_at": "2026"})
    assert here.keys.get(STUDY, "a") is None
