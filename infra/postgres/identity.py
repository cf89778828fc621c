"""Who PostgreSQL runs as: it refuses uid 0, so root puts another identity on before it starts.

Three identities, tried in this order for root; a plain user stays who they are.

- `mapped`: a user namespace in which root carries another number. Files stay root's, and folders
  that only root may enter stay within reach. A container's seccomp profile may forbid it.
- `account UID GID`: the account that owns the data folder, or the folder above it, or a system
  account. The data folder then belongs to that account.
- `same`: nothing changes.
"""

import contextlib
import ctypes
import os
import pwd
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ACCOUNTS = ("postgres", "nobody")
"""System accounts tried last, in this order."""
CLONE_NEWUSER = 0x10000000
"""The flag of unshare(2) for a new user namespace."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity to put on: its kind, and the numbers it stands for (`same` needs none)."""

    kind: str
    uid: int = 0
    gid: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.uid}:{self.gid}"

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """The identity that `str()` wrote. ValueError when it did not."""
        kind, uid, gid = text.split(":")
        return cls(kind, int(uid), int(gid))

    def put_on(self) -> None:
        """Become it, for the rest of this process. OSError when the system does not allow it."""
        if self.kind == "mapped":
            _map_root_to(self.uid, self.gid)
        elif self.kind == "account":
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)

    def own(self, path: Path) -> None:
        """Give it the folder or file, where it is another account than ours."""
        if self.kind == "account":
            os.chown(path, self.uid, self.gid)


SAME = Identity("same")


def candidates(folder: Path) -> Iterator[Identity]:
    """The identities under which PostgreSQL may work on an existing folder, the best first."""
    if os.geteuid() != 0:
        yield SAME
        return
    owner = folder.stat()
    if owner.st_uid != 0:
        yield Identity("account", owner.st_uid, owner.st_gid)
    if sys.platform == "linux":
        with contextlib.suppress(StopIteration):
            yield _named_stranger()
    above = folder.parent.stat()
    if above.st_uid != 0:
        yield Identity("account", above.st_uid, above.st_gid)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            yield Identity("account", account.pw_uid, account.pw_gid)


def _named_stranger() -> Identity:
    """initdb asks for the name of its user, so the number inside must be one that has a name."""
    account = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    return Identity("mapped", account.pw_uid, account.pw_gid)


def _map_root_to(uid: int, gid: int) -> None:
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{uid} {outside_uid} 1")
    (own / "gid_map").write_text(f"{gid} {outside_gid} 1")
