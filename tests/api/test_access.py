"""Who may do what: tokens, scope before role, roles by operations as the table says."""

from datetime import timedelta
from typing import Any, get_args

import pytest

from domain import catalogue
from domain.kernel import Kind
from services.api import create_app
from services.api.described import OPERATIONS
from services.auth import Tokens, Unauthenticated
from services.roles import DOES, RECORDS, Role, may_record
from tests.api.conftest import NOW, STUDY, Api, Clock, consented, event, referred

pytestmark = pytest.mark.anyio

ROLES: tuple[Role, ...] = get_args(Role)
EVENTS = "/participants/01-004/events"


# --- tokens ---------------------------------------------------------------------------------------


def tokens(key: bytes = b"k" * 32, clock: Clock | None = None) -> Tokens:
    return Tokens(key, clock or Clock())


def test_a_token_says_who_carries_it() -> None:
    issued = tokens().issue("coordinator", study="S-1", site="01", types=("consented",))
    caller = tokens().caller(issued)
    assert caller.actor.model_dump() == {"id": "coordinator@S-1-01", "role": "coordinator"}
    assert caller.opens_study("S-1")
    assert not caller.opens_study("S-2")
    assert caller.opens_site("01")
    assert not caller.opens_site("02")
    assert not caller.opens_site(None)
    assert caller.claims.types == ("consented",)


def test_tokens_end_when_they_say_and_with_their_key() -> None:
    clock = Clock()
    made = tokens(clock=clock)
    issued = made.issue("auditor", expires=NOW + timedelta(hours=1))
    assert made.caller(issued).role == "auditor"
    clock.forward(hours=1)
    with pytest.raises(Unauthenticated):
        made.caller(issued)
    with pytest.raises(Unauthenticated):
        tokens(b"other key").caller(tokens().issue("auditor"))


def test_no_change_of_a_token_goes_unseen() -> None:
    issued = tokens().issue("monitor", site="01")
    checked = tokens()
    for at in range(len(issued)):
        for letter in "A_.":
            changed = issued[:at] + letter + issued[at + 1 :]
            if changed != issued:
                with pytest.raises(Unauthenticated):
                    checked.caller(changed)
    for other in (
        "",
        ".",
        "..",
        issued + "=",
        issued + "\n",
        issued[:-1],
        f" {issued}",
        "a" * 5_000,
    ):
        with pytest.raises(Unauthenticated):
            checked.caller(other)


# --- roles ----------------------------------------------------------------------------------------

DECISIONS = {
    # decision                  who takes it, beside the administrator
    "adverse-event-assessed": {"investigator", "safety-officer", "sponsor"},
    "completed": {"investigator"},
    "consent-form-approved": {"sponsor"},
    "corrected": {"data-manager"},
    "deviation-assessed": {"investigator", "safety-officer", "data-manager"},
    "dose-authorised": {"investigator"},
    "eligibility-confirmed": {"investigator"},
    "enrolled": {"investigator"},
    "hold-placed": {"safety-officer", "sponsor"},
    "hold-released": {"safety-officer", "sponsor"},
    "identity-erased": {"privacy-officer"},
    "lost-to-follow-up": {"coordinator", "investigator"},
    "protocol-activated": {"sponsor"},
    "protocol-approved": {"sponsor"},
    "protocol-published": {"sponsor"},
    "referral-closed": {"coordinator", "investigator"},
    "rescreening-opened": {"investigator"},
    "retracted": {"data-manager"},
    "screen-failed": {"investigator"},
    "signed": {"investigator"},
    "site-opened": {"sponsor"},
    "study-registered": {"sponsor"},
    "transferred": {"investigator"},
}


def test_every_decision_has_those_who_take_it() -> None:
    types = {**catalogue.PARTICIPANT, **catalogue.STUDY}
    decisions = {name for name, cls in types.items() if cls.kind is Kind.DECISION}
    assert decisions == DECISIONS.keys()
    for decision, takers in DECISIONS.items():
        beside = set() if decision == "signed" else {"administrator"}
        assert {role for role in ROLES if may_record(role, decision)} == takers | beside


def test_facts_are_reported_by_those_at_the_sites_and_by_systems() -> None:
    for name, cls in catalogue.PARTICIPANT.items():
        if cls.kind is Kind.FACT:
            who = {role for role in ROLES if may_record(role, name)}
            assert who >= {"administrator", "system", "coordinator", "investigator", "data-manager"}
            assert not who & {"monitor", "auditor", "privacy-officer", "sponsor"}


def test_who_only_reads_posts_nothing() -> None:
    assert not RECORDS["auditor"]
    assert not RECORDS["monitor"]
    assert not DOES["system"]


READS = {
    # path                            operation
    "": "read",
    "/protocols": "read",
    "/protocols/1.0": "read",
    "/sites": "read",
    "/participants/01-004/events": "read",
    "/participants/01-004/replay": "read",
    "/log": "audit",
    "/log/key": "audit",
    "/refusals": "audit",
}


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_reads_what_the_table_says(api: Api, role: Role) -> None:
    await api.refer("01-004")
    for path, operation in READS.items():
        answer = await api.get(path, role=role)
        assert answer.status_code == (200 if operation in DOES[role] else 403), path
        assert (await api.get(path, role=None)).status_code == 401
        elsewhere = await api.get(path, role=role, scope={"study": "S-2"})
        assert elsewhere.status_code == 404


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_publishes_or_not(api: Api, role: Role) -> None:
    from tests.api.conftest import PROTOCOL

    path, document = f"/v1/studies/{STUDY}/protocols/2.0", {**PROTOCOL, "version": "2.0"}
    answer = await api.send("PUT", path, document, role=role)
    assert answer.status_code == (201 if "publish" in DOES[role] else 403)
    at_a_site = await api.send("PUT", path, document, role=role, scope={"site": "01"})
    assert at_a_site.status_code == 403


