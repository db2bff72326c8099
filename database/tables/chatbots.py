"""Bots, what they run, and what their flows refer to by name."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Numeric, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from database.columns import (
    Row,
    belongs_to,
    identifier,
    json_object,
    long_text,
    moment,
    organization_key,
    unique_in_organization,
)


class Chatbot(Row, table=True):
    """A bot. New conversations run `deployed_version_id`; without one the bot can't be talked to."""

    __tablename__ = "chatbots"
    __table_args__ = (
        UniqueConstraint("organization_id", "slug"),
        unique_in_organization(),
        ForeignKeyConstraint(
            ["organization_id", "id", "deployed_version_id"],
            ["flow_versions.organization_id", "flow_versions.chatbot_id", "flow_versions.id"],
            ondelete="SET NULL (deployed_version_id)",
            use_alter=True,
        ),
        CheckConstraint("status IN ('draft', 'active', 'inactive', 'archived')", name="status"),
        Index("idx_chatbots_org_status", "organization_id", "status"),
    )

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    name: str = Field(max_length=200)
    description: str | None = long_text(nullable=True)
    slug: str = Field(max_length=100)
    status: str = Field(default="draft", max_length=20, sa_column_kwargs={"server_default": "draft"})
    ai_model: str | None = Field(
        default=None, max_length=100, sa_column_kwargs={"server_default": "llama3-8b-8192"}
    )
    system_prompt: str | None = long_text(nullable=True)
    temperature: Decimal | None = Field(
        default=Decimal("0.7"),
        sa_type=Numeric(3, 2),  # type: ignore[call-overload, unused-ignore]
        sa_column_kwargs={"server_default": sql("0.7")},
    )
    max_tokens: int | None = Field(default=1000, sa_column_kwargs={"server_default": sql("1000")})
    personality: str | None = Field(
        default="professional", max_length=50, sa_column_kwargs={"server_default": "professional"}
    )
    language: str = Field(default="es", max_length=35, sa_column_kwargs={"server_default": "es"})
    use_case: str | None = Field(default=None, max_length=50)
    config: dict[str, Any] = json_object()
    created_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    created_at: datetime = moment()
    updated_at: datetime = moment()
    deployed_version_id: UUID | None = Field(default=None)


class FlowVersion(Row, table=True):
    """One published flow. A trigger refuses to change it; `number` counts from 1 within a bot and slug."""

    __tablename__ = "flow_versions"
    __table_args__ = (
        UniqueConstraint("chatbot_id", "flow_slug", "number"),
        UniqueConstraint("organization_id", "chatbot_id", "id"),
        unique_in_organization(),
        belongs_to("chatbots", "chatbot_id", ondelete="CASCADE"),
        CheckConstraint("number >= 1", name="number"),
    )

    id: UUID = identifier()
    organization_id: UUID
    chatbot_id: UUID
    flow_slug: str = Field(default="main", max_length=64, sa_column_kwargs={"server_default": "main"})
    number: int
    name: str = Field(max_length=200)
    note: str | None = long_text(nullable=True)
    flow: dict[str, Any] = Field(sa_type=JSONB)
    content_hash: str = Field(max_length=64)
    created_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    created_at: datetime = moment()


class Secret(Row, table=True):
    """A value that flows name and never show; encrypted by `core.crypto`."""

    __tablename__ = "secrets"
    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    name: str = Field(max_length=64)
    ciphertext: str = long_text()
    created_at: datetime = moment()
    updated_at: datetime = moment()


class ResponseTemplate(Row, table=True):
    """A reusable text: a string, or a map of language to string."""

    __tablename__ = "response_templates"
    __table_args__ = (UniqueConstraint("organization_id", "slug"),)

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    slug: str = Field(max_length=64)
    text: Any = Field(sa_type=JSONB, nullable=False)
    created_at: datetime = moment()
    updated_at: datetime = moment()
