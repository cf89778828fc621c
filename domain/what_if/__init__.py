"""What if: one participant under two readings, and everything that differs between them.

The readings are today's protocol and a draft of another, or the facts as they are and with more
of them. Both are judged by the functions that conclude, plan and count live; nothing is concluded
here, only compared. What the log has concluded is left out of both: facts alone decide.

A draft replaces every version of the protocol, for everybody and from their first event on, as an
amendment would under which nothing keeps the version that it was done under.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from domain.participant import Participant
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from domain.what_if import concluded, eligibility, visits
from domain.what_if.reading import Change, Reading, Told, told

__all__ = ["LISTS", "Change", "Reading", "Told", "changes", "facts_alone", "told", "under"]

LISTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "visits": visits.KINDS,
        "eligibility": eligibility.KINDS,
        "stages": ("changed",),
        "deviations": ("new", "gone", "changed"),
        "clocks": ("moved", "new", "gone"),
        "safety": ("new", "gone", "changed"),
        "reconsents": ("needed", "settled"),
    }
)
"""Part that is compared -> the lists in which its differences are told."""


def under(trial: Trial, draft: Protocol) -> Trial:
    """The study as if the draft were its only protocol, in force for everybody from the start."""
    return replace(trial, protocols={draft.version: draft}, activated=())


def facts_alone(participant: Participant) -> Participant:
    """The participant without what the log has concluded, so that all of it is concluded anew."""
    return replace(participant, concluded={}, _computed={}, _derived={})


def changes(before: Told, after: Told) -> Iterator[Change]:
    """Everything that differs, part by part; the order is the same for the same readings."""
    yield from visits.changes(before, after)
    yield from eligibility.changes(before, after)
    yield from concluded.changes(before, after)
