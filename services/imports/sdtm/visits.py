"""Visits: an SDTM visit's name as the code that the protocol has for it."""

from dataclasses import dataclass

from domain.trial.protocol import Protocol, Visit
from domain.trial.usdm import visit_code

UNSCHEDULED = "UNS"
IN_PERSON = "in-person"


@dataclass(frozen=True, slots=True)
class Planned:
    """What the protocol has for an SDTM visit."""

    code: str
    mode: str
    screening: bool
    """Whether this visit begins the screening."""
    found: bool
    """False: the protocol plans no such visit, so it was an unscheduled one."""


class VisitCodes:
    """The protocol's visits by the names that SDTM may have for them."""

    def __init__(self, protocol: Protocol) -> None:
        self._known: dict[str, Visit] = {}
        for visit in protocol.calendar:
            for name in (visit.code, visit_code(visit.name)):
                self._known.setdefault(name.upper(), visit)
        kinds = [visit.code for visit in protocol.visits if visit.kind == "screening"]
        self._first = kinds[0] if kinds else None

    def of(self, name: str) -> Planned:
        """The protocol's visit of a name in VISIT; an unscheduled one when there is none."""
        visit = self._known.get(visit_code(name)) or self._known.get(name.upper())
        if visit is None or visit.kind == "unscheduled":
            return Planned(UNSCHEDULED, IN_PERSON, screening=False, found=False)
        first = visit.code == self._first
        return Planned(visit.code, visit.mode or IN_PERSON, screening=first, found=True)
