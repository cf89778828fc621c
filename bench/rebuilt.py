"""A process that rebuilds views: `python -m bench.rebuilt <data folder> <conninfo> <view>...`."""

import sys
from contextlib import closing
from pathlib import Path

from bench.journey import STUDY
from services.bootstrap import Settings, open_cairn

if __name__ == "__main__":
    folder, where, *views = sys.argv[1:]
    with closing(open_cairn(Settings(data=Path(folder)), conninfo=where)) as cairn:
        for view in views:
            assert cairn.projector.rebuild(STUDY, view).same
