"""Whatever is posted, by several at once, in two processes, with outcomes that are lost: memory
reads like the log, and what follows from it is what follows from the log read anew."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.admit import difference
from domain.eligibility.evaluate import evaluate, verdict_under
from domain.in_force import judging
from domain.kernel import Refusal, Sealed
from domain.participant import Participant, evolve
from infra.documents import MemoryDocuments
from infra.ledger.memory import MemoryLedger
from infra.ledger.types import Append, Outcome, StoreAway
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.door import Posted, posted
from services.publishing import Publishing
from services.record import Group, Recording
from services.replay_check import ReplayCheck
from services.state import HotState, recorded
from tests.contracts.test_foreseen_together import NOW, OPENED, REFERRED, STUDY, TERMS
from tests.domain.any_fact import FACTS

NAMES = ("A", "B", "C")
CLEAR = {"birth_date": "1980-07-15"}
LATER = NOW.replace(year=NOW.year + 1)


class Losing(MemoryLedger):
    """Appends while others go on, and now and then its answer is lost."""

    lost: tuple[bool, ...] = ()
    asked = 0

    async def append(self, study: str, append: Append) -> Outcome:
        self.asked += 1
        await asyncio.sleep(0)
        outcome = self.append_now(study, append)
        await asyncio.sleep(0)
        if self.lost and self.lost[self.asked % len(self.lost)]:
            raise StoreAway("the answer is lost")
        return outcome


Said = tuple[str, str, dict[str, Any]]


@st.composite
def says(draw: st.DrawFn) -> Said:
    """Any fact, or a change of something recorded: then told by how far back it stands."""
    kind = draw(st.sampled_from([*sorted(FACTS), *["corrected", "retracted"] * 3]))
    at = draw(st.integers(1, 28))
    if kind in FACTS:
        data = draw(FACTS[kind])
        for name, value in data.items():
            if isinstance(value, Sealed):
                data[name] = CLEAR.get(name, "something")
    else:
        data = {"back": draw(st.integers(1, 6))}
        if kind == "corrected":
            data["occurred_at"] = f"2027-01-{draw(st.integers(1, 28)):02}"
    return kind, f"2027-02-{at:02}", data


posts = st.tuples(
    st.integers(0, 1),
    st.dictionaries(st.sampled_from(NAMES), st.lists(says(), min_size=1, max_size=3), min_size=1),
)
rounds = st.lists(st.lists(posts, min_size=1, max_size=3), min_size=1, max_size=5)


class Both:
    """Two processes on one study."""

    def __init__(self) -> None:
        self.ledger, self.documents, keys = Losing(), MemoryDocuments(), MemoryKeyStore()
        self.each = [
            Recording(
                self.ledger,
                KeyRing(bytes(32), keys),
                HotState(self.ledger, self.documents),
                lambda: LATER,
            )
            for _ in range(2)
        ]
        self._sent = 0

    async def open(self) -> None:
        await Publishing(self.each[0], self.documents).publish_built_in(TERMS)
        opened = {"type": "site-opened", "occurred_at": "2026-11-04", "data": OPENED}
        await self.each[0].record_study(STUDY, posted(opened), TERMS)
        for name in NAMES:
            await self.post(0, {name: [(REFERRED[0], "2026-11-04", REFERRED[1])]})

    async def post(self, process: int, said: dict[str, list[Said]]) -> None:
        groups = [
            Group(name, tuple(self._posted(name, one) for one in all_of))
            for name, all_of in said.items()
        ]
        for _ in range(3):
            try:
                await self.each[process].record_all(STUDY, groups, TERMS)
            except StoreAway:
                continue
            except Refusal:
                pass
            return

    def _posted(self, name: str, said: Said) -> Posted:
        kind, at, data = said
        self._sent += 1
        if "back" in data:
            stream = self.ledger.stream(STUDY, name)
            about = stream[-min(data["back"], len(stream))]
            data = {"position": about.position, **{k: v for k, v in data.items() if k != "back"}}
        event = {"type": kind, "occurred_at": at, "data": data, "id": f"E-{self._sent}"}
        return posted(event | {"reason": "typing error"}, participant=name)

    def check(self) -> None:
        trial = HotState(self.ledger, self.documents).trial(STUDY)
        for name in NAMES:
            told = Participant(name)
            for stored in self.ledger.stream(STUDY, name):
                told = evolve(told, recorded(stored))
            news = difference(trial, told, LATER)
            verdict = verdict_under(judging(trial, told), told, trial.zone(told.site))
            for one in self.each:
                held = one.hot.participant(STUDY, name)
                assert held == told
                assert written(held) == written(told)
                now = one.hot.trial(STUDY)
                assert difference(now, held, LATER) == news
                assert evaluate(now, held) == verdict


def written(participant: Participant) -> str:
    return repr(participant).replace("TzInfo(0)", "datetime.timezone.utc")


@settings(deadline=None, max_examples=25)
@given(rounds, st.lists(st.booleans(), max_size=4))
def test_memory_and_what_follows_from_it_are_as_the_log_says(
    told: list[list[tuple[int, dict[str, list[Said]]]]], lost: list[bool]
) -> None:
    both = Both()

    async def live() -> None:
        await both.open()
        both.ledger.lost = (*lost, False)
        for together in told:
            await asyncio.gather(*(both.post(process, said) for process, said in together))
            both.check()

    asyncio.run(live())
    check = ReplayCheck(both.ledger, both.documents, STUDY)
    assert list(check.findings()) == []
