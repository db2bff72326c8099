"""Flows and steps that several tests of the API use."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx2

from core.errors import PROBLEM_TYPE_PREFIX

Json = dict[str, Any]


def flow(nodes: list[Json], edges: list[tuple[str, str, str]], **more: Any) -> Json:
    """A flow of `nodes` and (source, exit, target) edges."""
    return {
        "schema_version": 1,
        "name": "Prueba",
        "language": "es",
        "nodes": nodes,
        "edges": [
            {"id": f"e{number}", "source": source, "sourceHandle": exit_id, "target": target}
            for number, (source, exit_id, target) in enumerate(edges, 1)
        ],
        **more,
    }


def node(node_id: str, kind: str, **data: Any) -> Json:
    """A node."""
    return {"id": node_id, "type": kind, "data": data}


GREETING = flow(
    [
        node("start", "start"),
        node("hi", "message", text="¡Hola!"),
        node("ask", "input", text="¿Cómo te llamas?", field={"kind": "text"}, save_to="name"),
        node(
            "pick",
            "question",
            text="Elige, {{ name }}",
            options=[{"id": "a", "label": "Uno"}, {"id": "b", "label": "Dos"}],
        ),
        node("one", "message", text="Elegiste uno"),
        node("two", "message", text="Elegiste dos, {{ name }}"),
    ],
    [
        ("start", "next", "hi"),
        ("hi", "next", "ask"),
        ("ask", "next", "pick"),
        ("pick", "option:a", "one"),
        ("pick", "option:b", "two"),
    ],
    variables=[{"name": "name", "type": "string"}],
)


async def publish(team: httpx2.AsyncClient, document: Json, **more: Any) -> Json:
    """A new bot with that flow; returns the bot."""
    slug = f"bot-{uuid4().hex[:10]}"
    made = await team.post("/api/v1/chatbots", json={"name": slug.title(), "slug": slug})
    assert made.status_code == 201, made.text
    bot: Json = made.json()
    answer = await team.post(f"/api/v1/chatbots/{bot['id']}/versions", json={"flow": document, **more})
    assert answer.status_code == 201, answer.text
    return bot


class Chat:
    """A visitor's conversation, as the simplest client would hold it."""

    def __init__(self, http: httpx2.AsyncClient, bot: str) -> None:
        self.http = http
        self.path = f"/api/v1/widget/{bot}"
        self.conversation = ""
        self.token = ""

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def open(self, **given: Any) -> Json:
        body = {"message_id": str(uuid4()), "input": {"type": "start", **given}}
        answer = await self.http.post(f"{self.path}/chat", json=body)
        assert answer.status_code == 200, answer.text
        reply: Json = answer.json()
        self.conversation, self.token = reply["conversation_id"], reply["token"]
        return reply

    async def post(self, given: Json, message_id: str | None = None) -> httpx2.Response:
        body = {
            "message_id": message_id or str(uuid4()),
            "conversation_id": self.conversation,
            "input": given,
        }
        return await self.http.post(f"{self.path}/chat", json=body, headers=self.bearer)

    async def say(self, text: str, message_id: str | None = None) -> Json:
        answer = await self.post({"type": "text", "text": text}, message_id)
        assert answer.status_code == 200, answer.text
        reply: Json = answer.json()
        return reply

    async def ended(self) -> Json:
        """Wait until the conversation has ended; return its transcript."""
        for _ in range(200):
            page = await self.transcript()
            if page["status"] == "ended":
                return page
            await asyncio.sleep(0.05)
        raise AssertionError("the conversation did not end")

    async def transcript(self, after: int = 0) -> Json:
        answer = await self.http.get(
            f"{self.path}/conversations/{self.conversation}/messages",
            params={"after": after},
            headers=self.bearer,
        )
        assert answer.status_code == 200, answer.text
        page: Json = answer.json()
        return page


def texts(messages: list[Json]) -> list[str]:
    """What the messages say."""
    return [message["content"].get("text", "") for message in messages]


def problem(answer: httpx2.Response) -> str:
    """The kind of a problem document; fails for anything else."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    assert {"type", "title", "detail", "instance", "request_id"} <= document.keys()
    assert answer.headers["x-request-id"] == document["request_id"]
    assert document["type"].startswith(PROBLEM_TYPE_PREFIX)
    return str(document["type"].removeprefix(PROBLEM_TYPE_PREFIX))
