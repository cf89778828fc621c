"""A process that rebuilds views: `python -m bench.rebuilt <data folder> <conninfo> <view>...`.

Prints the most memory that it ever had, in MiB.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bench.journey import STUDY
from bench.processes import memory_mib
from infra.interpreter import set_to_fold
from infra.projection.rebuilding import Rebuilt
from services.bootstrap import Settings, open_cairn


def rebuild_process(
    folder: Path, conninfo: str, views: Iterable[str]
) -> "subprocess.CompletedProcess[str]":
    """Rebuild in such a process, to its end."""
    command = [sys.executable, "-m", "bench.rebuilt", str(folder), conninfo, *views]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def main() -> None:
    """Rebuild them together, as `cairn rebuild` does."""
    folder, where, *views = sys.argv[1:]
    set_to_fold()
    with closing(open_cairn(Settings(data=Path(folder)), conninfo=where)) as cairn:
        found = cairn.projector.rebuild_all(STUDY, views)
    assert all(isinstance(one, Rebuilt) and one.same for one in found)
    print(round(memory_mib(os.getpid(), "VmHWM")))


if __name__ == "__main__":
    main()
