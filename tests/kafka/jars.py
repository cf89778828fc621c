"""The jars of Apache Kafka: a folder that is given, or fetched once through Maven and kept."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

GIVEN = "CAIRN_TESTS_KAFKA_JARS"
"""A folder with a broker's jars, where Maven cannot fetch them."""
FETCH_SECONDS_MAX = 600
POM = Path(__file__).parent / "pom.xml"


class NoBroker(Exception):
    """No Apache Kafka can be had here; the message says why, for the list at the end of the run."""


def java() -> str:
    """The Java that runs the broker; NoBroker."""
    found = shutil.which("java")
    if found is None:
        raise NoBroker("Java is not there")
    return found


def jars() -> Path:
    """A folder with the broker's jars. The first caller fetches them, others wait; NoBroker."""
    given = os.environ.get(GIVEN)
    if given:
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cairn-tests"
    # Named by what is asked for, so that another version is another folder.
    folder = cache / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoBroker("Maven is not there")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    shutil.copy(POM, partial)  # Maven may write beside it
    try:
        answer = subprocess.run(
            [
                *(maven, "--batch-mode", "--no-transfer-progress", "--strict-checksums"),
                *("--file", str(partial / POM.name), f"-DoutputDirectory={partial}"),
                *("-DincludeScope=runtime", "dependency:copy-dependencies"),
            ],
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoBroker("Maven did not fetch Apache Kafka in time") from None
    if answer.returncode:
        said = [line for line in answer.stdout.splitlines() if line.startswith("[ERROR]")]
        raise NoBroker(f"Maven did not fetch Apache Kafka: {(said or ['no reason given'])[0]}")
    # A crash before this line leaves a partial folder that the next run makes anew.
    partial.rename(folder)
