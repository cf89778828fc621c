"""A relayed CloudEvent is complete: the ledger's bytes come out of it again, by their hash."""

from typing import Any

import orjson
import pytest

from services.door import cloudevents
from services.door.relayed import restored
from tests.golden.test_events import LINES, TOPICS, stored

STUDY = "LK-23-01"


def relayed(line: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(orjson.dumps(cloudevents.written(stored(line), STUDY)))
    return document


@pytest.mark.parametrize("line", LINES, ids=TOPICS)
def test_every_event_ever_written_comes_back_byte_for_byte(line: dict[str, Any]) -> None:
    assert restored(orjson.dumps(relayed(line)), STUDY) == stored(line)


@pytest.mark.parametrize(
    "change",
    [
        {"time": "2001-01-01T00:00:00Z"},
        {"actor": "sponsor:somebody-else"},
        {"leafhash": "0" * 64},
        {"position": "999"},
        {"type": "cairn.participant.dosed"},
        {"type": "cairn.participant.no-such-type.v1"},
        {"data": None},
        {"subject": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_changed_on_the_way_does_not_come_back(change: dict[str, Any]) -> None:
    assert restored(orjson.dumps({**relayed(LINES[0]), **change}), STUDY) is None


def test_what_is_no_event_does_not_come_back() -> None:
    assert [restored(value, STUDY) for value in (b"", b"x", b"[]", b"{}", b"null")] == [None] * 5
