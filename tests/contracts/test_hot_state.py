"""Hot state: what is kept in memory is a prefix of the log, or it is not kept."""

import pytest

from domain.journey.consent import Consented
from domain.journey.referral import Referred
from domain.kernel import PROVISIONAL, Actor, Event, Recorded
from domain.time import When
from infra.documents import MemoryDocuments
from infra.ledger.envelope import template
from infra.ledger.ledger import Ledger
from infra.ledger.memory import MemoryLedger
from infra.ledger.types import Append, Appended, Draft, Stored
from infra.ledger.upcasting import topic
from services.state import HotState

REFERRED = Referred(site="01", channel="site")
SIGNED = Consented(form_version="1.0", signed_by="participant")
SIGNED_AGAIN = Consented(form_version="2.0", signed_by="participant")


def record(ledger: Ledger, version: int, body: Event, participant: str = "A") -> tuple[Stored, ...]:
    event = Recorded(
        body=body,
        position=PROVISIONAL,
        version=version,
        occurred_at=When.parse("2026-11-02"),
        recorded_at=When.parse("2026-11-22T12:00:00Z").earliest(),
        actor=Actor(id="dr.lee", role="investigator"),
        participant=participant,
    )
    draft = Draft(participant, version, topic("participant", body), template(event))
    outcome = ledger.append_now("S", Append((draft,)))
    assert isinstance(outcome, Appended)
    return outcome.stored


def log(*bodies: Event) -> MemoryLedger:
    ledger = MemoryLedger()
    for version, body in enumerate(bodies, 1):
        record(ledger, version, body)
    return ledger


def bodies(hot: HotState) -> list[Event]:
    return [event.body for event in hot.participant("S", "A").history]


@pytest.mark.parametrize("before", [(), (REFERRED,), (REFERRED, SIGNED)])
def test_a_participant_is_loaded_whole_and_then_only_goes_on(before: tuple[Event, ...]) -> None:
    ledger = log(*before)
    hot = HotState(ledger, MemoryDocuments())
    assert bodies(hot) == list(before)
    record(ledger, len(before) + 1, SIGNED_AGAIN)
    assert bodies(hot) == [*before, SIGNED_AGAIN]
    assert bodies(HotState(ledger, MemoryDocuments())) == [*before, SIGNED_AGAIN]


def test_what_this_process_appended_is_there_without_a_read() -> None:
    ledger = log(REFERRED)
    hot = HotState(ledger, MemoryDocuments())
    bodies(hot)
    hot.appended("S", record(ledger, 2, SIGNED))
    assert hot.participant("S", "A", fresh=False).version == 2


@pytest.mark.parametrize(
    "restored",
    [(REFERRED,), (REFERRED, SIGNED_AGAIN), (REFERRED, SIGNED_AGAIN, SIGNED), ()],
    ids=["its end is lost", "another end", "another, longer end", "all is lost"],
)
def test_after_the_store_was_restored_from_a_copy_memory_follows_the_store(
    restored: tuple[Event, ...],
) -> None:
    hot = HotState(log(REFERRED, SIGNED), MemoryDocuments())
    assert bodies(hot) == [REFERRED, SIGNED]
    hot._ledger = log(*restored)
    assert bodies(hot) == list(restored)
    assert not restored or hot.participant("S", "A", fresh=False).version == len(restored)
