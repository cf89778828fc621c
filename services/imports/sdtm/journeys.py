"""From one participant's rows to the events that say the same, as a REST client would post them.

Nothing is invented: a consent without a date is no event, a partial date stays partial, a row that
says nothing which the catalogue has is left out with its reason. Event ids are
`<domain>:<USUBJID>:<sequence>`; a further event of the same row adds `/<type>`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from domain.time import When
from services.imports.sdtm.adverse_events import adverse_event
from services.imports.sdtm.datasets import Line, Subject
from services.imports.sdtm.dispositions import death, disposition
from services.imports.sdtm.reports import Circumstances, Report, Said
from services.imports.sdtm.terms import CONTACT_MODE, SEX, coded

_SAME_DAY = (
    "referred",
    "demographics-recorded",
    "consented",
    "screening-started",
    "enrolled",
    "visit-completed",
    "visit-missed",
    "dosed",
    "adverse-event-reported",
    "screen-failed",
    "completed",
    "discontinued",
    "died",
)
"""The order in which events of one day are recorded."""
_RANK: Mapping[str, int] = MappingProxyType({name: at for at, name in enumerate(_SAME_DAY)})


def journey(subject: Subject, circumstances: Circumstances) -> Said:
    """Everything that a participant's rows say, in the order in which it happened.

    The referral comes first, whatever its date: it is how the participant comes to be known.
    """
    said = Said(circumstances)
    demographics = subject.lines.get("DM", ())
    if not demographics:
        for lines in subject.lines.values():
            for line in lines:
                said.leave_out(line, "no-demographics-row")
        return said
    arrived = _arrived(demographics[0], subject, circumstances)
    if arrived is None:
        said.leave_out(demographics[0], "no-date-at-all")
        return said
    _demographics(said, demographics[0], arrived)
    for line in demographics[1:]:
        said.leave_out(line, "second-demographics-row")
    for domain, read in _READERS.items():
        for line in subject.lines.get(domain, ()):
            read(said, line, demographics[0])
    death(said, demographics[0])
    said.reports.sort(key=_order)
    return said


def _order(report: Report) -> tuple[object, ...]:
    kind = report.document["type"]
    if kind == "referred":
        return (0,)
    return (1, When.parse(report.document["occurred_at"]).first, _RANK[kind], report.line.number)


def _arrived(line: Line, subject: Subject, circumstances: Circumstances) -> str | None:
    """When the participant is first heard of: at the collection of demographics, else earliest."""
    collected = circumstances.moment(line.get("DMDTC"))
    if collected is not None:
        return collected
    dates = [
        found
        for lines in subject.lines.values()
        for one in lines
        for name, text in one.values.items()
        if name.endswith("STDTC") and (found := circumstances.moment(text)) is not None
    ]
    return min(dates, key=lambda text: When.parse(text).first, default=None)


def _demographics(said: Said, line: Line, arrived: str) -> None:
    site = line.get("SITEID")
    if site is None:
        said.leave_out(line, "no-site")
    collected = said.circumstances.moment(line.get("DMDTC"))
    # How the participant came to the study is no part of SDTM.
    referral = {"site": site, "channel": "other"}
    said.report(line, "1", "referred", arrived, referral, collected=collected)
    birth = said.circumstances.moment(line.get("BRTHDTC"))
    if birth is None:
        said.leave_out(line, "no-birth-date")
    else:
        data = {"birth_date": birth[:10], "sex": SEX.get(line.get("SEX") or "", "unknown")}
        said.report(
            line, "1", "demographics-recorded", arrived, data, collected=collected, further=True
        )
    consented = said.circumstances.moment(line.get("RFICDTC"))
    if consented is not None:
        # SDTM knows the date alone: neither the form's version nor whose signature it bears.
        form = {"form_version": "not-recorded", "signed_by": "participant"}
        said.report(line, "1", "consented", consented, form, further=True)


def _visit(said: Said, line: Line, _demographics: Line) -> None:
    name, number = line.get("VISIT"), line.get("VISITNUM")
    if number is None:
        return said.leave_out(line, "no-visit-number")
    planned = said.circumstances.visits.of(name or number)
    day = said.circumstances.moment(line.get("SVSTDTC"))
    if day is None:
        return said.leave_out(line, "no-date")
    if line.get("SVOCCUR") == "N":
        if not planned.found:
            return said.leave_out(line, "did-not-occur-and-was-not-planned")
        return said.report(line, number, "visit-missed", day, {"visit": planned.code})
    mode = CONTACT_MODE.get(line.get("SVCNTMOD") or "", planned.mode)
    said.report(line, number, "visit-completed", day, {"visit": planned.code, "mode": mode})
    if planned.screening:
        said.report(line, number, "screening-started", day, {}, further=True)
    return None


def _exposure(said: Said, line: Line, _demographics: Line) -> None:
    sequence, day = line.get("EXSEQ"), said.circumstances.moment(line.get("EXSTDTC"))
    needed = ("EXTRT", "EXDOSE", "EXDOSU", "EXROUTE")
    if sequence is None or day is None:
        return said.leave_out(line, "no-sequence" if sequence is None else "no-date")
    if any(line.get(name) is None for name in needed):
        return said.leave_out(line, "no-product-amount-unit-or-route")
    data: dict[str, Any] = {
        "product": line.get("EXTRT"),
        "amount": line.get("EXDOSE"),
        "unit": line.get("EXDOSU"),
        "route": coded(line.values["EXROUTE"]),
        "lot": line.get("EXLOT"),
        "started_at": day,
        "ended_at": said.circumstances.moment(line.get("EXENDTC")),
    }
    return said.report(line, sequence, "dosed", day, data)


_READERS: Mapping[str, Callable[[Said, Line, Line], None]] = MappingProxyType(
    {"SV": _visit, "DS": disposition, "EX": _exposure, "AE": adverse_event}
)

DOMAINS = ("DM", *_READERS)
"""The domains that are read."""
