"""The pilot study at three dates of its course, over REST, counted against the CSV itself.

The expectations come from the rows and their dates alone, without anything of the core's. On the
axis of the source they rest on the collection dates: SV and EX have none, so of visits and doses
nothing was known there before the import.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.kernel import Actor
from services.bootstrap import Settings, open_cairn
from services.imports.sdtm.run import SdtmImport, survey
from services.publishing import draft
from services.terms import Terms
from tests.api.conftest import Api, Clock, served
from tests.conftest import Server
from tests.imports.conftest import NOW, STUDY, rows

pytestmark = pytest.mark.anyio

DATES = ("2013-01-15", "2013-09-30", "2014-06-30")
AFTER_DEATH = ("01-710-1083", "2013-08-03", "4")

Row = dict[str, str]
Named = tuple[str, str]
"""A participant and the name of an adverse event."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def pilot(
    anyio_backend: str, server: Server, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    """The REST interface of a Cairn into which the pilot study was imported."""
    clock, settings = Clock(NOW), Settings(data=tmp_path_factory.mktemp("pilot"))
    file = data / "usdm" / "CDISC_Pilot_Study.json"
    protocol = draft(file.read_bytes(), "application/json", study=STUDY)
    terms = Terms(Actor(id="t", role="data-manager"), "urn:t")
    with server.fresh() as database:
        cairn = open_cairn(settings, conninfo=database, clock=clock)
        with contextlib.closing(cairn):
            await cairn.publishing.publish_protocol(protocol, terms)
            run = SdtmImport(cairn.recording, STUDY, None)
            await run.run(survey(data / "cdisc-pilot"), lambda _rows: None)
            async with served(cairn, clock) as api:
                yield api


# --- what the rows say ----------------------------------------------------------------------------


def first(text: str) -> str:
    """The earliest day of a date that may be partial."""
    return (text + "-01-01")[:10] if len(text) == 4 else (text + "-01")[:10]


def certainly_by(text: str, day: str) -> bool:
    """Whether a date, partial or not, has certainly passed at the end of a day."""
    return text <= day[: len(text)] if len(text) == 10 else text < day[: len(text)]


def here(data: Path, day: str) -> set[str]:
    """Who had been heard of: demographics collected by the day."""
    return {row["USUBJID"] for row in rows(data, "dm") if row["DMDTC"] <= day}


def name(row: Row) -> Named:
    return row["USUBJID"], f"AE-{row['AESEQ']}"


def onset(row: Row) -> str:
    return row["AESTDTC"] if row["AESTDTC"] != "NA" else row["AEDTC"]


def begun(data: Path, day: str) -> dict[Named, Row]:
    who = here(data, day)
    return {
        name(row): row
        for row in rows(data, "ae")
        if row["USUBJID"] in who and first(onset(row)) <= day
    }


def known(data: Path, day: str) -> set[Named]:
    who = here(data, day)
    return {
        name(row)
        for row in rows(data, "ae")
        if row["USUBJID"] in who and certainly_by(row["AEDTC"], day)
    }


def over(row: Row, day: str) -> bool:
    """Whether an event had ended, or was last heard of with its outcome, by the day."""
    settled = row["AEENDTC"] if row["AEENDTC"] != "NA" else row["AEDTC"]
    goes_on = row["AEOUT"] in ("NOT RECOVERED/NOT RESOLVED", "RECOVERING/RESOLVING", "NA")
    if row["AEOUT"] == "NA":
        goes_on = row["AEENDTC"] == "NA"
    return not goes_on and certainly_by(settled, day)


# --- what is answered -----------------------------------------------------------------------------


ANSWERS: dict[str, Any] = {}
"""What was asked before; the pilot study does not change."""


async def asked(api: Api, path: str) -> dict[str, Any]:
    if path not in ANSWERS:
        answer = await api.send("GET", f"/v1/studies/{STUDY}{path}")
        assert answer.status_code == 200, answer.text
        ANSWERS[path] = {**answer.json(), "next": answer.links.get("next", {}).get("url")}
    found: dict[str, Any] = ANSWERS[path]
    return found


async def everything(api: Api, path: str) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    where: str | None = f"{path}&limit=1000"
    while where is not None:
        page = await asked(api, where)
        items += page["items"]
        where = page["next"] and page["next"].removeprefix(f"/v1/studies/{STUDY}")
    return items


async def events(api: Api, axes: str) -> dict[Named, dict[str, Any]]:
    items = await everything(api, f"/safety?{axes}")
    return {(one["participant"], one["ae"]): one for one in items}


