"""Calendar: one row per visit that a calendar people subscribe to shows, or ever showed.

A calendar keeps an event that is merely not sent again. So what was once shown stays here when the
fact behind it is taken back, or when the participant moves to another site, and says it is off.
"""

from collections.abc import Iterator
from typing import Any

from domain.journey.oversight import Corrected, Retracted
from domain.journey.visits import VisitCancelled
from domain.participant import Participant, replay
from domain.trial.study import Trial
from projections import schedule
from projections.view import Row, View, beside_results, instant_text

Entry = dict[str, Any]

_OFF: Entry = {"state": "off", "settled": "not-expected", "booked_for": None, "warnings": []}


def rows(trial: Trial, participant: Participant) -> Iterator[Row]:
    """The visits as they stand, those that were taken back, and what former sites are told."""
    shown = _taken_back(trial, participant) | _entries(trial, participant)
    for name, entry in shown.items():
        yield _row(participant, name, participant.site, entry, current=True)
    moved = participant.oversight.transferred
    if not moved:
        return
    last = max(moved, key=lambda one: one.position)
    for site in sorted(participant.sites - {participant.site}):
        for name, entry in shown.items():
            told = entry
            if entry["completed_on"] is None:
                change = _change(last.position, last.recorded.recorded_at, entry["changed"])
                told = {**entry, **_OFF, "changed": change}
            yield _row(participant, f"{name}@{site}", site, told, current=False)


def _row(
    participant: Participant, key: str, site: str | None, entry: Entry, *, current: bool
) -> Row:
    return Row(participant.id, key, {"site": site, "current": current}, entry)


def _entries(trial: Trial, participant: Participant) -> dict[str, Entry]:
    """What the schedule shows, by visit and the number of its time."""
    found = (schedule.calendar_entry(one) for _, one in schedule.visits(trial, participant))
    return {f"{one['visit']}/{one['number']}": one for one in found if one is not None}


def _taken_back(trial: Trial, participant: Participant) -> dict[str, Entry]:
    """What was shown before something was corrected, retracted or cancelled, as off."""
    history = participant.history
    gone: dict[str, Entry] = {}
    for number, one in enumerate(history):
        if isinstance(one.body, Corrected | Retracted | VisitCancelled):
            gone |= _entries(trial, replay(participant.id, history[:number]))
            change = {"position": one.position, "at": instant_text(one.recorded_at)}
            gone = {name: {**entry, **_OFF, "changed": change} for name, entry in gone.items()}
    return gone


def _change(position: int, at: Any, known: dict[str, Any]) -> dict[str, Any]:
    if known["position"] > position:
        return known
    return {"position": position, "at": instant_text(at)}


VIEW = View(
    name="calendar", version=1, columns=("site", "current"), rows=rows, basis=beside_results
)
