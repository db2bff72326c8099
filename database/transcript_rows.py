"""The rows of many transcripts at once, whoever's they are: for checks of a whole installation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from database.database import Database

_ROWS = """
SELECT conversation_id, seq, role, body, client_message_id FROM messages
WHERE conversation_id = ANY($1::uuid[]) ORDER BY conversation_id, seq
"""
_COUNT = "SELECT count(*) FROM messages WHERE conversation_id = ANY($1::uuid[])"


async def count_messages(database: Database, conversation_ids: Sequence[UUID]) -> int:
    """How many messages of these conversations are written. Raises UnavailableError."""
    async with database.statement() as connection:
        return int(await connection.fetchval(_COUNT, list(conversation_ids)))


async def message_rows(database: Database, conversation_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """`conversation_id`, `seq`, `role`, `body` and `client_message_id` of each, in order."""
    async with database.statement() as connection:
        return [dict(row) for row in await connection.fetch(_ROWS, list(conversation_ids))]
