"""How fast a study's log is checked: every byte, and every conclusion computed anew.

Participants post twenty routine facts each (`bench/journey.py`), one event a post and everybody in
turn, so that no two events of a participant stand side by side: the hardest log to check.
"""

from collections.abc import Iterator

from bench.journey import STUDY
from bench.measured import Row, metered
from bench.setting import Setting
from bench.study import names, spread, study
from infra.documents import PostgresDocuments
from infra.ledger.ledger import Ledger
from services.bootstrap import Cairn
from services.replay_bytes import Bytes
from services.replay_check import PAGE_EVENTS, ReplayCheck

PARTICIPANTS = 700
UNIT = "events/s"


def rows(setting: Setting) -> Iterator[Row]:
    """The bytes alone, then the whole check."""
    with study(setting) as cairn:
        spread(cairn, names(setting.size(PARTICIPANTS, 100)))
        told = f"{cairn.ledger.head(STUDY):,} events"
        alone = metered(lambda: _bytes(cairn.ledger), setting.keeper)
        yield Row(f"replay check, bytes and chains alone, {told}", UNIT, [alone])
        whole = metered(lambda: _check(cairn), setting.keeper)
        yield Row(f"replay check, every conclusion computed anew, {told}", UNIT, [whole])


def _bytes(ledger: Ledger) -> int:
    after, head, reader = 0, ledger.head(STUDY), Bytes(whole=True)
    while page := ledger.read(STUDY, after, PAGE_EVENTS, head):
        assert not list(reader.read(page))
        after = page[-1].position
    return head


def _check(cairn: Cairn) -> int:
    check = ReplayCheck(cairn.ledger, PostgresDocuments(cairn.pool), STUDY)
    assert not list(check.findings())
    return cairn.ledger.head(STUDY)
