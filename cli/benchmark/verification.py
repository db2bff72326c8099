"""After the run: PostgreSQL holds exactly what the visitors were told and what they said."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from cli.benchmark.report import Verification
from cli.benchmark.visitors import Conversation
from database.database import Database
from database.transcript_rows import count_messages, message_rows

_PATIENCE_SECONDS = 60
_BATCH = 500


class RowsDifferError(Exception):
    """The transcript in the tables is not what the visitor saw."""


async def verify(database_url: str, conversations: Sequence[Conversation]) -> Verification:
    """Wait until everything was written, then compare each row. Raises RowsDifferError."""
    database = Database(database_url, pool_size=1)
    rows = 0
    try:
        for start in range(0, len(conversations), _BATCH):
            batch = {UUID(one.conversation_id): one for one in conversations[start : start + _BATCH]}
            await _written(database, batch)
            found: dict[UUID, list[Any]] = {key: [] for key in batch}
            for row in await message_rows(database, list(batch)):
                found[row["conversation_id"]].append(row)
            for key, conversation in batch.items():
                compare(conversation, found[key])
                rows += len(found[key])
    finally:
        await database.close()
    return Verification(
        conversations=len(conversations), replies=sum(one.turns for one in conversations), rows=rows
    )


async def _written(database: Database, batch: dict[UUID, Conversation]) -> None:
    expected = sum(conversation.last_seq for conversation in batch.values())
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (written := await count_messages(database, list(batch))) < expected:
        if time.monotonic() > deadline:
            raise RowsDifferError(f"{written} of {expected} messages were written")
        await asyncio.sleep(0.2)


def compare(conversation: Conversation, rows: Sequence[Any]) -> None:
    """Raise RowsDifferError unless the rows are what the visitor was told and said, numbered from 1."""
    told = {row["seq"]: _text(row["body"]) for row in rows if row["role"] != "user"}
    heard = {row["client_message_id"] for row in rows if row["role"] == "user"}
    if [row["seq"] for row in rows] != list(range(1, conversation.last_seq + 1)):
        raise RowsDifferError(f"{conversation.conversation_id}: numbers {[row['seq'] for row in rows]}")
    if told != conversation.said or heard != set(conversation.heard):
        raise RowsDifferError(f"{conversation.conversation_id}: {told} instead of {conversation.said}")


def _text(body: Any) -> str:
    content = json.loads(body) if isinstance(body, str) else body
    return str(content["text"])
