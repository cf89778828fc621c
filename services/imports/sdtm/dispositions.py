"""Dispositions: milestones and endings of DS, and the death that DM tells of."""

from typing import get_args

from domain.journey.closure import NonCompletion
from services.imports.sdtm.datasets import Line
from services.imports.sdtm.reports import Said
from services.imports.sdtm.terms import coded

ENDING = "DISPOSITION EVENT"
TREATMENT_ONLY = "STUDY TREATMENT"
NOT_OF_THE_JOURNEY = "not-an-event-of-the-journey"

_NON_COMPLETION = frozenset(get_args(get_args(NonCompletion)[0]))


def disposition(said: Said, line: Line, demographics: Line) -> None:
    """One row of DS."""
    sequence, term = line.get("DSSEQ"), line.get("DSDECOD")
    if sequence is None or term is None:
        return said.leave_out(line, "no-sequence" if sequence is None else "no-term")
    kind, data = _meaning(line, term, demographics)
    if kind is None:
        return said.leave_out(line, f"{NOT_OF_THE_JOURNEY}: {coded(term)}")
    at = said.circumstances
    collected = at.moment(line.get("DSDTC"))
    day = at.moment(line.get("DSSTDTC")) or collected
    if day is None:
        return said.leave_out(line, "no-date")
    if kind == "died":
        on = at.moment(demographics.get("DTHDTC")) or day
        day, data = on, {"on": on[:10]}
    return said.report(line, sequence, kind, day, data, collected=collected)


def death(said: Said, demographics: Line) -> None:
    """The death that DM tells of, where DS has none."""
    on = said.circumstances.moment(demographics.get("DTHDTC"))
    known = any(report.document["type"] == "died" for report in said.reports)
    if on is not None and not known:
        said.report(demographics, "1", "died", on, {"on": on[:10]}, further=True)
    elif on is None and demographics.get("DTHFL") == "Y" and not known:
        said.leave_out(demographics, "death-without-a-date")


def _meaning(line: Line, term: str, demographics: Line) -> tuple[str | None, dict[str, object]]:
    """The event type of a row, None when it is none, and its data."""
    if term == "RANDOMIZED" or (term == "ENROLLED" and line.get("DSCAT") != ENDING):
        return "enrolled", {
            "number": demographics.get("SUBJID"),
            "cohort": demographics.get("ARMCD"),
        }
    if term == "INFORMED CONSENT OBTAINED" and demographics.get("RFICDTC") is None:
        return "consented", {"form_version": "not-recorded", "signed_by": "participant"}
    if line.get("DSCAT") != ENDING or line.get("DSSCAT") == TREATMENT_ONLY:
        return None, {}
    match term:
        case "COMPLETED":
            return "completed", {}
        case "DEATH":
            return "died", {}
        case "SCREEN FAILURE":
            return "screen-failed", {"criteria": []}
        case _:
            cause = coded(term) if term != "WITHDRAWAL BY PARENT/GUARDIAN" else term.lower()
            cause = cause.replace(" ", "-")
            return "discontinued", {"cause": cause if cause in _NON_COMPLETION else "other"}
