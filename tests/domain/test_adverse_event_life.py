"""The life of an adverse event: causes apart, the pinned CTCAE, recoding, reopening, both sides."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain.journey.safety import lives_of
from domain.safety.adverse_event import AdverseEvent, Exposure, Life
from domain.safety.events import AdverseEventReported, ContradictionFound
from projections import safety
from tests.specs import (
    ZONE,
    Said,
    Study,
    assessed,
    dosed,
    event,
    given,
    lk_23_01,
    protocol_but,
    said,
    standing,
    treated,
    update,
)

AWARE = "2026-12-10T15:00:00-05:00"
NOT_PRODUCT = {"product": "unrelated"}
EXPOSURE = Exposure(dosed.when, ZoneInfo(ZONE))


def told(*saids: Said, study: Study | None = None) -> Study:
    study = study or Study()
    given(*treated, *saids, study=study)
    return study


def life(study: Study, name: str = "AE-1") -> Life:
    return lives_of(study.trial, study.participant())[name]


def known(*saids: Said) -> AdverseEvent:
    return life(told(*saids)).event


def shown(study: Study, name: str = "AE-1") -> dict[str, Any]:
    row = safety.VIEW.of(study.trial, study.participant())[f"ae/{name}"]
    return safety.shown(row.item, study.clock)


# --- causes ---------------------------------------------------------------------------------------


def test_product_procedure_disease_and_other_drugs_are_judged_apart_and_by_both() -> None:
    relations = {"product": "unlikely", "procedure": "probable", "disease": "possible"}
    by_sponsor = {"procedure": "unrelated", "other-drug": "definite"}
    study = told(
        event("AE-1", AWARE, relations=relations),
        assessed("AE-1", "2026-12-12", "sponsor", "possible", relations=by_sponsor),
    )
    assert shown(study)["relations"] == {
        "product": {"investigator": "unlikely", "sponsor": "possible"},
        "procedure": {"investigator": "probable", "sponsor": "unrelated"},
        "disease": {"investigator": "possible", "sponsor": None},
        "other-drug": {"investigator": None, "sponsor": "definite"},
    }
    assert shown(study)["causality"] == {"investigator": "unlikely", "sponsor": "possible"}


def test_an_update_of_one_cause_leaves_the_others() -> None:
    found = known(
        event("AE-1", AWARE, causality="possible", relations={"procedure": "probable"}),
        update("AE-1", "2026-12-12", relations={"disease": "unlikely"}),
        assessed(
            "AE-1", "2026-12-13", "investigator", "unlikely", relations={"disease": "definite"}
        ),
    )
    assert found.judged("product") == ("unlikely", None)
    assert found.judged("procedure") == ("probable", None)
    assert found.judged("disease") == ("definite", None)


def test_only_the_product_makes_a_reaction() -> None:
    others = {"procedure": "definite", "disease": "definite", "other-drug": "definite"}
    assert (
        known(event("AE-1", AWARE, causality="unrelated", relations=others)).suspected(EXPOSURE)
        is False
    )
    assert known(event("AE-1", AWARE, relations=others)).suspected(EXPOSURE), "nobody judged it"


@pytest.mark.parametrize(
    ("related_to", "related_from", "relations", "limits"),
    [
        (["product"], "possible", {"product": "possible"}, True),
        (["product"], "probable", {"product": "possible"}, False),
        (["product"], "probable", {"product": "probable"}, True),
        (["product"], "possible", {**NOT_PRODUCT, "procedure": "definite"}, False),
        (["product", "procedure"], "possible", {**NOT_PRODUCT, "procedure": "definite"}, True),
        (["product", "procedure"], "possible", {**NOT_PRODUCT, "disease": "definite"}, False),
        (["product", "procedure"], "possible", NOT_PRODUCT, False),
        (["procedure"], "possible", NOT_PRODUCT, True),
    ],
    ids=str,
)
def test_which_causes_limit_the_dose_and_from_which_judgement_on_is_the_protocols_word(
    related_to: list[str], related_from: str, relations: dict[str, str], limits: bool
) -> None:
    rules = {"related_to": related_to, "related_from": related_from}
    study = Study(protocol_but(toxicity=rules))
    told(event("AE-1", AWARE, grade=4, relations=relations), study=study)
    assert (("dose-limiting", "AE-1") in standing(study)) is limits


def test_the_built_in_protocol_counts_what_the_injection_did() -> None:
    assert lk_23_01().toxicity is not None
    assert lk_23_01().toxicity.related_to == ("product", "procedure")


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"causality": "possible", "relations": {"product": "possible"}}, True),
        ({"causality": "possible", "relations": {"disease": "unlikely"}}, True),
        ({"causality": "possible", "relations": {"product": "unlikely"}}, False),
        ({"relations": {"weather": "possible"}}, False),
        ({"relations": {"product": "certain"}}, False),
    ],
    ids=str,
)
def test_the_product_has_one_causality(data: dict[str, Any], valid: bool) -> None:
    base = {
        "ae": "AE-1",
        "term": "Headache",
        "onset": "2026-12",
        "aware_at": "2026-12-10T15:00:00Z",
    }
    if valid:
        AdverseEventReported.model_validate({**base, **data})
        return
    with pytest.raises(ValidationError):
        AdverseEventReported.model_validate({**base, **data})


# --- grade, code, end -----------------------------------------------------------------------------


def test_a_grade_keeps_the_ctcae_version_of_the_protocol_it_was_given_under() -> None:
    study = told(event("AE-1", AWARE, grade=2))
    assert shown(study)["ctcae_version"] == "5.0"
    later = protocol_but(settings={"ctcae_version": "6.0"})
    fields = {name: getattr(later, name) for name in type(later).model_fields}
    study.publish(type(later).model_validate({**fields, "version": "3.0"}), "2026-12-11T00:00:00Z")
    for version in ("2.0", "3.0"):
        at = f"2026-{'10-02' if version == '2.0' else '12-12'}T00:00:00Z"
        study.tell(said("protocol-activated", at, "sponsor", site="01", protocol=version))
    study.post(event("AE-2", "2026-12-13T15:00:00-05:00", grade=2))
    assert shown(study)["ctcae_version"] == "5.0", "never graded again in silence"
    assert shown(study, "AE-2")["ctcae_version"] == "6.0"
    study.post(update("AE-1", "2026-12-14", grade=3))
    assert shown(study)["ctcae_version"] == "6.0"


def test_without_a_grade_there_is_no_version() -> None:
    assert shown(told(event("AE-1", AWARE)))["ctcae_version"] is None


def test_a_recoded_event_has_its_new_code_and_the_log_its_old_one() -> None:
    old = {"dictionary": "MedDRA", "version": "27.1", "code": "10019211"}
    reported = event("AE-1", AWARE, coding=old)
    study = told(reported, update("AE-1", "2026-12-12", coding={**old, "code": "10027599"}))
    assert shown(study)["coding"]["code"] == "10027599"
    history = study.participant().history
    first = next(one.body for one in history if one.type == "adverse-event-reported")
    assert isinstance(first, AdverseEventReported)
    assert first.coding is not None
    assert first.coding.code == "10019211"


@pytest.mark.parametrize(
    ("updates", "status"),
    [
        ([], "open"),
        ([{"outcome": "recovered", "end": "2026-12-11"}], "closed"),
        ([{"outcome": "recovered", "end": "2026-12-11"}, {"outcome": "not-recovered"}], "reopened"),
        ([{"outcome": "recovered"}, {"outcome": "recovering"}, {"outcome": "recovered"}], "closed"),
    ],
    ids=str,
)
def test_an_event_is_open_closed_or_reopened(updates: list[dict[str, Any]], status: str) -> None:
    told_later = [
        update("AE-1", f"2026-12-{12 + number}", **data) for number, data in enumerate(updates)
    ]
    assert shown(told(event("AE-1", AWARE), *told_later))["status"] == status


# --- both sides -----------------------------------------------------------------------------------


def sides(study: Study, because: str) -> list[tuple[str, list[int]]]:
    (found,) = [
        one
        for one in standing(study).values()
        if isinstance(one, ContradictionFound) and one.because == because
    ]
    both = sorted({position for side in found.sides for position in side.evidence})
    if because != "death-without-fatal-event":
        assert list(found.evidence) == both
    return [(side.said, list(side.evidence)) for side in found.sides]


def test_each_side_names_the_event_that_said_so() -> None:
    flag = event("AE-1", AWARE, serious=False, grade=3)
    reason = update("AE-1", "2026-12-12", seriousness=["hospitalisation"])
    beside = update("AE-1", "2026-12-13", action="none")
    study = told(flag, reason, beside)
    assert sides(study, "serious-not-flagged") == [
        ("it is serious: hospitalisation", [study.position(reason)]),
        ("it is not serious", [study.position(flag)]),
    ]


@pytest.mark.parametrize(
    ("first", "then", "because", "words"),
    [
        (
            {"grade": 5},
            {"outcome": "recovered"},
            "grade-5-not-fatal",
            ["grade 5", "outcome recovered"],
        ),
        ({"grade": 3}, {"outcome": "fatal"}, "fatal-not-grade-5", ["grade 3", "outcome fatal"]),
        (
            {"seriousness": ["death"]},
            {"outcome": "recovering"},
            "death-criterion-not-fatal",
            ["serious by death", "outcome recovering"],
        ),
        (
            {"onset": "2026-12-10"},
            {"end": "2026-12-09"},
            "end-before-onset",
            ["it begins on 2026-12-10", "it ends on 2026-12-09"],
        ),
    ],
    ids=str,
)
def test_what_one_report_and_another_cannot_both_be_right_about(
    first: dict[str, Any], then: dict[str, Any], because: str, words: list[str]
) -> None:
    one, other = event("AE-1", AWARE, **first), update("AE-1", "2026-12-12", **then)
    study = told(one, other)
    positions = [[study.position(one)], [study.position(other)]]
    assert dict(sides(study, because)) == dict(zip(words, positions, strict=True))


@pytest.mark.parametrize(
    "data",
    [
        {"grade": 5, "outcome": "fatal", "seriousness": ["death"], "serious": True},
        {"outcome": "fatal"},
        {"seriousness": ["death"]},
        {"grade": 4, "outcome": "recovered"},
        {"seriousness": ["hospitalisation"], "outcome": "recovered"},
    ],
    ids=str,
)
def test_what_agrees_or_is_not_said_contradicts_nothing(data: dict[str, Any]) -> None:
    found = standing(told(event("AE-1", AWARE, **data))).values()
    assert [one.because for one in found if isinstance(one, ContradictionFound)] == []


def test_a_death_stands_against_the_events_none_of_which_is_fatal() -> None:
    harmless = event("AE-1", AWARE, outcome="recovered")
    study = told(harmless)
    death = said("died", "2026-12-20", on="2026-12-20")
    study.post(death)
    assert sides(study, "death-without-fatal-event") == [
        ("the participant died on 2026-12-20", [study.position(death)]),
        ("no adverse event is fatal", [study.position(harmless)]),
    ]


def test_a_corrected_side_is_cited_with_its_correction() -> None:
    flag = event("AE-1", AWARE, serious=None, seriousness=["hospitalisation"])
    study = told(flag)
    wrong = {**flag.body.model_dump(mode="json", exclude_none=True), "serious": False}
    fix = said("corrected", "2026-12-12", position=study.position(flag), data=wrong)
    study.post(replace(fix, role="data-manager"))
    cited = sorted([study.position(flag), study.position(fix)])
    assert [evidence for _, evidence in sides(study, "serious-not-flagged")] == [cited, cited]
