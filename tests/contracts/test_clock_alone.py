"""Of several processes with a clock worker one looks at a time, and the others judge nobody."""

import contextlib
from pathlib import Path

import pytest

from infra.postgres.lease import Lease
from services.bootstrap import Settings, open_cairn
from services.concluding import Concluding
from services.workers import CLOCK_LEASE, Workers


def test_while_another_process_looks_nobody_is_judged_and_afterwards_it_is_ours(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []

    def step(_: Concluding) -> bool:
        looked.append(Lease.taken(database, CLOCK_LEASE) is None)
        return True

    monkeypatch.setattr(Concluding, "step", step)
    with contextlib.closing(open_cairn(Settings(data=tmp_path), conninfo=database)) as cairn:
        workers = Workers(cairn)
        other = Lease.taken(database, CLOCK_LEASE)
        assert other is not None
        with other:
            assert not workers._conclude()
        assert looked == []
        assert workers._conclude()
        assert workers._conclude()
    assert looked == [True, True], "it looked without keeping the others away"
