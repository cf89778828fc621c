"""A study on a real store with its projector and views, and histories to fill it with."""

import asyncio
import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import orjson

from domain.canonical import canonical
from domain.kernel import Actor, Refusal
from domain.time import When
from infra.documents import PostgresDocuments
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import Pool
from infra.projection.folds import Folds
from infra.projection.projector import Projector
from infra.projection.tables import ViewTables
from infra.vault.keyring import KeyRing, MemoryKeyStore
from projections.catalogue import VIEWS
from projections.view import Row, View
from services.door import Posted
from services.publishing import Publishing, built_in_protocol, draft_in, rendered
from services.record import Recording, Terms
from services.state import HotState
from services.views import Views
from tests import specs

STUDY = "LK-23-01"
START = datetime(2027, 1, 4, 15, 0, tzinfo=UTC)


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Watched:
    """Everything around one study."""

    pool: Pool
    views: Sequence[Any] = VIEWS
    clock: Clock = field(default_factory=Clock)
    name: str = STUDY
    """Another name for the same study, where it must be nobody else's."""

    def __post_init__(self) -> None:
        self.ledger = PostgresLedger(self.pool)
        self.documents = PostgresDocuments(self.pool)
        self.hot = HotState(self.ledger, self.documents)
        keys = KeyRing(bytes(32), MemoryKeyStore())
        self.recording = Recording(self.ledger, keys, self.hot, self.clock)
        self.publishing = Publishing(self.recording, self.documents)
        self.tables = ViewTables(self.pool, self.views)
        self.projector = self.another()
        self.reading = Views(self.ledger, self.documents, self.hot, self.tables, self.clock)

    def another(self, views: Sequence[Any] | None = None) -> Projector:
        """A projector of one's own, as another process would have it."""
        tables = self.tables if views is None else ViewTables(self.pool, views)
        return Projector(self.ledger, self.documents, tables)

    def begin(self) -> None:
        """The built-in protocol, two sites and a consent form."""
        terms = self.terms("sponsor")
        document = {**orjson.loads(rendered(built_in_protocol(), "json")), "study": self.name}
        found = draft_in(document)
        asyncio.run(self.publishing.publish_protocol(found, terms))
        at = "2026-10-01T00:00:00Z"
        for site, zone in (("01", "America/New_York"), ("02", "Europe/Berlin")):
            self.tell(specs.said("site-opened", at, site=site, name="A site", timezone=zone))
        self.tell(specs.said("consent-form-approved", at, form_version="1.0", reconsent=False))

    def terms(self, role: str, *, historical: bool = False) -> Terms:
        return Terms(Actor(id=f"a.{role}", role=role), "urn:test", historical=historical)

    def post(self, who: str, *saids: specs.Said, historical: bool = False) -> int:
        """Events of a participant, one append each; the position of the last."""
        position = 0
        for one in saids:
            terms = self.terms(one.role, historical=historical)
            answer = asyncio.run(self.recording.record(self.name, who, [_posted(one, who)], terms))
            position = answer.events[-1].position
        return position

    def tell(self, one: specs.Said) -> None:
        """An event of the study's own stream."""
        asyncio.run(
            self.recording.record_study(self.name, _posted(one, None), self.terms("sponsor"))
        )

    def tick(self) -> None:
        """The clock worker comes by everybody."""
        for name in self.ledger.participants(self.name):
            asyncio.run(self.recording.conclude_time(self.name, name))

    def rows(self, view: View, position: int | None = None) -> list[Row]:
        """The rows that the view must have, straight from the log."""
        folds = Folds(self.ledger, self.documents)
        trial = folds.trial(self.name, position)
        rows: list[Row] = []
        for name in self.ledger.participants(self.name):
            state = folds.participant(self.name, name, position)
            if state.version:
                rows.extend(view.of(trial, state).values())
        return rows

    def folded(self, view: View, position: int | None = None) -> str:
        """The digest that the view's generation must have."""
        return digest(self.rows(view, position))

    def digests(self) -> dict[str, str]:
        """The digest of each view as its table has it."""
        return {view.name: self.projector.digest(self.name, view.name) for view in self.views}

    def expected(self, position: int | None = None) -> dict[str, str]:
        return {view.name: self.folded(view, position) for view in self.views}


def digest(rows: Sequence[Row]) -> str:
    """What the digest of a generation with these rows must be, by its definition."""
    total = hashlib.sha256()
    for name, mine in groupby(
        sorted(rows, key=lambda row: row.participant), lambda row: row.participant
    ):
        content = canonical(
            [
                [row.key, *map(_plain, row.columns.values()), row.item]
                for row in sorted(mine, key=lambda row: row.key)
            ]
        )
        total.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return total.hexdigest()


