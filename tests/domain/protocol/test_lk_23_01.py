"""The built-in study: what is public stands there, and the rest is listed as assumed."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.trial.overlay import stands
from domain.trial.protocol import Bayesian
from infra.protocol_files import built_in
from tests.domain.protocol.documents import lk, protocol

DAY_0 = date(2026, 12, 7)

# The calendar of a dose on 2026-12-07: visit, target, earliest, latest.
CALENDAR = """
V1  2026-12-07 2026-12-07 2026-12-07
V2  2026-12-08 2026-12-08 2026-12-08
V3  2026-12-10 2026-12-09 2026-12-11
V4  2026-12-14 2026-12-12 2026-12-16
V5  2026-12-21 2026-12-18 2026-12-24
V6  2027-01-04 2027-01-01 2027-01-07
V7  2027-02-01 2027-01-25 2027-02-08
V8  2027-03-01 2027-02-22 2027-03-08
V9  2027-03-29 2027-03-22 2027-04-05
V10 2027-04-26 2027-04-19 2027-05-03
V11 2027-05-24 2027-05-17 2027-05-31
"""


@pytest.mark.parametrize("row", CALENDAR.strip().splitlines())
def test_each_visit_has_the_worked_calendar(row: str) -> None:
    code, *days = row.split()
    visit = protocol().visits_by_code[code]
    assert visit.day is not None
    target = DAY_0 + timedelta(visit.day)
    shown = [target, target - timedelta(visit.before), target + timedelta(visit.after)]
    assert [day.isoformat() for day in shown] == days


def test_the_study_is_the_registered_one() -> None:
    lupus = protocol()
    assert (lupus.study, lupus.registry, lupus.version) == ("LK-23-01", "NCT06737380", "2.0")
    assert lupus.accrual == 10
    assert (lupus.dose.single, lupus.dose.route, lupus.dose.visit) == (True, "subcutaneous", "V1")


def test_all_criteria_are_there_and_those_that_rest_on_day_0_are_judged_again() -> None:
    criteria = protocol().criteria
    ids = [one.id for one in criteria]
    assert ids == [f"I{n}" for n in range(1, 9)] + [f"E{n}" for n in range(1, 17)]
    assert {one.id for one in criteria if one.kind == "inclusion"} == set(ids[:8])
    assert {one.id for one in criteria if one.recheck} == {"E5", "E6", "E7", "E9", "E11", "E13"}


def test_the_reporting_limits_name_their_regulation() -> None:
    limits = {one.clock: (one.hours, one.days) for one in protocol().clocks}
    assert limits == {
        "site-to-sponsor": (24, None),
        "sponsor-7-day": (None, 7),
        "sponsor-15-day": (None, 15),
    }
    assert all("CFR" in one.regulation for one in protocol().clocks)


def test_the_stopping_boundary_is_the_assumed_bayesian_one() -> None:
    toxicity = protocol().toxicity
    assert toxicity is not None
    boundary = toxicity.boundary
    assert isinstance(boundary, Bayesian)
    assert (boundary.theta, boundary.confidence) == (Decimal("0.25"), Decimal("0.90"))
    assert (boundary.prior_a, boundary.prior_b) == (Decimal("0.5"), Decimal("1.5"))


def test_sledai_adds_up_to_105_and_slicc_has_its_two_groups() -> None:
    words = protocol().dictionary
    assert sum(words["sledai-2k"].items.values()) == 105
    assert len(words["sledai-2k"].items) == 24
    assert len(words["acr-1997"].items) == 11
    slicc = words["slicc-2012"]
    assert {name: len(items) for name, items in slicc.groups.items()} == {
        "clinical": 11,
        "immunologic": 6,
    }


# Values that the public record does not have: they must be listed, and absent from the facts.
ASSUMED = [
    "/dose/amount",
    "/toxicity",
    "/stagger",
    "/settings/sponsor_timezone",
    "/criteria/I6/rule/items_over",
    "/steroid_table",
    "/visits/V2/day",
    "/visits/V3/day",
    "/visits/V4/day",
    "/visits/V7/day",
    "/visits/V8/day",
    "/visits/V9/day",
    "/visits/V10/day",
    "/visits/V5/before",
    "/visits/V11/after",
    "/visits/UNS",
    "/half_lives/rituximab",
    "/dictionary/weight/plausible",
]
PUBLIC = ["/accrual", "/visits/V1/day", "/visits/V5/day", "/visits/V6/day", "/visits/V11/day"]


@pytest.mark.parametrize("place", ASSUMED)
def test_what_is_not_public_is_listed_with_a_reason_and_is_not_among_the_facts(place: str) -> None:
    assert protocol().assumptions[place]
    assert not stands(built_in("lk-23-01.yaml"), place)


@pytest.mark.parametrize("place", PUBLIC)
def test_what_is_public_is_not_listed_as_assumed(place: str) -> None:
    assert place not in protocol().assumptions
    assert stands(built_in("lk-23-01.yaml"), place)


def test_the_facts_alone_are_never_published_by_mistake() -> None:
    facts = built_in("lk-23-01.yaml")
    assert isinstance(facts, Mapping)
    unknown = {visit["code"] for visit in facts["visits"] if "day" not in visit}
    assert unknown == {"V2", "V3", "V4", "V7", "V8", "V9", "V10", "ET"}


def test_every_procedure_is_done_at_some_visit() -> None:
    used = {code for visit in protocol().visits for code in visit.procedures}
    assert set(protocol().procedures) == used


def at(code: str) -> set[str]:
    return set(protocol().visits_by_code[code].procedures)


# procedure -> the visits at which the public record has it
PUBLIC_MATRIX = {
    "informed-consent": "V0",
    "classification-criteria": "V0",
    "height": "V0",
    "electrocardiogram": "V0",
    "sf-36": "V1 V5 V6 V11 ET",
    "ana": "V1 V11",
    "extended-immunology": "V1 V11",
    "inflammation-markers": "V1 V11",
    "blood-count": "V0 V1 V2 V3 V4 V5 V6 V7 V8 V9 V10 V11 ET",
    "vital-signs": "V0 V1 V2 V3 V4 V5 V6 V7 V8 V9 V10 V11 ET",
    "product-administration": "V1",
}


@pytest.mark.parametrize(("procedure", "visits"), PUBLIC_MATRIX.items())
def test_the_matrix_of_procedures_has_what_is_public(procedure: str, visits: str) -> None:
    facts: Any = built_in("lk-23-01.yaml")
    stated = {one["code"] for one in facts["visits"] if procedure in one["procedures"]}
    assert stated == set(visits.split())
    assert all(procedure in at(code) for code in visits.split())


def test_a_factor_of_a_unit_is_exact() -> None:
    words = lk()["dictionary"]
    assert {"unit": "[lb_av]", "factor": "0.45359237"} in words["weight"]["units"]
    assert {"unit": "[in_i]", "factor": "2.54"} in words["height"]["units"]
