"""How long the schedule of a large study takes: kept up to date, rebuilt, and read page by page.

Ten thousand participants with twelve visits each, at twenty sites.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from bench.measured import Row, Sample, metered
from bench.setting import Setting
from domain.journey.consent import Consented
from domain.journey.referral import Referred
from domain.journey.screening import ScreeningStarted
from domain.journey.treatment import Dosed
from domain.journey.visits import VisitCompleted
from domain.kernel import PROVISIONAL, Actor, Event, Recorded
from domain.time import When
from domain.trial.events import SiteOpened
from infra.documents import PostgresDocuments
from infra.ledger.envelope import template
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import Append, Appended, Draft
from infra.postgres.pool import open_pool
from infra.projection.projector import Projector
from infra.projection.tables import ViewTables
from infra.vault.keyring import KeyRing, MemoryKeyStore
from projections import schedule
from services.door import Posted
from services.publishing import Publishing
from services.record import Recording, Terms
from services.state import HotState
from services.views import Query, Views

STUDY = "LK-23-01"
PARTICIPANTS = 10_000
SITES = 20
SPREAD_DAYS = 365
"""Doses fall on so many days one after the other."""
AT_ONCE = 500
PAGE = 100
NOW = datetime(2028, 1, 1, tzinfo=UTC)
DOSE = {"product": "UC-MSC", "amount": "60", "unit": "10*6", "route": "subcutaneous"}
HELD = {"V1": 0, "V2": 1, "V3": 4, "V4": 7, "V5": 18, "V6": 28}
"""Visits that were held, and on which day after the dose; one of them late."""


def journey(number: int) -> Iterator[tuple[Event, date]]:
    """What happened to a participant, and when: dosed, and half of the visits held."""
    dose = date(2026, 1, 1) + timedelta(days=number % SPREAD_DAYS)
    yield Referred(site=f"{number % SITES:02}", channel="clinician"), dose - timedelta(days=40)
    consent = Consented(form_version="1.0", signed_by="participant")
    yield consent, dose - timedelta(days=30)
    yield ScreeningStarted(), dose - timedelta(days=14)
    yield VisitCompleted(visit="V0", mode="in-person"), dose - timedelta(days=14)
    yield Dosed.model_validate(DOSE), dose
    for code, day in HELD.items():
        yield VisitCompleted(visit=code, mode="in-person"), dose + timedelta(days=day)


def append(number: int) -> Append:
    """A participant's whole history as one append."""
    return history(f"P-{number:05}", journey(number))


def history(name: str, facts: Iterable[tuple[Event, date]]) -> Append:
    """What happened to somebody as one append."""
    drafts = []
    for version, (body, day) in enumerate(facts, start=1):
        recorded = Recorded(
            body=body,
            position=PROVISIONAL + version - 1,
            version=version,
            occurred_at=When.on(day),
            recorded_at=NOW,
            actor=Actor(id="urn:bench", role="system"),
            participant=name,
            source="urn:bench",
            id=f"{name}-{version}",
            protocol="2.0",
        )
        drafts.append(
            Draft(
                stream=name,
                version=version,
                topic=f"participant.{body.type}.v1",
                template=template(recorded, known_previous=None, in_same_append=version > 1),
                source=recorded.source,
                event_id=recorded.id,
                fingerprint=bytes(32),
            )
        )
    return Append(tuple(drafts))


async def filled(ledger: PostgresLedger, count: int) -> None:
    """Every participant's history in the ledger."""
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        found = await asyncio.gather(*(ledger.append(STUDY, append(n)) for n in numbers))
        assert all(isinstance(one, Appended) for one in found)


async def begun(recording: Recording, publishing: Publishing) -> None:
    """The built-in protocol and the sites."""
    terms = Terms(Actor(id="urn:bench", role="sponsor"), "urn:bench")
    await publishing.publish_built_in(terms)
    opened = Posted(
        body=SiteOpened(site="00", name="A site", timezone="America/New_York"),
        occurred_at=When.parse("2025-01-01"),
        source="urn:bench",
    )
    for number in range(SITES):
        site = SiteOpened(site=f"{number:02}", name="A site", timezone="America/New_York")
        await recording.record_study(STUDY, replace(opened, body=site), terms)


def read(views: Views) -> list[Sample]:
    """A fortnight of the study's schedule, page by page: the time of each."""
    waited = []
    first, last = date(2026, 6, 1), date(2026, 6, 14)
    query = Query(first=first, last=last, limit=PAGE, on=When.parse("2026-06-01"))
    while True:
        start = time.perf_counter()
        page = views.study(STUDY, "schedule", query)
        waited.append(Sample((time.perf_counter() - start) * 1e3))
        if page.next is None:
            return waited
        query = replace(query, cursor=page.next)


def counted(views: Views, view: str) -> Sample:
    """Figures over the schedule, counted by the store: milliseconds."""
    start = time.perf_counter()
    views.study(STUDY, view, Query(limit=1_000))
    return Sample((time.perf_counter() - start) * 1e3)


def rows(setting: Setting) -> Iterator[Row]:
    """Fill, project, rebuild, read."""
    people = setting.size(PARTICIPANTS, 500)
    with closing(open_pool(setting.database())) as pool, closing(PostgresLedger(pool)) as ledger:
        documents = PostgresDocuments(pool)
        hot = HotState(ledger, documents)
        recording = Recording(ledger, KeyRing(bytes(32), MemoryKeyStore()), hot, lambda: NOW)
        asyncio.run(begun(recording, Publishing(recording, documents)))
        tables = ViewTables(pool, (schedule.VIEW,))
        projector = Projector(ledger, documents, tables)
        views = Views(ledger, documents, hot, tables, lambda: NOW)
        asyncio.run(filled(ledger, people))
        told, keeper = f"{people:,} participants, the schedule alone", setting.keeper
        live = metered(lambda: projector.catch_up(STUDY), keeper)
        yield Row(f"catching up, {told}", "events/s", [live])
        rebuilt = metered(lambda: _rebuilt(projector), keeper)
        yield Row(f"rebuild, {told}", "events/s", [rebuilt])
        yield Row(f"a page of {PAGE} of a fortnight's schedule", "ms", read(views))
        yield Row("counting the workload", "ms", [counted(views, "workload")])
        yield Row("counting the windows kept", "ms", [counted(views, "adherence")])


def _rebuilt(projector: Projector) -> int:
    found = projector.rebuild(STUDY, "schedule")
    assert found.same
    return found.position
