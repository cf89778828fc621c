"""What was true at a moment: each part of what is said counts from its own date."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import asof
from domain.kernel import Impossible
from domain.participant import Participant, evolve, replay
from domain.safety.events import AdverseEventReported, AdverseEventUpdated, SafetyReportSubmitted
from domain.time import Horizon, When
from domain.trial import asof as study_asof
from domain.trial.study import Trial, zone_named
from projections import deviations, eligibility, enrolment, safety, schedule
from tests import specs
from tests.domain.test_laws import NOW, facts, moments
from tests.projections.rows import content
from tests.specs import WHO, Said, Study, event, said, update

VIEWS = (deviations.VIEW, eligibility.VIEW, enrolment.VIEW, safety.VIEW, schedule.VIEW)
LEARNED = "2026-12-28T10:00:00-05:00"

# --- adverse events -------------------------------------------------------------------------------


def told(*saids: Said, at: str, **axes: Any) -> asof.TrueThen | None:
    study = Study()
    study.post(*specs.treated, historical=True)
    for one in saids:
        study.post(one, now=NOW, historical=True)
    return asof.true_at(study.trial, study.participant(), When.parse(at))


def shown(*saids: Said, at: str) -> dict[str, Any] | None:
    """The adverse event as it is told of a moment; None: not at all."""
    study = Study()
    study.post(*specs.treated, historical=True)
    for one in saids:
        study.post(one, now=NOW, historical=True)
    found = asof.true_at(study.trial, study.participant(), When.parse(at))
    assert found is not None
    rows = safety.VIEW.of(study.trial, found.participant)
    row = rows.get("ae/AE-1")
    if row is None:
        return None
    unsure = {study.log[position - 1].type for position in found.unsure}
    return {**row.item, "clocks": len(row.item["clocks"]), "unsure": bool(unsure)}


def reported(**data: Any) -> Said:
    return event("AE-1", LEARNED, "2026-12-10", **data)


ENDED = reported(end="2026-12-20", outcome="recovered", grade=2)
AGAIN = update("AE-1", "2026-12-25", outcome="not-recovered")
DIED = said("died", "2026-12-22", on="2026-12-22")

CASES = [
    # what was said                                   asked at       what of it was true
    ((ENDED,), "2026-12-09", None),
    ((ENDED,), "2026-12-10", {"status": "open", "end": None, "outcome": None, "grade": 2}),
    ((ENDED,), "2026-12-19", {"status": "open", "end": None, "outcome": None}),
    ((ENDED,), "2026-12-20", {"status": "closed", "end": "2026-12-20", "outcome": "recovered"}),
    # a day is not over at noon
    ((ENDED,), "2026-12-20T12:00:00-05:00", {"status": "open", "unsure": True}),
    # an outcome without an end counts from when the site knew it
    ((reported(outcome="recovered"),), "2026-12-27", {"status": "open", "outcome": None}),
    ((reported(outcome="recovered"),), "2026-12-28", {"status": "closed", "outcome": "recovered"}),
    # an end that was told later
    (
        (
            reported(grade=1),
            update("AE-1", LEARNED, end="2026-12-15", outcome="recovered", grade=3),
        ),
        "2026-12-16",
        {"status": "closed", "end": "2026-12-15", "outcome": "recovered", "grade": 1},
    ),
    (
        (
            reported(grade=1),
            update("AE-1", LEARNED, end="2026-12-15", outcome="recovered", grade=3),
        ),
        "2026-12-14",
        {"status": "open", "end": None, "outcome": None, "grade": 1},
    ),
    # a grade that changed counts from its change
    ((reported(grade=1), update("AE-1", "2026-12-15", grade=3)), "2026-12-14", {"grade": 1}),
    ((reported(grade=1), update("AE-1", "2026-12-15", grade=3)), "2026-12-15", {"grade": 3}),
    # an end that was said anew stands in for the earlier word
    (
        (ENDED, update("AE-1", LEARNED, end="2026-12-24")),
        "2026-12-22",
        {"status": "open", "end": None, "outcome": None},
    ),
    (
        (ENDED, update("AE-1", LEARNED, end="2026-12-24")),
        "2026-12-24",
        {"status": "closed", "end": "2026-12-24", "outcome": "recovered"},
    ),
    # reopened: over until then
    (
        (ENDED, AGAIN),
        "2026-12-24",
        {"status": "closed", "end": "2026-12-20"},
    ),
    (
        (ENDED, AGAIN),
        "2026-12-25",
        {"status": "reopened", "end": None, "outcome": "not-recovered"},
    ),
    # reopened, and over again
    (
        (ENDED, AGAIN, update("AE-1", LEARNED, end="2026-12-27", outcome="recovered")),
        "2026-12-24",
        {"status": "closed", "end": "2026-12-20"},
    ),
    (
        (ENDED, AGAIN, update("AE-1", LEARNED, end="2026-12-27", outcome="recovered")),
        "2026-12-26",
        {"status": "reopened", "end": None},
    ),
    # an onset that was said anew
    ((ENDED, update("AE-1", LEARNED, onset="2026-12-13")), "2026-12-12", None),
    (
        (ENDED, update("AE-1", LEARNED, onset="2026-12-13")),
        "2026-12-13",
        {"status": "open", "onset": "2026-12-13"},
    ),
    # what says that it led to death counts from the death
    (
        (reported(grade=5, outcome="fatal", serious=True, seriousness=["death"]), DIED),
        "2026-12-21",
        {"grade": None, "outcome": None, "seriousness": [], "serious": False},
    ),
    (
        (reported(grade=5, outcome="fatal", serious=True, seriousness=["death"]), DIED),
        "2026-12-22",
        {"grade": 5, "outcome": "fatal", "seriousness": ["death"], "serious": True},
    ),
    (
        (reported(outcome="fatal", seriousness=["hospitalisation", "death"], serious=True), DIED),
        "2026-12-21",
        {"outcome": None, "seriousness": ["hospitalisation"], "serious": True},
    ),
    # what is known to the month
    ((event("AE-1", LEARNED, "2026-12"),), "2026-12-01", {"status": "open", "unsure": True}),
    ((event("AE-1", LEARNED, "2026-12"),), "2026-11-30", None),
    ((reported(end="2026-12", outcome="recovered"),), "2026-12-15", {"end": None, "unsure": True}),
    ((reported(end="2026-12", outcome="recovered"),), "2026-12-31", {"end": "2026-12"}),
    # duties begin when the site learns of the event, and a report ends them when it is sent
    ((reported(seriousness=["hospitalisation"]),), "2026-12-27", {"serious": True, "clocks": 0}),
]


@pytest.mark.parametrize(("saids", "at", "expected"), CASES)
def test_what_of_an_adverse_event_was_true(
    saids: tuple[Said, ...], at: str, expected: dict[str, Any] | None
) -> None:
    found = shown(*saids, at=at)
    if expected is None or found is None:
        assert found is expected
    else:
        assert {name: found[name] for name in expected} == expected


def test_a_duty_runs_until_its_report_was_sent() -> None:
    serious = event("AE-1", "2026-12-10T10:00:00-05:00", seriousness=["hospitalisation"])
    sent = specs.report("AE-1", "site-to-sponsor", "2026-12-12T10:00:00-05:00")

    def clock(at: str) -> str:
        study = Study()
        study.post(*specs.treated, historical=True)
        study.post(serious, now=NOW)
        study.post(sent, now=NOW)
        found = asof.true_at(study.trial, study.participant(), When.parse(at))
        assert found is not None
        item = safety.VIEW.of(study.trial, found.participant)["ae/AE-1"].item
        clocks = safety.shown(item, When.parse(at).latest())["clocks"]
        first = next(one for one in clocks if one["clock"] == "site-to-sponsor")
        return f"{first['status']} {first['met_at'] is not None}"

    assert clock("2026-12-10T12:00:00-05:00") == "running False"
    assert clock("2026-12-11T12:00:00-05:00") == "breached False"
    assert clock("2026-12-12T12:00:00-05:00") == "met True"


def test_an_onset_that_is_said_anew_moves_no_duty_that_had_begun_by_the_earlier_word() -> None:
    study = Study()
    study.post(*specs.treated, historical=True)
    fatal = {"seriousness": ["life-threatening"]}
    study.post(event("AE-1", "2026-12-10T10:00:00-05:00", "2026-12-09", **fatal), now=NOW)
    before_the_dose = {"onset": "2026-12-01", "causality": "possible"}
    study.post(update("AE-1", "2026-12-12T10:00:00-05:00", **before_the_dose), now=NOW)

    def started(participant: Participant) -> dict[str, str]:
        clocks = safety.VIEW.of(study.trial, participant)["ae/AE-1"].item["clocks"]
        return {one["clock"]: one["started_at"] for one in clocks}

    found = asof.true_at(study.trial, study.participant(), When.parse("2026-12-20"))
    assert found is not None
    assert started(found.participant) == started(study.participant())
    assert started(found.participant)["sponsor-7-day"] == "2026-12-10T10:00:00-05:00"


# --- medicines, histories, people -----------------------------------------------------------------

DRUG = {"name": "A", "classes": ["immunosuppressant"]}


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        ("2026-11-09", None),
        ("2026-11-10", ("2026-11-10", None)),
        ("2026-11-19", ("2026-11-10", None)),
        ("2026-11-20", ("2026-11-10", "2026-11-20")),
    ],
)
def test_a_medicine_is_taken_from_its_start_to_its_end(
    at: str, kept: tuple[str, str | None] | None
) -> None:
    taken = {**DRUG, "medication": "M1", "started_on": "2026-11-10", "ended_on": "2026-11-20"}
    found = told(said("medication-recorded", "2026-12-01", **taken), at=at)
    assert found is not None
    medications = [
        (one.body.started_on.text, one.body.ended_on.text if one.body.ended_on else None)
        for one in found.participant.screening.medications
    ]
    assert medications == ([] if kept is None else [kept])


def test_nobody_is_there_before_the_referral() -> None:
    old = said("history-recorded", "2026-11-23", item="H1", category="cancer", term="C")
    before = old.but(started_on="2010")
    assert told(before, at="2026-10-31") is None
    assert told(before, at="2026-11-01") is not None


def test_a_day_ends_at_the_site_where_the_participant_was() -> None:
    study = Study()
    study.tell(said("site-opened", "2026-10-01", site="02", name="B", timezone="Asia/Tokyo"))
    late = said("observation-recorded", "2026-11-20T23:00:00-05:00", code="weight", value="60")
    study.post(specs.referred, late.but(unit="kg"), historical=True)
    day = When.parse("2026-11-20")
    before = asof.true_at(study.trial, study.participant(), day)
    study.post(said("transferred", "2026-12-20", "investigator", site="02"), historical=True)
    after = asof.true_at(study.trial, study.participant(), day)
    assert before is not None
    assert after is not None
    assert len(before.participant.screening.observations) == 1
    assert after.participant.screening == before.participant.screening


# --- the study's own stream -----------------------------------------------------------------------


def study_at(study: Study, **axes: str) -> Trial:
    moments = {name: When.parse(text) for name, text in axes.items()}
    history = [one for one in study.log if one.participant is None]
    return study_asof.told(study.trial, history, study.documents, **moments)


def test_the_study_is_told_by_effective_time() -> None:
    study = Study()
    newer = specs.protocol_but(version="3.0")
    study.publish(newer, "2026-12-01T12:00:00Z")
    study.tell(
        said("protocol-activated", "2026-12-10", "sponsor", site="01", protocol="3.0"),
        said("hold-placed", "2026-12-12", "sponsor", scope="study", cause="x"),
        said("hold-released", "2026-12-20", "sponsor", scope="study", cause="x"),
        said("consent-form-approved", "2026-12-05", "sponsor", form_version="2.0"),
    )

    def stood(day: str) -> tuple[list[str], int, int, list[str]]:
        trial = study_at(study, true_at=day)
        forms = list(trial.consent_forms)
        return list(trial.protocols), len(trial.activated), len(trial.holds), forms

    first = study.protocol.version
    assert stood("2026-11-30") == ([first], 0, 0, ["1.0"])
    assert stood("2026-12-01") == ([first, "3.0"], 0, 0, ["1.0"])
    assert stood("2026-12-05") == ([first, "3.0"], 0, 0, ["1.0", "2.0"])
    assert stood("2026-12-10") == ([first, "3.0"], 1, 0, ["1.0", "2.0"])
    assert stood("2026-12-12") == ([first, "3.0"], 1, 1, ["1.0", "2.0"])
    assert stood("2026-12-20") == ([first, "3.0"], 1, 0, ["1.0", "2.0"])


def test_a_hold_that_was_lifted_before_it_was_recorded_is_told_in_the_order_of_time() -> None:
    study = Study()
    study.tell(said("hold-placed", "2026-12-12", "sponsor", scope="study", cause="x"))
    study.tell(said("hold-released", "2026-12-20", "sponsor", scope="study", cause="x"))
    study.tell(said("hold-placed", "2026-12-01", "sponsor", scope="01", cause="y"))
    assert [one.body.scope for one in study_at(study, true_at="2026-12-05").holds] == ["01"]
    assert [one.body.scope for one in study_at(study, true_at="2026-12-15").holds] == [
        "01",
        "study",
    ]


def test_a_backdated_activation_brings_its_protocol_along() -> None:
    study = Study()
    study.publish(specs.protocol_but(version="3.0"), "2026-12-01T00:00:00Z")
    study.tell(said("protocol-activated", "2026-11-10", "sponsor", site="01", protocol="3.0"))
    assert list(study_at(study, true_at="2026-11-20").protocols) == [study.protocol.version, "3.0"]


def test_on_the_axis_of_the_source_the_study_keeps_its_definitions_alone() -> None:
    study = Study()
    study.tell(said("hold-placed", "2026-10-05", "sponsor", scope="study", cause="x"))
    trial = study_at(study, known_by="2026-09-01")
    assert trial.registered is not None
    assert list(trial.protocols) == [study.protocol.version]
    assert list(trial.sites) == ["01"]
    assert (trial.holds, dict(trial.consent_forms)) == ((), {})


# --- laws -----------------------------------------------------------------------------------------


def effective(one: Said) -> When:
    """From when on a fact is true, by what the catalogue says of it."""
    match one.body:
        case AdverseEventReported(onset=onset):
            return onset
        case SafetyReportSubmitted(submitted_at=sent):
            return sent
        case _:
            return one.when


def plain(one: Said) -> bool:
    """Not a restatement: what is said of an end or an onset again speaks of earlier days."""
    return not isinstance(one.body, AdverseEventUpdated) or (
        one.body.end is None and one.body.onset is None
    )


@st.composite
def journeys(draw: st.DrawFn) -> list[Said]:
    """Facts in any order, each adverse event reported once."""
    kept: list[Said] = []
    names: set[str] = set()
    for one in draw(st.lists(facts, min_size=1, max_size=10)):
        if isinstance(one.body, AdverseEventReported):
            if one.body.ae in names:
                continue
            names.add(one.body.ae)
        if plain(one):
            kept.append(one)
    return kept


def of_history(study: Study, counts: Any) -> Participant:
    """The participant of a part of the history, each event where it stands, nothing concluded."""
    history = [one for one in study.participant().history if counts(one.position)]
    found = replay(WHO, history)
    return replace(found, version=0, position=0, head=None, chain=())


def recorded(saids: list[Said]) -> tuple[Study, dict[int, Said]]:
    study = Study()
    study.post(specs.referred)
    study.clock = NOW
    places = {}
    for one in saids:
        try:
            place = study.post(one, now=NOW, historical=True)[0].position
        except Impossible:
            continue
        places[place] = one
    return study, places


def rows_at(trial: Trial, participant: Participant, moment: When) -> list[bytes]:
    found = asof.true_at(trial, participant, moment)
    if found is None:
        return []
    return [content(row) for view in VIEWS for row in view.of(trial, found.participant).values()]


@settings(deadline=None, max_examples=60)
@given(journeys(), moments())
def test_what_began_later_changes_nothing_of_what_was_true(saids: list[Said], day: str) -> None:
    study, places = recorded(saids)
    moment = When.parse(day)
    horizon = Horizon(moment, zone_named(specs.ZONE))

    def begun(position: int) -> bool:
        one = places.get(position)
        return one is None or horizon.begun(effective(one))

    everything = of_history(study, lambda _position: True)
    earlier = of_history(study, begun)
    assert rows_at(study.trial, everything, moment) == rows_at(study.trial, earlier, moment)


@settings(deadline=None, max_examples=40)
@given(st.lists(facts, min_size=1, max_size=10))
def test_after_everything_the_truth_is_the_present(saids: list[Said]) -> None:
    study, _ = recorded(saids)
    present = study.participant()
    for found in (
        asof.true_at(study.trial, present, When.at(NOW)),
        asof.TrueThen(asof.known_by_source(study.trial, present, When.at(NOW)) or present),
    ):
        assert found is not None
        for view in VIEWS:
            now, then = (view.of(study.trial, one) for one in (present, found.participant))
            assert {key: without_version(row) for key, row in now.items()} == {
                key: without_version(row) for key, row in then.items()
            }


def without_version(row: Any) -> Any:
    """What is shown, without places, and without evidence: new evidence of what stands already
    changes nothing in the log, and is found where a conclusion is drawn anew."""
    places = ("version", "position", "evidence")
    return {name: value for name, value in row.item.items() if name not in places}


@settings(deadline=None, max_examples=60)
@given(st.lists(facts, min_size=1, max_size=10), st.lists(st.integers(0, 30), max_size=4))
def test_a_whole_history_is_folded_like_one_event_after_the_other(
    saids: list[Said], takings: list[int]
) -> None:
    study, _ = recorded(saids)
    for number in takings:
        history = study.participant().history
        target = history[number % len(history)].position
        retraction = said("retracted", "2027-12-31T00:00:00Z", "data-manager", position=target)
        study.post(retraction, now=NOW, historical=True)
    history = [one for one in study.log if one.participant == WHO]
    state = Participant(WHO)
    for count, one in enumerate(history, start=1):
        state = evolve(state, one)
        assert replay(WHO, history[:count]) == state
    assert list(replay(WHO, history).concluded) == list(state.concluded)
