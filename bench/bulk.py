"""Many events at once: NDJSON over HTTP through Cairn's door, and reading the log again.

Each line is validated, judged, concluded from and stored durably, and has its answer. Beside it:
the library's recorder saving twenty new events a call, and INSERT and COPY with nothing above.
"""

import http.client
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from uuid import uuid4

import orjson

from bench.append import LibraryRecorder, stored_bytes
from bench.http import Service, serving
from bench.journey import STUDY, documents
from bench.limits import Table
from bench.measured import Row, Sample, in_turns, metered
from bench.setting import Setting
from infra.ledger.ledger import Ledger
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import open_pool

PEOPLE = 200
THREADS = 8
SAVES = 10
BATCHES = 20
PAGE = 1_000
ANSWER_SECONDS_MAX = 300


def rows(setting: Setting) -> Iterator[Row]:
    """Writing in bulk, then reading."""
    conninfo = setting.database()
    recorder = LibraryRecorder(setting.plain_database())
    table, events = Table(setting.plain_database()), stored_bytes()
    batches = setting.size(BATCHES, 5)
    with serving("cairn", setting.folder, conninfo) as service:
        posted(service, 10)
        found = in_turns(
            {
                "": partial(_posted, setting, service, setting.size(PEOPLE, 50)),
                "saves": lambda: metered(
                    lambda: recorder.together(THREADS, SAVES, events), setting.keeper
                ),
                "insert": lambda: metered(lambda: table.insert(events, batches), setting.keeper),
                "copy": lambda: metered(lambda: table.copy(events, batches), setting.keeper),
            },
            setting.rounds,
        )
    recorder.close()
    what, ours = "NDJSON over HTTP, one connection, one worker", found[""]
    saves, unit = "eventsourcing's recorder, 20 events a call", "events/s"
    yield Row(what, unit, ours, saves, found["saves"], ratio_min=1.0)
    yield Row(what, unit, ours, "INSERT of 1,000 rows", found["insert"], ratio_min=0.15)
    yield Row(what, unit, ours, "COPY", found["copy"])
    yield from _reading(setting, conninfo, table)
    table.close()


def _reading(setting: Setting, conninfo: str, table: Table) -> Iterator[Row]:
    with closing(open_pool(conninfo)) as pool, closing(PostgresLedger(pool)) as ledger:
        found = in_turns(
            {
                "": lambda: metered(lambda: read(ledger), setting.keeper),
                "raw": lambda: metered(table.read, setting.keeper),
            },
            setting.rounds,
        )
    what = f"reading the log in pages of {PAGE:,}"
    yield Row(what, "events/s", found[""], "SELECT of as large rows, all at once", found["raw"])


def read(ledger: Ledger) -> int:
    """Every stored event of the study, page by page; how many there were."""
    after = 0
    while page := ledger.read(STUDY, after, PAGE):
        after = page[-1].position
    return after


def posted(service: Service, people: int) -> int:
    """Post whole journeys as one stream of lines; how many events were recorded."""
    body = _lines(people)
    return _checked(body, _sent(service, body))


def _posted(setting: Setting, service: Service, people: int) -> Sample:
    """The lines are made beforehand, as the events of the others are, and looked at afterwards."""
    body = _lines(people)
    answers: list[bytes] = []

    def send() -> int:
        answers.append(_sent(service, body))
        return body.count(b"\n") + 1

    sample = metered(send, setting.keeper, service.process.pid)
    _checked(body, answers[0])
    return sample


def _lines(people: int) -> bytes:
    run = uuid4().hex[:8]
    lives = {f"{run}-{number}": documents(f"{run}-{number}") for number in range(people)}
    return b"\n".join(
        orjson.dumps({**one, "participant": name}) for name, life in lives.items() for one in life
    )


def _sent(service: Service, body: bytes) -> bytes:
    """The answers, as they came."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=ANSWER_SECONDS_MAX)
    headers = {
        "Authorization": f"Bearer {service.token}",
        "Content-Type": "application/x-ndjson",
    }
    with closing(connection):
        connection.request("POST", f"/v1/studies/{STUDY}/events", body, headers)
        return connection.getresponse().read()


def _checked(body: bytes, answers: bytes) -> int:
    told = answers.splitlines()
    assert len(told) == body.count(b"\n") + 1
    assert all(orjson.loads(answer)["status"] == 201 for answer in told)
    return len(told)
