"""The adapters' contracts hold on the image of PostgreSQL as on the embedded one."""

import os
import subprocess
import sys

import pytest
from testcontainers.community.postgres import PostgresContainer

from tests.conftest import DATABASE_URL, FOLDER
from tests.containers.conftest import ROOT

SECONDS_MAX = 600
EMBEDDED_ONLY = "tests/contracts/test_embedded.py"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("image", ["postgres:18-alpine"])
def test_every_contract_holds_on(image: str) -> None:
    # Without passwords, as some tests make roles of their own.
    trusting = PostgresContainer(image, driver=None).with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    with trusting as postgres:
        environment = {**os.environ, DATABASE_URL: postgres.get_connection_url()}
        environment.pop(FOLDER, None)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("tests/contracts", f"--ignore={EMBEDDED_ONLY}"),
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    print(done.stdout[-8_000:])
    assert done.returncode == 0
    assert " passed" in done.stdout
