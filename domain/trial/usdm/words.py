"""Words of USDM 4.0: terminology codes, durations in days, codes made of labels, plain wording."""

import html
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from types import MappingProxyType

USDM_VERSION = "4.0.0"
TERMINOLOGY = "http://www.cdisc.org"
TERMINOLOGY_VERSION = "2024-09-27"
EXTENSION = "urn:cairn:usdm:1"
"""Marks the extension attribute whose value is JSON that Cairn wrote."""

AFTER = ("C201356", "After")
BEFORE = ("C201357", "Before")
FIXED = ("C201358", "Fixed Reference")
START_TO_START = ("C201355", "Start to Start")
INCLUSION = ("C25532", "Inclusion Criteria")
EXCLUSION = ("C25370", "Exclusion Criteria")
VISIT = ("C25716", "Visit")
OFFICIAL_TITLE = ("C207616", "Official Study Title")
SPONSOR = ("C70793", "Clinical Study Sponsor")
REGISTRY = ("C93453", "Clinical Study Registry")
INTERVENTIONAL = ("C98388", "Interventional Study")

MODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "in-person": ("C175574", "In Person"),
        "telephone": ("C171537", "Telephone Call"),
        "video": ("C171525", "Remote Audio Video"),
    }
)
"""Contact mode here -> its term (codelist C171445)."""

_MODE_BY_CODE = {code: mode for mode, (code, _) in MODES.items()}
_SHORT = {"telephone": " (T)", "video": " (V)"}

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_PARTS = {
    "weeks": Decimal(7 * 86_400),
    "days": Decimal(86_400),
    "hours": Decimal(3_600),
    "minutes": Decimal(60),
    "seconds": Decimal(1),
}
_DAY = Decimal(86_400)
_DURATION_LENGTH_MAX = 40
_CODE_LENGTH_MAX = 64


def days_of(duration: str, *, outward: bool) -> int | None:
    """An ISO 8601 duration as whole days; None when it has no fixed number of them (months, years).

    Visits are planned in civil days. A part of a day in a window rounds outward: a visit that may
    be four hours early may be on the day before. In a distance between visits it is dropped.
    """
    if len(duration) > _DURATION_LENGTH_MAX or duration in ("P", "PT"):
        return None
    found = _DURATION.fullmatch(duration)
    if found is None or not any(found.groups()):
        return None
    seconds = sum(
        (Decimal(found[part] or 0) * length for part, length in _PARTS.items()), Decimal(0)
    )
    rounding = ROUND_CEILING if outward else ROUND_DOWN
    return int((seconds / _DAY).to_integral_value(rounding))


def visit_code(label: str) -> str:
    """The code of a visit by its label, in capitals: `WEEK 10 (T)` is `WEEK-10-T`."""
    return slug(label).upper()


def slug(label: str) -> str:
    """A label as a code: lower case, words joined by hyphens; `x` when nothing is left of it."""
    words = re.sub(r"[^A-Za-z0-9.+]+", "-", label).strip("-.+").lower()
    return words[:_CODE_LENGTH_MAX].rstrip("-.+") or "x"


def mode_of(code: str) -> str | None:
    """The contact mode by its terminology code."""
    return _MODE_BY_CODE.get(code)


def contact_name(day: int, mode: str | None) -> str:
    """The name of a contact that has none of its own, by its day: `Week 10 (T)`."""
    when = f"Week {day // 7}" if day % 7 == 0 else f"Day {day}"
    return when + _SHORT.get(mode or "", "")


def plain_text(markup: str) -> str:
    """The wording without its markup; list items and paragraphs stand on lines of their own."""
    lines = re.sub(r"<li\b[^>]*>\s*(?:<(?:p|div)\b[^>]*>\s*)*", "\n- ", markup)
    lines = re.sub(r"</?(?:p|ol|ul|tr|table|div|br)\b[^>]*>", "\n", lines)
    lines = html.unescape(re.sub(r"<[^>]*>", " ", lines))
    tidy = [" ".join(line.split()) for line in lines.split("\n")]
    return "\n".join(line for line in tidy if line)


def marked_up(text: str) -> str:
    """The wording as USDM writes it, in paragraphs."""
    return "".join(f"<p>{html.escape(line, quote=False)}</p>" for line in text.split("\n"))
