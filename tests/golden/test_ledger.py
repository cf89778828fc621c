"""A ledger of an older Cairn is loaded as it was and replays to what it meant then.

`ledger-1.ndjson.gz` is a whole study as it was recorded in November 2026: 90 participants, every
event type, two protocol versions, corrections of corrections, an erasure, a crossed boundary, an
import.
It is never written again. What may change about it, and how:

- the bytes and what they mean (the states of participants): never;
- what is concluded now from its facts: a rule that changed on purpose gives other conclusions than
  the log has. Its line in RULES_CHANGED says which and why; the log keeps what was concluded;
- the rows of a view: the view's next digest is added to VIEW_DIGESTS, with a line that says why.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain.canonical import canonical
from domain.stage import stage
from infra.documents import PostgresDocuments
from infra.ledger.markers import leaf
from infra.ledger.types import STUDY_STREAM
from infra.postgres.pool import Pool
from infra.projection.folds import recorded
from projections.catalogue import VIEWS
from services.replay import state_of
from services.replay_check import ReplayCheck
from tests.projections.rows import digest
from tests.projections.watched import STUDY, Watched

GOLDEN = Path(__file__).with_name("ledger-1.ndjson.gz")
EVENTS = 4057
BYTES = "5d2a27be7885d5721ad0edf3565dde0b3d24f6620933ff46c052ea8427549b9f"
"""SHA-256 over the leaf hashes, in order."""
STATES = "43511d8bb006a9dacd265cf5ea997beb035f0603e8925922aa5de5cb57504915"
"""SHA-256 over every participant's last state: facts as they read, what is concluded, the stage,
the consent and the protocol in force. Not the calendar: that is a view's."""

VIEW_DIGESTS: dict[str, list[tuple[str, str]]] = {
    "calendar": [
        (
            "7222cb829a2434280931e8e27b078979f9e5f1624c4e57bbf414ce70bffb2a20",
            "as recorded",
        ),
    ],
    "deviations": [
        (
            "9c60e0d7eea77f16dcd357bbf83ab79a4925f1fa26607d2c347ecaa7c88db482",
            "as recorded",
        ),
    ],
    "eligibility": [
        (
            "dfe024e1d753b33d84a01f58b09b802de6846984ee61f21ce0e4105479ff9241",
            "as recorded",
        ),
    ],
    "enrolment": [
        (
            "23d64132c9825cd0a1c179f76b3bb06c3ee75cf5e8de00855098215dbaee6476",
            "as recorded",
        ),
        (
            "c7247395220fddb409dbfb1d127ab4a60dc78ecfae03ba7d1bb0d51f29304cb0",
            "whoever's journey is over has no newer consent form to sign",
        ),
    ],
    "safety": [
        (
            "d7cdc1ba6f18f6111095318dd8b946d7cbd066f5a389c516bb56832187046cfc",
            "as recorded",
        ),
    ],
    "schedule": [
        (
            "88857ea0cf084adfd512ddead002c4e4f799e30853de8fdfe82f8320dc72e2f4",
            "as recorded",
        ),
    ],
}
"""View -> the digests of what its rows say, each with the reason of the change; the last counts."""


RULES_CHANGED: dict[tuple[str, str], str] = {}
"""(what, rule) of the replay check's findings -> why it is concluded otherwise since."""


@cache
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(GOLDEN.read_bytes()).splitlines()]


@pytest.fixture
def study(database: str, pool: Pool) -> Iterator[Watched]:
    """The old ledger in a fresh database, byte by byte, and everything that reads it."""
    events = [line for line in lines() if "envelope" in line]
    with psycopg.connect(database) as owner, owner.cursor() as cursor:
        copying = (
            "COPY cairn.event (study, position, stream, version, topic, append, recorded_at, body,"
            " hash) FROM STDIN"
        )
        with cursor.copy(copying) as copy:
            for line in events:
                body = line["envelope"].encode()
                copy.write_row(_columns(line["topic"], json.loads(body), body))
        last = json.loads(events[-1]["envelope"])
        head = (STUDY, last["position"], last["recorded_at"])
        cursor.execute("INSERT INTO cairn.head VALUES (%s, %s, %s)", head)
    documents = PostgresDocuments(pool)
    for line in lines():
        if "document" in line:
            documents.put(STUDY, line["document"], line["body"].encode())
    found = Watched(pool)
    yield found
    found.ledger.close()


def _columns(topic: str, envelope: dict[str, Any], body: bytes) -> tuple[Any, ...]:
    return (
        STUDY,
        envelope["position"],
        envelope["participant"] or STUDY_STREAM,
        envelope["version"],
        topic,
        envelope["position"],
        envelope["recorded_at"],
        body,
        bytes.fromhex(leaf(body)),
    )


def states(study: Watched) -> str:
    """The digest over what the participants' histories mean."""
    found, trial = hashlib.sha256(), study.hot.trial(STUDY)
    for name in study.ledger.participants(STUDY):
        last = recorded(study.hot.history(STUDY, name)[-1])
        state = state_of(trial, study.hot.participant(STUDY, name), last)
        del state["calendar"]
        found.update(canonical([name, last.version, state]))
    return found.hexdigest()


def test_the_file_is_what_it_was() -> None:
    found = hashlib.sha256()
    for line in lines():
        if "envelope" in line:
            found.update(bytes.fromhex(leaf(line["envelope"].encode())))
    assert found.hexdigest() == BYTES, "the old ledger is never written again"


def test_an_old_ledger_replays_to_the_same_digests(study: Watched) -> None:
    assert study.ledger.head(STUDY) == EVENTS
    assert states(study) == STATES, "what old events mean must never change"
    assert study.projector.catch_up(STUDY) == EVENTS
    assert study.digests() == study.expected()
    found = {view.name: digest(study.rows(view)) for view in VIEWS}
    wanted = {view: known[-1][0] for view, known in VIEW_DIGESTS.items()}
    assert found == wanted, "a view changed: add its new digest to VIEW_DIGESTS, and say why"


def test_what_the_old_ledger_concluded_is_what_is_concluded_now(study: Watched) -> None:
    found = {(one.what, one.rule) for one in ReplayCheck(
        study.ledger, study.documents, STUDY).findings()}  # fmt: skip
    assert found == RULES_CHANGED.keys(), "a rule changed: say why in RULES_CHANGED"


def test_an_old_ledger_goes_on(study: Watched) -> None:
    """It is not only read: what is posted today follows what was recorded then."""
    from tests import specs

    study.clock.now = datetime.fromisoformat("2028-01-01T00:00:00Z")
    name = study.ledger.participants(STUDY)[0]
    position = study.post(name, specs.event("AE-NEW", "2027-12-30T10:00:00Z", grade=2))
    assert position > EVENTS
    assert list(ReplayCheck(study.ledger, study.documents, STUDY, name).findings()) == []
    state = study.hot.participant(STUDY, name)
    assert stage(study.hot.trial(STUDY), state, study.clock.now)
    assert [recorded(one).version for one in study.hot.history(STUDY, name)][-1] == state.version
