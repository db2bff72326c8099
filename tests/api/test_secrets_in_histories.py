"""What Temporal keeps of a conversation holds no secret: not its value, not in another spelling, not a token.

The histories, the memo and the search attributes are read as the server stores them, and so are the tables.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from urllib.parse import quote

import asyncpg
import httpx2
import pytest

from temporal.client import connect
from tests.api.conftest import API_KEY, SECRET_KEY, Platform
from tests.api.dialogue import Chat, Json, flow, node, publish, texts
from tests.peers.http_peer import HttpPeer, serve_http_peer

SECRET = "s3cr3t/välue+with signs & 4711"
NAME = "SHOP_KEY"


@pytest.fixture(scope="module")
def shop() -> Iterator[HttpPeer]:
    """A server that repeats whatever it is sent."""
    with serve_http_peer() as peer:
        peer.answer("/orders", (202, {}, b"{}"))
        yield peer


def spellings(secret: str) -> set[bytes]:
    """A secret as it may stand in JSON, in an address or in a header."""
    raw = secret.encode()
    return {
        raw,
        secret.encode("unicode_escape"),
        quote(secret, safe="").encode(),
        quote(secret).encode(),
        base64.b64encode(raw),
        base64.b64encode(raw).rstrip(b"="),
    }


def shop_flow(shop: HttpPeer) -> Json:
    request: Json = {
        "method": "POST",
        "url": f"{shop.url}/echo",
        "query": {"key": "{{ secrets.SHOP_KEY }}"},
        "headers": {"X-Key": "Key {{ secrets.SHOP_KEY }}"},
        "body": {"key": "{{ secrets.SHOP_KEY }}", "name": "{{ name }}"},
    }
    callback: Json = {
        "kind": "wait",
        "text": "Espera, {{ name }}",
        "request": {"method": "POST", "url": f"{shop.url}/orders", "body": {"tell": "{{ callback_url }}"}},
        "mapping": [{"variable": "paid", "path": "state"}],
    }
    return flow(
        [
            node("start", "start"),
            node("ask", "input", text="¿Nombre?", field={"kind": "text"}, save_to="name"),
            node("call", "api_call", request=request, mapping=[{"variable": "answer"}]),
            node(
                "broken", "api_call", request={**request, "url": f"{shop.url}/{{{{ secrets.SHOP_KEY }}}}\r\n"}
            ),
            node("wait", "webhook", webhook=callback),
            node("done", "message", text="Pagado: {{ paid }}"),
        ],
        [
            ("start", "next", "ask"),
            ("ask", "next", "call"),
            ("call", "success", "broken"),
            ("broken", "error", "wait"),
            ("wait", "received", "done"),
        ],
        variables=[{"name": "name"}, {"name": "answer", "type": "object"}, {"name": "paid"}],
    )


async def history_bytes(platform: Platform, conversation: str) -> bytes:
    """Every run of the conversation's workflow, and what the server indexes of it, one after the other."""
    client = await connect(platform.settings)
    found = b""
    async for execution in client.list_workflows(f'WorkflowId = "conversation/{conversation}"'):
        found += execution.raw_info.SerializeToString()
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        async for event in handle.fetch_history_events():
            found += event.SerializeToString()
    return found


async def row_bytes(platform: Platform, conversation: str) -> bytes:
    """Every row of every table that mentions the conversation."""
    connection = await asyncpg.connect(platform.settings.database_url)
    try:
        tables = [
            row["table_name"]
            for row in await connection.fetch(
                "SELECT table_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND column_name = 'conversation_id'"
            )
        ]
        assert {"messages", "node_visits"} <= set(tables)
        rows = [
            row[0]
            for table in tables
            for row in await connection.fetch(
                f'SELECT to_jsonb(entry)::text FROM "{table}" entry WHERE conversation_id = $1', conversation
            )
        ]
    finally:
        await connection.close()
    return "\n".join(rows).encode()


async def test_no_secret_reaches_the_history_or_the_tables(
    platform: Platform, team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, shop: HttpPeer
) -> None:
    given = await team.put(f"/api/v1/secrets/{NAME}", json={"value": SECRET})
    assert given.status_code in {200, 201, 204}, given.text
    bot = await publish(team, shop_flow(shop))
    chat = Chat(visitor, bot["slug"])
    await chat.open(language="es")
    reply = await chat.say("Ana")
    assert texts(reply["messages"]) == ["Espera, Ana"]

    echoed = shop.to("/echo")[-1]
    assert echoed.headers["x-key"].encode("latin-1").decode() == f"Key {SECRET}", "the secret did not go out"
    assert echoed.json()["key"] == SECRET
    address = shop.to("/orders")[-1].json()["tell"]
    token = address.rsplit("/", 1)[1]
    history = await history_bytes(platform, chat.conversation)
    assert b"secrets" in history or NAME.encode() in history, "the call's description was not found"

    received = await visitor.post(
        f"/api/v1/callbacks/{token}",
        json={"state": "ok"},
        headers={"Authorization": "Bearer bank-credential"},
    )
    assert received.json() == {"outcome": "received"}
    page = await chat.ended()
    assert texts(page["messages"])[-1] == "Pagado: ok"

    history = await history_bytes(platform, chat.conversation)
    rows = await row_bytes(platform, chat.conversation)
    assert b"Pagado" in history
    assert b"Pagado" in rows
    hidden = {
        "secret": spellings(SECRET),
        "callback token": {token.encode()},
        "credential of the caller": {b"bank-credential"},
        "visitor token": {chat.token.encode()},
        "API key": {API_KEY.encode()},
        "secret key": {SECRET_KEY.encode()},
    }
    for place, content in (("history", history), ("tables", rows)):
        for what, forms in hidden.items():
            for form in forms:
                assert form not in content, f"{what} in the {place}"
