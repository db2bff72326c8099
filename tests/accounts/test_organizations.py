"""Organizations, members, roles, invitations, API keys, plans: over HTTP, on real tables."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.ids import uuid7
from database.database import Database
from database.public_lookup import organization_by_slug
from database.repositories import ChatbotRepository, FlowVersionRepository, OrganizationRepository
from database.transcript_writer import write_transcript
from tests.accounts.conftest import Installation, Person, installed, problem
from tests.api.conftest import TEAM
from tests.database.conftest import Tenant, flow, visit


async def test_make_switch_change_and_delete(at: Installation, owner: Person) -> None:
    first = owner.organization
    made = await owner.client.post(
        "/organizations", json={"name": "Panadería Ñ", "timezone": "Europe/Madrid"}
    )
    assert made.status_code == 201, made.text
    bakery = made.json()
    assert (bakery["slug"], bakery["role"], bakery["current"]) == ("panaderia-n", "owner", True)
    assert bakery["subscription_plan"] == "free"
    listed = (await owner.client.get("/organizations")).json()["organizations"]
    assert [entry["id"] for entry in listed] == [first, bakery["id"]]
    assert (await owner.client.post("/chatbots", json={"name": "Pan"})).status_code == 201
    switched = await owner.client.post(f"/organizations/{first}/switch")
    assert switched.json()["organization_id"] == first
    assert (await owner.client.get("/chatbots")).json()["chatbots"] == []
    changed = await owner.client.put(
        f"/organizations/{bakery['id']}",
        json={"name": "Pan y más", "settings": {"exhausted_text": "Cerrado"}},
    )
    assert changed.json()["name"] == "Pan y más"
    assert changed.json()["settings"] == {"exhausted_text": "Cerrado"}
    taken = await owner.client.put(f"/organizations/{bakery['id']}", json={"slug": "default"})
    problem(taken, 409, "conflict")
    zone = await owner.client.put(f"/organizations/{bakery['id']}", json={"timezone": "Europe/Nowhere"})
    problem(zone, 422, "invalid")
    problem(await owner.client.delete(f"/organizations/{first}"), 409, "conflict")
    assert (await owner.client.delete(f"/organizations/{bakery['id']}")).status_code == 204
    problem(await owner.client.get(f"/organizations/{bakery['id']}"), 404, "not-found")


async def test_invite_accept_change_and_remove(at: Installation, owner: Person) -> None:
    path = f"/organizations/{owner.organization}"
    luis = await at.account("luis@example.com")
    invited = await owner.client.post(f"{path}/members/invite", json={"email": "Luis@example.com"})
    assert invited.status_code == 201, invited.text
    assert invited.json()["role"] == "member"
    token = await at.token("luis@example.com", 2)
    anybody = await at.client()
    offer = (await anybody.get(f"/invitations/{token}")).json()
    assert (offer["email"], offer["role"], offer["has_account"]) == ("luis@example.com", "member", True)
    stranger = await at.account()
    problem(await stranger.client.post("/invitations/accept", json={"token": token}), 403, "forbidden")
    accepted = await luis.client.post("/invitations/accept", json={"token": token})
    assert accepted.json()["organization_id"] == owner.organization
    again = await luis.client.post("/invitations/accept", json={"token": token})
    problem(again, 410, "invitation-over")
    known = await owner.client.post(f"{path}/members/invite", json={"email": "luis@example.com"})
    problem(known, 409, "already-member")
    assert (await luis.client.post("/chatbots", json={"name": "De Luis"})).status_code == 201  # now there
    changed = await owner.client.put(f"{path}/members/{luis.id}", json={"role": "viewer"})
    assert changed.json()["role"] == "viewer"
    refused = problem(await luis.client.post("/chatbots", json={"name": "Otro"}), 403, "forbidden")
    assert refused["permission"] == "bots.write"
    grants = {"permissions": {"bots.write": True}}
    assert (await owner.client.put(f"{path}/members/{luis.id}", json=grants)).json()["permissions"] == {
        "bots.write": True
    }
    assert (await luis.client.post("/chatbots", json={"name": "Otro"})).status_code == 201
    assert (await owner.client.delete(f"{path}/members/{luis.id}")).status_code == 204
    problem(await luis.client.get("/chatbots"), 403, "no-organization")
    problem(await luis.client.get(path), 404, "not-found")


async def test_an_invitation_can_be_withdrawn_and_sent_anew(at: Installation, owner: Person) -> None:
    path = f"/organizations/{owner.organization}"
    body = {"email": "eva@example.com", "role": "agent"}
    first = (await owner.client.post(f"{path}/members/invite", json=body)).json()
    old = await at.token("eva@example.com")
    await owner.client.post(f"{path}/members/invite", json=body)
    new = await at.token("eva@example.com", 2)
    client = await at.client()
    problem(await client.get(f"/invitations/{old}"), 410, "invitation-over")
    [listed] = (await owner.client.get(f"{path}/invitations")).json()["invitations"]
    assert listed["id"] == first["id"]
    assert (await owner.client.delete(f"{path}/invitations/{first['id']}")).status_code == 204
    problem(await client.get(f"/invitations/{new}"), 410, "invitation-over")
    problem(await at.register("eva@example.com", invitation=new), 410, "link-over")


async def test_nobody_gives_what_they_do_not_have(at: Installation, owner: Person) -> None:
    path = f"/organizations/{owner.organization}"
    admin = await at.joined(owner, "admin")
    for body in (
        {"email": "x@example.com", "role": "owner"},
        {"email": "x@example.com", "role": "viewer", "permissions": {"organization.delete": True}},
    ):
        problem(await admin.client.post(f"{path}/members/invite", json=body), 403, "forbidden")
    unknown = {"email": "x@example.com", "permissions": {"nothing.such": True}}
    problem(await admin.client.post(f"{path}/members/invite", json=unknown), 422, "invalid")
    problem(await admin.client.put(f"{path}/members/{owner.id}", json={"role": "viewer"}), 403, "forbidden")
    problem(await admin.client.delete(f"{path}/members/{owner.id}"), 403, "forbidden")
    problem(await admin.client.put(f"{path}/members/{admin.id}", json={"role": "owner"}), 403, "forbidden")
    viewer = await at.joined(owner, "viewer")
    problem(await viewer.client.get(f"{path}/api-keys"), 403, "forbidden")


async def test_the_last_owner_stays(at: Installation, owner: Person) -> None:
    path = f"/organizations/{owner.organization}"
    for answer in (
        await owner.client.post(f"{path}/leave"),
        await owner.client.delete(f"{path}/members/{owner.id}"),
        await owner.client.put(f"{path}/members/{owner.id}", json={"role": "admin"}),
    ):
        problem(answer, 409, "last-owner")
    other = await at.joined(owner, "owner")
    leaving = await asyncio.gather(*(person.client.post(f"{path}/leave") for person in (owner, other)))
    assert sorted(answer.status_code for answer in leaving) == [204, 409]


async def test_api_keys_are_scoped_shown_once_and_revocable(at: Installation, owner: Person) -> None:
    path = f"/organizations/{owner.organization}/api-keys"
    made = await owner.client.post(path, json={"name": "Informe", "scopes": ["bots.read"]})
    assert made.status_code == 201, made.text
    key = made.json()["key"]
    assert key.startswith("vk_")
    [listed] = (await owner.client.get(path)).json()["keys"]
    assert "key" not in listed
    assert key.startswith(listed["hint"])
    assert listed["last_used_at"] is None
    program = await at.client(headers={"X-API-Key": key})
    assert (await program.get("/chatbots")).status_code == 200
    refused = problem(await program.post("/chatbots", json={"name": "x"}), 403, "forbidden")
    assert refused["permission"] == "bots.write"
    problem(await program.get("/users/profile"), 403, "forbidden")
    assert (await owner.client.get(path)).json()["keys"][0]["last_used_at"] is not None
    assert (await owner.client.delete(f"{path}/{made.json()['id']}")).status_code == 204
    problem(await program.get("/chatbots"), 401, "unauthenticated")
    for scopes, status in ((["keys.manage"], 422), (["nothing"], 422), ([], 422)):
        answer = await owner.client.post(path, json={"name": "x", "scopes": scopes})
        assert answer.status_code == status
    over = {"name": "x", "scopes": ["bots.read"], "expires_at": "2020-01-01T00:00:00Z"}
    problem(await owner.client.post(path, json=over), 422, "invalid")


async def test_the_bootstrap_key_owns_the_first_organization_alone(at: Installation, owner: Person) -> None:
    program = await at.client(headers=TEAM)
    assert (await program.get(f"/organizations/{owner.organization}/members")).status_code == 200
    other = await at.account(organization_name="Otra")
    problem(await program.get(f"/organizations/{other.organization}"), 404, "not-found")


@pytest.mark.parametrize("limit", ["conversations", "messages", "tokens"])
async def test_usage_counts_what_was_written_and_limits_hold(
    database_url: str,
    secret_key: str,
    temporal_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    async with installed(database_url, tmp_path, temporal_address=temporal_server) as at:
        await at.account("owner@example.com")
        await use_up(at, monkeypatch, limit)


async def use_up(at: Installation, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    import core.plans
    from core.plans import Plan

    small: dict[str, Any] = {"conversations": None, "messages": None, "tokens": None}
    small[limit] = {"conversations": 2, "messages": 6, "tokens": 40}[limit]
    plan = Plan("free", small["conversations"], small["messages"], small["tokens"], None, None)
    monkeypatch.setattr(core.plans, "PLANS", {**core.plans.PLANS, "free": plan})
    person = await at.account(organization_name="Pequeña")
    tenant = await tenant_of(at.database, person.organization)
    conversations = [uuid7(), uuid7()]
    usage = {"calls": 1, "model": "m", "input_tokens": 15, "output_tokens": 5}
    for conversation in conversations:
        batch = tenant.flush(conversation, [1, 2], visits=[visit(1, left=False)])
        await write_transcript(at.database, batch)
        batch = tenant.flush(conversation, [1, 2, 3], visits=[visit(1, usage=usage)])
        for _ in range(2):  # a batch that is repeated counts once
            await write_transcript(at.database, batch)
    await write_transcript(at.database, tenant.flush(uuid7(), [1, 2], mode="test"))
    path = f"/organizations/{person.organization}/usage"
    for _ in range(2):  # folding changes nothing
        shown = (await person.client.get(path)).json()
        used = {item["name"]: item["used"] for item in shown["items"]}
        assert (used["conversations"], used["messages"], used["tokens"]) == (2, 6, 40)
        assert [item["name"] for item in shown["items"] if item["reached"]] == [limit]
    async with at.database.session() as session:
        repository = OrganizationRepository(session, tenant.organization_id)
        await repository.change(settings={"exhausted_text": "Vuelve el mes que viene"})
    await person.client.get(path)  # reads the text too
    visitor = await at.client()
    body = {"message_id": str(uuid7()), "input": {"type": "start"}}
    refused = await visitor.post(f"/widget/{tenant.chatbot_id}/chat", json=body)
    document = problem(refused, 403, "plan-limit")
    assert (document["detail"], document["limit"]) == ("Vuelve el mes que viene", limit)


async def test_a_plan_takes_so_many_people_and_bytes(
    at: Installation, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.plans
    from core.plans import Plan

    plan = Plan("free", None, None, None, 0, 2)
    monkeypatch.setattr(core.plans, "PLANS", {**core.plans.PLANS, "free": plan})
    person = await at.account(organization_name="Pequeña")
    await at.joined(person, "viewer")
    path = f"/organizations/{person.organization}/members/invite"
    refused = problem(await person.client.post(path, json={"email": "c@example.com"}), 403, "plan-limit")
    assert (refused["limit"], refused["allowed"], refused["used"]) == ("members", 2, 2)
    plans = {entry["name"] for entry in (await person.client.get("/plans")).json()["plans"]}
    assert plans == {"free", "pro", "business", "unlimited"}


async def tenant_of(database: Database, organization_id: str) -> Tenant:
    """A bot with a published flow in an organization."""
    from uuid import UUID

    async with database.session() as session:
        assert await organization_by_slug(session, "default") is not None
        identifier = UUID(organization_id)
        bots = ChatbotRepository(session, identifier)
        bot = await bots.create(name="Soporte", slug="soporte")
        version = await FlowVersionRepository(session, identifier).publish(bot.id, flow())
        await bots.deploy(bot.id, version.id)
        return Tenant(identifier, bot.id, version.id)
