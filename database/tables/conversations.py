"""The read model of conversations. Temporal holds the truth; `transcript_writer` copies it here."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from database.columns import (
    Row,
    belongs_to,
    identifier,
    json_object,
    json_or_null,
    long_text,
    moment,
    unique_in_organization,
)


class ConversationRow(Row, table=True):
    """A conversation as of its newest flush; the row appears with the first one."""

    __tablename__ = "conversations"
    __table_args__ = (
        unique_in_organization(),
        belongs_to("chatbots", "chatbot_id", ondelete="CASCADE"),
        belongs_to("flow_versions", "flow_version_id"),
        CheckConstraint("satisfaction_rating >= 1 AND satisfaction_rating <= 5", name="satisfaction_rating"),
        CheckConstraint("status IN ('active', 'waiting', 'escalated', 'stuck', 'ended')", name="status"),
        CheckConstraint("mode IN ('live', 'test')", name="mode"),
        Index("idx_conversations_chatbot_status", "chatbot_id", "status"),
        Index("idx_conversations_started_at", "started_at"),
        Index("ix_conversations_organization_id_flow_version_id", "organization_id", "flow_version_id"),
    )

    id: UUID = identifier()
    organization_id: UUID
    chatbot_id: UUID
    flow_version_id: UUID
    mode: str = Field(default="live", max_length=8, sa_column_kwargs={"server_default": "live"})
    session_id: str = Field(max_length=100)
    user_identifier: str | None = Field(default=None, max_length=255)
    user_metadata: dict[str, Any] = json_object()
    status: str = Field(default="active", max_length=20, sa_column_kwargs={"server_default": "active"})
    language: str = Field(default="es", max_length=35, sa_column_kwargs={"server_default": "es"})
    satisfaction_rating: int | None = Field(default=None, sa_type=SmallInteger)
    feedback: str | None = long_text(nullable=True)
    started_at: datetime = moment()
    ended_at: datetime | None = moment(default_now=False, nullable=True)
    last_activity: datetime = moment()
    last_seq: int = Field(default=0, sa_column_kwargs={"server_default": sql("0")})
    tags: list[str] = Field(
        default_factory=list,
        nullable=False,
        sa_type=ARRAY(Text),  # type: ignore[call-overload, unused-ignore]
        sa_column_kwargs={"server_default": sql("'{}'::text[]")},
    )
    waiting: dict[str, Any] | None = json_or_null()
    variables: dict[str, Any] = json_object()
    """Personal values masked."""
    agent_id: str | None = long_text(nullable=True)
    escalation: dict[str, Any] | None = json_or_null()


class MessageRow(Row, table=True):
    """An entry of a transcript. `content` is its plain text, `body` the whole content."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        belongs_to("conversations", "conversation_id", ondelete="CASCADE"),
        CheckConstraint("role IN ('user', 'assistant', 'agent', 'system')", name="role"),
        CheckConstraint("seq >= 1", name="seq"),
        Index("idx_messages_conversation_created", "conversation_id", "created_at"),
    )

    id: UUID = identifier()
    organization_id: UUID
    conversation_id: UUID
    seq: int
    role: str = Field(max_length=20)
    content: str = long_text()
    body: dict[str, Any] = Field(sa_type=JSONB)
    details: dict[str, Any] = json_object("metadata")
    """Column `metadata`: `stream_id`, `typing_seconds` and `usage`, where there are any."""
    client_message_id: str | None = long_text(nullable=True)
    reply_to: str | None = long_text(nullable=True)
    node_id: str | None = long_text(nullable=True)
    agent: dict[str, Any] | None = json_or_null()
    created_at: datetime = moment()


class NodeVisit(Row, table=True):
    """A passage through a node; written on arrival, completed once on leaving."""

    __tablename__ = "node_visits"
    __table_args__ = (belongs_to("conversations", "conversation_id", ondelete="CASCADE"),)

    conversation_id: UUID = Field(primary_key=True)
    number: int = Field(primary_key=True)
    organization_id: UUID
    flow: str = long_text()
    node_id: str = long_text()
    entered_at: datetime = moment(default_now=False)
    left_at: datetime | None = moment(default_now=False, nullable=True)
    exit: str | None = long_text(nullable=True)
    changes: dict[str, Any] = json_object()
    error: str | None = long_text(nullable=True)
    usage: dict[str, Any] | None = json_or_null()
    """What its language model calls took: `flow_schema.turns.ModelUsage`."""


class Reply(Row, table=True):
    """What answers a repeated input once the workflow is gone: `flow_schema.effects.StoredReply`."""

    __tablename__ = "replies"
    __table_args__ = (belongs_to("conversations", "conversation_id", ondelete="CASCADE"),)

    conversation_id: UUID = Field(primary_key=True)
    message_id: str = Field(primary_key=True, sa_type=Text)
    organization_id: UUID
    body_hash: str = long_text()
    reply: dict[str, Any] = Field(sa_type=JSONB)


class StreamTextRow(Row, table=True):
    """The text so far of an answer that is being streamed; unlogged, since the result is the truth.

    Without an organization of its own: reached by a conversation's id alone, which the reader was allowed
    to see before. It may precede the conversation's row.
    """

    __tablename__ = "stream_texts"
    __table_args__ = (
        Index("ix_stream_texts_conversation_id", "conversation_id"),
        {"prefixes": ["UNLOGGED"]},
    )

    stream_id: str = Field(primary_key=True, sa_type=Text)
    conversation_id: UUID
    attempt: int
    text: str = long_text()
    updated_at: datetime = moment()
