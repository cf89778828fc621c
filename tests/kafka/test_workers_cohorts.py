"""A synthetic cohort and a real study, taken in by workers while they are recorded: the rows are
those that the ledger gives."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient
from kafka.errors import UnknownTopicOrPartitionError

from domain.kernel import Actor
from infra.kafka.topics import events_topic
from services.bootstrap import Cairn, Settings, open_cairn
from services.demo import cohort
from services.imports.sdtm.run import SdtmImport, survey
from services.publishing import draft
from services.record import Terms
from tests.imports.conftest import STUDY as PILOT
from tests.imports.conftest import data
from tests.kafka.relayed import ports_on, relaying
from tests.kafka.working import SETTLE_SECONDS_MAX, until, worker_ports, working

__all__ = ["data"]

WORKERS = 2


def record_cohort(cairn: Cairn) -> None:
    cohort.register(cairn)
    added = cohort.add_cohort(cairn, cohort.acts_of(cohort.demo_of(cairn)), lambda _acts: None)
    assert (added.refused, added.known) == ([], 0)


def import_pilot(cairn: Cairn, data: Path) -> None:
    document = (data / "usdm" / "CDISC_Pilot_Study.json").read_bytes()
    read = draft(document, "application/json", study=PILOT)
    asyncio.run(
        cairn.publishing.publish_protocol(read, Terms(Actor(id="t", role="data-manager"), "urn:t"))
    )
    found = survey(data / "cdisc-pilot")
    asyncio.run(SdtmImport(cairn.recording, PILOT, None).run(found, lambda _rows: None))


def taken_in(
    database: str, folder: Path, broker: str, study: str, record: Callable[[Cairn], None]
) -> dict[str, bool]:
    """Record a study while workers take it in; view -> whether its rows are those rebuilt."""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    with contextlib.suppress(UnknownTopicOrPartitionError):
        admin.delete_topics([events_topic(study)])
    admin.close()
    with (
        contextlib.closing(open_cairn(Settings(data=folder), conninfo=database)) as cairn,
        contextlib.ExitStack() as stack,
    ):
        ports = ports_on(cairn.pool, broker)
        stack.enter_context(contextlib.closing(ports.ledger))
        stack.enter_context(relaying(ports))
        for _ in range(WORKERS):
            stack.enter_context(working(worker_ports(cairn.pool, broker, study)))
        record(cairn)
        head = cairn.ledger.head(study)
        until(lambda: bool(cairn.tables.partition_cursors(study)), "divided")
        assert cairn.tables.wait(study, list(cairn.tables.views), head, SETTLE_SECONDS_MAX)
        assert {one.position for one in cairn.tables.partition_cursors(study)} == {head}
        return {view: cairn.projector.rebuild(study, view).same for view in cairn.tables.views}


@pytest.mark.slow
def test_the_rows_of_the_synthetic_cohort_are_those_of_the_ledger(
    database: str, tmp_path: Path, broker: str
) -> None:
    found = taken_in(database, tmp_path, broker, cohort.STUDY, record_cohort)
    assert all(found.values()), found


@pytest.mark.slow
def test_the_rows_of_the_pilot_study_are_those_of_the_ledger(
    database: str, tmp_path: Path, broker: str, data: Path
) -> None:
    found = taken_in(database, tmp_path, broker, PILOT, lambda cairn: import_pilot(cairn, data))
    assert all(found.values()), found
