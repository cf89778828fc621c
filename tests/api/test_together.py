"""Events that are posted together: what one says is at hand for those after it."""

from typing import Any

import pytest

from tests.api.conftest import STUDY, Api, consented, event, referred

pytestmark = pytest.mark.anyio

BORN = event("demographics-recorded", "2026-11-03", birth_date="1950-06-15", sex="female")
SCREENED = event("screening-started", "2026-11-03")
OF_AGE = {
    "study": STUDY,
    "version": "1.1",
    "title": "A study for tests",
    "criteria": [
        {
            "id": "I1",
            "kind": "inclusion",
            "text": "Of age.",
            "rule": {"rule": "age", "at_least": 18, "at_most": 75},
        }
    ],
}


@pytest.mark.parametrize(
    "arrays",
    [[[BORN, SCREENED]], [[SCREENED, BORN]], [[BORN], [SCREENED]], [[SCREENED], [BORN]]],
    ids=["together", "together, the other way", "apart", "apart, the other way"],
)
async def test_the_age_is_known_however_birth_date_and_screening_arrive(
    api: Api, arrays: list[list[dict[str, Any]]]
) -> None:
    await api.send("PUT", f"/v1/studies/{STUDY}/protocols/1.1", OF_AGE)
    active = event("protocol-activated", "2026-10-02", site="01", protocol="1.1")
    await api.post("/events", active)
    for events in ([referred(), consented()], *arrays):
        answer = await api.post("/participants/01-1/events", events)
        assert answer.status_code == 201, answer.text
    found = (await api.get("/participants/01-1/eligibility")).json()
    assert [one["outcome"] for one in found["criteria"]] == ["failed"]
    assert "76" in found["criteria"][0]["explanation"]


async def test_what_lies_before_a_birth_that_is_posted_with_it_is_impossible(api: Api) -> None:
    await api.refer("01-1")
    early = event("visit-completed", "1949-01-01", visit="UNS", mode="in-person")
    answer = await api.post("/participants/01-1/events", [BORN, early])
    assert (answer.status_code, answer.json()["rule"]) == (422, "before-birth")
