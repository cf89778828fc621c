"""Logs: one JSON line per happening on standard error, without personal data.

What was sent is never logged: neither bodies nor paths nor messages of foreign exceptions, only
the names of routes, problems and defects and where in the code a defect lies.
"""

import logging
import sys
import traceback
from pathlib import Path
from typing import Any

import structlog

FRAMES_MAX = 12


def configure(level: int = logging.INFO) -> None:
    """Write JSON lines to standard error from now on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_standard_error,
        cache_logger_on_first_use=False,
    )


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


def _standard_error(*_names: object) -> structlog.WriteLogger:
    """Standard error as it is now: a supervisor (or a test) may have put another one there."""
    return structlog.WriteLogger(sys.stderr)


def _log() -> Any:
    return structlog.get_logger("cairn")
