"""A data set that was edited and is imported again: what changed is corrected, and listed."""

import asyncio
import csv
from pathlib import Path
from typing import Any

import pytest

from domain.kernel import Actor
from domain.participant import Participant, effective_history
from services.door import posted
from services.publishing import Draft
from services.record import Terms
from tests.imports.conftest import STUDY, Store, imported
from tests.imports.test_journeys import PROTOCOL

WHO = "01-1"
DM = {
    "USUBJID": WHO,
    "SUBJID": "1",
    "SITEID": "701",
    "BRTHDTC": "1950-12-26",
    "SEX": "F",
    "DMDTC": "2013-12-26",
}
VISIT = {
    "USUBJID": WHO,
    "VISITNUM": "1",
    "VISIT": "SCREENING 1",
    "SVSTDTC": "2013-12-26",
}
DOSE = {
    "USUBJID": WHO,
    "EXSEQ": "1",
    "EXTRT": "PLACEBO",
    "EXDOSE": "0",
    "EXDOSU": "mg",
    "EXROUTE": "TRANSDERMAL",
    "EXSTDTC": "2014-01-02",
}
MANAGER = Terms(Actor(id="m", role="data-manager"), "urn:hand")


class Edited:
    """A data set on disk, and the store that it is imported into."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        protocol = PROTOCOL.model_copy(update={"study": STUDY})
        asyncio.run(store.publishing.publish_protocol(Draft(protocol), MANAGER))
        self.rows: dict[str, list[dict[str, str]]] = {"dm": [DM], "sv": [VISIT], "ex": [DOSE]}
        self.again()

    def again(self, **changes: Any) -> dict[str, Any]:
        """Import it with other rows; what came of it."""
        self.rows |= changes
        for domain, rows in self.rows.items():
            with (self.folder / f"{domain}.csv").open("w", newline="") as file:
                names = list(dict.fromkeys(name for row in rows for name in row)) or ["USUBJID"]
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(rows)
        return imported(self.store, self.folder).document()

    def head(self) -> int:
        return self.store.ledger.head(STUDY)

    def participant(self) -> Participant:
        return self.store.hot.participant(STUDY, WHO)

    def dosed_on(self) -> list[str]:
        return [one.when.text for one in self.participant().treatment.dosed]

    def by_hand(self, kind: str, **data: Any) -> None:
        """Somebody changes the dose here."""
        position = next(one.position for one in self.participant().history if one.type == "dosed")
        document = {
            "type": kind,
            "occurred_at": "2026-11-24",
            "reason": "read again",
            "data": {"position": position, **data},
        }
        one = posted(document, participant=WHO)
        asyncio.run(self.store.recording.record(STUDY, WHO, [one], MANAGER))


@pytest.fixture
def edited(store: Store, tmp_path: Path) -> Edited:
    return Edited(store, tmp_path)


def dose(day: str, **more: str) -> list[dict[str, str]]:
    return [{**DOSE, "EXSTDTC": day, **more}]


def test_the_same_data_set_again_changes_nothing(edited: Edited) -> None:
    head = edited.head()
    found = edited.again()
    assert (found["corrected"], found["rejected"], found["recorded"]) == ([], [], {})
    assert found["already_recorded"]["dosed"] == 1
    assert edited.head() == head


def test_a_row_that_changed_is_a_correction_with_the_reason_import(edited: Edited) -> None:
    found = edited.again(ex=dose("2014-01-03"))
    assert found["corrected"] == [
        {
            "domain": "EX",
            "row": 1,
            "participant": WHO,
            "event": "EX:01-1:1",
            "fields": ["occurred_at", "started_at"],
        }
    ]
    assert found["recorded"] == {"corrected": 1}
    assert edited.dosed_on() == ["2014-01-03"]
    correction = edited.participant().history[-1]
    assert (correction.reason, correction.id) == ("import", "EX:01-1:1/correction-1")
    assert correction.actor.id == "import"
    head = edited.head()
    assert edited.again()["corrected"] == []
    assert edited.head() == head


def test_a_row_that_is_changed_back_is_corrected_back(edited: Edited) -> None:
    edited.again(ex=dose("2014-01-03"))
    assert len(edited.again(ex=dose("2014-01-02"))["corrected"]) == 1
    assert edited.dosed_on() == ["2014-01-02"]
    assert len(edited.again(ex=dose("2014-01-03"))["corrected"]) == 1
    assert edited.dosed_on() == ["2014-01-03"]


def test_a_birth_date_is_corrected_and_stays_sealed(edited: Edited) -> None:
    assert edited.again(dm=[DM])["corrected"] == []
    found = edited.again(dm=[{**DM, "BRTHDTC": "1951-12-26"}])
    assert [one["fields"] for one in found["corrected"]] == [["birth_date"]]
    for stored in edited.store.ledger.stream(STUDY, WHO):
        assert b"1950-12" not in stored.body
        assert b"1951-12" not in stored.body
    assert edited.again()["corrected"] == []


def test_what_was_corrected_here_stands_while_the_data_set_says_what_it_said(
    edited: Edited,
) -> None:
    edited.by_hand("corrected", occurred_at="2014-01-05")
    head = edited.head()
    found = edited.again()
    assert (found["corrected"], found["rejected"], edited.head()) == ([], [], head)
    assert edited.dosed_on() == ["2014-01-05"]


@pytest.mark.parametrize(
    ("kind", "data", "rule"),
    [
        ("corrected", {"occurred_at": "2014-01-05"}, "corrected-since"),
        ("retracted", {}, "retracted-since"),
    ],
)
def test_a_row_and_its_event_that_both_changed_are_left_to_a_person(
    edited: Edited, kind: str, data: dict[str, str], rule: str
) -> None:
    edited.by_hand(kind, **data)
    head = edited.head()
    found = edited.again(ex=dose("2014-01-03"))
    assert [(one["event"], one["rule"]) for one in found["rejected"]] == [("EX:01-1:1", rule)]
    assert (found["corrected"], edited.head()) == ([], head)


def test_the_data_set_that_says_what_somebody_corrected_here_agrees(edited: Edited) -> None:
    edited.by_hand("corrected", occurred_at="2014-01-03", data=_data(edited, "2014-01-03"))
    found = edited.again(ex=dose("2014-01-03"))
    assert (found["corrected"], found["rejected"]) == ([], [])


def _data(edited: Edited, day: str) -> dict[str, Any]:
    (given,) = edited.participant().treatment.dosed
    plain = given.body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    return {**plain, "started_at": day}


def test_a_row_that_is_another_kind_of_event_now_is_left_to_a_person(edited: Edited) -> None:
    edited.again(sv=[{**VISIT, "SVOCCUR": "Y"}])
    found = edited.again(sv=[{**VISIT, "SVOCCUR": "N"}])
    assert ("SV:01-1:1", "type-changed") in [
        (one["event"], one["rule"]) for one in found["rejected"]
    ]


def test_a_row_that_is_gone_is_listed_and_its_event_stays(edited: Edited) -> None:
    found = edited.again(ex=[])
    assert found["gone"] == [{"participant": WHO, "event": "EX:01-1:1"}]
    assert edited.dosed_on() == ["2014-01-02"]
    edited.by_hand("retracted")
    assert edited.again()["gone"] == []


def test_a_change_that_cannot_be_is_rejected_with_its_rule(edited: Edited) -> None:
    found = edited.again(ex=dose("2031-01-03"))
    assert [(one["event"], one["rule"]) for one in found["rejected"]] == [
        ("EX:01-1:1/correction-1", "future")
    ]
    assert found["corrected"] == [], "what was refused was not corrected"
    assert edited.dosed_on() == ["2014-01-02"]
    now = {one.position for one in effective_history(edited.participant().history)}
    assert len(now) == len(edited.participant().history)
