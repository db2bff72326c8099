"""Two tests over all routes: nobody reaches another organization, and each role reaches what the table says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from api.permissions import ACCOUNT, BY_OPERATION, KEY_SCOPES, Role, permissions_of
from core.ids import uuid7
from database.transcript_writer import write_transcript
from tests.accounts.conftest import Installation, Person, installed
from tests.accounts.requests_of_routes import Operation, operations
from tests.accounts.test_organizations import tenant_of

CHOSEN_BY_THE_CALLER = {"put_secret", "put_response_template"}
"""Operations whose path names what they make: they make it at home, whatever others have."""


@pytest.fixture
async def platform(
    database_url: str, secret_key: str, temporal_server: str, tmp_path: Path
) -> AsyncIterator[Installation]:
    async with installed(database_url, tmp_path, temporal_address=temporal_server) as at:
        yield at


async def belongings(at: Installation, owner: Person) -> dict[str, str]:
    """One of everything in an organization, by the names of path parameters."""
    client, organization = owner.client, owner.organization
    tenant = await tenant_of(at.database, organization)
    conversation = uuid7()
    await write_transcript(at.database, tenant.flush(conversation, [1, 2]))
    member = await at.joined(owner, "viewer")
    path = f"/organizations/{organization}"
    invited = await client.post(f"{path}/members/invite", json={"email": "asked@example.com"})
    key = await client.post(f"{path}/api-keys", json={"name": "k", "scopes": ["bots.read"]})
    assert (await client.put("/secrets/THEIRS", json={"value": "hidden"})).status_code == 204
    template = await client.put("/response-templates/theirs", json={"text": "Hola"})
    assert template.status_code == 204, template.text
    return {
        "org_id": organization,
        "user_id": member.id,
        "invitation_id": invited.json()["id"],
        "key_id": key.json()["id"],
        "session_id": owner.session["session_id"],
        "chatbot_id": str(tenant.chatbot_id),
        "conversation_id": str(conversation),
        "name": "THEIRS",
        "slug": "theirs",
        "number": "1",
    }


async def ask(client: httpx2.AsyncClient, operation: Operation, values: dict[str, str]) -> httpx2.Response:
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", values[name])
    return await client.request(operation.method, path, json=operation.body, params=operation.query)


def unknown() -> dict[str, str]:
    """Values of path parameters that nobody has."""
    names = ("org_id", "user_id", "invitation_id", "key_id", "session_id", "chatbot_id", "conversation_id")
    return {**{name: str(uuid4()) for name in names}, "name": "NOBODYS", "slug": "nobodys", "number": "1"}


def told(answer: httpx2.Response, values: dict[str, str]) -> dict[str, Any]:
    """What an answer says, without the ids that were asked for."""
    document: dict[str, Any] = answer.json()
    document.pop("request_id")
    text = str(document)
    for name, value in values.items():
        if len(value) > 2:
            text = text.replace(value, f"<{name}>")
    return {"status": answer.status_code, "text": text}


async def test_nobody_reaches_another_organization(platform: Installation) -> None:
    await platform.account("operator@example.com")
    theirs = await platform.account("a@example.com", organization_name="A")
    ours = await platform.account("b@example.com", organization_name="B")
    there = await belongings(platform, theirs)
    with_ids = [one for one in operations() if one.parameters and one.name not in CHOSEN_BY_THE_CALLER]
    assert len(with_ids) > 25
    for operation in with_ids:
        nowhere = unknown()
        tried = [(there, nowhere)]
        if operation.parameters[0] == "org_id" and len(operation.parameters) > 1:
            tried.append(({**there, "org_id": ours.organization}, {**nowhere, "org_id": ours.organization}))
        for values, absent in tried:
            found = await ask(ours.client, operation, values)
            missing = await ask(ours.client, operation, absent)
            assert found.status_code == 404, (operation.name, found.text)
            assert told(found, values) == told(missing, absent), operation.name
    for operation in operations():
        if operation.name in CHOSEN_BY_THE_CALLER:
            assert (await ask(ours.client, operation, there)).status_code == 204
    still = await theirs.client.get("/response-templates")
    assert "Hola" in still.text
    for listing in ("/chatbots", "/organizations", "/secrets", "/auth/sessions"):
        text = (await ours.client.get(listing)).text
        for value in (there["chatbot_id"], there["org_id"], there["session_id"]):
            assert value not in text
    assert (await theirs.client.get(f"/chatbots/{there['chatbot_id']}")).status_code == 200


async def test_each_role_reaches_what_the_table_says(platform: Installation) -> None:
    owner = await platform.account("owner@example.com")
    people = {role.value: await platform.joined(owner, role.value) for role in Role}
    people["with a grant"] = await platform.joined(
        owner, "viewer", permissions={"secrets.write": True, "bots.write": True}
    )
    for label, person in people.items():
        allowed = (
            permissions_of("viewer", ("secrets.write", "bots.write"))
            if label == "with a grant"
            else permissions_of(label)
        )
        await check(person.client, owner.organization, allowed, label)


async def test_each_key_reaches_its_scopes(platform: Installation) -> None:
    owner = await platform.account("owner@example.com")
    for scope in sorted(KEY_SCOPES):
        made = await owner.client.post(
            f"/organizations/{owner.organization}/api-keys", json={"name": scope, "scopes": [scope]}
        )
        program = await platform.client(headers={"X-API-Key": made.json()["key"]})
        await check(program, owner.organization, frozenset({scope}), scope)


async def check(client: httpx2.AsyncClient, organization: str, allowed: frozenset[str], label: str) -> None:
    """Ask for everything: 403 where the permission is missing, and only there."""
    for operation in operations():
        if operation.name in ACCOUNT:
            continue
        needed = BY_OPERATION[operation.name].name
        answer = await ask(client, operation, {**unknown(), "org_id": organization})
        if needed in allowed:
            assert answer.status_code not in {401, 403}, (label, operation.name, answer.text)
        else:
            assert answer.status_code == 403, (label, operation.name, answer.text)
            assert answer.json()["permission"] == needed


async def test_without_credentials_every_route_is_closed(platform: Installation) -> None:
    await platform.account("owner@example.com")
    stranger = await platform.client()
    for operation in operations():
        answer = await ask(stranger, operation, unknown())
        assert answer.status_code == 401, (operation.name, answer.text)


def test_the_table_is_whole() -> None:
    assert {one.name for one in operations()} == {*BY_OPERATION, *ACCOUNT}
    assert UUID(unknown()["org_id"]).version == 4
