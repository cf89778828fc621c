"""Adverse events: one row of AE is one report."""

from typing import Any

from services.imports.sdtm.datasets import Line
from services.imports.sdtm.reports import Said
from services.imports.sdtm.terms import CAUSALITY, OUTCOME, SERIOUSNESS, coded, instant

DICTIONARY = "MedDRA"
VERSION_NOT_RECORDED = "not-recorded"
"""SDTM keeps the dictionary's version in the metadata of the study, not beside the event."""

_SEVERITY = ("MILD", "MODERATE", "SEVERE")
_GRADES = ("1", "2", "3", "4", "5")
_FLAG = {"Y": True, "N": False}


def adverse_event(said: Said, line: Line, _demographics: Line) -> None:
    """One row of AE. The site learned of it, as far as is known, when it was collected."""
    sequence, term = line.get("AESEQ"), line.get("AETERM") or line.get("AEDECOD")
    if sequence is None or term is None:
        return said.leave_out(line, "no-sequence" if sequence is None else "no-term")
    at = said.circumstances
    collected = at.moment(line.get("AEDTC"))
    onset = at.moment(line.get("AESTDTC")) or collected
    if onset is None:
        return said.leave_out(line, "no-date")
    data = {
        "ae": f"AE-{sequence}",
        "term": term,
        "onset": onset,
        "aware_at": instant(collected or onset, at.zone),
        "end": at.moment(line.get("AEENDTC")),
        **_weight(line),
        "causality": CAUSALITY.get(line.get("AEREL") or ""),
        "action": _coded(line.get("AEACN")),
        "outcome": OUTCOME.get(line.get("AEOUT") or ""),
        "coding": _coding(line),
    }
    return said.report(line, sequence, "adverse-event-reported", onset, data, collected=collected)


def _weight(line: Line) -> dict[str, Any]:
    severity, grade = line.get("AESEV") or "", line.get("AETOXGR") or ""
    met = {SERIOUSNESS[flag]: None for flag in SERIOUSNESS if line.get(flag) == "Y"}
    return {
        "severity": severity.lower() if severity in _SEVERITY else None,
        "grade": int(grade) if grade in _GRADES else None,
        "serious": _FLAG.get(line.get("AESER") or ""),
        "seriousness": list(met) or None,
    }


def _coding(line: Line) -> dict[str, str] | None:
    """The preferred term: by its number, or where that is withheld by its name as a code."""
    code, preferred = line.get("AEPTCD"), line.get("AEDECOD")
    if code is None and preferred is None:
        return None
    named = {
        "dictionary": DICTIONARY,
        "version": VERSION_NOT_RECORDED,
        "code": code or coded(preferred or "").upper(),
    }
    organ_class = line.get("AESOC") or line.get("AEBODSYS")
    return named if organ_class is None else {**named, "system_organ_class": organ_class}


def _coded(text: str | None) -> str | None:
    return None if text is None else coded(text)
