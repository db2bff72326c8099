"""What must hold after the storm. Each check returns what is wrong; nothing means that all is well."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg

from cli.chat_client import Json
from tests.chaos.flow import EXPECTED_CALLS, expected_texts
from tests.chaos.visitors import Talk
from tests.peers.payment_server import PaymentServer


def wrong_transcripts(talks: Sequence[Talk]) -> list[str]:
    """Compare what visitors saw with what the flow's author expects: each message once, in order."""
    problems = []
    for talk in talks:
        said = [(talk.messages[seq]["role"], _text(talk.messages[seq])) for seq in sorted(talk.messages)]
        if said != expected_texts(talk.visitor):
            problems.append(f"{talk.visitor.name} saw {said}")
        if sorted(talk.messages) != list(range(1, len(said) + 1)):
            problems.append(f"{talk.visitor.name}: gaps in {sorted(talk.messages)}")
        own = [message["client_message_id"] for message in _ordered(talk) if message["role"] == "user"]
        if own != talk.sent[1:]:  # the opening has no message of its own
            problems.append(f"{talk.visitor.name} sent {talk.sent[1:]}, the transcript has {own}")
    return problems


def wrong_api_transcripts(talks: Sequence[Talk], pages: Sequence[Json]) -> list[str]:
    """Compare the transcript that the API gives now with what the visitor had seen."""
    return [
        f"{talk.visitor.name}: the API now says {page['status']}, {page['messages']}"
        for talk, page in zip(talks, pages, strict=True)
        if page["messages"] != _ordered(talk) or page["status"] != "ended"
    ]


async def wrong_rows(database: asyncpg.Connection, calm: Sequence[Talk], talks: Sequence[Talk]) -> list[str]:
    """Compare rows with what was seen, and the path of each conversation with that of an undisturbed one."""
    problems = []
    paths = {talk.visitor.method: await _path(database, talk) for talk in calm}
    for talk in talks:
        rows = await database.fetch(
            "SELECT seq, role, body, client_message_id FROM messages WHERE conversation_id = $1 ORDER BY seq",
            talk.client.conversation_id,
        )
        stored = [
            (row["seq"], row["role"], json.loads(row["body"]), row["client_message_id"]) for row in rows
        ]
        seen = [
            (message["seq"], message["role"], message["content"], message["client_message_id"])
            for message in _ordered(talk)
        ]
        if stored != seen:
            problems.append(f"{talk.visitor.name}: rows {stored} but seen {seen}")
        if (own := await _path(database, talk)) != paths[talk.visitor.method]:
            problems.append(f"{talk.visitor.name} went {own}")
        replies = await database.fetch(
            "SELECT message_id FROM replies WHERE conversation_id = $1", talk.client.conversation_id
        )
        if sorted(row["message_id"] for row in replies) != sorted(talk.sent):
            problems.append(f"{talk.visitor.name}: stored replies {replies} for {talk.sent}")
        row = await database.fetchrow(
            "SELECT status, last_seq FROM conversations WHERE id = $1", talk.client.conversation_id
        )
        if row is None or (row["status"], row["last_seq"]) != ("ended", len(seen)):
            problems.append(f"{talk.visitor.name}: the conversation's row is {row}")
    return problems


def wrong_payments(payments: PaymentServer, calm: Sequence[Talk], talks: Sequence[Talk]) -> list[str]:
    """Compare idempotency keys with those of undisturbed conversations; repeats must be identical."""
    problems = []
    found = payments.by_key()
    suffixes: dict[str, set[str]] = {}
    for key, requests in found.items():
        conversation, _, suffix = key.partition(":")
        suffixes.setdefault(conversation, set()).add(f"{requests[0].path} {suffix}")
        if len({(request.path, request.body) for request in requests}) != 1:
            problems.append(f"repeats of {key} differ: {requests}")
    wanted = suffixes.get(str(calm[0].client.conversation_id), set())
    counts = Counter(entry.split(" ")[0] for entry in wanted)
    if counts != EXPECTED_CALLS:
        problems.append(f"an undisturbed conversation calls {counts}")
    for talk in talks:
        own = suffixes.pop(str(talk.client.conversation_id), set())
        if own != wanted:
            problems.append(f"{talk.visitor.name} called {sorted(own)} instead of {sorted(wanted)}")
    if suffixes:
        problems.append(f"calls of conversations that nobody led: {suffixes}")
    return problems


def _ordered(talk: Talk) -> list[Json]:
    return [talk.messages[seq] for seq in sorted(talk.messages)]


def _text(message: Json) -> str:
    return str(message["content"]["text"])


async def _path(database: asyncpg.Connection, talk: Talk) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "SELECT number, flow, node_id, exit, error FROM node_visits"
        " WHERE conversation_id = $1 ORDER BY number",
        talk.client.conversation_id,
    )
    return [tuple(row) for row in rows]
