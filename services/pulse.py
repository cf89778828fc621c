"""A sign of life of the process's work, for whoever watches it.

The work says each time that it has gone round. How long ago that was stands among the figures of
the process; where `CAIRN_PULSE_FILE` names a file, its age says so too, to whoever cannot ask a
port. A process whose work has not gone round for a minute or two hangs.
"""

import os
import time
from pathlib import Path

PULSE_FILE = "CAIRN_PULSE_FILE"
HANGS_SECONDS = 60.0
"""After so long the work counts as hanging; it goes round within seconds, brokers away or not."""

_last = [time.monotonic()]
"""When the work of this process last went round; at first, when the process began."""


def beat() -> None:
    """The work has gone round once more."""
    _last[0] = time.monotonic()
    where = os.environ.get(PULSE_FILE)
    if where:
        Path(where).touch()


def age_seconds() -> float:
    """How long ago the work went round."""
    return time.monotonic() - _last[0]
