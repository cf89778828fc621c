"""What is made to judge a participant is freed at once, without the garbage collector: a process
that judges thousands, one after the other, leaves it nothing to walk through."""

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

import pytest

from domain.admit import admit, concluded_by_time
from domain.asof import true_at
from domain.eligibility.day0 import rechecked
from domain.kernel import Recorded, Refused
from domain.participant import Participant, replay
from domain.time import When
from domain.trial.protocol import Protocol
from tests import specs
from tests.domain.eligibility.charts import eligible
from tests.specs import WHO, Said, Study, _proposed, event, lk_23_01, visit

FACTS = (
    *specs.screening,
    *[Said(one.body, one.at) for one in eligible],
    *specs.treated[len(specs.screening) :],
    visit("V2", "2026-12-08", procedures=[{"code": "blood-count", "done": False}]),
    event("AE-1", "2026-12-09T10:00:00Z", grade=3, seriousness=["hospitalisation"]),
)
DECISIONS = (specs.confirmed, specs.enrolled, specs.authorised)

History = Sequence[Recorded]


def _all_rechecked() -> Protocol:
    """The built-in protocol, every criterion of it evaluated again on day 0."""
    fields = {name: getattr(lk_23_01(), name) for name in Protocol.model_fields}
    criteria = tuple(one.model_copy(update={"recheck": True}) for one in lk_23_01().criteria)
    return Protocol.model_validate({**fields, "criteria": criteria})


def _posted(study: Study, _history: History) -> None:
    who = Participant(WHO)
    for one in FACTS:
        proposed = replace(_proposed(one, WHO, study.clock), historical=True)
        who = admit(study.trial, who, [proposed]).after


def _refused(study: Study, history: History) -> None:
    who = replay(WHO, history)
    for one in DECISIONS:
        with suppress(Refused):
            admit(study.trial, who, [_proposed(one, WHO, study.clock)])


def _rechecked(study: Study, history: History) -> None:
    assert rechecked(study.trial, replay(WHO, history), date(2026, 12, 7))


def _waited(study: Study, history: History) -> None:
    assert concluded_by_time(
        study.trial, replay(WHO, history), study.clock + timedelta(days=90)
    ).events


def _looked_back(study: Study, history: History) -> None:
    assert true_at(study.trial, replay(WHO, history), When.parse("2026-12-08"))


@pytest.mark.parametrize("done", [_posted, _refused, _rechecked, _waited, _looked_back])
def test_what_was_judged_is_freed_without_the_garbage_collector(
    done: Callable[[Study, History], None],
) -> None:
    study = Study(_all_rechecked())
    for one in FACTS:
        study.post(one, historical=True)
    history = [one for one in study.log if one.participant == WHO]
    done(study, history)  # what is kept for everybody is there from now on
    gc.collect()
    gc.disable()
    try:
        done(study, history)
        assert gc.collect() == 0
    finally:
        gc.enable()
