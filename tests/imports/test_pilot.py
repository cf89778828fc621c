"""The CDISC pilot study: 306 real participants become journeys, counted against the CSV itself."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from domain.participant import Participant
from domain.stage import stage
from services.imports.sdtm.run import SdtmImport, survey
from tests.imports.conftest import NOW, STUDY, Store, imported, prepared, rows

AFTER_DEATH = ("SV", "01-710-1083", "SV:01-710-1083:4", "after-death")
"""One visit of the data is dated after the participant's death: it is rejected, and said so."""


def participants(store: Store) -> dict[str, Participant]:
    names = store.ledger.participants(STUDY)
    return {name: store.hot.participant(STUDY, name) for name in names}


def test_every_participant_is_there_at_their_site(pilot, data):
    store, _ = pilot
    found = {name: one.site for name, one in participants(store).items()}
    assert found == {row["USUBJID"]: row["SITEID"] for row in rows(data, "dm")}
    assert len(found) == 306
    assert set(store.hot.trial(STUDY).sites) == {row["SITEID"] for row in rows(data, "dm")}


def test_stages_are_those_of_the_dispositions(pilot, data):
    store, _ = pilot
    ended = {
        row["USUBJID"]: row["DSDECOD"]
        for row in rows(data, "ds")
        if row["DSCAT"] == "DISPOSITION EVENT"
    }
    stages = {"COMPLETED": "completed", "SCREEN FAILURE": "screen-failed", "DEATH": "deceased"}
    expected = {name: stages.get(term, "discontinued") for name, term in ended.items()}
    trial = store.hot.trial(STUDY)
    assert {name: stage(trial, one, NOW) for name, one in participants(store).items()} == expected
    assert Counter(expected.values()) == {
        "completed": 110,
        "screen-failed": 52,
        "deceased": 3,
        "discontinued": 141,
    }


def test_endings_carry_the_terms_of_the_data(pilot, data):
    store, _ = pilot
    other = {"COMPLETED", "SCREEN FAILURE", "DEATH"}
    expected = Counter(
        (row["USUBJID"], row["DSDECOD"].lower().replace(" ", "-"), row["DSSTDTC"])
        for row in rows(data, "ds")
        if row["DSCAT"] == "DISPOSITION EVENT" and row["DSDECOD"] not in other
    )
    assert expected == Counter(
        (name, noted.body.cause, noted.when.text)
        for name, one in participants(store).items()
        for noted in one.closure.discontinued
    )


def test_deaths_are_those_of_the_data(pilot, data):
    store, _ = pilot
    expected = {row["USUBJID"]: row["DTHDTC"] for row in rows(data, "dm") if row["DTHFL"] == "Y"}
    assert len(expected) == 3
    assert expected == {
        name: noted.body.on.text
        for name, one in participants(store).items()
        for noted in one.closure.died
    }


def test_enrolments_are_the_randomisations(pilot, data):
    store, _ = pilot
    expected = {
        row["USUBJID"]: row["DSSTDTC"] for row in rows(data, "ds") if row["DSDECOD"] == "RANDOMIZED"
    }
    assert len(expected) == 254
    assert expected == {
        name: noted.when.text
        for name, one in participants(store).items()
        for noted in one.treatment.enrolled
    }
    assert set(store.hot.trial(STUDY).slots) == set(expected)


def test_doses_are_the_exposures(pilot, data):
    store, _ = pilot
    expected = Counter(
        (row["USUBJID"], row["EXTRT"], row["EXDOSE"], row["EXSTDTC"]) for row in rows(data, "ex")
    )
    assert expected == Counter(
        (name, noted.body.product, str(noted.body.amount), noted.when.text)
        for name, one in participants(store).items()
        for noted in one.treatment.dosed
    )


def test_visits_are_those_of_the_data_but_one_after_death(pilot, data):
    store, summary = pilot
    planned = {"BASELINE", "SCREENING 1", "SCREENING 2"}
    expected = Counter(
        (
            row["USUBJID"],
            row["VISIT"].replace(" ", "-").replace("(T)", "T")
            if row["VISIT"] in planned or row["VISIT"].startswith("WEEK")
            else "UNS",
            row["SVSTDTC"],
        )
        for row in rows(data, "sv")
    )
    found = Counter(
        (name, noted.body.visit, noted.when.text)
        for name, one in participants(store).items()
        for noted in one.visits.completed
    )
    assert expected - found == Counter({("01-710-1083", "WEEK-2", "2013-08-03"): 1})
    assert found - expected == Counter()
    assert [(r.domain, r.participant, r.event, r.rule) for r in summary.rejected] == [AFTER_DEATH]


