"""A replay is the same to the byte in every process, whatever its hash seed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-m", "tests.golden.replayed"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_two_processes_with_different_hash_seeds_give_the_same_bytes() -> None:
    one, other = printed("1"), printed("2")
    assert one == other
    assert len(one.splitlines()) == 4
