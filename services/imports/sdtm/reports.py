"""What a row becomes: events to post, or a reason why it does not become one."""

from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from services.imports.sdtm.datasets import Line
from services.imports.sdtm.terms import moment
from services.imports.sdtm.visits import VisitCodes


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a study's rows are read."""

    source: str
    """Who the events are from, as their envelope says."""
    visits: VisitCodes
    zone: ZoneInfo | None = None
    """The zone of the sites, where it is known."""

    def moment(self, text: str | None) -> str | None:
        """A date/time of SDTM as a time; None when it is missing."""
        return moment(text, self.zone)


@dataclass(frozen=True, slots=True)
class Report:
    """An event as a REST client would post it, and the row that it is from."""

    line: Line
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that becomes no event (or not all of it does), and why."""

    line: Line
    reason: str


@dataclass(slots=True)
class Said:
    """What one participant's rows say, gathered."""

    circumstances: Circumstances
    reports: list[Report] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def report(
        self,
        line: Line,
        sequence: str,
        kind: str,
        occurred_at: str,
        data: dict[str, Any],
        *,
        collected: str | None = None,
        further: bool = False,
    ) -> None:
        """One event of a row; `further` when another event has the row's own id."""
        name = f"{line.domain}:{line.subject}:{sequence}"
        document = {
            "id": f"{name}/{kind}" if further else name,
            "source": self.circumstances.source,
            "type": kind,
            "participant": line.subject,
            "occurred_at": occurred_at,
            "data": {name: value for name, value in data.items() if value is not None},
        }
        if collected is not None:
            document["recorded_at_source"] = collected
        self.reports.append(Report(line, document))

    def leave_out(self, line: Line, reason: str) -> None:
        """Nothing is made of the row, or of a part of it."""
        self.left_out.append(LeftOut(line, reason))
