"""Writes a batch of a conversation's outbox: one statement, one round trip, one transaction.

Every part can be repeated and overtaken. Messages, replies and finished visits are written once. The
conversation's row and unfinished visits only move forwards: a batch that arrives late, from an attempt
that was given up, changes nothing that a later one wrote. A message that was streamed replaces the text
kept meanwhile. What is new counts as the organization's usage: in a row of its own, so that writers of one
organization don't wait for each other.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from core.errors import NotFoundError
from core.ids import uuid7
from database.database import Database
from database.message_text import plain_text
from flow_schema.effects import Flush, Flushed
from flow_schema.turns import Message, Visit

_WRITE = """
WITH conversation AS (
    INSERT INTO conversations AS present (
        id, organization_id, chatbot_id, flow_version_id, mode, session_id, user_identifier, user_metadata,
        status, language, satisfaction_rating, feedback, started_at, ended_at, last_activity, last_seq, tags,
        waiting, variables, agent_id, escalation)
    SELECT $1::uuid, $2::uuid, r.chatbot_id, r.flow_version_id, r.mode, left(r.session_id, 100),
        left(r.user_identifier, 255), r.user_metadata, r.status, left(r.language, 35),
        CASE WHEN r.satisfaction_rating BETWEEN 1 AND 5 THEN r.satisfaction_rating END,
        r.feedback, r.started_at, r.ended_at, r.last_activity, r.last_seq, r.tags,
        r.waiting, r.variables, r.agent_id, r.escalation
    FROM jsonb_to_record($3::jsonb->'record') AS r(
        chatbot_id uuid, flow_version_id uuid, mode text, session_id text, user_identifier text,
        user_metadata jsonb, status text, language text, satisfaction_rating int, feedback text,
        started_at timestamptz, ended_at timestamptz, last_activity timestamptz, last_seq int, tags text[],
        waiting jsonb, variables jsonb, agent_id text, escalation jsonb)
    ON CONFLICT (id) DO UPDATE SET
        user_identifier = EXCLUDED.user_identifier, user_metadata = EXCLUDED.user_metadata,
        status = EXCLUDED.status, language = EXCLUDED.language,
        satisfaction_rating = EXCLUDED.satisfaction_rating, feedback = EXCLUDED.feedback,
        ended_at = EXCLUDED.ended_at, last_activity = EXCLUDED.last_activity, last_seq = EXCLUDED.last_seq,
        tags = EXCLUDED.tags, waiting = EXCLUDED.waiting, variables = EXCLUDED.variables,
        agent_id = EXCLUDED.agent_id, escalation = EXCLUDED.escalation
    WHERE present.organization_id = EXCLUDED.organization_id
        AND (present.last_seq, present.last_activity) <= (EXCLUDED.last_seq, EXCLUDED.last_activity)
    RETURNING (xmax = 0) AS is_new
), said AS (
    INSERT INTO messages (id, organization_id, conversation_id, seq, role, content, body, metadata,
        client_message_id, reply_to, node_id, agent, created_at)
    SELECT m.id, $2::uuid, $1::uuid, m.seq, m.role, m.plain, m.content, m.details,
        m.client_message_id, m.reply_to, m.node_id, m.agent, m.created_at
    FROM jsonb_to_recordset($3::jsonb->'messages') AS m(
        id uuid, seq int, role text, plain text, content jsonb, details jsonb, client_message_id text,
        reply_to text, node_id text, agent jsonb, created_at timestamptz)
    ON CONFLICT (conversation_id, seq) DO NOTHING
    RETURNING 1
), visited AS (
    INSERT INTO node_visits AS present (organization_id, conversation_id, number, flow, node_id, entered_at,
        left_at, exit, changes, error, usage)
    SELECT $2::uuid, $1::uuid, v.number, v.flow, v.node_id, v.entered_at, v.left_at, v.exit,
        v.changes, v.error, v.usage
    FROM jsonb_to_recordset($3::jsonb->'visits') AS v(
        number int, flow text, node_id text, entered_at timestamptz, left_at timestamptz, exit text,
        changes jsonb, error text, usage jsonb)
    ON CONFLICT (conversation_id, number) DO UPDATE SET
        left_at = EXCLUDED.left_at, exit = EXCLUDED.exit, changes = EXCLUDED.changes, error = EXCLUDED.error,
        usage = EXCLUDED.usage
    WHERE present.left_at IS NULL
        AND (present.left_at, present.exit, present.changes, present.error, present.usage) IS DISTINCT FROM
            (EXCLUDED.left_at, EXCLUDED.exit, EXCLUDED.changes, EXCLUDED.error, EXCLUDED.usage)
    RETURNING CASE WHEN left_at IS NOT NULL THEN
        coalesce((usage->>'input_tokens')::bigint, 0) + coalesce((usage->>'output_tokens')::bigint, 0)
        ELSE 0 END AS tokens
), answered AS (
    INSERT INTO replies (organization_id, conversation_id, message_id, body_hash, reply)
    SELECT $2::uuid, $1::uuid, a.value->>'message_id', a.value->>'body_hash', a.value
    FROM jsonb_array_elements($3::jsonb->'replies') AS a
    ON CONFLICT (conversation_id, message_id) DO NOTHING
), streamed AS (
    DELETE FROM stream_texts WHERE stream_id = ANY($4::text[])
), added AS (
    SELECT (SELECT count(*) FROM conversation WHERE is_new) AS conversations,
        (SELECT count(*) FROM said) AS messages,
        (SELECT coalesce(sum(tokens), 0) FROM visited) AS tokens
), used AS (
    INSERT INTO usage_deltas (id, organization_id, month, conversations, messages, tokens)
    SELECT $5::uuid, $2::uuid, date_trunc('month', now() AT TIME ZONE 'UTC')::date,
        conversations, messages, tokens
    FROM added
    WHERE $3::jsonb->'record'->>'mode' = 'live' AND conversations + messages + tokens > 0
)
SELECT (SELECT count(*) FROM said) AS messages, (SELECT count(*) FROM visited) AS visits
"""

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""An escaped NUL in JSON, which PostgreSQL's text can't hold; an escaped backslash before `u0000` is none."""


