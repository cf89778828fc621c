"""The data folder of an embedded PostgreSQL: whose it is, where its socket stands, how to connect.

One process owns a folder at a time. The ownership is a lock of the kernel on an open file, so it
ends with the process, however that ends: nothing stale is ever left to judge.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from pathlib import Path

from infra.postgres.identity import Identity

OWNER_LOCK = "owner.lock"
CONNINFO = "conninfo"
OWNED_PATIENCE_SECONDS = 0.5
"""Longer than another process needs to look whether the folder is owned."""
OWNED_POLL_SECONDS = 0.02
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAX = 107


class Unavailable(Exception):
    """PostgreSQL cannot be started here; the message is one sentence for a person."""


class DataFolderBusy(Unavailable):
    """Another process owns the data folder."""


def running(data: Path) -> str | None:
    """How to connect to the PostgreSQL that another process runs on this data folder, if any."""
    data = data.expanduser().absolute()
    try:
        conninfo = (data / CONNINFO).read_text().strip()
        owner = _try_to_own(data)
    except (FileNotFoundError, PermissionError):
        return None
    if owner is not None:
        os.close(owner)
        return None
    return conninfo


def own(data: Path) -> int:
    """Hold the folder until this process ends, however it ends: the kernel lets go of the lock."""
    deadline = time.monotonic() + OWNED_PATIENCE_SECONDS
    while (owned := _try_to_own(data)) is None:
        if time.monotonic() > deadline:
            owner = (data / OWNER_LOCK).read_text().strip()
            raise DataFolderBusy(
                f"the data folder {data} is in use by process {owner}: "
                "stop it, or choose another folder with --data"
            )
        time.sleep(OWNED_POLL_SECONDS)
    os.ftruncate(owned, 0)
    os.write(owned, f"{os.getpid()}\n".encode())
    return owned


def _try_to_own(data: Path) -> int | None:
    handle = os.open(data / OWNER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def socket_folder(data: Path, identity: Identity) -> Path:
    """`run` in the data folder; a short private folder where the socket's path would not fit.

    A comma or a quotation mark also sends it there: both mean something in a list of hosts.
    """
    folder = data / "run"
    fits = len(os.fsencode(folder / SOCKET)) <= SOCKET_PATH_BYTES_MAX
    if not fits or not set(",\"'\\").isdisjoint(str(folder)):
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        if not base.is_dir() or len(os.fsencode(base)) > SOCKET_PATH_BYTES_MAX // 2:
            base = Path("/tmp")  # noqa: S108 - the folder made in it is private, and checked
        name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        folder = base / f"cairn-{os.geteuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = {os.geteuid(), identity.uid if identity.kind == "account" else os.geteuid()}
    if folder.is_symlink() or found.st_uid not in ours or found.st_mode & 0o077:
        raise Unavailable(f"{folder} is not private to this user")
    identity.own(folder)
    # We own the data folder, so these are a dead server's, or one's that is about to be stopped.
    # Left there, the lock may name a pid that was given to another process, which PostgreSQL
    # would respect, and through the socket we would take the old server for the new one.
    for left in (SOCKET, f"{SOCKET}.lock"):
        (folder / left).unlink(missing_ok=True)
    return folder


def write_whole(path: Path, text: str) -> None:
    """All of it or nothing, for a reader at any moment."""
    beside = path.with_name(f"{path.name}.new")
    beside.touch(mode=0o600)
    beside.write_text(text)
    beside.replace(path)