def _plain(value: Any) -> Any:
    """A column's value as PostgreSQL writes it in JSON."""
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat().removesuffix("+00:00")
        return (text.rstrip("0") if "." in text else text) + "+00:00"
    return value.isoformat() if isinstance(value, date) else value


@contextmanager
def watched(
    pool: Pool, views: Sequence[Any] = VIEWS, *, begin: bool = True, name: str = STUDY
) -> Iterator[Watched]:
    found = Watched(pool, views, name=name)
    try:
        if begin:
            found.begin()
        yield found
    finally:
        found.ledger.close()


def _posted(one: specs.Said, who: str | None) -> Posted:
    return Posted(
        body=one.body,
        occurred_at=one.when,
        source=one.source,
        id=one.id,
        reason=one.reason,
        participant=who,
    )


# --- histories ------------------------------------------------------------------------------------


def fill(study: Watched, seed: int, steps: int, people: int = 5) -> None:
    """A history nobody would write: acts in any order, corrections, amendments, time passing."""
    chance = random.Random(seed)
    names = [f"0{1 + number % 2}-{number:03}" for number in range(people)]
    for name in names:
        study.post(name, specs.referred.but(site=name[:2]))
    for _ in range(steps):
        name = chance.choice(names)
        act = chance.choices(("act", "correct", "study", "time"), (80, 8, 4, 8))[0]
        try:
            match act:
                case "act":
                    study.post(name, _some_act(chance), historical=chance.random() < 0.5)
                case "correct":
                    study.post(name, _some_correction(chance, study, name))
                case "study":
                    study.tell(_some_study_event(chance))
                case _:
                    study.clock.now += timedelta(days=chance.randrange(1, 20))
                    if chance.random() < 0.5:
                        study.tick()
        except Refusal:
            continue


def _some_act(chance: random.Random) -> specs.Said:
    day = datetime(2026, 11, 1, 9, tzinfo=UTC) + timedelta(hours=chance.randrange(24 * 60))
    at = day.isoformat().replace("+00:00", "Z")
    ae = f"AE-{chance.randrange(3)}"
    return chance.choice(
        (
            specs.consented.on(at),
            specs.screened.on(at),
            specs.confirmed.on(at),
            specs.enrolled.on(at),
            specs.dosed.on(at),
            specs.visit(f"V{chance.randrange(12)}", at),
            specs.visit("UNS", at),
            specs.booked(f"V{chance.randrange(12)}", at[:10], at),
            specs.event(ae, at, grade=chance.randrange(1, 6), serious=chance.random() < 0.5),
            specs.event(ae, at, seriousness=["hospitalisation"], causality="possible"),
            specs.update(ae, at, outcome=chance.choice(("recovered", "fatal", "not-recovered"))),
            specs.report(ae, "site-to-sponsor", at),
            specs.said("attested", at, statement="breast-feeding", answer=chance.random() < 0.5),
            specs.said("observation-recorded", at, code="hcg-urine", interpretation="negative"),
            specs.said("deviation-recorded", at, category="other", importance="minor"),
            specs.said("screen-failed", at, "investigator", criteria=["I1"]),
            specs.said("transferred", at, "investigator", site=chance.choice(("01", "02"))),
            specs.said("discontinued", at, cause="other"),
            specs.said("died", at[:10], on=at[:10]),
        )
    )


def _some_correction(chance: random.Random, study: Watched, name: str) -> specs.Said:
    history = study.hot.participant(study.name, name).history
    target = chance.choice(history)
    at = study.clock.now.isoformat()
    if chance.random() < 0.5:
        return specs.said("retracted", at, "data-manager", position=target.position)
    moved = When.on(target.occurred_at.first - timedelta(days=chance.randrange(3))).text
    return specs.said("corrected", at, "data-manager", position=target.position, occurred_at=moved)


def _some_study_event(chance: random.Random) -> specs.Said:
    at = f"2026-12-{chance.randrange(1, 28):02}T10:00:00Z"
    number = chance.randrange(10)
    return chance.choice(
        (
            specs.said("protocol-activated", at, site=f"0{1 + number % 2}", protocol="2.0"),
            specs.said("consent-form-approved", at, form_version=f"1.{number}", reconsent=True),
            specs.said("site-opened", at, site=f"1{number}", name="A site", timezone="Asia/Tokyo"),
        )
    )
