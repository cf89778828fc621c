"""What is sealed at the door: every field that the published schemas call protected."""

import json

import pytest

from domain import catalogue
from domain.kernel import Event
from services.sealing import protected_in

TYPES = {**catalogue.PARTICIPANT, **catalogue.STUDY}


@pytest.mark.parametrize("cls", TYPES.values(), ids=TYPES)
def test_every_field_that_the_schema_calls_protected_is_sealed(cls: type[Event]) -> None:
    schema = cls.model_json_schema()
    said = {
        name for name, one in schema["properties"].items() if '"x-protected": true' in _text(one)
    }
    assert set(protected_in(cls)) == said
    # No part of a body, nor of a part of it, is protected without a field of the body's own.
    assert '"x-protected": true' not in _text(schema.get("$defs", {}))


def test_contacts_births_and_free_texts_are_among_them() -> None:
    assert protected_in(catalogue.PARTICIPANT["referred"]) == ("contact", "message")
    assert protected_in(catalogue.PARTICIPANT["demographics-recorded"]) == ("birth_date",)
    assert protected_in(catalogue.PARTICIPANT["note-added"]) == ("text",)
    assert protected_in(catalogue.PARTICIPANT["observation-recorded"]) == ()


def _text(schema: object) -> str:
    return json.dumps(schema)
