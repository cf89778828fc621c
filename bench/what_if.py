"""How long a draft takes to be told of a whole cohort, and how much memory: a study on PostgreSQL.

Each participant has the twenty facts of `bench/journey.py`, a dose, six visits and a serious event,
with what follows from them: judged once, and appended under every name. The draft has other
windows, another age limit and another clock.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bench.journey import STUDY, documents
from bench.measured import Row, metered
from bench.processes import memory_mib
from bench.setting import Setting
from bench.study import study
from domain.kernel import Actor, Recorded
from domain.participant import Participant
from domain.trial.protocol import Protocol
from domain.trial.reading import plain, read
from infra.ledger.types import Append, Appended
from services.bootstrap import Cairn
from services.door import posted
from services.drafting import drafts_of
from services.judging import Judging
from services.record import Group, Terms
from services.views import Query
from services.what_if import Cohort, Report

PARTICIPANTS = (1_000, 10_000)
AT_ONCE = 200
TERMS = Terms(Actor(id="bench", role="administrator"), "urn:bench", historical=True)
DOSE = {"product": "UC-MSC", "amount": "60", "unit": "10*6", "route": "subcutaneous"}
HELD = (("V1", "02"), ("V2", "03"), ("V3", "06"), ("V4", "09"), ("V5", "20"), ("V6", "30"))
"""Visits after the dose of 2 December 2025, by their day in that month; one of them is late."""


def history(name: str) -> list[dict[str, Any]]:
    """The facts of one participant."""
    visits = [
        {
            "type": "visit-completed",
            "occurred_at": f"2025-12-{day}",
            "data": {"visit": code, "mode": "in-person"},
        }
        for code, day in HELD
    ]
    aware = "2025-12-05T10:00:00-05:00"
    event = {"ae": "AE-1", "term": "Fever", "onset": "2025-12-04", "aware_at": aware, "grade": 3}
    return [
        *documents(name),
        {"type": "dosed", "occurred_at": "2025-12-02T10:00:00-05:00", "data": DOSE},
        *visits,
        {
            "type": "adverse-event-reported",
            "occurred_at": aware,
            "data": {**event, "seriousness": ["hospitalisation"], "causality": "possible"},
        },
    ]


def edited(protocol: Protocol) -> Protocol:
    """The draft."""
    document = plain(protocol)
    for visit in document["visits"]:
        if visit["code"] in ("V5", "V6"):
            visit["before"], visit["after"] = 1, 1
    for criterion in document["criteria"]:
        if criterion.get("rule", {}).get("rule") == "age":
            criterion["rule"]["at_most"] = 40
    document["clocks"][0]["hours"] = 12
    found = read({**document, "version": "draft"})
    assert isinstance(found, Protocol), found
    return found


def judged(cairn: Cairn) -> Sequence[Recorded]:
    """What is recorded of one participant, with provisional positions."""
    name = "P"
    group = Group(name, tuple(posted(one, participant=name) for one in history(name)))
    judging = Judging(cairn.keys, cairn.clock)
    states = {name: Participant(name)}
    trial = cairn.hot.trial(STUDY)
    ((_, admitted),) = judging.participants(STUDY, trial, [group], states, TERMS)
    return admitted.participant


async def filled(cairn: Cairn, count: int, known: int) -> None:
    """So many participants in the study."""
    events = judged(cairn)
    for start in range(known, count, AT_ONCE):
        names = [f"P-{number:05}" for number in range(start, min(start + AT_ONCE, count))]
        found = await asyncio.gather(*(cairn.ledger.append(STUDY, of(n, events)) for n in names))
        assert all(isinstance(one, Appended) for one in found)


def of(name: str, events: Sequence[Recorded]) -> Append:
    """The history under another name."""
    renamed = [replace(one, participant=name, id=None) for one in events]
    return Append(tuple(drafts_of("participant", name, None, renamed, {})))


def compared(cairn: Cairn, count: int) -> int:
    """One what-if over everybody."""
    (protocol,) = cairn.hot.trial(STUDY).protocols.values()
    report = Report()
    for one in Cohort(cairn, STUDY, edited(protocol), Query(), pause=lambda: None):
        report.add(one, keep=False)
    assert report.participants == report.changed == count, report.totals()
    return count


def rows(setting: Setting) -> Iterator[Row]:
    """Fill and compare; the study grows from one count to the next."""
    with study(setting) as cairn:
        known = 0
        for count in setting.size_of(PARTICIPANTS, (100,)):
            asyncio.run(filled(cairn, count, known))
            known = count
            before = memory_mib(os.getpid(), "VmHWM")
            sample = metered(partial(compared, cairn, count), setting.keeper)
            more = memory_mib(os.getpid(), "VmHWM") - before
            what = f"what-if over {count:,} participants, {cairn.ledger.head(STUDY):,} events"
            yield Row(what, "participants/s", [sample], note=f"peak memory {more:.0f} MiB more")