def test_telephone_visits_were_held_by_telephone(pilot, data):
    store, _ = pilot
    calls = sum(row["VISIT"].endswith("(T)") for row in rows(data, "sv"))
    assert calls == sum(
        noted.body.mode == "telephone"
        for one in participants(store).values()
        for noted in one.visits.completed
    )


def test_adverse_events_are_those_of_the_data(pilot, data):
    store, _ = pilot
    flags = ("AESCAN", "AESCONG", "AESDISAB", "AESDTH", "AESHOSP", "AESLIFE", "AESOD")

    def missing(text: str) -> str | None:
        return None if text == "NA" else text

    expected = Counter(
        (
            row["USUBJID"],
            f"AE-{row['AESEQ']}",
            row["AETERM"],
            row["AESTDTC"],
            missing(row["AEENDTC"]),
            row["AESER"] == "Y",
            any(row[flag] == "Y" for flag in flags),
            row["AEDTC"],
        )
        for row in rows(data, "ae")
    )
    assert expected == Counter(_reported(name, noted) for name, noted in _events(store))
    fatal = {row["USUBJID"] for row in rows(data, "ae") if row["AEOUT"] == "FATAL"}
    assert fatal == {name for name, noted in _events(store) if noted.body.outcome == "fatal"}


def _events(store: Store) -> list[tuple[str, Any]]:
    return [
        (name, noted) for name, one in participants(store).items() for noted in one.safety.reported
    ]


def _reported(name: str, noted: Any) -> tuple[Any, ...]:
    body, recorded = noted.body, noted.recorded
    return (
        name,
        body.ae,
        body.term,
        body.onset.text,
        None if body.end is None else body.end.text,
        body.serious,
        bool(body.seriousness),
        recorded.recorded_at_source.text,
    )


def test_nobody_has_a_consent_that_the_data_do_not_date(pilot):
    store, _ = pilot
    assert not any(one.consent.given for one in participants(store).values())


def test_event_ids_name_the_row(pilot):
    store, _ = pilot
    ids = {one.id for one in store.hot.participant(STUDY, "01-701-1015").history}
    assert {"DM:01-701-1015:1", "AE:01-701-1015:1", "SV:01-701-1015:3.5"} <= ids


def test_a_second_run_changes_nothing(pilot, data):
    store, first = pilot
    head = store.ledger.head(STUDY)
    again = imported(store, data / "cdisc-pilot")
    assert store.ledger.head(STUDY) == head
    assert (again.recorded.total(), again.conclusions) == (0, 0)
    assert again.known == first.recorded
    assert again.rejected == first.rejected


class Broken(Exception):
    """The import is broken off."""


@pytest.fixture(scope="module")
def few(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first forty participants of the pilot study."""
    folder = tmp_path_factory.mktemp("few")
    names = [row["USUBJID"] for row in rows(data, "dm")][:40]
    for file in (data / "cdisc-pilot").glob("*.csv"):
        header, *lines = file.read_text().splitlines()
        kept = [line for line in lines if line.split(",")[2].strip('"') in names]
        (folder / file.name).write_text("\n".join((header, *kept)) + "\n")
    return folder


@pytest.mark.parametrize("rows_done", [1, 300, 600])
def test_an_import_that_was_broken_off_goes_on_where_it_was(data, few, rows_done):
    whole, broken = prepared(data), prepared(data)
    imported(whole, few)
    done = 0

    def until(count: int) -> None:
        nonlocal done
        done += count
        if done >= rows_done:
            raise Broken

    with pytest.raises(Broken):
        asyncio.run(SdtmImport(broken.recording, STUDY, None).run(survey(few), until))
    assert 0 < len(broken.ledger.participants(STUDY)) < 40
    imported(broken, few)
    assert broken.ledger.head(STUDY) == whole.ledger.head(STUDY)
    assert _histories(broken) == _histories(whole)


def _histories(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: [
            (one.id, one.type, one.occurred_at.text)
            + (() if one.type == "demographics-recorded" else (one.body,))
            for one in found.history
        ]
        for name, found in participants(store).items()
    }


def test_a_row_that_changed_since_is_corrected_and_not_recorded_twice(data, tmp_path):
    text = (data / "cdisc-pilot" / "dm.csv").read_text().splitlines()
    (tmp_path / "dm.csv").write_text("\n".join(text[:3]) + "\n")
    store = prepared(data)
    imported(store, tmp_path)
    changed = [text[0], text[1].replace('"701"', '"702"'), text[2]]
    (tmp_path / "dm.csv").write_text("\n".join(changed) + "\n")
    again = imported(store, tmp_path)
    assert [(one.event, one.fields) for one in again.corrected] == [("DM:01-701-1015:1", ("site",))]
    assert again.rejected == []
    assert again.recorded == {"site-opened": 1, "corrected": 1}
    assert participants(store)["01-701-1015"].site == "702"
