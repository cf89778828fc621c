"""What many tests share: one PostgreSQL for the whole run, and a fresh database for each test."""

import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.keeper import LOCK
from tests.kafka.cluster import end_left

# A gate that says no must say it again: in CI the laws are tried on the same examples each time.
# Everywhere else each run tries new ones, and prints how to repeat what failed.
settings.register_profile("anew", print_blob=True)
settings.register_profile("gate", derandomize=True, print_blob=True)
settings.load_profile("gate" if os.environ.get("CI") else "anew")

FOLDER = "CAIRN_TESTS_FOLDER"
CONTROLLER = "CAIRN_TESTS_CONTROLLER"
"""Set by the process that began the run, for its workers too."""
DATABASE_URL = "CAIRN_TESTS_DATABASE_URL"
"""A server of one's own to test on, instead of the embedded one; its role must be superuser."""
PREFIX = "cairn-tests-"
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 2 * 1024**3
STOP_SECONDS_MAX = 60
TEMPLATE = "template_cairn"
NOT_RUN = "not run without"
"""How a test says that something real which it needs is not there."""
LEFT_RUNNING: list[EmbeddedPostgres] = []
"""Servers that the keeper stops later: forgetting them here would warn of a running child."""


@dataclass(frozen=True)
class Server:
    """The run's PostgreSQL."""

    base: str
    worker: str
    count: Iterator[int]

    def conninfo(self, database: str) -> str:
        return make_conninfo(self.base, dbname=database)

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """A migrated, empty database of one's own; gone afterwards."""
        name = f"test_{self.worker}_{next(self.count)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE)
        try:
            yield self.conninfo(name)
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def make_template(self) -> None:
        from infra.postgres.migrate import migrate

        self._execute("DROP DATABASE IF EXISTS {}", TEMPLATE)
        self._execute("CREATE DATABASE {}", TEMPLATE)
        migrate(self.conninfo(TEMPLATE))

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def server() -> Server:
    """One PostgreSQL for the run: the first worker that asks starts it, under a lock."""
    folder = Path(os.environ[FOLDER])
    worker = os.environ.get("PYTEST_XDIST_WORKER", "one")
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shared = folder / "server"
        if not shared.exists():
            base = os.environ.get(DATABASE_URL) or _started(folder)
            Server(base, worker, itertools.count()).make_template()
            shared.write_text(base)
    return Server(shared.read_text(), worker, itertools.count())


def _started(folder: Path) -> str:
    # Not stopped here: other workers may still use it. The process that began the run stops it
    # through its keeper, and the keeper stops it when that process is killed.
    postgres = EmbeddedPostgres(folder / "data", keep_for=int(os.environ[CONTROLLER]))
    LEFT_RUNNING.append(postgres.start())
    (folder / "keeper").write_text(str(postgres.keeper))
    return postgres.conninfo


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """How to connect to a fresh, migrated, empty database."""
    with server.fresh() as conninfo:
        yield conninfo


@pytest.fixture
def pool(database: str) -> Iterator[object]:
    """An open pool on a fresh database, as the application's role."""
    from infra.postgres.pool import open_pool

    with contextlib.closing(open_pool(database)) as opened:
        yield opened


def pytest_configure(config: pytest.Config) -> None:
    """The run's folder, made by the process that begins it; in memory where there is room."""
    if hasattr(config, "workerinput"):
        return
    base = _base()
    for old in base.glob(f"{PREFIX}*"):
        _remove_when_left(old)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = (folder / "controller.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.environ[FOLDER], os.environ[CONTROLLER] = str(folder), str(os.getpid())
    config.add_cleanup(lambda: _end(folder, lock))


def _base() -> Path:
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN and os.access(MEMORY, os.W_OK):
            return MEMORY
    return Path(tempfile.gettempdir())


def _end(folder: Path, lock: contextlib.AbstractContextManager[object]) -> None:
    keeper = folder / "keeper"
    while LEFT_RUNNING:  # without workers it is ours, and waited for
        LEFT_RUNNING.pop().stop()
    if keeper.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(keeper.read_text()), signal.SIGTERM)
        _await_unlocked(folder / "data" / LOCK)
    end_left(folder)
    with lock:
        shutil.rmtree(folder, ignore_errors=True)


def _await_unlocked(path: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS_MAX
    with contextlib.suppress(FileNotFoundError), path.open() as handle:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.01)


def _remove_when_left(folder: Path) -> None:
    """The folder of a run that was killed: nobody holds its lock."""
    with contextlib.suppress(OSError), (folder / "controller.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        end_left(folder)
        shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly, at the very end, what could not be run on the real thing."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    missing = {reason: reasons.count(reason) for reason in reasons if NOT_RUN in reason}
    if missing:
        terminalreporter.section("NOT RUN: no test below met the real thing", red=True, bold=True)
        for reason, count in sorted(missing.items()):
            terminalreporter.line(f"{count} tests {reason.removeprefix('Skipped: ')}", red=True)