async def test_every_route_but_health_asks_for_a_token(api: Api) -> None:
    document = create_app(api.cairn).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = {"participant": "01-004", "version": "1.0", "calendar": "0123456789abcdef"}
            where = path.format(study=STUDY, **names)
            answer = await api.send(method.upper(), where, {}, role=None)
            known = OPERATIONS[operation["operationId"]]
            assert (answer.status_code == 401) == (not known.open), where


# --- scope ----------------------------------------------------------------------------------------


async def test_another_sites_participant_is_like_an_unknown_one(api: Api) -> None:
    await api.refer("01-004", "01")
    own, other = {"site": "01"}, {"site": "02"}
    paths = ("/participants/{}/events", "/participants/{}/replay")
    for path in paths:
        seen = await api.get(path.format("01-004"), role="coordinator", scope=own)
        hidden = await api.get(path.format("01-004"), role="coordinator", scope=other)
        unknown = await api.get(path.format("01-999"), role="coordinator", scope=other)
        assert seen.status_code == 200
        assert (hidden.status_code, hidden.json()) == (404, unknown.json())
    for document in (
        consented(),
        event("enrolled"),
        event("retracted", position=5),
        referred("02"),
    ):
        body = {**document, "reason": "x"}
        hidden = await api.post(EVENTS, body, role="coordinator", scope=other)
        assert hidden.status_code == 404, document


async def test_a_role_is_told_no_only_within_its_scope(api: Api) -> None:
    await api.refer("01-004", "01")
    answer = await api.post(EVENTS, event("enrolled"), role="coordinator", scope={"site": "01"})
    assert answer.status_code == 403
    answer = await api.post(EVENTS, event("enrolled"), role="coordinator", scope={"site": "02"})
    assert answer.status_code == 404
    unknown = await api.post("/participants/nobody/events", event("enrolled"), role="coordinator")
    assert unknown.status_code == 404


async def test_a_site_refers_its_own_participants_only(api: Api) -> None:
    scope: dict[str, Any] = {"site": "01"}
    assert (await api.refer("a", "01", role="coordinator", scope=scope)).status_code == 201
    assert (await api.refer("b", "02", role="coordinator", scope=scope)).status_code == 404
    new = await api.post("/participants", referred("02"), role="coordinator", scope=scope)
    assert new.status_code == 404
    mine = await api.post("/participants", referred("01"), role="coordinator", scope=scope)
    assert mine.status_code == 201


async def test_a_transferred_participant_moves_out_of_the_sites_scope(api: Api) -> None:
    await api.refer("01-004", "01")
    moved = await api.post(
        EVENTS, event("transferred", site="02"), role="investigator", scope={"site": "01"}
    )
    assert moved.status_code == 201, moved.text
    assert (
        await api.get("/participants/01-004/events", role="coordinator", scope={"site": "01"})
    ).status_code == 404
    assert (
        await api.get("/participants/01-004/events", role="coordinator", scope={"site": "02"})
    ).status_code == 200


async def test_studies_and_sites_outside_the_scope_are_not_listed(api: Api) -> None:
    listed = await api.send("GET", "/v1/studies", scope={"study": "S-2"})
    assert listed.json()["items"] == []
    listed = await api.send("GET", "/v1/studies")
    assert [one["study"] for one in listed.json()["items"]] == [STUDY]
    sites = await api.get("/sites", role="coordinator", scope={"site": "02"})
    assert [one["site"] for one in sites.json()["items"]] == ["02"]


async def test_a_site_opens_no_holds_of_the_study(api: Api) -> None:
    hold = event("hold-placed", scope="study", cause="x")
    answer = await api.post("/events", hold, role="sponsor", scope={"site": "01"})
    assert answer.status_code == 403
    assert (await api.post("/events", hold, role="sponsor")).status_code == 201


async def test_a_system_posts_only_its_own_types(api: Api) -> None:
    await api.refer("01-004")
    scope = {"types": ("visit-completed", "enrolled")}
    visit = event("visit-completed", visit="UNS", mode="in-person")
    assert (await api.post(EVENTS, visit, role="system", scope=scope)).status_code == 201
    assert (await api.post(EVENTS, consented(), role="system", scope=scope)).status_code == 403
    assert (
        await api.post(EVENTS, event("enrolled"), role="system", scope=scope)
    ).status_code == 403


async def test_a_conclusion_is_refused_by_its_rule_for_whoever_may_post(api: Api) -> None:
    await api.refer("01-004")
    body = event("eligibility-determined", verdict="eligible")
    answer = await api.post(EVENTS, body, role="investigator")
    assert (answer.status_code, answer.json()["rule"]) == (409, "signer")
    answer = await api.post(EVENTS, body, role="auditor")
    assert answer.status_code == 403
