"""When a visit last changed: told by a look at few events, and the same as by a look at all."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.journey.oversight import Corrected, Retracted
from domain.journey.visits import VisitBooked, VisitCancelled, VisitCompleted, VisitMissed
from domain.kernel import Recorded
from domain.schedule import schedule
from projections.changes import changes
from tests.domain.any_fact import journeys
from tests.projections.test_basis import steps
from tests.specs import Said, Study

OF_A_VISIT = VisitBooked | VisitCancelled | VisitCompleted | VisitMissed
OF_THE_CALENDAR = {
    *("referred", "referral-closed", "consented", "consent-withdrawn", "screening-started"),
    *("screen-failed", "rescreening-opened", "dosed", "completed", "died", "discontinued"),
    *("lost-to-follow-up", "recontacted", "transferred"),
}


def last_of_all(study: Study) -> dict[str, int | None]:
    """Each planned visit, and the position of the last event about it, of every one there is."""
    who = study.participant()
    facts = {one.position: one for one in who.history}
    dosing = study.trial.protocol_of(who).dosing_visit
    about_all = [one.recorded for one in study.trial.activated if one.body.site == who.site]
    if who.site is not None and who.site in study.trial.sites:
        about_all.append(study.trial.sites[who.site].recorded)
    about: dict[str, list[Recorded]] = {}
    for one in who.history:
        body: Any = one.body
        while isinstance(body, Corrected | Retracted) and body.position in facts:
            body = facts[body.position].body
        if body.type in OF_THE_CALENDAR or (isinstance(body, OF_A_VISIT) and body is not one.body):
            about_all.append(one)
        elif isinstance(body, OF_A_VISIT):
            about.setdefault(body.visit, []).append(one)
            if dosing is not None and body.visit == dosing.code:
                about_all.append(one)
    about_any = [one for many in about.values() for one in many]
    for key, one in who.concluded.items():
        if key[0] == "lapsed":
            about.setdefault(key[1], []).append(one)
    found = {}
    for planned in schedule(study.trial, who):
        plan = planned.plan
        others = plan is None or plan.after_previous is not None or plan.kind == "early-termination"
        those = [*about_all, *about.get(planned.visit, []), *(about_any if others else [])]
        found[planned.subject] = max((one.position for one in those), default=None)
    return found


@settings(deadline=None, max_examples=25)
@given(saids=journeys, data=st.data())
def test_the_last_change_is_that_of_all_events(saids: list[Said], data: Any) -> None:
    for study in steps(saids, data):
        who = study.participant()
        told = changes(study.trial, who)
        found = {}
        for planned in schedule(study.trial, who):
            last = told.of(planned)
            found[planned.subject] = None if last is None else last.position
        assert found == last_of_all(study)