@pytest.mark.parametrize("day", DATES)
async def test_who_was_enrolled_and_dosed(pilot: Api, data: Path, day: str) -> None:
    who = here(data, day)
    randomised = {
        row["USUBJID"]: row["DSDTC"]
        for row in rows(data, "ds")
        if row["DSDECOD"] == "RANDOMIZED" and row["DSSTDTC"] <= day
    }
    doses: dict[str, str] = {}
    for row in rows(data, "ex"):
        doses[row["USUBJID"]] = min(row["EXSTDTC"], doses.get(row["USUBJID"], "9999"))
    dosed = {one: date for one, date in doses.items() if date <= day}
    listed = await everything(pilot, f"/participants?valid_at={day}")
    assert {one["participant"] for one in listed} == who
    found = {one["participant"]: one["dosed_on"] for one in listed if one["dosed_on"]}
    assert found == {one: date for one, date in dosed.items() if one in who}
    figures = await asked(pilot, f"/enrolment?valid_at={day}")
    assert figures["funnel"]["referred"] == len(who)
    assert figures["funnel"]["enrolled"] == len(randomised.keys() & who)
    assert figures["funnel"]["dosed"] == len(dosed.keys() & who)
    assert figures["accrual"]["taken"] == len((randomised.keys() | dosed.keys()) & who)
    known = await asked(pilot, f"/enrolment?as_of={day}&by=source")
    collected = {one for one, date in randomised.items() if date <= day}
    assert known["funnel"]["enrolled"] == len(collected & who)
    assert known["funnel"]["dosed"] == 0, "SDTM has no collection date of a dose"


@pytest.mark.parametrize("day", DATES)
async def test_which_visits_were_held(pilot: Api, data: Path, day: str) -> None:
    who = here(data, day)
    held = Counter(
        (row["USUBJID"], row["SVSTDTC"])
        for row in rows(data, "sv")
        if row["SVSTDTC"] <= day
        and row["USUBJID"] in who
        and (row["USUBJID"], row["SVSTDTC"], row["VISITNUM"]) != AFTER_DEATH
    )
    shown = await everything(pilot, f"/matrix?valid_at={day}")
    assert held == Counter(
        (one["participant"], cell["completed_on"])
        for one in shown
        for cell in one["visits"].values()
        if cell["status"] == "completed"
    )
    lines = (await asked(pilot, f"/adherence?valid_at={day}&limit=1000"))["items"]
    assert sum(line["held"] for line in lines) == held.total()


async def test_of_visits_nothing_was_known_before_the_import(pilot: Api) -> None:
    lines = (await asked(pilot, f"/adherence?as_of={DATES[0]}&by=source&limit=1000"))["items"]
    assert lines
    assert sum(line["held"] for line in lines) == 0, "SDTM has no collection date of a visit"


@pytest.mark.parametrize("day", DATES)
async def test_adverse_events_known_and_begun_but_not_yet_known(
    pilot: Api, data: Path, day: str
) -> None:
    truly, reported = await events(pilot, f"valid_at={day}"), known(data, day)
    expected = begun(data, day)
    assert truly.keys() == expected.keys()
    by_source = await events(pilot, f"as_of={day}&by=source")
    assert by_source.keys() == reported
    unknown = expected.keys() - reported
    assert truly.keys() - by_source.keys() == unknown
    assert unknown, "there is something that nobody knew of yet"


async def test_both_axes_together(pilot: Api, data: Path) -> None:
    early, late = DATES[0], "2013-01-31"
    both = await events(pilot, f"as_of={late}&by=source&valid_at={early}")
    assert both.keys() == begun(data, early).keys() & known(data, late)
    assert known(data, early) < both.keys() < begun(data, early).keys()


@pytest.mark.parametrize("day", DATES)
async def test_what_ended_later_was_going_on(pilot: Api, data: Path, day: str) -> None:
    truly = await events(pilot, f"valid_at={day}")
    expected = begun(data, day)
    assert {one for one, item in truly.items() if item["status"] == "closed"} == {
        one for one, row in expected.items() if over(row, day)
    }
    assert {one: item["end"] for one, item in truly.items() if item["end"] is not None} == {
        one: row["AEENDTC"]
        for one, row in expected.items()
        if row["AEENDTC"] != "NA" and certainly_by(row["AEENDTC"], day)
    }
    later = [row for row in expected.values() if row["AEENDTC"][:4].isdigit()]
    assert any(row["AEENDTC"] > day for row in later), "some of them ended later"
    unsure = {
        one
        for one, row in expected.items()
        for date in (onset(row), row["AEENDTC"])
        if date != "NA" and first(date) <= day and not certainly_by(date, day)
    }
    assert {who for who, _ in unsure} <= {
        who for (who, _), item in truly.items() if item["uncertain"]
    }
    assert all(who in {one for one, _ in unsure} for (who, _), i in truly.items() if i["uncertain"])
