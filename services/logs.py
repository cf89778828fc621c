"""Logs: one JSON line per happening on standard error, without personal data.

What was sent is never logged: neither bodies nor paths nor messages of foreign exceptions, only
the names of routes, problems and defects and where in the code a defect lies.
"""

import logging
import sys
import traceback
from pathlib import Path
from typing import Any

import orjson
import structlog

FRAMES_MAX = 12


def configure(level: int = logging.INFO) -> None:
    """Write JSON lines to standard error from now on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )
    _bound.clear()


def happened(name: str, **circumstances: Any) -> None:
    """Log something that happened, by a fixed name."""
    _log().info(name, **circumstances)


def warned(name: str, **circumstances: Any) -> None:
    """Log something that somebody should look at."""
    _log().warning(name, **circumstances)


def defect(error: BaseException) -> None:
    """Log an exception nobody expected: its kind and where it came from, not what it says."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    _log().error("defect", kind=type(error).__name__, where=where)


class _StandardError:
    """Standard error as it is now: a supervisor (or a test) may have put another one there."""

    def __init__(self, *_names: object) -> None:
        pass

    def msg(self, line: str) -> None:
        """Write one line."""
        sys.stderr.write(line)
        sys.stderr.flush()

    info = warning = error = msg


def _rendered(_logger: object, _level: str, happening: Any) -> str:
    return orjson.dumps(happening, option=_OPTIONS).decode()


_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE

_bound: list[Any] = []
"""The logger of the configuration in force, made when something is first logged."""


def _log() -> Any:
    if not _bound:
        _bound.append(structlog.get_logger("cairn").bind())
    return _bound[0]
