"""Procedures at a visit: which of them are required of whom, and in which order they come."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from domain.journey.oversight import DeviationDetected
from domain.kernel import Noted, cited
from domain.time import When
from domain.trial.protocol import Mode, Procedure, Protocol

if TYPE_CHECKING:
    from domain.journey.visits import ProcedureReport, VisitCompleted
    from domain.participant import Participant
    from domain.planned import PlannedVisit


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What conditions and orders of procedures look at, beside the visit itself."""

    participant: "Participant"
    zone: ZoneInfo

    @property
    def inputs(self) -> tuple[object, ...]:
        """The parts of the participant's state that conclusions on procedures rest on, beside the
        calendar (which is worked out anew with the dose and the zone)."""
        screening = self.participant.screening
        return (screening.demographics, screening.observations)


def conclusions(
    planned: "PlannedVisit", protocol: Protocol, around: Circumstances
) -> Iterator[DeviationDetected]:
    """Required procedures that were not done at a visit that was held, and those out of order."""
    assert planned.held is not None
    reports = {one.code: one for one in planned.held.body.procedures or ()}
    yield from _not_done(planned, planned.held, protocol, reports, around)
    yield from _out_of_order(planned, planned.held, protocol, reports, around)


# --- required -------------------------------------------------------------------------------------


def _not_done(
    planned: "PlannedVisit",
    held: "Noted[VisitCompleted]",
    protocol: Protocol,
    reports: "Mapping[str, ProcedureReport]",
    around: Circumstances,
) -> Iterator[DeviationDetected]:
    """Procedures reported as not done that the protocol asks for at this visit."""
    for code in planned.plan.procedures if planned.plan is not None else ():
        report = reports.get(code)
        procedure = protocol.procedures.get(code)
        if report is None or report.done or procedure is None:
            continue
        results = _results(procedure, held, around)
        if not _asked(procedure, held.body.mode, around) or results == ():
            continue
        cause = f" ({report.cause})" if report.cause else ""
        yield DeviationDetected(
            rule="procedure-missed",
            subject=f"{planned.subject} {code}",
            category="procedure-missed",
            importance="important" if procedure.safety else "minor",
            explanation=f"{code} was not done at {planned.visit}{cause}",
            evidence=cited(held, *(results or ())),
        )


def _asked(procedure: Procedure, mode: Mode, around: Circumstances) -> bool:
    """Whether the procedure is required in this mode and of this person, as far as known."""
    if procedure.optional or (procedure.modes and mode not in procedure.modes):
        return False
    demographics = around.participant.screening.demographics
    if not demographics:
        return True
    person = demographics[-1].body
    if procedure.sexes and person.sex not in procedure.sexes:
        return False
    if procedure.childbearing_only:
        return person.childbearing_potential is not False and person.sex != "male"
    return True


def _results(
    procedure: Procedure, held: Noted[Any], around: Circumstances
) -> tuple[Noted[Any], ...] | None:
    """The first earlier result that asks for the procedure; empty: there is none, and so it is not
    asked for; None: it is asked for whatever was found before."""
    if not procedure.after_results:
        return None
    day = held.when.civil(around.zone)[1]
    wanted = {(one.code, one.interpretation) for one in procedure.after_results}
    for one in around.participant.screening.observations:
        found = (one.body.code, one.body.interpretation)
        if found in wanted and one.when.civil(around.zone)[0] <= day:
            return (one,)
    return ()


# --- order ----------------------------------------------------------------------------------------


def _out_of_order(
    planned: "PlannedVisit",
    held: "Noted[VisitCompleted]",
    protocol: Protocol,
    reports: "Mapping[str, ProcedureReport]",
    around: Circumstances,
) -> Iterator[DeviationDetected]:
    """Procedures that certainly came after what they have to come before, by the reported times."""
    known = protocol.procedures
    times = {
        code: report.at
        for code, report in reports.items()
        if report.done and report.at is not None and code in known
    }
    dose = around.participant.treatment.dosed[:1] if _gives_dose(planned) else ()
    for code, at in times.items():
        procedure = known[code]
        late = [
            (f"the dose at {one.when}", cited(held, one))
            for one in dose
            if (procedure.before_dose or procedure.first) and _after(at, one.when, around)
        ]
        if procedure.first:
            late += [
                (f"{other} at {its}", held.cited)
                for other, its in times.items()
                if not known[other].first and _after(at, its, around)
            ]
        if late:
            what, evidence = late[0]
            yield DeviationDetected(
                rule="procedure-order",
                subject=f"{planned.subject} {code}",
                category="other",
                importance="important" if procedure.safety else "minor",
                explanation=f"{code} at {at} came after {what}",
                evidence=evidence,
            )


def _gives_dose(planned: "PlannedVisit") -> bool:
    return planned.plan is not None and planned.plan.kind == "dosing" and planned.occurrence == 1


def _after(one: When, other: When, around: Circumstances) -> bool:
    return other.before(one, around.zone)
