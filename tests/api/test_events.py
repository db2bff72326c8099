"""Server-sent events of a conversation: complete, resumable, in the middle of a text."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from api.tokens import Tokens
from core.crypto import Keyring
from core.events import EventBus, Resync, TokensEvent, TypingEvent, messages_event
from database.database import Database
from database.streams import StreamText
from tests.api.conftest import SECRET_KEY, Platform
from tests.api.dialogue import GREETING, Chat, publish, texts


class Follower:
    """Reads a conversation's events; `(name, id, data)` each."""

    def __init__(self, chat: Chat, headers: dict[str, str] | None = None, after: int = 0) -> None:
        self.path = f"{chat.path}/conversations/{chat.conversation}/events?after={after}"
        self.http = chat.http
        self.headers = {**chat.bearer, **(headers or {})}

    async def __aenter__(self) -> Follower:
        self.stream = self.http.stream("GET", self.path, headers=self.headers)
        self.response = await self.stream.__aenter__()
        self.events = self._read()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.stream.__aexit__(*error)

    async def _read(self) -> AsyncIterator[tuple[str, str | None, Any]]:
        name, identifier, data = "", None, None
        async for line in self.response.aiter_lines():
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("id:"):
                identifier = line[3:].strip()
            elif line.startswith("data:"):
                data = json.loads(line[5:])
            elif not line and data is not None:
                yield name, identifier, data
                name, identifier, data = "", None, None

    async def until(self, name: str, count: int = 1) -> list[tuple[str, str | None, Any]]:
        """Events up to the `count`-th of that name."""
        seen = []
        async with asyncio.timeout(15):
            async for event in self.events:
                seen.append(event)
                if sum(one[0] == name for one in seen) == count:
                    return seen
        raise AssertionError(f"the stream ended after {seen}")


async def test_a_follower_gets_every_message_once(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    async with Follower(chat) as follower:
        assert follower.response.headers["content-type"].startswith("text/event-stream")
        first = await follower.until("status")
        assert [data["seq"] for name, _, data in first if name == "message"] == [1, 2]
        await chat.say("Ana")
        more = [data for name, _, data in await follower.until("message", 2) if name == "message"]
        assert sorted(message["seq"] for message in more) == [3, 4]
        assert {message["role"] for message in more} == {"user", "assistant"}


async def test_the_last_id_is_a_safe_place_to_go_on_from(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    async with Follower(chat) as follower:
        await follower.until("status")
        await chat.say("Ana")
        _, last_id, ahead = (await follower.until("message"))[-1]
    assert (ahead["seq"], last_id) == (4, "2")  # the visitor's own message, 3, is still to come
    async with Follower(chat, {"Last-Event-ID": last_id or ""}) as follower:
        seen = [data["seq"] for name, _, data in await follower.until("status") if name == "message"]
        assert seen == [3, 4]


async def test_a_follower_in_the_middle_of_a_text_gets_it_so_far(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, platform: Platform
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    database = Database(platform.settings.database_url, pool_size=1)
    bus = EventBus(platform.settings.database_url)
    await bus.start()
    streams = StreamText(database, bus, publish_seconds=0.01, store_seconds=0.01)
    try:
        streams.append("s:1:1", chat.conversation, 1, 0, "Hola ")
        for _ in range(200):
            if await streams.current(chat.conversation):
                break
            await asyncio.sleep(0.02)
        async with Follower(chat) as follower:
            so_far = (await follower.until("tokens"))[-1][2]
            assert so_far == {"stream_id": "s:1:1", "attempt": 1, "offset": 0, "text": "Hola "}
            streams.append("s:1:1", chat.conversation, 1, 5, "Ana")
            rest = (await follower.until("tokens"))[-1][2]
            assert (rest["offset"], rest["text"]) == (5, "Ana")
            bus.publish(chat.conversation, TokensEvent("s:1:1", 2, 0, "Buenas"))
            again = (await follower.until("tokens"))[-1][2]
            assert (again["attempt"], again["offset"]) == (2, 0)
            bus.publish(chat.conversation, TypingEvent("agent", True, "Ana"))
            assert (await follower.until("typing"))[-1][2] == {"who": "agent", "active": True, "name": "Ana"}
            bus.publish(chat.conversation, Resync())
            assert (await follower.until("status"))[-1][2]["last_seq"] == 2
    finally:
        await streams.close()
        await bus.close()
        await database.close()


async def test_a_transcript_shows_what_is_not_written_yet(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    assert texts((await chat.transcript())["messages"]) == ["¡Hola!", "¿Cómo te llamas?"]
    await chat.say("Ana")
    page = await chat.transcript(after=2)
    assert [message["seq"] for message in page["messages"]] == [3, 4]
    assert page["waiting"]["prompt"] == 4


async def test_a_message_that_came_ahead_comes_once(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, platform: Platform
) -> None:
    """It is announced before what goes before it, and again by others."""
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    opened = await chat.open()
    bus = EventBus(platform.settings.database_url)
    await bus.start()
    ahead = {**opened["messages"][0], "seq": 5}
    try:
        async with Follower(chat) as follower:
            await follower.until("status")
            for told in range(3):  # PostgreSQL merges notifications that are quite the same
                bus.publish(chat.conversation, messages_event([{**ahead, "node_id": f"n{told}"}]))
            bus.publish(chat.conversation, TypingEvent("agent", True, "Ana"))
            seen = await follower.until("typing")
        assert [(data["seq"], last) for name, last, data in seen if name == "message"] == [(5, "2")]
    finally:
        await bus.close()


async def test_a_stream_ends_with_its_token(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, platform: Platform
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    short = Tokens(Keyring([SECRET_KEY]), lifetime_seconds=2, file_link_seconds=100)
    mine = short.read(chat.token)
    chat.token = short.issue(mine.conversation_id, mine.chatbot_id, mine.organization_id)
    began = time.monotonic()
    async with asyncio.timeout(10), Follower(chat) as follower:
        names = [name async for name, _, _ in follower.events]
    assert names.count("status") >= 1
    assert time.monotonic() - began < 5


async def test_events_need_the_conversations_own_token(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    bot = await publish(team, GREETING)
    chat, other = Chat(visitor, bot["slug"]), Chat(visitor, bot["slug"])
    await chat.open()
    await other.open()
    path = f"{chat.path}/conversations/{chat.conversation}/events"
    assert (await visitor.get(path)).status_code == 401
    assert (await visitor.get(path, headers=other.bearer)).status_code == 403
    async with visitor.stream("GET", f"{path}?token={chat.token}") as response:
        assert response.status_code == 200