async def write_transcript(database: Database, flush: Flush) -> Flushed:
    """Write the batch; return how many rows were new or changed. Repeating it changes nothing.

    Raises NotFoundError when the bot or flow version is gone (or belongs to another organization), and
    UnavailableError when PostgreSQL can't be reached.
    """
    record = flush.record
    try:
        async with database.statement() as connection:
            row = await connection.fetchrow(
                _WRITE,
                UUID(record.conversation_id),
                UUID(record.organization_id),
                encode(flush),
                [message.stream_id for message in flush.messages if message.stream_id is not None],
                uuid7(),
            )
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFoundError(
            f"Conversation {record.conversation_id} can't be stored: its bot or flow version is gone."
        ) from error
    return Flushed(messages=row["messages"], visits=row["visits"])


def encode(flush: Flush) -> str:
    """The batch as the statement reads it: JSON without NUL, each message with its plain text."""
    data = to_json(
        {
            "record": flush.record,
            "messages": [_message(message) for message in flush.messages],
            "visits": list(_newest(flush.visits).values()),
            "replies": flush.replies,
        },
        inf_nan_mode="null",
    )
    if b"\\u0000" in data:
        data = _NUL.sub(rb"\1\\ufffd", data)
    return data.decode()


def _message(message: Message) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if message.stream_id is not None:
        details["stream_id"] = message.stream_id
    if message.typing_seconds:
        details["typing_seconds"] = message.typing_seconds
    if message.usage is not None:
        details["usage"] = message.usage
    return {
        "id": uuid7(),
        "seq": message.seq,
        "role": message.role,
        "plain": plain_text(message.content),
        "content": message.content,
        "details": details,
        "client_message_id": message.client_message_id,
        "reply_to": message.reply_to,
        "node_id": message.node_id,
        "agent": message.agent,
        "created_at": message.created_at,
    }


def _newest(visits: list[Visit]) -> dict[int, Visit]:
    """One entry a visit: a statement may not touch a row twice. What says that it was left wins."""
    newest: dict[int, Visit] = {}
    for visit in visits:
        earlier = newest.get(visit.number)
        if earlier is None or earlier.left_at is None:
            newest[visit.number] = visit
    return newest
