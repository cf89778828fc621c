"""The replay check on PostgreSQL: an honest log gives nothing, and each forgery is named."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from domain.canonical import canonical
from infra.ledger.markers import leaf
from infra.postgres.pool import Pool
from services import replay_check
from services.cli import app
from services.commands.troubles import Trouble
from services.replay_check import Finding, ReplayCheck
from services.state import NotFound
from tests import specs
from tests.projections.watched import STUDY, Watched, fill, watched


@pytest.fixture
def study(pool: Pool) -> Iterator[Watched]:
    with watched(pool) as found:
        yield found


def findings(study: Watched, participant: str | None = None) -> list[Finding]:
    return list(ReplayCheck(study.ledger, study.documents, STUDY, participant).findings())


def told(found: list[Finding]) -> list[tuple[int, str, str]]:
    return [(one.position, one.what, one.rule) for one in found]


# --- honest logs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_nothing_differs_in_any_history_that_was_recorded(study: Watched, seed: int) -> None:
    fill(study, seed, 120)
    assert findings(study) == []


def test_it_is_the_same_participant_by_participant(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(study, 9, 120)
    monkeypatch.setattr(replay_check, "BATCH_EVENTS", 1)
    monkeypatch.setattr(replay_check, "PAGE_EVENTS", 7)
    check = ReplayCheck(study.ledger, study.documents, STUDY)
    done: list[int] = []
    check.progress = done.append
    assert list(check.findings()) == []
    assert sum(done) == check.total() == 2 * study.ledger.head(STUDY)
    names = study.ledger.participants(STUDY)
    assert check.checked.participants == len(names)
    for name in names:
        assert findings(study, name) == []


def test_what_time_brings_and_what_the_study_brings_is_recomputed(study: Watched) -> None:
    study.post("01-001", *specs.treated, historical=True)
    study.post("01-001", specs.event("AE-1", "2026-12-10T09:00:00-05:00", seriousness=["death"]))
    study.clock.now += timedelta(days=200)
    study.tick()
    study.tell(specs.said("protocol-activated", "2026-12-20", "sponsor", site="01", protocol="2.0"))
    study.post("01-001", specs.visit("V11", "2027-06-01"))
    types = {stored.topic for stored in study.ledger.stream(STUDY, "01-001")}
    assert {"participant.visit-lapsed.v1", "participant.safety-clock-breached.v1"} <= types
    check = ReplayCheck(study.ledger, study.documents, STUDY)
    assert list(check.findings()) == []
    assert check.checked.conclusions > 40


def test_there_is_nothing_to_check_of_nobody(study: Watched) -> None:
    for who in ((STUDY, "nobody"), ("no-study", None)):
        with pytest.raises(NotFound):
            ReplayCheck(study.ledger, study.documents, *who)


# --- forgeries: the owner of the database, past triggers and grants -------------------------------


@pytest.fixture
def forged(study: Watched, database: str) -> Iterator[Callable[..., None]]:
    """Changes stored events, given a position or a type, as only a superuser can."""
    study.post("01-001", *specs.treated, historical=True)
    study.post("01-001", specs.event("AE-1", "2026-12-10T09:00:00-05:00", grade=4, serious=True))
    study.post("01-002", *specs.screening)
    study.post("01-001", specs.visit("V5", "2026-12-26T09:00:00-05:00"))
    study.post("01-001", specs.visit("UNS", "2026-12-27T09:00:00-05:00"))
    assert findings(study) == []
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")

        def forge(change: Callable[[list[dict[str, Any]]], None]) -> None:
            _rewrite(connection, change)

        yield forge


def _rewrite(
    connection: psycopg.Connection[Any], change: Callable[[list[dict[str, Any]]], None]
) -> None:
    """The log with a change, every position, version, chain and hash made good again."""
    rows = connection.execute(
        "SELECT stream, topic, append, body FROM cairn.event ORDER BY position"
    ).fetchall()
    log = [
        {"stream": one[0], "topic": one[1], "append": one[2], "event": json.loads(one[3])}
        for one in rows
    ]
    change(log)
    connection.execute("DELETE FROM cairn.event")
    last: dict[str, tuple[int, str | None]] = {}
    for position, row in enumerate(log, start=1):
        event, stream = row["event"], row["stream"]
        version, previous = last.get(stream, (0, None))
        event |= {"position": position, "version": version + 1, "previous": previous}
        body = canonical(event)
        last[stream] = (version + 1, leaf(body))
        connection.execute(
            "INSERT INTO cairn.event (study, position, stream, version, topic, append,"
            " recorded_at, body, hash) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                STUDY,
                position,
                stream,
                version + 1,
                row["topic"],
                row["append"],
                event["recorded_at"],
                body,
                bytes.fromhex(leaf(body)),
            ),
        )
    connection.execute("UPDATE cairn.head SET position = %s", (len(log),))


def at(log: list[dict[str, Any]], kind: str, **data: Any) -> int:
    """Where the first event of a type with such data stands, from 0."""
    for index, row in enumerate(log):
        event = row["event"]
        if event["type"] == kind and data.items() <= event["data"].items():
            return index
    raise AssertionError(kind)


def test_a_conclusion_that_was_flipped_is_named(study: Watched, forged: Any) -> None:
    places: list[int] = []

    def flip(log: list[dict[str, Any]]) -> None:
        index = at(log, "deviation-detected", rule="visit-window", subject="V5")
        log[index]["event"]["data"]["importance"] = "important"
        places.append(index + 1)

    forged(flip)
    (found,) = findings(study)
    assert (found.position, found.what, found.rule) == (places[0], "differs", "visit-window")
    assert (found.participant, found.protocol, found.fields) == ("01-001", "2.0", ("importance",))
    assert found.recorded is not None
    assert found.computed is not None
    assert (found.recorded["importance"], found.computed["importance"]) == ("important", "minor")
    assert told(findings(study, "01-001")) == told([found])
    assert findings(study, "01-002") == []


def test_a_conclusion_that_was_taken_out_is_missed_where_it_was_due(
    study: Watched, forged: Any
) -> None:
    places: list[int] = []

    def remove(log: list[dict[str, Any]]) -> None:
        index = at(log, "safety-clock-started", clock="site-to-sponsor")
        places.append(at(log, "adverse-event-reported") + 1)
        _without(log, index)

    forged(remove)
    assert told(findings(study)) == [(places[0], "missing", "site-to-sponsor")]


def test_a_conclusion_that_was_put_in_is_named(study: Watched, forged: Any) -> None:
    def add(log: list[dict[str, Any]]) -> None:
        index = at(log, "visit-completed", visit="UNS")
        model = log[at(log, "deviation-detected")]
        event = {**model["event"], "cause": index + 1}
        event |= {"occurred_at": log[index]["event"]["recorded_at"]}
        event |= {"recorded_at": log[index]["event"]["recorded_at"]}
        event["data"] = {**event["data"], "rule": "visit-window", "subject": "V7"}
        log.append({**model, "event": event})

    forged(add)
    assert told(findings(study)) == [(study.ledger.head(STUDY), "unfounded", "visit-window")]


def test_an_old_fact_that_was_altered_shows_in_what_was_concluded_from_it(
    study: Watched, forged: Any
) -> None:
    places: list[int] = []

    def alter(log: list[dict[str, Any]]) -> None:
        index = at(log, "visit-completed", visit="V5")
        log[index]["event"]["occurred_at"] = "2026-12-21T09:00:00-05:00"
        places.append(at(log, "deviation-detected", rule="visit-window", subject="V5") + 1)

    forged(alter)
    assert told(findings(study)) == [(places[0], "unfounded", "visit-window")]


def test_a_slot_that_was_altered_is_named_once(study: Watched, forged: Any) -> None:
    places: list[int] = []

    def alter(log: list[dict[str, Any]]) -> None:
        index = at(log, "slot-taken")
        log[index]["event"]["data"]["enrolled"] = not log[index]["event"]["data"]["enrolled"]
        places.append(index + 1)

    forged(alter)
    assert told(findings(study)) == [(places[0], "differs", "slot-taken")]


def test_the_version_in_force_and_what_was_confirmed_are_recomputed(
    study: Watched, forged: Any
) -> None:
    places: list[int] = []

    def alter(log: list[dict[str, Any]]) -> None:
        dosed, confirmed = at(log, "dosed"), at(log, "eligibility-confirmed")
        log[dosed]["event"]["protocol"] = "1.0"
        log[confirmed]["event"]["data"]["verdict_hash"] = "0" * 64
        places.extend((confirmed + 1, dosed + 1))

    forged(alter)
    rules = ("verdict_hash", "protocol")
    assert told(findings(study)) == [
        (place, "differs", rule) for place, rule in zip(places, rules, strict=True)
    ]


def _without(log: list[dict[str, Any]], index: int) -> None:
    """The log without an event; positions that are named move with what they name."""
    del log[index]

    def moved(value: int) -> int:
        return value - 1 if value > index + 1 else value

    for row in log:
        event = row["event"]
        if event["cause"] is not None:
            event["cause"] = moved(event["cause"])
        if "evidence" in event["data"]:
            event["data"]["evidence"] = [moved(one) for one in event["data"]["evidence"]]


LATER = "convert_to(replace(convert_from(body, 'UTF8'), '2026-12-27', '2026-12-28'), 'UTF8')"


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (f"SET body = {LATER}", ["leaf-hash"]),
        ("SET hash = sha256('other')", ["leaf-hash"]),
        ("SET body = '{' || body", ["leaf-hash", "json"]),
        ("SET version = version + 7", ["version", "columns"]),
        ("SET topic = 'participant.visit-missed.v1'", ["columns"]),
    ],
)
def test_bytes_that_were_altered_are_named(
    study: Watched, forged: Any, database: str, change: str, rules: list[str]
) -> None:
    head = study.ledger.head(STUDY)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"UPDATE cairn.event {change} WHERE position = {head}")
    broken = [one for one in told(findings(study)) if one[1] == "broken"]
    assert broken == [(head, "broken", rule) for rule in rules]


def test_an_event_that_was_taken_out_leaves_a_gap(
    study: Watched, forged: Any, database: str
) -> None:
    place = study.ledger.stream(STUDY, "01-002")[1].position
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"DELETE FROM cairn.event WHERE position = {place}")
    gaps = [one for one in told(findings(study)) if one[1] == "broken"]
    follows = study.ledger.stream(STUDY, "01-002", 1)[0].position
    assert gaps[0] == (place + 1, "broken", "position")
    assert {(follows, "broken", "version"), (follows, "broken", "previous")} <= set(gaps)


def test_what_cannot_be_read_is_named_and_the_others_are_checked(
    study: Watched, forged: Any
) -> None:
    places: list[int] = []

    def spoil(log: list[dict[str, Any]]) -> None:
        index = at(log, "consented")
        log[index]["event"]["data"] = {"something": "else"}
        flipped = max(
            number
            for number, row in enumerate(log)
            if row["event"]["participant"] == "01-002" and row["event"]["kind"] == "conclusion"
        )
        log[flipped]["event"]["data"]["explanation"] = "because"
        places.extend((index + 1, flipped + 1))

    forged(spoil)
    found = {(one.participant, one.what) for one in findings(study)}
    assert found == {("01-001", "unreadable"), ("01-002", "differs")}


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def cairn(database: str, tmp_path: Path) -> Callable[..., Result]:
    """`cairn replay ... --check` on the test's database."""

    def run(*arguments: str) -> Result:
        env = {"CAIRN_DATABASE_URL": database, "CAIRN_DATA": str(tmp_path)}
        return CliRunner().invoke(app, ["replay", *arguments, "--check"], env=env)

    return run


