"""Embedded PostgreSQL keeps what was committed, whoever is killed, and never runs twice."""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from infra.postgres import embedded
from infra.postgres.embedded import DataFolderBusy, EmbeddedPostgres, Unavailable, running
from infra.postgres.keeper import LOCK

SECONDS_MAX = 30
ROOT = Path(__file__).parents[2]
OWNER = """
import sys
from pathlib import Path
from infra.postgres.embedded import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1])).start()
print(postgres.keeper, flush=True)
sys.stdin.read()
postgres.stop()
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder with a short path, so that the socket fits in it."""
    with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
        yield Path(folder) / "data"


class Owner:
    """Another process that owns a data folder and runs its PostgreSQL."""

    def __init__(self, data: Path, *command: str, **options: object) -> None:
        self.process = subprocess.Popen(
            [*(command or (sys.executable,)), "-c", OWNER, str(data)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]  # user and env of one test only
        )
        assert self.process.stdout is not None
        self.keeper = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate(timeout=SECONDS_MAX)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def nobody_lives_on(data: Path) -> bool:
    with (data / LOCK).open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def postmaster(data: Path) -> int:
    return int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def write(conninfo: str, number: int) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number integer)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def kept(conninfo: str) -> list[int]:
    with psycopg.connect(conninfo) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM kept")]


def test_what_was_written_is_there_after_a_stop_and_a_start(data: Path) -> None:
    with EmbeddedPostgres(data) as postgres:
        write(postgres.conninfo, 1)
    assert nobody_lives_on(data)
    assert running(data) is None
    with EmbeddedPostgres(data) as postgres:
        assert kept(postgres.conninfo) == [1]


def test_durability_is_on_order_is_by_code_point_and_there_is_no_port(data: Path) -> None:
    with EmbeddedPostgres(data) as postgres, psycopg.connect(postgres.conninfo) as connection:

        def setting(name: str) -> str:
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row is not None
            return str(row[0])

        for name in ("data_checksums", "fsync", "synchronous_commit", "full_page_writes"):
            assert setting(name) == "on", name
        assert setting("server_version_num").startswith("18")
        assert setting("server_encoding") == "UTF8"
        assert setting("listen_addresses") == ""
        words = connection.execute(
            "SELECT word FROM unnest(ARRAY['é', 'b', 'A', 'a', 'B']) AS word ORDER BY word"
        )
        assert [word for (word,) in words] == ["A", "B", "a", "b", "é"]


def test_folder_socket_and_files_are_the_owners_alone(data: Path) -> None:
    with EmbeddedPostgres(data):
        for path in [data, *data.iterdir(), *(data / "run").iterdir()]:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_no_value_reaches_the_log(data: Path) -> None:
    with EmbeddedPostgres(data) as postgres, psycopg.connect(postgres.conninfo) as connection:
        connection.execute("CREATE TABLE kept (name text PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES ('Ada Lovelace')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO kept VALUES (%s)", ["Ada Lovelace"])
    assert "Lovelace" not in (data / "postgres.log").read_text()


def test_a_killed_postgresql_comes_back_by_itself_with_all_that_was_committed(data: Path) -> None:
    with EmbeddedPostgres(data) as postgres:
        for number in range(7):
            write(postgres.conninfo, number)
            victim = postmaster(data)
            os.kill(victim, signal.SIGKILL)
            until(lambda: answers(postgres.conninfo), "PostgreSQL did not come back")
            assert postmaster(data) != victim
            assert kept(postgres.conninfo) == list(range(number + 1))


def answers(conninfo: str) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(conninfo).close()
        return True
    return False


@pytest.mark.parametrize("victims", ["owner", "keeper", "owner and keeper", "all three"])
def test_nothing_is_lost_and_nothing_stays_behind_after_kill(data: Path, victims: str) -> None:
    owner = Owner(data)
    conninfo = running(data)
    assert conninfo is not None
    write(conninfo, 1)
    main = postmaster(data)
    if "keeper" in victims or victims == "all three":
        os.kill(owner.keeper, signal.SIGKILL)
    if victims == "all three":
        os.kill(main, signal.SIGKILL)
    if victims != "keeper":
        owner.kill()
    until(lambda: nobody_lives_on(data), "PostgreSQL outlived its owner")
    owner.close()
    with EmbeddedPostgres(data) as postgres:
        assert kept(postgres.conninfo) == [1]


def test_a_start_right_after_the_owner_was_killed_waits_for_the_earlier_postgresql(
    data: Path,
) -> None:
    for number in range(5):
        owner = Owner(data)
        conninfo = running(data)
        assert conninfo is not None
        write(conninfo, number)
        owner.process.kill()
        owner.process.wait()
        with EmbeddedPostgres(data) as postgres:
            assert kept(postgres.conninfo) == list(range(number + 1))
        owner.close()


