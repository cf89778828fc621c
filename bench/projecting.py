"""Views: kept up live, caught up with, and built anew, beside the library's projection runner.

Cairn projects all of its views, with what each participant's rows mean; the runner one table with
one row a participant. Both write their position in the transaction of their rows.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from bench.journey import FACTS, STUDY
from bench.measured import Row, Sample, in_turns, metered
from bench.peer import Journey, Journeys
from bench.setting import Setting, library_settings
from bench.study import filled, multiplied, names, projector, spread, study
from infra.interpreter import set_to_fold
from infra.postgres.pool import conninfo_of
from infra.projection.rebuilding import Rebuilt
from services.bootstrap import Cairn, helpers

PARTICIPANTS = 1_000
REBUILDS = 2
"""Rounds: more would take most of the run."""
REBUILT_EVENTS = 1_000_000
REBUILT_QUICK = 60_000
"""So many that two processes are worth their start."""
RUNNER_EVENTS = 1_000
WAIT_SECONDS_MAX = 300.0
BESIDE = "eventsourcing's projection runner, one table"


class Happened(PostgresTrackingRecorder):
    """The runner's view: what each participant's last event was, and how many there were."""

    def __init__(self, datastore: PostgresDatastore, **names: Any) -> None:
        super().__init__(datastore, **names)
        table = Identifier(f"{self.tracking_table_name}_rows")
        columns = "participant uuid PRIMARY KEY, happened int NOT NULL, kind text"
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS {0} ({1})").format(table, SQL(columns))
        )
        self._upsert = SQL(
            "INSERT INTO {0} AS row VALUES (%s, 1, %s) ON CONFLICT (participant)"
            " DO UPDATE SET happened = row.happened + 1, kind = excluded.kind"
        ).format(table)

    def happened(self, participant: object, kind: str, tracking: Tracking) -> None:
        """Take in one event."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._upsert, [participant, kind])


class LastEvents(Projection[Happened]):
    """What the runner calls for every event."""

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Take in one event."""
        kind = str(getattr(domain_event, "kind", "opened"))
        self.view.happened(domain_event.originator_id, kind, tracking)


class Runner:
    """The library's runner over an application with so many journeys."""

    def __init__(self, conninfo: str, events: int) -> None:
        self._env = library_settings(conninfo, 5)
        app = Journeys(env=self._env)
        self._events = 0
        for _ in range(events // len(FACTS)):
            journey = Journey(f"P-{uuid4().hex[:8]}")
            for kind, when, data in FACTS:
                journey.record(kind, when, data)
            app.save(journey)
            self._events += journey.version
        app.close()

    def run(self) -> int:
        """Take in all of it, in tables of a fresh name; how many events that were."""
        name = f"View{uuid4().hex[:8]}"
        kind = type(name, (LastEvents,), {"name": name})
        with ProjectionRunner(
            application_class=Journeys, projection_class=kind, view_class=Happened, env=self._env
        ) as runner:
            last = runner.app.recorder.max_notification_id()
            runner.wait(last, timeout=WAIT_SECONDS_MAX)
        return self._events


def rows(setting: Setting) -> Iterator[Row]:
    """Live and catching up, then rebuilding."""
    set_to_fold()  # as a worker's process has it; the runner has it too
    runner = Runner(setting.plain_database(), setting.size(RUNNER_EVENTS, 600))
    theirs = partial(metered, runner.run, setting.keeper)
    with study(setting) as scattered, study(setting) as whole:
        people = setting.size(PARTICIPANTS, 100)
        spread(scattered, names(people))
        filled(whole, names(people))
        ways: dict[str, Callable[[], Sample]] = {
            "spread": partial(_caught_up, setting, scattered),
            "whole": partial(_caught_up, setting, whole),
            BESIDE: theirs,
        }
        found = in_turns(ways, setting.rounds)
        told = f"{people:,} participants, {scattered.ledger.head(STUDY):,} events"
        for way, what, wanted in (
            ("spread", f"live projection of all views, events spread over {told}", 5.0),
            ("whole", "catching up with whole journeys, all views", 20.0),
        ):
            yield Row(what, "events/s", found[way], BESIDE, found[BESIDE], ratio_min=wanted)
        multiplied(whole, conninfo_of(whole.pool), setting.size(REBUILT_EVENTS, REBUILT_QUICK))
        yield from _rebuilding(setting, whole, theirs)


def _caught_up(setting: Setting, cairn: Cairn) -> Sample:
    afresh = projector(cairn)
    return metered(lambda: afresh.catch_up(STUDY), setting.keeper)


def _rebuilding(setting: Setting, cairn: Cairn, theirs: Callable[[], Sample]) -> Iterator[Row]:
    digests: set[tuple[str, ...]] = set()
    ways: dict[str, Callable[[], Sample]] = {
        "one": partial(metered, partial(_rebuilt, cairn, digests, 1), setting.keeper),
        "two": partial(_by_two, cairn, digests),
        BESIDE: theirs,
    }
    found = in_turns(ways, min(setting.rounds, REBUILDS))
    assert len(digests) == 1, "rebuilds of one log differ"
    events = f"{cairn.ledger.head(STUDY):,} events"
    one, two = found["one"], found["two"]
    yield Row(
        f"rebuild of all views, {events}, one process",
        "events/s",
        one,
        BESIDE,
        found[BESIDE],
        ratio_min=40.0,
    )
    yield Row(
        f"rebuild of all views, {events}, two processes, their start included",
        "events/s",
        two,
        "one process",
        one,
        ratio_min=1.6,
    )


def _rebuilt(cairn: Cairn, digests: set[tuple[str, ...]], processes: int) -> int:
    """All views; how many events that were."""
    views = list(cairn.tables.views)
    found = cairn.projector.rebuild_all(STUDY, views, beside=helpers(cairn, processes))
    digests.add(tuple(one.digest for one in found if isinstance(one, Rebuilt)))
    return cairn.ledger.head(STUDY)


def _by_two(cairn: Cairn, digests: set[tuple[str, ...]]) -> Sample:
    """Without processor time: that of the two is not this process's."""
    return Sample(metered(partial(_rebuilt, cairn, digests, 2)).figure)
