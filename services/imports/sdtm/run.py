"""The import of SDTM datasets into a study: sites first, then participant by participant."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from domain.kernel import Actor
from domain.time import When
from services.door import Invalid, Posted, posted
from services.imports.bulk import Bulk, rule_of
from services.imports.sdtm.datasets import (
    Dataset,
    Line,
    Unreadable,
    datasets_in,
    subjects,
    surveyed,
)
from services.imports.sdtm.journeys import DOMAINS, journey
from services.imports.sdtm.reports import Circumstances, Report, Said
from services.imports.sdtm.revising import Changed, Disputed, Known, Revising
from services.imports.sdtm.visits import VisitCodes
from services.record import Group, Recording, Terms

ACTOR = Actor(id="import", role="data-manager")
PARTICIPANTS_PER_APPEND = 12
LISTED_MAX = 100_000
ZONE = "UTC"
"""In which days are counted where nobody says in which zone the sites lie."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a folder holds: its datasets, their sizes, the sites and when each is first heard of."""

    datasets: Mapping[str, Dataset]
    rows: Mapping[str, int]
    ordered: Mapping[str, bool]
    sites: Mapping[str, str | None]

    @property
    def total(self) -> int:
        """Rows of all datasets."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was not recorded, or not all of it, and why."""

    domain: str
    row: int
    participant: str
    event: str | None
    rule: str


@dataclass(frozen=True, slots=True)
class CorrectedRow:
    """A row that says something else than when it was imported last."""

    domain: str
    row: int
    participant: str
    event: str | None
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GoneRow:
    """An event that was imported before and has no row any more; it is left as it is."""

    participant: str
    event: str