def test_the_command_says_what_differs_and_ends_with_one(
    study: Watched, forged: Any, cairn: Callable[..., Result]
) -> None:
    honest = cairn(STUDY)
    assert honest.exit_code == 0, honest.output
    assert honest.stdout.endswith("of 2 participants: nothing differs\n")

    def flip(log: list[dict[str, Any]]) -> None:
        index = at(log, "deviation-detected", rule="visit-window", subject="V5")
        log[index]["event"]["data"]["importance"] = "important"

    forged(flip)
    (found,) = findings(study)
    told_in_text = cairn(STUDY)
    assert told_in_text.exit_code == 1
    assert f"position {found.position}, 01-001: differs: deviation-detected" in told_in_text.stdout
    assert "  computed now: " in told_in_text.stdout
    lines = [json.loads(line) for line in cairn(f"{STUDY}/01-001", "--json").stdout.splitlines()]
    assert lines[0] == {"finding": found.document()}
    assert (lines[1]["checked"]["differences"], len(lines)) == (1, 2)
    assert cairn(f"{STUDY}/01-002").exit_code == 0


def test_the_command_refuses_a_version_beside_a_check(cairn: Callable[..., Result]) -> None:
    refused = cairn(STUDY, "--at", "7")
    assert isinstance(refused.exception, Trouble)
