"""Conditions that a sender sets beside an event: `If-Match` and `Prefer`, as headers say them."""

import re
from collections.abc import Iterable
from typing import Literal

from services.terms import ANY_VERSION

Handling = Literal["strict", "atomic"]

_ETAG = re.compile(r'"([0-9]{1,15})"')
_NO_VERSION = -2
"""No stream has it: for an `If-Match` that names something else than a version."""


def if_match(sent: str | None) -> int | None:
    """The version that `If-Match` names; weak tags never match."""
    if sent is None:
        return None
    if sent.strip() == "*":
        return ANY_VERSION
    found = _ETAG.fullmatch(sent.strip())
    return int(found[1]) if found else _NO_VERSION


def handling(sent: Iterable[str]) -> set[Handling]:
    """What `Prefer: handling=...` asks for; other preferences are none of ours (RFC 7240)."""
    asked: set[Handling] = set()
    for preference in ",".join(sent).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        said = value.strip().strip('"').lower()
        if name.strip().lower() == "handling" and said in ("strict", "atomic"):
            asked.add("strict" if said == "strict" else "atomic")
    return asked
