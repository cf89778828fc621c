"""Logs: one JSON line per happening on standard error, without personal data.

What was sent is never logged: neither bodies nor paths nor messages of foreign exceptions, only
the names of routes, problems and defects and where in the code a defect lies.
"""

import asyncio
import logging
import sys
import traceback
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

FRAMES_MAX = 12

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z

_least = [logging.INFO]
"""The level in force."""
_held: deque[str] = deque()
"""Lines that are not written yet, of any thread: whoever writes next takes all of them along."""


def configure(level: int = logging.INFO) -> None:
    """Write JSON lines of this level and above to standard error from now on."""
    _least[0] = level


def happened(name: str, **circumstances: Any) -> None:
    """Log something that happened, by a fixed name."""
    _write(logging.INFO, "info", name, circumstances)


def happened_often(name: str, **circumstances: Any) -> None:
    """Log what happens many times in a round of the event loop: written when the round is over, or
    before what happens next. A crash in the round loses these lines of it."""
    if _least[0] > logging.INFO:
        return
    first = not _held
    _held.append(_line("info", name, circumstances))
    if first:
        try:
            asyncio.get_running_loop().call_soon(_flush)
        except RuntimeError:
            _flush()


def warned(name: str, **circumstances: Any) -> None:
    """Log something that somebody should look at."""
    _write(logging.WARNING, "warning", name, circumstances)


def defect(error: BaseException) -> None:
    """Log an exception nobody expected: its kind and where it came from, not what it says."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    found = {"kind": type(error).__name__, "where": where}
    _write(logging.ERROR, "error", "defect", found)


def _write(level: int, called: str, name: str, circumstances: dict[str, Any]) -> None:
    if level >= _least[0]:
        _held.append(_line(called, name, circumstances))
        _flush()


def _line(called: str, name: str, circumstances: dict[str, Any]) -> str:
    line = {**circumstances, "event": name, "level": called, "timestamp": datetime.now(UTC)}
    return orjson.dumps(line, option=_OPTIONS).decode()


def _flush() -> None:
    lines = []
    while _held:
        lines.append(_held.popleft())
    if lines:
        # Standard error as it is now: a supervisor (or a test) may have put another one there.
        sys.stderr.write("".join(lines))
        sys.stderr.flush()
