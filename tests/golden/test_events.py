"""Every event type and version ever written stays readable, and its bytes are what was hashed.

`events.ndjson` is only ever added to: a line that has landed is what some ledger holds.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from domain import catalogue
from domain.kernel import Event
from infra.ledger.envelope import read, template
from infra.ledger.markers import filled
from infra.ledger.types import STUDY_STREAM, Stored

GOLDEN = Path(__file__).with_name("events.ndjson")
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
TOPICS = [line["topic"] for line in LINES]


def types_of(topic: str) -> dict[str, type[Event]]:
    return catalogue.STUDY if topic.startswith("study.") else catalogue.PARTICIPANT


def stored(line: dict[str, Any]) -> Stored:
    envelope = json.loads(line["envelope"])
    return Stored(
        position=envelope["position"],
        stream=envelope["participant"] or STUDY_STREAM,
        version=envelope["version"],
        topic=line["topic"],
        body=line["envelope"].encode(),
        hash=line["hash"],
    )


def test_every_type_that_can_be_written_has_its_line() -> None:
    written = {
        f"{family}.{name}.v{cls.schema_version}"
        for family, types in (("participant", catalogue.PARTICIPANT), ("study", catalogue.STUDY))
        for name, cls in types.items()
    }
    assert written <= set(TOPICS)


@pytest.mark.parametrize("line", LINES, ids=TOPICS)
def test_it_is_read_and_says_what_it_said(line: dict[str, Any]) -> None:
    recorded = read(stored(line), types_of(line["topic"]))
    assert hashlib.sha256(b"\x00" + line["envelope"].encode()).hexdigest() == line["hash"]
    kept = json.loads(line["envelope"])
    assert recorded.type == kept["type"]
    assert recorded.occurred_at.text == kept["occurred_at"]
    if line["topic"].endswith(f".v{recorded.body.schema_version}"):
        again, _ = filled(template(recorded).decode(), 0, recorded.previous, "")
        assert again == line["envelope"], "the canonical bytes are frozen"
