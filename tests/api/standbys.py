"""A hot standby of an embedded PostgreSQL, made as an operator makes one: by pg_basebackup."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from infra.postgres import embedded
from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.keeper import CLUSTER

SECONDS_MAX = 60


class Standby:
    """A copy that follows; it can be held up, stopped and started again."""

    def __init__(self, primary: EmbeddedPostgres, data: Path) -> None:
        self.data = data
        self._postgres: EmbeddedPostgres | None = None
        data.mkdir(mode=0o700)
        programs = embedded._programs()
        identity = embedded._identity(data, programs)
        command = [str(programs / "pg_basebackup"), "--pgdata", str(data / CLUSTER)]
        command += ["--dbname", primary.conninfo, "--checkpoint", "fast", "--write-recovery-conf"]
        subprocess.run(
            [*embedded._keeper_command("run", identity, data), *command],
            cwd=embedded._root(),
            check=True,
            capture_output=True,
            timeout=SECONDS_MAX,
        )
        self.start()
        self.conninfo = self._running().conninfo

    def start(self) -> None:
        self._postgres = EmbeddedPostgres(self.data).start()

    def stop(self) -> None:
        if self._postgres is not None:
            self._postgres.stop()
            self._postgres = None

    def hold(self) -> None:
        """What is recorded from now on does not reach it."""
        self._execute("SELECT pg_wal_replay_pause()")
        while self._execute("SELECT pg_get_wal_replay_pause_state()") != "paused":
            pass

    def go_on(self) -> None:
        self._execute("SELECT pg_wal_replay_resume()")

    def complaints(self) -> list[str]:
        """What it refused: a standby says so of everything that would write, and of LISTEN."""
        lines = (self.data / "postgres.log").read_text(errors="replace").splitlines()
        return [line for line in lines if "ERROR" in line]

    def _running(self) -> EmbeddedPostgres:
        assert self._postgres is not None
        return self._postgres

    def _execute(self, statement: str) -> object:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None


@contextmanager
def standby_of(primary: EmbeddedPostgres, data: Path) -> Iterator[Standby]:
    """A standby, stopped at the end."""
    made = Standby(primary, data)
    try:
        yield made
    finally:
        made.stop()
