"""The pilot study's adverse events, imported: serious ones and contradictions against the CSV.

The expectations are counted from the CSV by what its columns say, without anything of the core's.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from domain.kernel import Recorded
from domain.safety.events import ContradictionFound, SeriousAdverseEventIdentified
from projections import safety
from services.state import recorded
from tests.imports.conftest import NOW, Store
from tests.imports.test_pilot import STUDY, imported, participants, prepared, rows

CRITERIA = {
    "AESDTH": "death",
    "AESLIFE": "life-threatening",
    "AESHOSP": "hospitalisation",
    "AESDISAB": "disability",
    "AESCONG": "congenital-anomaly",
    "AESCAN": "important-medical-event",
    "AESOD": "important-medical-event",
}
Named = tuple[str, str]
"""A participant and the name of an adverse event."""


@pytest.fixture(scope="module")
def pilot(data: Path) -> tuple[Store, list[dict[str, str]]]:
    """The pilot study, imported, and the rows of its adverse events."""
    store = prepared(data)
    imported(store, data / "cdisc-pilot")
    return store, rows(data, "ae")


def named(row: dict[str, str]) -> Named:
    return row["USUBJID"], f"AE-{row['AESEQ']}"


def criteria(row: dict[str, str]) -> set[str]:
    return {name for flag, name in CRITERIA.items() if row[flag] == "Y"}


def log(store: Store) -> list[Recorded]:
    """The whole log, in its order."""
    head, found = store.ledger.head(STUDY), []
    while len(found) < head:
        found += [recorded(one) for one in store.ledger.read(STUDY, len(found), 1_000)]
    return found


def reports(store: Store) -> dict[Named, int]:
    """Where each adverse event was reported."""
    return {
        (str(one.participant), one.body.ae): one.position  # type: ignore[attr-defined]
        for one in log(store)
        if one.type == "adverse-event-reported"
    }


def concluded(store: Store, kind: type[Any]) -> list[tuple[str, Any]]:
    """What stands concluded of a kind, of everybody."""
    return [
        (name, one.body)
        for name, found in participants(store).items()
        for one in found.concluded.values()
        if isinstance(one.body, kind)
    ]


def test_serious_is_what_criteria_outcomes_and_flags_imply_and_nothing_else(pilot):
    store, events = pilot
    implied = {
        named(row)
        for row in events
        if criteria(row) or row["AEOUT"] == "FATAL" or row["AESER"] == "Y"
    }
    found = {
        (name, body.ae): body for name, body in concluded(store, SeriousAdverseEventIdentified)
    }
    assert set(found) == implied
    assert len(implied) == 39
    assert sum(row["AESER"] == "Y" for row in events) == 3, "the flags alone would show three"
    where = reports(store)
    for row in events:
        if named(row) in found:
            because = set(found[named(row)].because) - {"fatal", "reported"}
            assert because == criteria(row)
            assert found[named(row)].evidence == (where[named(row)],)


def test_each_contradiction_is_listed_with_the_positions_of_both_sides(pilot, data):
    store, events = pilot
    hidden = [named(row) for row in events if row["AESER"] == "N" and criteria(row)]
    deaths = {row["USUBJID"]: row["DTHDTC"] for row in rows(data, "dm") if row["DTHFL"] == "Y"}
    other_day = [
        named(row)
        for row in events
        if row["AEOUT"] == "FATAL" and row["AEENDTC"] != deaths[row["USUBJID"]]
    ]
    backwards = [
        named(row)
        for row in events
        if "NA" not in (row["AEENDTC"], row["AESTDTC"]) and row["AEENDTC"] < row["AESTDTC"]
    ]
    assert set(deaths) == {row["USUBJID"] for row in events if row["AEOUT"] == "FATAL"}
    expected = Counter(
        [("serious-not-flagged", *one) for one in hidden]
        + [("death-date-differs", *one) for one in other_day]
        + [("end-before-onset", *one) for one in backwards]
    )
    assert (len(hidden), len(other_day), len(backwards)) == (36, 1, 0)
    found = concluded(store, ContradictionFound)
    assert Counter((body.because, name, body.ae) for name, body in found) == expected
    where = reports(store)
    died = {one.participant: one.position for one in log(store) if one.type == "died"}
    for name, body in found:
        report = (where[name, body.ae],)
        other = (died[name],) if body.because == "death-date-differs" else report
        assert [side.evidence for side in body.sides] == [report, other]
        assert body.evidence == tuple(sorted({*report, *other}))


def test_the_view_shows_the_same_serious_events_and_contradictions(pilot):
    store, events = pilot
    trial = store.hot.trial(STUDY)
    shown = [
        (name, row)
        for name, one in participants(store).items()
        for row in safety.VIEW.of(trial, one).values()
        if row.columns["kind"] == safety.EVENT
    ]
    serious = {(name, row.item["ae"]) for name, row in shown if row.columns["serious"]}
    assert len(shown) == len(events) == 1_191
    assert serious == {
        (name, body.ae) for name, body in concluded(store, SeriousAdverseEventIdentified)
    }
    said = [one for _, row in shown for one in safety.shown(row.item, NOW)["contradictions"]]
    assert Counter(said) == {"serious-not-flagged": 36, "death-date-differs": 1}


def test_a_study_without_clocks_owes_no_report(pilot):
    store, _ = pilot
    protocol = next(iter(store.hot.trial(STUDY).protocols.values()))
    assert protocol.clocks == ()
    assert not [one for one in log(store) if one.type.startswith("safety-clock")]
