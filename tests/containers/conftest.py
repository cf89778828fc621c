"""These tests take minutes and need an engine: they run when asked for, and then may not skip."""

import os
import subprocess
from pathlib import Path

import pytest

ASKED = "CAIRN_TESTS_ENGINE"
ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder; skip it unless it was asked for."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.container)
            if not os.environ.get(ASKED):
                item.add_marker(pytest.mark.skip(reason="containers: run `make containers`"))


@pytest.fixture(scope="session")
def engine() -> None:
    """An engine answers; asked for and missing, the tests fail."""
    answer = subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False)
    assert answer.returncode == 0, "no Docker engine answers"
