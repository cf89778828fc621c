"""Events that are posted together are judged at the positions that they then get."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from domain import participant as journey
from domain.kernel import PROVISIONAL, Actor, Recorded, Refused
from domain.participant import Participant, replay
from infra.documents import MemoryDocuments
from infra.ledger.memory import MemoryLedger
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.door import Posted, posted
from services.publishing import Publishing
from services.record import Group, Recording, Terms
from services.state import HotState, recorded

STUDY, DAY = "LK-23-01", "2026-11-04"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TERMS = Terms(Actor(id="dr.lee", role="investigator"), "urn:edc")

OPENED = {"site": "01", "name": "Synthetic Center", "timezone": "America/New_York"}
REFERRED = ("referred", {"site": "01", "channel": "clinician"})
CONSENTED = ("consented", {"form_version": "1.0", "signed_by": "participant"})
SCREENED: tuple[str, dict[str, Any]] = ("screening-started", {})
WITHDRAWN = ("consent-withdrawn", {"scope": ["treatment", "visits"]})
CONFIRMED: tuple[str, dict[str, Any]] = ("eligibility-confirmed", {})


def events(name: str, *said: tuple[str, dict[str, Any]]) -> tuple[Posted, ...]:
    return tuple(
        posted({"type": kind, "occurred_at": DAY, "data": data}, participant=name)
        for kind, data in said
    )


def born(year: str) -> tuple[str, dict[str, Any]]:
    return ("demographics-recorded", {"birth_date": f"{year}-07-15", "sex": "female"})


class Study:
    """A study with a site, and something appended by this process."""

    def __init__(self) -> None:
        self.ledger, self.documents = MemoryLedger(), MemoryDocuments()
        self.hot = HotState(self.ledger, self.documents)
        keys = KeyRing(bytes(32), MemoryKeyStore())
        self.recording = Recording(self.ledger, keys, self.hot, lambda: NOW)
        asyncio.run(self._open())

    async def _open(self) -> None:
        await Publishing(self.recording, self.documents).publish_built_in(TERMS)
        opened = posted({"type": "site-opened", "occurred_at": DAY, "data": OPENED})
        await self.recording.record_study(STUDY, opened, TERMS)

    def record(self, *groups: tuple[str, Sequence[tuple[str, dict[str, Any]]]]) -> None:
        together = [Group(name, events(name, *said)) for name, said in groups]
        asyncio.run(self.recording.record_all(STUDY, together, TERMS))

    def held(self, name: str) -> Participant:
        return self.hot.participant(STUDY, name, fresh=False)

    def told(self, name: str) -> Participant:
        return replay(name, map(recorded, self.ledger.stream(STUDY, name)))


@pytest.fixture
def study() -> Study:
    return Study()


def test_what_was_judged_together_is_kept_as_it_was_judged(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is folded again, of one participant or of several in one append."""
    folded: list[str] = []
    extended = journey.extended

    def counted(participant: Participant, events: Sequence[Recorded]) -> Participant:
        folded.append(participant.id)
        return extended(participant, events)

    monkeypatch.setattr(journey, "extended", counted)
    lives = [REFERRED, CONSENTED, SCREENED, born("1940")]
    study.record(("A", lives))
    study.record(("B", lives), ("C", lives))
    study.record(("A", [WITHDRAWN]), ("C", [born("1941"), WITHDRAWN]))
    assert folded == []
    for name in "ABC":
        held, told = study.held(name), study.told(name)
        assert held == told
        assert repr(held) == repr(told).replace("TzInfo(0)", "datetime.timezone.utc")
        assert held.concluded


def test_where_another_process_was_faster_it_is_folded_at_its_real_positions(study: Study) -> None:
    study.record(("A", [REFERRED]))
    other = Recording(
        study.ledger,
        KeyRing(bytes(32), MemoryKeyStore()),
        HotState(study.ledger, study.documents),
        lambda: NOW,
    )
    asyncio.run(other.record(STUDY, "B", events("B", REFERRED, CONSENTED), TERMS))
    study.record(("A", [CONSENTED, SCREENED, born("1940")]))
    assert study.held("A") == study.told("A")
    assert study.held("A").position < PROVISIONAL


def test_a_refusal_never_takes_an_event_of_its_own_append_for_anothers(study: Study) -> None:
    study.record(("A", [REFERRED, CONSENTED]))
    with pytest.raises(Refused) as refused:
        study.record(("A", [WITHDRAWN, CONFIRMED]))
    assert refused.value.rule == "scope"
    assert refused.value.index == 1
    assert [one >= PROVISIONAL for one in refused.value.blocked_by] == [True]
