"""A study's safety over REST: the line listing, the figures, a data cut, what a site may see."""

import csv
import io
from typing import Any

import pytest

from services.views import line_listing
from tests.api.conftest import Api, consented, event, referred

pytestmark = pytest.mark.anyio

BASE = "/v1/studies/LK-23-01"
AE: dict[str, Any] = {
    "ae": "AE-1",
    "term": "=Headache",
    "onset": "2026-11-03",
    "aware_at": "2026-11-03T09:00:00Z",
    "grade": 3,
    "serious": False,
    "seriousness": ["hospitalisation"],
    "relations": {"product": "possible", "procedure": "unlikely"},
}


@pytest.fixture
async def study(api: Api) -> Api:
    """LK-23-01 with a participant at site 01 and nothing reported yet."""
    from domain.kernel import Actor
    from services.terms import Terms

    terms = Terms(actor=Actor(id="t", role="administrator"), source="urn:t")
    await api.cairn.publishing.publish_built_in(terms)
    site = event("site-opened", "2026-01-01", site="01", name="A", timezone="America/New_York")
    assert (await api.send("POST", f"{BASE}/events", site)).status_code == 201
    await posted(api, {**referred("01"), "occurred_at": "2026-09-01"}, consented())
    return api


async def posted(api: Api, *documents: dict[str, Any]) -> Any:
    answer = await api.send("POST", f"{BASE}/participants/01-004/events", list(documents))
    assert answer.status_code == 201, answer.text
    api.cairn.projector.catch_up("LK-23-01")
    return answer.json()


async def listing(api: Api) -> tuple[list[str], list[dict[str, str]]]:
    """Header and lines of the CSV."""
    answer = await api.send("GET", f"{BASE}/safety", Accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    reader = csv.DictReader(io.StringIO(answer.text))
    lines = list(reader)
    return list(reader.fieldnames or ()), lines


async def test_the_line_listing_has_its_columns_before_and_after_the_first_event(
    study: Api,
) -> None:
    assert await listing(study) == (line_listing.columns(), [])
    await posted(study, event("adverse-event-reported", "2026-11-03T09:00:00Z", **AE))
    columns, (line,) = await listing(study)
    assert columns == line_listing.columns()
    said = {
        "participant": "01-004",
        "ae": "AE-1",
        "term": "'=Headache",
        "grade": "3",
        "ctcae_version": "5.0",
        "serious": "true",
        "serious_reported": "false",
        "because": "hospitalisation",
        "causality.investigator": "possible",
        "relations.procedure.investigator": "unlikely",
        "contradictions": "serious-not-flagged",
    }
    assert {name: line[name] for name in said} == said


async def test_figures_at_a_data_cut_are_those_of_then(study: Api) -> None:
    cut = (await study.send("GET", f"{BASE}/safety")).json()["position"]
    await posted(study, event("adverse-event-reported", "2026-11-03T09:00:00Z", **AE))
    now = (await study.send("GET", f"{BASE}/safety")).json()["figures"]
    then = (await study.send("GET", f"{BASE}/safety?as_of={cut}")).json()["figures"]
    assert (now["adverse_events"]["serious"], then["adverse_events"]["serious"]) == (1, 0)
    first = await study.send("GET", f"{BASE}/safety?as_of=1")
    assert first.status_code == 200, "the study was just being registered"


@pytest.mark.parametrize(("site", "events"), [("01", 1), ("02", 0)])
async def test_a_sites_token_counts_its_own_events_only(study: Api, site: str, events: int) -> None:
    await posted(study, event("adverse-event-reported", "2026-11-03T09:00:00Z", **AE))
    scope: dict[str, Any] = {"role": "coordinator", "scope": {"site": site}}
    found = (await study.send("GET", f"{BASE}/safety", **scope)).json()
    assert found["figures"]["adverse_events"]["events"] == events
    assert len(found["figures"]["serious"]) == events
