"""Laws of what calendars are told, for any history as it arrives: nothing is left out again, and
whatever reads differently has counted up."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kernel import Impossible, Refused
from projections import calendar
from tests.domain.test_laws import NOW, facts
from tests.specs import Said, Study, referred, said

several = settings(deadline=None, max_examples=30)


def entries(study: Study) -> dict[str, dict[str, Any]]:
    """What each calendar is told of the participant, by calendar and visit."""
    rows = calendar.VIEW.of(study.trial, study.participant()).values()
    return {f"{row.columns['site']} {row.key}": dict(row.item) for row in rows}


def without_place(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "changed"}


@several
@given(saids=st.lists(facts, min_size=1, max_size=12), data=st.data())
def test_nothing_is_left_out_again_and_what_differs_has_counted_up(
    saids: list[Said], data: st.DataObject
) -> None:
    study = Study()
    study.post(referred)
    study.clock = NOW
    before = entries(study)
    for one in saids:
        undo = data.draw(st.sampled_from([False, False, True]))
        known = study.participant().history[1:]
        if undo and known:
            position = data.draw(st.sampled_from(known)).position
            one = said("retracted", "2027-12-30", "data-manager", position=position)
        try:
            study.post(one, now=NOW, historical=True)
        except (Impossible, Refused):
            continue
        after = entries(study)
        assert after.keys() >= before.keys()
        for name, entry in after.items():
            if name in before and without_place(entry) != without_place(before[name]):
                assert entry["changed"]["position"] > before[name]["changed"]["position"], name
        before = after
