"""Honest ledgers under the replay check: the demonstration's cohort, and the pilot as imported."""

from services.demo.cohort import STUDY as DEMO
from services.demo.cohort import register
from services.imports.sdtm.run import Summary
from services.replay_check import ReplayCheck
from tests.imports.conftest import STUDY, Store
from tests.imports.test_demo import begun


def test_nothing_differs_in_the_demonstrations_cohort() -> None:
    store = Store()
    register(store)  # type: ignore[arg-type]
    begun(store)
    check = ReplayCheck(store.ledger, store.documents, DEMO)
    assert list(check.findings()) == []
    assert check.checked.events == store.ledger.head(DEMO)
    assert check.checked.conclusions > 300


def test_nothing_differs_in_the_pilot_study_as_imported(pilot: tuple[Store, Summary]) -> None:
    store, summary = pilot
    check = ReplayCheck(store.ledger, store.documents, STUDY)
    assert list(check.findings()) == []
    assert check.checked.participants == summary.participants
    assert check.checked.conclusions == summary.conclusions > 1_000