@dataclass(slots=True)
class Summary:
    """What became of the rows."""

    study: str
    participants: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    recorded: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    conclusions: int = 0
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(domain, reason) -> rows that say nothing the catalogue has, or not enough."""
    visits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(VISIT, the protocol's code) -> visits."""
    rejected: list[RejectedRow] = field(default_factory=list)
    corrected: list[CorrectedRow] = field(default_factory=list)
    gone: list[GoneRow] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As machines read it."""
        return {
            "study": self.study,
            "participants": self.participants,
            "rows": dict(sorted(self.rows.items())),
            "recorded": dict(sorted(self.recorded.items())),
            "already_recorded": dict(sorted(self.known.items())),
            "conclusions": self.conclusions,
            "left_out": [
                {"domain": domain, "reason": reason, "rows": count}
                for (domain, reason), count in sorted(self.left_out.items())
            ],
            "visits": [
                {"visit": name, "code": code, "rows": count}
                for (name, code), count in sorted(self.visits.items())
            ],
            "rejected": [
                {
                    "domain": one.domain,
                    "row": one.row,
                    "participant": one.participant,
                    "event": one.event,
                    "rule": one.rule,
                }
                for one in self.rejected
            ],
            "corrected": [
                {
                    "domain": one.domain,
                    "row": one.row,
                    "participant": one.participant,
                    "event": one.event,
                    "fields": list(one.fields),
                }
                for one in self.corrected
            ],
            "gone": [{"participant": one.participant, "event": one.event} for one in self.gone],
        }


def survey(folder: Path) -> Survey:
    """Look through the datasets once. Unreadable, also when there is no DM."""
    datasets = datasets_in(folder, DOMAINS)
    if "DM" not in datasets:
        raise Unreadable(f"{folder} has no DM dataset (dm.csv, dm.xpt, dm.json or dm.ndjson)")
    found = {domain: surveyed(dataset) for domain, dataset in datasets.items()}
    sites: dict[str, str | None] = {}
    for line in datasets["DM"].lines():
        site, day = line.get("SITEID"), line.get("DMDTC") or line.get("RFSTDTC")
        if site is not None:
            known = [text for text in (sites.get(site), day) if text]
            sites[site] = min(known, default=None)
    return Survey(
        datasets,
        {domain: count for domain, (count, _) in found.items()},
        {domain: ordered for domain, (_, ordered) in found.items()},
        sites,
    )


class SdtmImport:
    """Imports what a survey found into a study that is published."""

    def __init__(self, recording: Recording, study: str, zone: ZoneInfo | None) -> None:
        self._recording = recording
        self._study = study
        self._zone = zone
        source = f"urn:cairn:import:sdtm:{study}"
        self._terms = Terms(ACTOR, source, historical=True)
        protocol = next(iter(recording.trial(study).protocols.values()))
        self._domains: tuple[str, ...] = DOMAINS
        self._circumstances = Circumstances(source, VisitCodes(protocol), zone)
        self._corrections: dict[str | None, CorrectedRow] = {}
        """Corrections that wait for their append, by their ids."""

    async def run(self, found: Survey, advance: Callable[[int], None]) -> Summary:
        """Import everything; `advance` is told how many rows are done. StoreAway, StoreFull."""
        summary = Summary(self._study, rows=Counter(found.rows))
        self._domains = tuple(found.datasets)
        await self._open_sites(found, summary)
        bulk = Bulk(self._recording, self._study, self._terms)
        waiting: list[Group] = []
        origins: dict[str | None, Line] = {}
        rows = 0
        for subject in subjects(found.datasets, found.ordered):
            said = journey(subject, self._circumstances)
            self._note(said, summary)
            group = self._group(said, origins, summary)
            summary.participants += 1 if said.reports else 0
            rows += sum(map(len, subject.lines.values()))
            waiting += [group] if group.posted else []
            if len(waiting) == PARTICIPANTS_PER_APPEND:
                await self._record(bulk, waiting, origins, summary)
                advance(rows)
                waiting, origins, rows = [], {}, 0
        await self._record(bulk, waiting, origins, summary)
        advance(rows)
        summary.recorded += bulk.tally.recorded
        summary.known += bulk.tally.known
        summary.conclusions = bulk.tally.conclusions
        return summary

    async def _open_sites(self, found: Survey, summary: Summary) -> None:
        """Every site of DM that is not open yet, since the first that is heard of it."""
        for site, day in sorted(found.sites.items()):
            if site in self._recording.trial(self._study).sites:
                summary.known["site-opened"] += 1
                continue
            heard = self._circumstances.moment(day)
            document = {
                "id": f"DM:site:{site}",
                "source": self._terms.source,
                "type": "site-opened",
                "occurred_at": heard or When.at(self._recording.clock()).text,
                "data": {"site": site, "name": f"Site {site}", "timezone": self._zone_name()},
            }
            await self._recording.record_study(self._study, posted(document), self._terms)
            summary.recorded["site-opened"] += 1

    def _zone_name(self) -> str:
        return ZONE if self._zone is None else self._zone.key

    def _note(self, said: Said, summary: Summary) -> None:
        for one in said.left_out:
            summary.left_out[one.line.domain, one.reason] += 1
        for report in said.reports:
            if report.document["type"] in ("visit-completed", "visit-missed"):
                name = report.line.get("VISIT") or report.line.values["VISITNUM"]
                summary.visits[name, report.document["data"]["visit"]] += 1

    def _group(self, said: Said, origins: dict[str | None, Line], summary: Summary) -> Group:
        """The participant's events through the door; what it does not take is rejected here.

        Of what was imported before only what changed goes on, as corrections.
        """
        if not said.reports:
            return Group("", ())
        taken: list[Posted] = []
        who = said.reports[0].line.subject
        before = self._recording.hot.participant(self._study, who)
        revising = Revising(self._recording.keys, self._study, self._terms.source, before)
        for report in said.reports:
            name = report.document["id"]
            try:
                one: Posted | None = posted(report.document, participant=who)
                if one is not None and revising.imported(name):
                    one = self._revised(revising.looked_up(one, report.document), report, summary)
            except Invalid as refusal:
                _reject(summary, report.line, name, rule_of(refusal))
                continue
            if one is not None:
                taken.append(one)
                origins[one.id] = report.line
        names = [report.document["id"] for report in said.reports]
        gone = revising.gone(names, self._domains)[: LISTED_MAX - len(summary.gone)]
        summary.gone += [GoneRow(who, name) for name in gone]
        return Group(who, tuple(taken))

    def _revised(
        self, found: Known | Changed | Disputed, report: Report, summary: Summary
    ) -> Posted | None:
        """The correction of an event whose row changed; None where there is nothing to record."""
        line, name = report.line, report.document["id"]
        match found:
            case Known():
                summary.known[report.document["type"]] += 1
                return None
            case Disputed():
                _reject(summary, line, name, found.rule)
                return None
            case Changed():
                now = When.at(self._recording.clock()).text
                correction = {**found.correction, "occurred_at": now}
                one = posted(correction, participant=line.subject)
                self._corrections[one.id] = CorrectedRow(
                    line.domain, line.number, line.subject, name, found.fields
                )
                return one
            case _:
                assert_never(found)

    async def _record(
        self,
        bulk: Bulk,
        groups: list[Group],
        origins: Mapping[str | None, Line],
        summary: Summary,
    ) -> None:
        await bulk.record(groups)
        for one in bulk.tally.rejected:
            self._corrections.pop(one.posted.id, None)
            _reject(summary, origins[one.posted.id], one.posted.id, one.rule)
        bulk.tally.rejected.clear()
        room = LISTED_MAX - len(summary.corrected)
        summary.corrected += list(self._corrections.values())[:room]
        self._corrections.clear()


def _reject(summary: Summary, line: Line, event: str | None, rule: str) -> None:
    if len(summary.rejected) < LISTED_MAX:
        row = RejectedRow(line.domain, line.number, line.subject, event, rule)
        summary.rejected.append(row)