def test_a_postgresql_that_nobody_keeps_is_stopped_in_order_and_started_anew(data: Path) -> None:
    with EmbeddedPostgres(data) as postgres:
        write(postgres.conninfo, 1)
        command = Path(f"/proc/{postmaster(data)}/cmdline").read_bytes().split(b"\0")[:-1]
        conninfo = postgres.conninfo
    with (data / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        orphan = subprocess.Popen(
            [*keeper("run", identity_of(data), data), *command],
            cwd=ROOT,
            pass_fds=[lock.fileno()],
            stderr=subprocess.DEVNULL,
        )
    until(lambda: answers(conninfo), "the orphan did not start")
    write(conninfo, 2)
    with EmbeddedPostgres(data) as postgres:
        assert orphan.wait(SECONDS_MAX) == 0, "it was not stopped in order"
        assert kept(postgres.conninfo) == [1, 2]


def keeper(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "infra.postgres.keeper", *arguments]


def identity_of(data: Path) -> str:
    return str(next(embedded.candidates(data)))


def test_a_pid_file_that_names_another_living_process_does_not_keep_it_from_starting(
    data: Path,
) -> None:
    with EmbeddedPostgres(data):
        main = postmaster(data)
        stale = (data / "postgres" / "postmaster.pid").read_text()
    (data / "postgres" / "postmaster.pid").write_text(stale.replace(str(main), str(os.getpid()), 1))
    (data / "run" / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    with EmbeddedPostgres(data) as postgres:
        assert answers(postgres.conninfo)


def test_a_second_owner_is_refused_in_one_clear_line_and_disturbs_nothing(data: Path) -> None:
    with EmbeddedPostgres(data) as first:
        with pytest.raises(DataFolderBusy) as refused, EmbeddedPostgres(data):
            pass
        assert str(refused.value) == (
            f"the data folder {data} is in use by process {os.getpid()}: "
            "stop it, or choose another folder with --data"
        )
        assert answers(first.conninfo)
        assert running(data) == first.conninfo


def test_another_process_finds_the_running_postgresql_and_only_a_running_one(data: Path) -> None:
    assert running(data) is None
    owner = Owner(data)
    conninfo = running(data)
    assert conninfo is not None
    assert answers(conninfo)
    owner.kill()
    assert (data / "conninfo").exists()
    assert running(data) is None


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(data: Path) -> None:
    deep = data / ("a" * 60) / ("b" * 60)
    with EmbeddedPostgres(deep) as postgres:
        sockets = Path(psycopg.conninfo.conninfo_to_dict(postgres.conninfo)["host"])
        assert not sockets.is_relative_to(deep)
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert answers(postgres.conninfo)
    shutil.rmtree(sockets)


def test_a_path_with_signs_that_mean_something_to_postgresql_works(data: Path) -> None:
    with EmbeddedPostgres(data / 'it\'s, a "data" folder = 1') as postgres:
        assert answers(postgres.conninfo)


def test_a_cluster_half_made_by_a_crash_is_made_again(data: Path) -> None:
    (data / "postgres.new" / "base").mkdir(parents=True)
    with EmbeddedPostgres(data) as postgres:
        assert answers(postgres.conninfo)


def test_a_broken_cluster_is_reported_and_the_folder_let_go(data: Path) -> None:
    with EmbeddedPostgres(data):
        pass
    (data / "postgres" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(Unavailable, match=r"did not start on .* \(see postgres.log there\)"):
        EmbeddedPostgres(data).start()
    with pytest.raises(Unavailable, match="did not start"):
        EmbeddedPostgres(data).start()


def test_a_cluster_of_another_major_version_is_left_alone(data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(Unavailable, match="made by PostgreSQL 16, this one is 18"):
        EmbeddedPostgres(data).start()


def test_a_folder_that_cannot_be_made_is_reported(data: Path) -> None:
    data.write_text("a file")
    with pytest.raises(Unavailable, match="cannot be used"):
        EmbeddedPostgres(data / "below").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another account")
def test_for_root_in_a_folder_of_another_account_postgresql_runs_as_that_account(
    data: Path,
) -> None:
    data.parent.chmod(0o755)
    data.mkdir()
    account = pwd.getpwnam("nobody")
    os.chown(data, account.pw_uid, account.pw_gid)
    with EmbeddedPostgres(data) as postgres:
        write(postgres.conninfo, 1)
        assert {path.stat().st_uid for path in [data, *data.iterdir()]} == {account.pw_uid}
        assert Path(f"/proc/{postmaster(data)}").stat().st_uid == account.pw_uid
        os.kill(postmaster(data), signal.SIGKILL)
        until(lambda: answers(postgres.conninfo), "PostgreSQL did not come back")
    with EmbeddedPostgres(data) as postgres:
        assert kept(postgres.conninfo) == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a plain user")
def test_a_plain_user_runs_it_as_themselves(data: Path) -> None:
    account = pwd.getpwnam("nobody")
    python = _python_of_everyone()
    os.chown(data.parent, account.pw_uid, account.pw_gid)
    packages = os.pathsep.join(path for path in sys.path if "site-packages" in path)
    owner = Owner(
        data,
        python,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        env={"PYTHONPATH": packages, "PATH": os.defpath},
    )
    conninfo = running(data)
    assert conninfo is not None
    write(conninfo, 1)
    assert Path(f"/proc/{postmaster(data)}").stat().st_uid == account.pw_uid
    owner.close()
    assert nobody_lives_on(data)


def _python_of_everyone() -> str:
    """An interpreter of this version that a plain user may start."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for place in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([place, "-c", "import ssl"], user="nobody", check=True, cwd="/")
            return place
    pytest.skip(f"no {name} that a plain user may start")
