"""What is recorded is what is computed, for any history; and what differs is told once."""

from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import Any

from hypothesis import given

from domain.admit import admit
from domain.kernel import Conclusion, Recorded
from domain.participant import replay
from domain.recompute import RACE, Difference, Known, Run, Standing, recomputed
from domain.time import When
from domain.trial import study as studies
from domain.trial.study import Trial
from tests.domain.test_laws import NOW, journeys, several, told
from tests.specs import (
    WHO,
    Said,
    Study,
    _proposed,
    event,
    on_study,
    said,
    screening,
    treated,
    visit,
)


def differences(study: Study) -> list[Difference]:
    """The little ledger's log, recomputed as the check does it."""
    trial, standings = Trial(study.protocol.study), []
    known, found = Known.nothing(WHO), []
    log = [list(run) for _, run in groupby(study.log, key=lambda one: one.participant)]
    for index, run in enumerate(log):
        if run[0].participant is None:
            for one in run:
                trial = studies.evolve(trial, one, study.documents)
                standings.insert(0, Standing(trial, one.recorded_at))
            continue
        following = log[index + 1] if index + 1 < len(log) else []
        concluded = tuple(one for one in following if isinstance(one.body, Conclusion))
        known, more = recomputed(standings, known, Run(WHO, tuple(run), concluded))
        found += more
    return found


def kinds(found: list[Difference]) -> list[tuple[int, str]]:
    return [(one.position, one.what) for one in found]


@several
@given(saids=journeys)
def test_what_was_recorded_is_what_is_computed_for_any_history(saids: list[Said]) -> None:
    assert differences(told(saids)) == []


def test_what_was_posted_together_may_be_concluded_from_together() -> None:
    study = Study()
    study.post(*screening, *(visit("UNS", f"2026-12-0{day}") for day in range(1, 6)),
               historical=True, now=NOW)  # fmt: skip
    study.post(said("attested", "2026-12-10", statement="breast-feeding", answer=False))
    assert differences(study) == []


FORM = said("consent-form-approved", "2026-12-15", "sponsor", form_version="2.0", reconsent=True)
TOLD = When.parse("2026-12-20T09:59:30Z").earliest()


def raced(at: str) -> Study:
    """A visit under an outdated consent, judged on the study of before its new form."""
    study = Study()
    study.post(*on_study, historical=True)
    before = study.trial
    study.clock = TOLD
    study.tell(FORM)
    one = visit("V2", at)
    admitted = admit(before, study.participant(), [_proposed(one, WHO, study._now(one))])
    study._record(admitted.events)
    return study


def test_a_fact_may_have_been_judged_on_the_study_of_a_moment_before() -> None:
    """Under contention facts do not follow the study's stream; the next event makes up for it."""
    study = raced("2026-12-20T10:00:00Z")
    study.tell(FORM.but(form_version="2.1", reconsent=False))
    study.post(visit("V3", "2026-12-22T10:00:00Z"))
    made_up = [one for one in study.log if getattr(one.body, "rule", "") == "reconsent"]
    assert [one.body.subject for one in made_up] == ["visit V2 2.0", "visit V3 2.0"]
    assert differences(study) == []


def test_a_race_is_over_after_a_minute() -> None:
    study = raced("2026-12-20T10:00:31Z")
    (found,) = differences(study)
    assert (found.position, found.what) == (study.log[-1].position, "missing")
    assert study.log[-1].recorded_at > TOLD + RACE


def altered(study: Study, change: Any, **match: Any) -> int:
    """The little ledger with one conclusion changed; its position."""
    index, one = next(
        (index, one)
        for index, one in enumerate(study.log)
        if all(getattr(one.body, name, None) == value for name, value in match.items())
    )
    study.log[index] = change(one)
    return one.position


def test_what_differs_is_told_once_whatever_comes_after_it() -> None:
    study = Study()
    study.post(*treated, historical=True)
    study.post(visit("V5", "2026-12-26"))
    for day in range(27, 31):
        study.post(event(f"AE-{day}", f"2026-12-{day}T10:00:00Z", grade=2))

    def weighed(one: Recorded) -> Recorded:
        return replace(one, body=one.body.model_copy(update={"importance": "important"}))

    place = altered(study, weighed, rule="visit-window", subject="V5")
    assert kinds(differences(study)) == [(place, "differs")]


def test_what_the_log_made_good_itself_is_told_once_too() -> None:
    """Rules that have changed since: the log says their outcome anew at its next event."""
    study = Study()
    study.post(*treated, historical=True)
    study.post(visit("V5", "2026-12-26"))
    place = len(study.log)
    wrong = study.log[-1].body.model_copy(update={"explanation": "as it was worded then"})
    study.log[-1] = replace(study.log[-1], body=wrong)
    before = replay(WHO, [one for one in study.log if one.participant])
    study.participants[WHO] = before
    study.post(visit("UNS", "2026-12-28"))
    assert study.log[-1].body.explanation != wrong.explanation
    study.post(visit("UNS", "2026-12-29"))
    assert kinds(differences(study)) == [(place, "differs")]


def test_an_event_is_judged_before_it_is_recorded() -> None:
    """A report that was in time when it was judged is not late by the moment of recording."""
    study = Study()
    study.post(*treated, historical=True)
    study.post(event("AE-1", "2026-12-20T10:00:00Z", seriousness=["hospitalisation"]))
    late = visit("UNS", "2026-12-21T09:59:59Z")
    study.post(late, now=late.when.earliest())
    recorded_at = late.when.earliest() + timedelta(seconds=2)
    study.log[-1] = replace(study.log[-1], recorded_at=recorded_at)
    assert study.log[-1].type == "visit-completed"
    assert differences(study) == []
