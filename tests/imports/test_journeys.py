"""Rows of SDTM and the events that say the same."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.trial.protocol import Protocol
from services.door import posted
from services.imports.sdtm.datasets import Line, Subject
from services.imports.sdtm.journeys import journey
from services.imports.sdtm.reports import Circumstances, Said
from services.imports.sdtm.terms import moment
from services.imports.sdtm.visits import VisitCodes

PROTOCOL = Protocol.model_validate(
    {
        "study": "S",
        "version": "1",
        "title": "T",
        "visits": [
            {"code": "SCREENING-1", "name": "Screening 1", "kind": "screening", "day": -14},
            {"code": "BASELINE", "name": "Baseline", "kind": "dosing", "day": 0},
            {"code": "WEEK-10-T", "name": "Week 10 (T)", "day": 70, "mode": "telephone"},
            {"code": "UNS", "name": "Unscheduled", "kind": "unscheduled"},
        ],
    }
)
DM = {
    "USUBJID": "01-1",
    "SUBJID": "1",
    "SITEID": "701",
    "BRTHDTC": "1950-12-26",
    "SEX": "F",
    "ARMCD": "Pbo",
    "DMDTC": "2013-12-26",
}


def told(zone: ZoneInfo | None = None, **domains: Any) -> Said:
    """What the rows of one participant say; DM is there unless given."""
    rows = {"DM": DM, **domains}
    lines = {
        domain: tuple(
            Line(domain, number, {"USUBJID": "01-1", **row})
            for number, row in enumerate(found if isinstance(found, list) else [found], start=1)
        )
        for domain, found in rows.items()
    }
    return journey(Subject("01-1", lines), Circumstances("urn:sdtm", VisitCodes(PROTOCOL), zone))


def events(said: Said) -> list[tuple[str, str, str]]:
    """(id, type, when) of each event, which the door must take."""
    for report in said.reports:
        posted(report.document, participant="01-1")
    documents = [report.document for report in said.reports]
    return [(one["id"], one["type"], one["occurred_at"]) for one in documents]


def only(said: Said, kind: str) -> Mapping[str, Any]:
    """The one event of a type."""
    (found,) = [one.document for one in said.reports if one.document["type"] == kind]
    posted(found, participant="01-1")
    return found


def test_demographics_are_a_referral_and_a_birth_date_and_no_consent_is_invented():
    assert events(told()) == [
        ("DM:01-1:1", "referred", "2013-12-26"),
        ("DM:01-1:1/demographics-recorded", "demographics-recorded", "2013-12-26"),
    ]


def test_a_consent_date_is_a_consent():
    found = only(told(DM={**DM, "RFICDTC": "2013-12-20"}), "consented")
    assert (found["occurred_at"], found["data"]["form_version"]) == ("2013-12-20", "not-recorded")


def test_the_first_screening_visit_starts_the_screening_under_an_id_of_its_own():
    row = {"VISIT": "SCREENING 1", "VISITNUM": "1", "SVSTDTC": "2013-12-26"}
    assert events(told(SV=row))[2:] == [
        ("SV:01-1:1/screening-started", "screening-started", "2013-12-26"),
        ("SV:01-1:1", "visit-completed", "2013-12-26"),
    ]


@pytest.mark.parametrize(
    ("visit", "code", "mode"),
    [
        ("BASELINE", "BASELINE", "in-person"),
        ("WEEK 10 (T)", "WEEK-10-T", "telephone"),
        ("week-10-t", "WEEK-10-T", "telephone"),
        ("UNSCHEDULED 8.2", "UNS", "in-person"),
        ("AMBUL ECG REMOVAL", "UNS", "in-person"),
    ],
)
def test_a_visit_has_the_protocols_code_or_was_unscheduled(visit, code, mode):
    found = only(told(SV={"VISIT": visit, "VISITNUM": "8.2", "SVSTDTC": "2014"}), "visit-completed")
    assert found["data"] == {"visit": code, "mode": mode}
    assert (found["id"], found["occurred_at"]) == ("SV:01-1:8.2", "2014")


@pytest.mark.parametrize(
    ("term", "category", "kind", "data"),
    [
        ("RANDOMIZED", "PROTOCOL MILESTONE", "enrolled", {"number": "1", "cohort": "Pbo"}),
        ("COMPLETED", "DISPOSITION EVENT", "completed", {}),
        ("SCREEN FAILURE", "DISPOSITION EVENT", "screen-failed", {"criteria": []}),
        ("ADVERSE EVENT", "DISPOSITION EVENT", "discontinued", {"cause": "adverse-event"}),
        ("LOST TO FOLLOW-UP", "DISPOSITION EVENT", "discontinued", {"cause": "lost-to-follow-up"}),
        (
            "WITHDRAWAL BY PARENT/GUARDIAN",
            "DISPOSITION EVENT",
            "discontinued",
            {"cause": "withdrawal-by-parent/guardian"},
        ),
        ("MOVED TO THE SEA", "DISPOSITION EVENT", "discontinued", {"cause": "other"}),
        ("DEATH", "DISPOSITION EVENT", "died", {"on": "2014-07-02"}),
    ],
)
def test_a_disposition_is_a_decision_or_an_ending(term, category, kind, data):
    row = {
        "DSSEQ": "2",
        "DSDECOD": term,
        "DSCAT": category,
        "DSSTDTC": "2014-07-02",
        "DSDTC": "2014-07-03T11:45",
    }
    found = only(told(DS=row), kind)
    assert (found["id"], found["occurred_at"]) == ("DS:01-1:2", "2014-07-02")
    assert (found["data"], found["recorded_at_source"]) == (data, "2014-07-03")


def test_what_is_no_step_of_the_journey_is_left_out_with_its_reason():
    row = {"DSSEQ": "3", "DSDECOD": "FINAL LAB VISIT", "DSCAT": "OTHER EVENT", "DSSTDTC": "2014"}
    said = told(DS=row, SV={"VISIT": "BASELINE", "VISITNUM": "3"}, EX={"EXSEQ": "1"})
    reasons = [(one.line.domain, one.reason) for one in said.left_out]
    assert reasons == [
        ("SV", "no-date"),
        ("DS", "not-an-event-of-the-journey: final-lab-visit"),
        ("EX", "no-date"),
    ]


def test_the_date_of_death_is_that_of_demographics_and_is_told_once():
    death = {
        "DSSEQ": "2",
        "DSDECOD": "DEATH",
        "DSCAT": "DISPOSITION EVENT",
        "DSSTDTC": "2014-11-02",
    }
    both = told(DM={**DM, "DTHDTC": "2014-11-01", "DTHFL": "Y"}, DS=death)
    assert only(both, "died")["data"] == {"on": "2014-11-01"}
    alone = told(DM={**DM, "DTHDTC": "2014-11", "DTHFL": "Y"})
    assert only(alone, "died")["id"] == "DM:01-1:1/died"
    assert told(DM={**DM, "DTHFL": "Y"}).left_out[0].reason == "death-without-a-date"


def test_an_exposure_is_a_dose_with_its_amount_as_it_stands():
    row = {
        "EXSEQ": "1",
        "EXTRT": "PLACEBO",
        "EXDOSE": "0",
        "EXDOSU": "mg",
        "EXROUTE": "TRANSDERMAL",
        "EXSTDTC": "2014-01-02",
        "EXENDTC": "2014-01-16",
    }
    found = only(told(EX=row), "dosed")
    assert found["data"] == {
        "product": "PLACEBO",
        "amount": "0",
        "unit": "mg",
        "route": "transdermal",
        "started_at": "2014-01-02",
        "ended_at": "2014-01-16",
    }


AE = {"AESEQ": "3", "AETERM": "FALL", "AESTDTC": "2014-02", "AEDTC": "2014-03-05", "AESER": "Y"}


def test_an_adverse_event_keeps_its_partial_date_and_is_known_since_its_collection():
    found = only(told(AE={**AE, "AEREL": "REMOTE", "AEOUT": "FATAL", "AESEV": "SEVERE"}), AE_TYPE)
    assert (found["id"], found["recorded_at_source"]) == ("AE:01-1:3", "2014-03-05")
    assert found["data"] == {
        "ae": "AE-3",
        "term": "FALL",
        "onset": "2014-02",
        "aware_at": "2014-03-05T00:00:00Z",
        "severity": "severe",
        "serious": True,
        "causality": "unlikely",
        "outcome": "fatal",
    }


AE_TYPE = "adverse-event-reported"


@pytest.mark.parametrize(
    ("flag", "criterion"),
    [
        ("AESDTH", "death"),
        ("AESLIFE", "life-threatening"),
        ("AESHOSP", "hospitalisation"),
        ("AESDISAB", "disability"),
        ("AESCONG", "congenital-anomaly"),
        ("AESMIE", "important-medical-event"),
        ("AESCAN", "important-medical-event"),
        ("AESOD", "important-medical-event"),
    ],
)
def test_a_seriousness_flag_is_a_criterion(flag, criterion):
    found = only(told(AE={**AE, flag: "Y", "AESER": "N"}), AE_TYPE)
    assert (found["data"]["seriousness"], found["data"]["serious"]) == ([criterion], False)


def test_two_flags_of_one_criterion_count_once():
    found = only(told(AE={**AE, "AESCAN": "Y", "AESOD": "Y"}), AE_TYPE)
    assert found["data"]["seriousness"] == ["important-medical-event"]


@pytest.mark.parametrize(
    ("relation", "causality"),
    [
        ("NONE", "unrelated"),
        ("REMOTE", "unlikely"),
        ("POSSIBLE", "possible"),
        ("PROBABLE", "probable"),
        (None, None),
    ],
)
def test_a_relation_is_a_causality(relation, causality):
    row = AE if relation is None else {**AE, "AEREL": relation}
    assert only(told(AE=row), AE_TYPE)["data"].get("causality") == causality


NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "zone", "kept"),
    [
        ("2014-07-02", None, "2014-07-02"),
        ("2014-07", NEW_YORK, "2014-07"),
        ("2014", None, "2014"),
        ("2014-07-02T11:45", None, "2014-07-02"),
        ("2014-07-02T11:45", NEW_YORK, "2014-07-02T11:45:00-04:00"),
        ("2014-01-02T11:45", NEW_YORK, "2014-01-02T11:45:00-05:00"),
        ("2014-07-02T11:45+01:00", None, "2014-07-02T11:45+01:00"),
        ("2014-07-02T11:45Z", NEW_YORK, "2014-07-02T11:45Z"),
        ("2014---15", None, "2014"),
        ("2014-07--", None, "2014-07"),
        ("--07-15", None, None),
        (None, None, None),
    ],
)
def test_a_time_is_kept_as_exactly_as_it_is_known(text, zone, kept):
    assert moment(text, zone) == kept


def test_events_come_in_the_order_in_which_they_happened_and_the_referral_first():
    said = told(
        DM={**DM, "DMDTC": "2014-01-05"},
        SV=[
            {"VISIT": "BASELINE", "VISITNUM": "3", "SVSTDTC": "2014-01-02"},
            {"VISIT": "SCREENING 1", "VISITNUM": "1", "SVSTDTC": "2013-12-26"},
        ],
        DS={"DSSEQ": "1", "DSDECOD": "RANDOMIZED", "DSSTDTC": "2014-01-02"},
    )
    assert [kind for _, kind, _ in events(said)] == [
        "referred",
        "screening-started",
        "visit-completed",
        "enrolled",
        "visit-completed",
        "demographics-recorded",
    ]


def test_rows_without_demographics_are_left_out():
    said = told(DM=[], AE=AE)
    assert (said.reports, [one.reason for one in said.left_out]) == ([], ["no-demographics-row"])
