"""An event version that has landed accepts what it accepted, for ever.

Whoever changes an event's class changes what old ledgers may hold and what other systems send. So
every version's JSON Schema is kept (`schemas.json`), and a change is a new version.
"""

import json
from typing import Any, ClassVar, Literal

import pytest

from domain import catalogue
from domain.journey.consent import Consented
from domain.upcasting import STEPS
from tests.golden import schemas

LANDED = schemas.landed()
TODAY = schemas.todays()

WHAT_TO_DO = (
    "{topic} has landed and accepts something else now. Give the class the next schema_version,"
    " a step from this version in domain/upcasting.py, a golden line in events.ndjson,"
    " and add its schema with `python -m tests.golden.schemas`; leave this one as it is."
)
WHAT_IS_NEW = "{topic} is new: add it with `python -m tests.golden.schemas`, and a golden line."


def problem(topic: str, today: Any, landed: dict[str, Any]) -> str | None:
    """What is wrong with a version as it is today, in a sentence that says what to do."""
    if topic not in landed:
        return WHAT_IS_NEW.format(topic=topic)
    same = json.dumps(landed[topic], sort_keys=True) == json.dumps(today, sort_keys=True)
    return None if same else WHAT_TO_DO.format(topic=topic)


@pytest.mark.parametrize("topic", sorted(TODAY))
def test_a_version_that_has_landed_is_as_it_was(topic: str) -> None:
    found = problem(topic, TODAY[topic], LANDED)
    assert found is None, found


def test_from_every_version_of_before_a_step_leads_to_the_next() -> None:
    assert LANDED.keys() - TODAY.keys() <= STEPS.keys(), "what was written must stay readable"


def test_no_type_was_given_up() -> None:
    types = {topic.rpartition(".v")[0] for topic in LANDED}
    assert types <= {topic.rpartition(".v")[0] for topic in TODAY}


class _Wider(Consented):
    type: Literal["consented"] = "consented"
    place: str | None = None


class _Next(Consented):
    schema_version: ClassVar[int] = 2


def test_the_sentence_says_what_to_do() -> None:
    """The check itself: a field more is told, and so is a version without its schema."""
    topic = "participant.consented.v1"
    assert problem(topic, schemas.of(catalogue.PARTICIPANT["consented"]), LANDED) is None
    told = problem(topic, schemas.of(_Wider), LANDED)
    assert told is not None
    assert "next schema_version" in told
    told = problem("participant.consented.v2", schemas.of(_Next), LANDED)
    assert told == WHAT_IS_NEW.format(topic="participant.consented.v2")
