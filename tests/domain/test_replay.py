"""A whole history is folded in one pass to what the chapters make of one event after the other."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import catalogue
from domain import participant as journey
from domain.journey.consent import Consented
from domain.journey.eligibility import CriterionFailed, CriterionPassed
from domain.journey.oversight import Corrected, Retracted
from domain.journey.screening import ScreeningStarted
from domain.kernel import Actor, Event, Kind, Noted, Recorded
from domain.participant import CHAPTER_OF, Participant, extended, replay
from domain.time import When
from tests.domain.any_fact import facts
from tests.specs import WHO

NOW = datetime(2027, 12, 31, tzinfo=UTC)
SENDERS = st.tuples(
    st.sampled_from([None, "urn:edc", "urn:laboratory"]), st.sampled_from([None, "1", "2"])
)
SENDER = (None, None)
MOMENTS = st.sampled_from(
    ["2026-12-07T09:00:00-05:00", "2026-12-07T14:00:00Z", "2026-12-07", "2026-12", "2026-12-09"]
)
CONCLUDED = st.builds(
    lambda cls, criterion, cleared: cls(
        criterion=criterion, explanation="because", missing=(), cleared=cleared
    ),
    st.sampled_from([CriterionPassed, CriterionFailed]),
    st.sampled_from(["I1", "I2", "E1"]),
    st.sampled_from([None, None, True]),
)
Said = Callable[[int], Event]
"""The body, by the version that it gets."""


def amended(cls: type[Event], back: int, **more: Any) -> Said:
    """What is recorded so many events later as the one that it corrects or takes back."""
    return lambda version: cls.model_validate({"position": max(1, version - back), **more})


BACK = st.integers(1, 8)
EVENTS = st.one_of(
    facts.map(lambda said: lambda _: said.body),
    CONCLUDED.map(lambda body: lambda _: body),
    st.builds(amended, st.just(Retracted), BACK),
    st.builds(amended, st.just(Corrected), BACK, occurred_at=st.sampled_from([None, "2026-12-08"])),
)
"""At few moments and from few senders, so that some differ in what they say alone."""


def recorded(body: Event, version: int, at: str, sender: tuple[str | None, str | None]) -> Recorded:
    source, name = sender
    return Recorded(
        body=body,
        position=version,
        version=version,
        occurred_at=When.parse(at),
        recorded_at=NOW,
        actor=Actor(id="a", role="system"),
        participant=WHO,
        source=source,
        id=name,
        hash=f"{version:064x}",
    )


@settings(deadline=None)
@given(told=st.lists(st.tuples(EVENTS, MOMENTS, SENDERS), max_size=14))
def test_one_pass_gives_what_one_event_after_the_other_gives(
    told: Sequence[tuple[Said, str, tuple[str | None, str | None]]],
) -> None:
    history = [
        recorded(said(version), version, at, sender)
        for version, (said, at, sender) in enumerate(told, start=1)
    ]
    state = Participant(WHO)
    assert replay(WHO, []) == state
    for count, one in enumerate(history, start=1):
        state = journey.evolve(state, one)
        assert replay(WHO, history[:count]) == state
    assert list(replay(WHO, history).concluded) == list(state.concluded)
    for count in range(len(history) + 1):
        further = extended(replay(WHO, history[:count]), history[count:])
        assert further == state
        assert list(further.concluded) == list(state.concluded)


def test_what_nothing_was_added_to_stays_the_same_object() -> None:
    """What is derived from a part is kept as long as that is the same."""
    consented = recorded(Consented(form_version="1", signed_by="participant"), 1, "2026-12", SENDER)
    screened = recorded(ScreeningStarted(), 2, "2026-12", SENDER)
    before = replay(WHO, [consented])
    after = extended(before, [screened])
    assert after.consent is before.consent
    assert after.concluded is before.concluded
    assert after.screening is not before.screening
    assert extended(before, []) is before


def test_every_type_that_is_remembered_has_its_place() -> None:
    """Types that this does not name are conclusions, which chapters do not keep, and what amends
    the history itself."""
    for event in catalogue.PARTICIPANT.values():
        name, module = CHAPTER_OF[event]
        body = event.model_construct(type=event.model_fields["type"].default)
        blank = getattr(Participant(WHO), name)
        after = module.evolve(blank, recorded(body, 1, "2026-12-07", (None, None)))
        remembers = event.kind is not Kind.CONCLUSION and event not in (Corrected, Retracted)
        assert (after != blank) is remembers
        if remembers:
            whole = replay(WHO, [recorded(body, 1, "2026-12-07", (None, None))])
            assert getattr(whole, name) == after
            assert Noted(body, whole.history[0]) in {part[0] for part in _parts(after)}


def _parts(chapter: object) -> list[tuple[Noted[Event], ...]]:
    parts = (getattr(chapter, name) for name in type(chapter).__dataclass_fields__)  # type: ignore[attr-defined]
    return [part for part in parts if part]
