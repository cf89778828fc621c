"""Reaching the store: the database of the settings, a running `cairn up`, or the folder's own."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from infra.postgres import embedded
from infra.postgres.embedded import EmbeddedPostgres
from services.bootstrap import Cairn, NotConfigured, Settings, conninfo_of, now, open_cairn

CLUSTER = "postgres"


def exists(settings: Settings) -> bool:
    """Whether there is a store to reach."""
    return settings.database_url is not None or (settings.data / CLUSTER).exists()


@contextlib.contextmanager
def reached(settings: Settings, *, create: bool = False, alone: bool = False) -> Iterator[str]:
    """How to connect to the store, while the block lasts.

    Beside a running `cairn up` that is its PostgreSQL; otherwise the folder's own is started, and
    stopped at the end. `create` allows a new one; `alone` refuses a folder that another process
    runs. NotConfigured, Unavailable.
    """
    beside = not alone and embedded.running(settings.data) is not None
    if settings.database_url is not None or beside:
        yield conninfo_of(settings)
        return
    if not create and not exists(settings):
        raise NotConfigured(
            f"There is no store in {settings.data}: run `cairn up`, name its folder with --data,"
            " or set CAIRN_DATABASE_URL."
        )
    with EmbeddedPostgres(settings.data) as postgres:
        yield postgres.conninfo


@contextlib.contextmanager
def opened(
    settings: Settings, *, create: bool = False, clock: Callable[[], datetime] = now
) -> Iterator[Cairn]:
    """A working Cairn on the store, closed at the end."""
    with (
        reached(settings, create=create) as conninfo,
        contextlib.closing(open_cairn(settings, conninfo=conninfo, clock=clock)) as cairn,
    ):
        yield cairn
