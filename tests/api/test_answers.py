"""Answers are what the description says, with nothing beside it; visitors see no model, tokens or costs."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.api.conftest import TEAM, Platform
from tests.api.described import Description
from tests.api.dialogue import GREETING, Chat, Json, flow, node, publish

ASKS_A_MODEL = flow(
    [
        node("start", "start"),
        node("ask", "input", text="¿Qué quieres saber?", field={"kind": "text"}, save_to="said"),
        node("answer", "ai", task={"kind": "reply"}, model="builtin/answerer",
             instructions="La tienda abre a las nueve."),
        node("more", "input", text="¿Algo más?", field={"kind": "file"}, save_to="files"),
        node("human", "action", action={"kind": "escalate", "team": "ventas"}),
    ],
    [("start", "next", "ask"), ("ask", "next", "answer"), ("answer", "next", "more"),
     ("more", "next", "human")],
    variables=[{"name": "said", "type": "string"}, {"name": "files", "type": "list"}],
)  # fmt: skip


@pytest.fixture
async def description(visitor: httpx2.AsyncClient) -> Description:
    return Description((await visitor.get("/openapi.json")).json())


def checked(platform: Platform, description: Description, **options: Any) -> httpx2.AsyncClient:
    """A client each of whose answers is checked."""

    async def check(answer: httpx2.Response) -> None:
        if "event-stream" not in answer.headers.get("content-type", ""):
            await answer.aread()
            description.check(answer.request.method, answer.request.url.path, answer)

    return platform.client(event_hooks={"response": [check]}, **options)


@pytest.fixture
def costly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in answerer at a price that no binary fraction holds."""
    monkeypatch.setattr("llm.answer.cost_usd", lambda *_: "0.0000000001")


async def test_a_whole_conversation_fits_the_description(
    platform: Platform, description: Description, costly: None
) -> None:
    async with (
        checked(platform, description, headers=TEAM) as team,
        checked(platform, description) as visitor,
    ):
        bot = await publish(team, ASKS_A_MODEL)
        await team.post(f"/api/v1/chatbots/{bot['id']}/versions", json={"flow": ASKS_A_MODEL})
        chat = Chat(visitor, bot["slug"])
        await visitor.get("/api/v1/widget")
        await visitor.get(f"{chat.path}/config")
        await visitor.get(f"{chat.path}/status")
        await chat.open()
        answer = await chat.say("¿A qué hora abre la tienda?")
        assert "nueve" in answer["messages"][0]["content"]["text"]
        upload = await visitor.post(
            f"{chat.path}/files", files={"file": ("a.txt", b"hola")}, headers=chat.bearer
        )
        await chat.post({"type": "files", "files": [upload.json()["id"]]})
        seen = [answer, await chat.transcript(), await events(chat)]
        root = f"/api/v1/conversations/{chat.conversation}"
        say = {"action_id": str(uuid4()), "agent": {"id": "ana", "name": "Ana"}, "text": "Hola"}
        await team.post(f"{root}/messages", json=say)
        for path in ("", "/path"):
            await team.get(f"{root}{path}")
        page = (await team.get(f"{root}/messages")).json()
        for _ in range(200):
            listed = await team.get(f"/api/v1/chatbots/{bot['id']}/conversations")
            if listed.json()["conversations"]:
                break
            await asyncio.sleep(0.05)
        for path in ("", f"/{bot['id']}", f"/{bot['id']}/versions", f"/{bot['id']}/versions/1"):
            await team.get(f"/api/v1/chatbots{path}")
        await team.post("/api/v1/flows/validate", json={"flow": GREETING})
        await team.put("/api/v1/secrets/FITS", json={"value": "x"})
        await team.get("/api/v1/secrets")
        await team.get("/api/v1/secrets/FITS")
        await team.put("/api/v1/response-templates/fits", json={"text": {"es": "Hola"}})
        await team.get("/api/v1/response-templates")
        await chat.post({"type": "value", "value": 1})
    for shown in seen:
        written = json.dumps(shown)
        for hidden in ("usage", "builtin/answerer", "cost", "input_tokens"):
            assert hidden not in written
    usage = next(message["usage"] for message in page["messages"] if message.get("usage"))
    assert usage["model"] == "builtin/answerer"
    assert (usage["cost_usd"], Decimal(usage["cost_usd"])) == ("0.0000000001", Decimal("1e-10"))


async def events(chat: Chat) -> list[Json]:
    """What the conversation's events say up to the first status."""
    found = []
    path = f"{chat.path}/conversations/{chat.conversation}/events"
    async with asyncio.timeout(15), chat.http.stream("GET", path, headers=chat.bearer) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                found.append(json.loads(line[5:]))
            if line == "event: status":
                break
    assert found
    return found


async def test_events_fit_the_description(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, description: Description
) -> None:
    chat = Chat(visitor, (await publish(team, ASKS_A_MODEL))["slug"])
    await chat.open()
    await chat.say("¿A qué hora abre la tienda?")
    for message in await events(chat):
        description.fits({"$ref": "#/components/schemas/TranscriptMessage"}, message)


def test_the_judge_finds_what_is_not_described() -> None:
    judge = Description(
        {
            "paths": {},
            "components": {"schemas": {"A": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        }
    )
    judge.fits({"$ref": "#/components/schemas/A"}, {"a": "x"})
    for wrong in ({"a": 1}, {"a": "x", "b": 2}):
        with pytest.raises(AssertionError):
            judge.fits({"$ref": "#/components/schemas/A"}, wrong)
