"""Transcripts read from workflow and tables together, while both go on."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx2
import pytest

from api.organization import FirstOrganization
from api.transcripts import Transcripts
from database.database import Database
from flow_schema.turns import ConversationTail
from temporal.gateway import ConversationGateway, open_gateway
from tests.api.conftest import Platform
from tests.api.dialogue import GREETING, Chat, Json, publish


@pytest.mark.parametrize("written", [False, True])
async def test_where_a_conversation_is_and_what_was_said_belong_together(
    platform: Platform,
    team: httpx2.AsyncClient,
    visitor: httpx2.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    written: bool,
) -> None:
    """The visitor answers between the look at the workflow and the look at the tables."""
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    before = await chat.open()
    database = Database(platform.settings.database_url)
    transcripts = Transcripts(database, await open_gateway(platform.settings))
    organization, conversation = await FirstOrganization(database).id(), UUID(chat.conversation)
    replies: list[Json] = []
    look = ConversationGateway.tail

    async def look_and_go_on(gateway: ConversationGateway, conversation_id: str) -> ConversationTail:
        tail = await look(gateway, conversation_id)
        replies.append(await chat.say("Ana"))
        while written and not await is_written(replies[0]["last_seq"]):
            await asyncio.sleep(0.05)
        return tail

    async def is_written(seq: int) -> bool:
        row = await transcripts.row(organization, conversation)
        return row is not None and row.last_seq >= seq

    monkeypatch.setattr(ConversationGateway, "tail", look_and_go_on)
    try:
        page = await transcripts.read(organization, conversation)
    finally:
        await database.close()
    then = replies[0] if written else before
    assert page.waiting is not None
    assert page.waiting.model_dump(mode="json") == then["waiting"]
    assert page.last_seq == then["last_seq"]
    assert [message.seq for message in page.messages] == list(range(1, then["last_seq"] + 1))
