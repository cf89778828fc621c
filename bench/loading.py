"""Loading a participant from the store: its whole history folded, beside the library's repository.

Cairn loads as its projector does, and folds all chapters of a participant; the library's aggregate
keeps a list of what happened. Neither has a snapshot or a cache.
"""

from collections.abc import Iterator
from functools import partial
from uuid import UUID, uuid4

from bench.append import bodies, draft
from bench.journey import FACTS, STUDY
from bench.measured import Row, Sample, in_turns, metered
from bench.peer import Journey, Journeys
from bench.setting import Setting, library_settings
from bench.study import filled, names, study
from infra.interpreter import set_to_fold
from infra.ledger.types import Append, Appended
from infra.projection.folds import Folds
from services.bootstrap import Cairn

SHORT, LONG = 20, 1_000
LOADS = {SHORT: 300, LONG: 12}


def rows(setting: Setting) -> Iterator[Row]:
    """Participants with few events and with many."""
    set_to_fold()  # as the processes that load have it; the library has it too
    app = Journeys(env=library_settings(setting.plain_database(), 5))
    with study(setting) as cairn:
        people = names(50)
        filled(cairn, people)
        _lengthened(cairn, people[0])
        theirs = [_journey(app, SHORT) for _ in people]
        for events, ours, ids, wanted in (
            (SHORT, people[1:], theirs, 3.0),
            (LONG, people[:1], [_journey(app, LONG)], 10.0),
        ):
            loads = setting.size(LOADS[events], LOADS[events] // 4)
            ways = {
                "ours": partial(_loaded, setting, cairn, ours, loads),
                "theirs": partial(_gotten, setting, app, ids, loads),
            }
            found = in_turns(ways, setting.rounds)
            yield Row(
                f"loading a participant of {events:,} events and what follows from them",
                "loads/s",
                found["ours"],
                "eventsourcing's repository, as many events",
                found["theirs"],
                ratio_min=wanted,
            )
    app.close()


def _lengthened(cairn: Cairn, name: str) -> None:
    """More laboratory results, until there are as many events as wanted; nobody judges them."""
    body, when = bodies()[5]
    version = cairn.hot.participant(STUDY, name).version
    drafts = [draft(name, number, body, when) for number in range(version + 1, LONG + 1)]
    assert isinstance(cairn.ledger.append_now(STUDY, Append(tuple(drafts))), Appended)


def _journey(app: Journeys, events: int) -> UUID:
    one = Journey(f"P-{uuid4().hex[:8]}")
    for number in range(events - 1):
        one.record(*FACTS[number % len(FACTS)])
    app.save(one)
    return one.id


def _loaded(setting: Setting, cairn: Cairn, people: list[str], loads: int) -> Sample:
    folds = Folds(cairn.ledger, cairn.documents)

    def load() -> int:
        for number in range(loads):
            assert folds.participant(STUDY, people[number % len(people)]).version >= SHORT
        return loads

    return metered(load, setting.keeper)


def _gotten(setting: Setting, app: Journeys, ids: list[UUID], loads: int) -> Sample:
    def load() -> int:
        for number in range(loads):
            found: Journey = app.repository.get(ids[number % len(ids)])
            assert found.version >= SHORT
        return loads

    return metered(load, setting.keeper)
