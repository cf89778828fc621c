"""The pilot study under its own windows: how many visits were in, early and late, per visit and
site, against a count of days from the baseline visit over the CSV itself."""

import json
import re
from collections import Counter
from datetime import date

from domain.schedule import schedule, status
from domain.time import When
from projections import schedule as view
from services.views import planning
from services.views.asked import Query
from tests.imports.conftest import NOW, STUDY, rows
from tests.imports.test_pilot import participants

Figures = dict[tuple[str, str], dict[str, int]]


def windows(data) -> dict[str, tuple[int, int, int]]:
    """SDTM visit -> day from baseline, days before, days after, straight from the USDM file; parts
    of a day count as a whole one."""
    document = json.loads((data / "usdm" / "CDISC_Pilot_Study.json").read_text())
    design = document["study"]["versions"][0]["studyDesigns"][0]
    (main,) = [one for one in design["scheduleTimelines"] if one["mainTimeline"]]
    labels = {one["id"]: one["label"].upper() for one in design["encounters"]}
    nodes = {one["id"]: labels[one["encounterId"]] for one in main["instances"]}
    found = {"BASELINE": (0, 0, 0)}
    for timing in main["timings"]:
        if timing["windowLower"] is not None:
            sign = {"Before": -1, "After": 1}[timing["type"]["decode"]]
            label = nodes[timing["relativeFromScheduledInstanceId"]]
            limits = (days(timing["windowLower"]), days(timing["windowUpper"]))
            found[label] = (sign * days(timing["value"]), *limits)
    return found


def days(duration: str) -> int:
    number, unit = re.fullmatch(r"PT?(\d+)([DWH])", duration).groups()
    return {"D": int(number), "W": 7 * int(number), "H": -(-int(number) // 24)}[unit]


def counted(data) -> Figures:
    """In, early and late by visit and site."""
    visits = rows(data, "sv")
    baseline = {r["USUBJID"]: r["SVSTDTC"] for r in visits if r["VISIT"] == "BASELINE"}
    sites = {r["USUBJID"]: r["SITEID"] for r in rows(data, "dm")}
    found: Counter[tuple[str, str, str]] = Counter()
    for row in visits:
        if row["VISIT"] in (kept := windows(data)) and row["USUBJID"] in baseline:
            day, before, after = kept[row["VISIT"]]
            since = date.fromisoformat(row["SVSTDTC"]) - date.fromisoformat(
                baseline[row["USUBJID"]]
            )
            off = since.days - day
            side = "early" if off < -before else "late" if off > after else "in"
            found[row["VISIT"].replace(" ", "-"), sites[row["USUBJID"]], side] += 1
    return {
        (visit, site): {one: found[visit, site, one] for one in ("in", "early", "late")}
        for visit, site, _ in found
    }


def figures(store) -> Figures:
    trial = store.hot.trial(STUDY)
    everything = [row for one in participants(store).values() for row in view.rows(trial, one)]
    parts = planning.adherence_of(everything, Query(), When.at(NOW))
    lines = [line for _, line in planning.adherence(parts, trial)]
    return {
        (line["visit"], line["site"]): {one: line[one] for one in ("in", "early", "late")}
        for line in lines
        if line["in"] + line["early"] + line["late"]
    }


def test_visits_in_early_and_late_are_those_that_a_count_of_days_gives(pilot, data):
    store, _ = pilot
    expected = counted(data)
    # One visit of the data is dated after the participant's death: it was rejected.
    rejected = ("WEEK-2", "710")
    found = figures(store)
    differing = {place for place in expected | found if expected.get(place) != found.get(place)}
    assert differing <= {rejected}
    assert sum(expected[rejected].values()) - sum(found[rejected].values()) == 1
    total = Counter[str]()
    for line in found.values():
        total.update(line)
    assert total == {"in": 1683, "early": 88, "late": 303}


def test_no_visit_of_the_pilot_is_both_held_and_missed(pilot):
    store, _ = pilot
    trial = store.hot.trial(STUDY)
    for one in participants(store).values():
        held = {noted.body.visit for noted in one.visits.completed}
        states = {(row.visit, status(row, NOW.date())) for row in schedule(trial, one)}
        missed = {visit for visit, state in states if state == "missed"}
        lapsed = {key[1] for key in one.concluded if key[0] == "lapsed"}
        assert not held & (missed | lapsed)
