"""Figures over the rows of a view: counted by the store now, and in passing for the past."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from domain.trial.study import Trial
from projections import eligibility, schedule
from projections.view import View
from services.views import criteria, planning, work


@dataclass(frozen=True, slots=True)
class Counted:
    """How figures are made."""

    view: View
    place: tuple[type, ...]
    """The shape of a line's place."""
    of_rows: Callable[..., Iterable[Any]]
    """Their parts from rows of the past."""
    read: Callable[..., list[Any]]
    """Their parts as the store counts them."""
    lines: Callable[[Iterable[Any], Trial], list[work.Work]]
    """The parts made into lines, in order; it looks at each part once."""


COUNTED: Mapping[str, Counted] = MappingProxyType(
    {
        **{
            name: Counted(
                schedule.VIEW, planning.PLACES[name], *planning.SOURCES[name], planning.LINES[name]
            )
            for name in ("workload", "adherence")
        },
        "criteria": Counted(
            eligibility.VIEW,
            criteria.PLACE,
            criteria.parts_of,
            criteria.parts_read,
            criteria.lines,
        ),
    }
)
"""Name of the figures -> how they are made."""
