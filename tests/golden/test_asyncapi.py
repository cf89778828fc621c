"""What the AsyncAPI document says of the topics is what goes over them."""

from typing import Any

import pytest

from services import asyncapi
from services.door import cloudevents
from tests.api.schema import errors
from tests.golden.test_events import LINES, TOPICS, stored

DOCUMENT = asyncapi.document()
MESSAGES = DOCUMENT["components"]["messages"]


@pytest.mark.parametrize("line", LINES, ids=TOPICS)
def test_every_event_ever_written_is_a_message_of_the_events_topic(line: dict[str, Any]) -> None:
    event = cloudevents.written(stored(line), "LK-23-01")
    payload = MESSAGES[line["topic"]]["payload"]
    assert errors(event, payload, DOCUMENT) == []
    assert errors({**event, "type": "cairn.participant.other.v1"}, payload, DOCUMENT)
    assert errors({**event, "leafhash": "x"}, payload, DOCUMENT)


def test_a_protected_value_in_clear_is_no_message() -> None:
    line = next(one for one in LINES if one["topic"] == "participant.referred.v1")
    event = cloudevents.written(stored(line), "LK-23-01")
    clear = {**event, "data": {**event["data"], "contact": {"email": "a@example.org"}}}
    assert errors(clear, MESSAGES["participant.referred.v1"]["payload"], DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [one for inner in value.values() for one in references(inner)]
        if isinstance(value, list):
            return [one for inner in value for one in references(inner)]
        return []

    found = references(DOCUMENT)
    assert len(found) > 100
    for reference in set(found):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
