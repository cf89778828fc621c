"""What memory holds after an append is what the log says, to the last digit of every number, and
however well it was foreseen where the append would stand."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.eligibility.evaluate import evaluate, verdict_under
from domain.kernel import PROVISIONAL, Actor, Refusal
from domain.participant import Participant
from domain.trial.study import Trial
from infra.documents import MemoryDocuments
from infra.ledger.memory import MemoryLedger
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.demo.acts import Act, Demo
from services.demo.cohort import SITES, SOURCE, SPONSOR, STUDY, Clock, acts_of
from services.door import posted
from services.foreseen import Foreseen
from services.publishing import Publishing
from services.record import Recording, Terms
from services.state import HotState

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Foreseeing(Foreseen):
    """Foresees positions so much too far, or with None not at all."""

    def __init__(self, too_far: int | None) -> None:
        super().__init__()
        self._too_far = too_far

    def first(self, study: str, trial: Trial, *circumstances: Any) -> int:
        found = super().first(study, trial, *circumstances)
        if self._too_far is None or found == PROVISIONAL:
            return PROVISIONAL
        return found + self._too_far


class Counting(HotState):
    """Counts how often what was judged was kept."""

    kept = 0

    def _settled(self, *circumstances: Any) -> bool:
        settled = super()._settled(*circumstances)
        self.kept += settled
        return settled


class Lived:
    """The synthetic cohort, recorded through one process's memory."""

    def __init__(self, too_far: int | None) -> None:
        self.ledger, self.documents = MemoryLedger(), MemoryDocuments()
        self.hot = Counting(self.ledger, self.documents)
        self.clock = Clock(NOW - timedelta(days=500))
        keys = KeyRing(bytes(32), MemoryKeyStore())
        self.recording = Recording(self.ledger, keys, self.hot, self.clock)
        self.recording._foreseen = Foreseeing(too_far)
        self.places: dict[str, int] = {}

    async def live(self) -> None:
        terms = Terms(SPONSOR, SOURCE)
        await Publishing(self.recording, self.documents).publish_built_in(terms)
        protocol = next(iter(self.hot.trial(STUDY).protocols.values()))
        zones = {site: ZoneInfo(zone) for site, (_, zone) in SITES.items()}
        for _, together in groupby(acts_of(Demo(protocol, NOW, zones)), key=_together):
            await self._post(list(together))

    async def _post(self, acts: list[Act]) -> None:
        self.clock.now = acts[0].posted_at
        terms = Terms(acts[0].actor, SOURCE)
        known = [act for act in acts if act.corrects is None or act.corrects in self.places]
        events = [
            posted(act.document(self.places.get(act.corrects or "")), participant=act.participant)
            for act in known
        ]
        who = acts[0].participant
        if who is None:
            for event in events:
                await self.recording.record_study(STUDY, event, terms)
        elif events:
            try:
                answer = await self.recording.record(STUDY, who, events, terms)
            except Refusal:
                return
            for act, place in zip(known, answer.places, strict=True):
                self.places[act.id] = place.position


def _together(act: Act) -> tuple[datetime, str | None, Actor]:
    return act.posted_at, act.participant, act.actor


def living(too_far: int | None) -> Lived:
    found = Lived(too_far)
    asyncio.run(found.live())
    return found


@pytest.fixture(scope="module", params=[0, 3, None], ids=["foreseen", "too far", "provisional"])
def lived(request: pytest.FixtureRequest) -> Lived:
    return living(request.param)


@pytest.fixture(scope="module")
def provisional() -> Lived:
    """What the log is like when nothing is foreseen."""
    return living(None)


def pairs(lived: Lived) -> Iterator[tuple[Trial, Participant, Participant]]:
    """Each participant from memory, and as another process reads it."""
    cold = HotState(lived.ledger, lived.documents)
    trial = cold.trial(STUDY)
    for name in lived.ledger.participants(STUDY):
        yield trial, lived.hot.participant(STUDY, name, fresh=False), cold.participant(STUDY, name)


def written(participant: Participant) -> str:
    """All of it, as text: equal numbers may be written differently."""
    return repr(participant).replace("TzInfo(0)", "datetime.timezone.utc")


def test_memory_after_appends_reads_like_the_log(lived: Lived) -> None:
    compared = 0
    for _, hot, cold in pairs(lived):
        assert hot == cold
        assert written(hot) == written(cold)
        assert hot.position < PROVISIONAL
        compared += hot.version
    assert compared > 1_000


def test_what_was_decided_before_the_append_is_decided_alike_after_it(lived: Lived) -> None:
    for trial, hot, cold in pairs(lived):
        kept = evaluate(lived.hot.trial(STUDY, fresh=False), hot)
        assert kept == verdict_under(trial.protocol_of(cold), cold, trial.zone(cold.site))


def said(lived: Lived) -> list[dict[str, Any]]:
    """Every event of the log, without what no two logs share: ciphertexts, and hashes over them."""
    events = [json.loads(one.body) for one in lived.ledger.read(STUDY, 0, 100_000)]
    for event in events:
        del event["previous"]
        for value in event["data"].values():
            if isinstance(value, dict):
                value.pop("sealed", None)
                value.pop("key", None)
    return events


def test_the_log_is_the_same_wherever_its_events_were_judged(
    lived: Lived, provisional: Lived
) -> None:
    assert said(lived) == said(provisional)


def test_a_state_is_kept_where_its_events_got_the_positions_they_were_judged_at() -> None:
    assert living(0).hot.kept > 200
    assert living(1).hot.kept == 0
    assert living(None).hot.kept == 0
