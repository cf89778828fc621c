"""The process that keeps one PostgreSQL running for its owner, and stops it when the owner is gone.

    python -m infra.postgres.keeper run IDENTITY FOLDER COMMAND...
    python -m infra.postgres.keeper keep IDENTITY FOLDER OWNER COMMAND...

`run` puts the identity on, enters the folder and becomes the command. `keep` starts PostgreSQL,
starts it again when it dies, and stops it in order when it is asked to (SIGTERM) or when the owner
process ends, killed or not. Standard library only: it lives as long as the server and stays small.

What holds when anything here is killed: PostgreSQL and all its children hold `postgres.lock` (they
inherit the open file), so the kernel says whether one of them still lives, whatever a pid file
claims. A keeper starts PostgreSQL only while it holds that lock. When the keeper dies, the kernel
sends PostgreSQL the signal of a fast stop.
"""

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.postgres.identity import Identity

LOCK = "postgres.lock"
CLUSTER = "postgres"
"""The folder of the database cluster inside the data folder."""
EXIT_REFUSED = 3
"""This identity cannot work on the folder."""
EXIT_TAKEN = 4
"""An earlier PostgreSQL on this folder did not stop."""
EXIT_FAILED = 5
"""PostgreSQL did not come up, several times in a row."""
FAILURES_MAX = 5
FAST_STOP_SECONDS_MAX = 60
IMMEDIATE_STOP_SECONDS_MAX = 10
OWNER_POLL_SECONDS = 1.0
LOCK_POLL_SECONDS = 0.02
RETRY_SECONDS = 0.2
PR_SET_PDEATHSIG = 1
STATUS_LINE = 7
"""Of postmaster.pid, counted from 0."""


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit code says how it ended."""
    task, identity, folder = arguments[0], Identity.parse(arguments[1]), Path(arguments[2])
    os.umask(0o077)
    if task == "run":
        return _run(identity, folder, arguments[3:])
    keeper = Keeper(folder, int(arguments[3]))
    if not keeper.take_over():
        return EXIT_TAKEN
    identity.own(folder / LOCK)
    identity.put_on()
    os.chdir(folder)
    return keeper.keep(arguments[4:])


def _run(identity: Identity, folder: Path, command: list[str]) -> int:
    try:
        identity.put_on()
        os.chdir(folder)
        if not os.access(".", os.R_OK | os.W_OK | os.X_OK):
            return EXIT_REFUSED
        os.execv(command[0], command)
    except OSError:
        return EXIT_REFUSED


@dataclass
class Keeper:
    """The keeping of one data folder for one owner process."""

    folder: Path
    owner: int

    def __post_init__(self) -> None:
        self.halted = False
        self.wake, wake = os.pipe()
        for end in (self.wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._halt)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.owner_ends = _when_it_ends(self.owner)

    def take_over(self) -> bool:
        """Stop a PostgreSQL that an earlier owner left on this folder. False when it stays."""
        begun = time.monotonic()
        asked = False
        while (lock := self._lock()) is None:
            waited = time.monotonic() - begun
            if waited > FAST_STOP_SECONDS_MAX + IMMEDIATE_STOP_SECONDS_MAX:
                return False
            if not asked or waited > FAST_STOP_SECONDS_MAX:
                self._ask_left_over(signal.SIGQUIT if asked else signal.SIGINT)
                asked = True
            if not self._sleep(LOCK_POLL_SECONDS):
                return False
        self._remove_stale_pid_file()
        os.close(lock)
        return True

    def keep(self, command: list[str]) -> int:
        """Run the command until asked to stop; begin again when it dies."""
        failures = 0
        while (lock := self._await_lock()) is not None:
            self._remove_stale_pid_file()
            process = subprocess.Popen(command, pass_fds=(lock,), preexec_fn=_die_with(os.getpid()))
            os.close(lock)
            while process.poll() is None:
                if not self._sleep(None):
                    _stop(process)
                    return 0
            failures = 0 if self._was_ready(process.pid) else failures + 1
            if failures >= FAILURES_MAX:
                return EXIT_FAILED
            if failures and not self._sleep(RETRY_SECONDS * failures):
                return 0
        return 0

    def _await_lock(self) -> int | None:
        """The lock, once the children of a killed PostgreSQL are gone too; None when halted."""
        while (lock := self._lock()) is None:
            if not self._sleep(LOCK_POLL_SECONDS):
                return None
        return lock

    def _lock(self) -> int | None:
        handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def _sleep(self, seconds: float | None) -> bool:
        """Wait so long, or until a signal or the owner's end. False when it is time to stop."""
        if self.owner_ends is None:
            seconds = OWNER_POLL_SECONDS if seconds is None else seconds
        watched = [self.wake] if self.owner_ends is None else [self.wake, self.owner_ends]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self.wake in ready:
            os.read(self.wake, 512)
        owner_gone = self.owner_ends in ready if self.owner_ends else not _exists(self.owner)
        return not (self.halted or owner_gone)

    def _halt(self, *_: object) -> None:
        self.halted = True

    def _ask_left_over(self, how: signal.Signals) -> None:
        process = _process_in(self.folder / CLUSTER / "postmaster.pid")
        if process is not None and _serves(process, self.folder / CLUSTER):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, how)

    def _remove_stale_pid_file(self) -> None:
        """A pid file that no PostgreSQL of ours can stand behind, as we hold the lock.

        Left alone, one whose number has since been given to another process (usual after a
        restart of a container) would keep PostgreSQL from starting for ever.
        """
        pid_file = self.folder / CLUSTER / "postmaster.pid"
        process = _process_in(pid_file)
        if process is None or not _serves(process, self.folder / CLUSTER):
            pid_file.unlink(missing_ok=True)

    def _was_ready(self, process: int) -> bool:
        """Whether the PostgreSQL that just died had been open for connections."""
        pid_file = self.folder / CLUSTER / "postmaster.pid"
        if _process_in(pid_file) != process:
            return False
        status = pid_file.read_text().split("\n")[STATUS_LINE : STATUS_LINE + 1]
        return [line.strip() for line in status] == ["ready"]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Fast (roll back, checkpoint, end); at once if that takes too long, recovery then mends."""
    for how, seconds in (
        (signal.SIGINT, FAST_STOP_SECONDS_MAX),
        (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS_MAX),
    ):
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return
    process.kill()
    process.wait()


def _die_with(parent: int) -> Callable[[], None]:
    """For a new child, before its program: a fast stop when the parent dies, even by kill -9."""

    def prepare() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def _when_it_ends(process: int) -> int | None:
    """A handle that becomes readable when the process ends; None where there is no such thing."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(process)
    except ProcessLookupError:
        sys.exit(0)
    except OSError:
        return None


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process_in(pid_file: Path) -> int | None:
    try:
        return abs(int(pid_file.read_text().split("\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        return None


def _serves(process: int, cluster: Path) -> bool:
    """Whether the process is a PostgreSQL on this cluster; pids are used again, so ask."""
    if not Path("/proc/self").exists():
        return _exists(process)
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(cluster) in words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
