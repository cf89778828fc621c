"""The rules by which a decision is refused, and the ways in which a report is impossible.

Each name is stable: clients and auditors read it. A test proves that the core uses no other.
"""

from collections.abc import Mapping
from types import MappingProxyType

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "attempts": "The number of attempts does not allow it: too many screenings, or too few "
        "documented tries to reach the participant.",
        "cap": "All slots of the study's accrual are taken.",
        "consent": "There is no current consent.",
        "dosed": "The participant was dosed; the study has one dose.",
        "erased": "The identity was erased; that cannot be done twice or undone.",
        "hold": "A hold is in force, or a stopping boundary was crossed and nobody lifted it.",
        "locked": "The participant's data are locked.",
        "not-dosed": "The participant was not dosed.",
        "open-label": "The study is open: there is nothing to unblind.",
        "order": "It cannot come at this point of the journey, or it names what does not exist.",
        "reconsent": "A newer consent form asks for a new signature first.",
        "scope": "The consent that this needs was withdrawn.",
        "signer": "Only another role, or only Cairn itself, may do this.",
        "stagger": "The first doses of the study keep a distance in days.",
        "stale": "The confirmation no longer stands: facts, site or time moved on since.",
        "terminal": "The journey, the screening or the referral has ended.",
        "verdict": "The criteria do not say that the participant is eligible.",
    }
)
"""Rule of a refused decision -> what it means."""

IMPOSSIBLE: Mapping[str, str] = MappingProxyType(
    {
        "after-death": "A living person's act, wholly after the participant's death.",
        "before-birth": "It lies before the participant's birth.",
        "contradictory-total": "The items of an observation cannot add up to its value.",
        "future": "It lies later than now plus five minutes of skew.",
        "implausible": "The value makes no sense for its code in that unit.",
        "no-interpretation": "The code asks for positive, negative or indeterminate.",
        "no-unit": "The value could be in several units and names none.",
        "not-a-number": "The code asks for a number (a whole one for scores and counts).",
        "not-a-text": "The code asks for a text.",
        "not-a-titre": "The code asks for a titre, such as 1:160, >1:1280 or <1:80.",
        "says-nothing": "The observation has neither value, interpretation nor components.",
        "unknown-code": "The protocol's dictionary has no such code.",
        "unknown-item": "The code has no such item.",
        "unknown-statement": "The protocol has no such statement.",
        "unknown-unit": "The unit is not one of those declared for the code.",
        "unknown-visit": "No protocol of the study has a visit of this code.",
    }
)
"""Rule of an impossible report -> what it means."""
