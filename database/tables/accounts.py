"""People and the organizations they work in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from database.columns import Row, identifier, json_object, long_text, moment, organization_key


class User(Row, table=True):
    """A member of the team. `password_hash` is a password hash; the second factor's secret is encrypted.

    An account that signs in through its organization's provider alone has no password: its hash fits none.
    """

    __tablename__ = "users"
    __table_args__ = (Index("idx_users_email", "email", unique=True),)

    id: UUID = identifier()
    email: str = Field(max_length=255)
    password_hash: str = Field(max_length=255)
    first_name: str = Field(max_length=100)
    last_name: str = Field(max_length=100)
    phone: str | None = Field(default=None, max_length=20)
    avatar_url: str | None = Field(default=None, max_length=500)
    is_active: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    email_verified: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    two_factor_enabled: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    two_factor_secret: str | None = long_text(nullable=True)
    """Encrypted by `core.crypto`."""
    two_factor_step: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": sql("0")})
    """The time step of the last code that was taken: no code is good twice."""
    language: str = Field(default="es", max_length=2, sa_column_kwargs={"server_default": "es"})
    last_login: datetime | None = moment(default_now=False, nullable=True)
    date_joined: datetime = moment()
    updated_at: datetime = moment()


class Organization(Row, table=True):
    """A tenant."""

    __tablename__ = "organizations"
    __table_args__ = (Index("idx_organizations_slug", "slug", unique=True),)

    id: UUID = identifier()
    name: str = Field(max_length=200)
    slug: str = Field(max_length=100)
    description: str | None = long_text(nullable=True)
    website: str | None = Field(default=None, max_length=500)
    industry: str | None = Field(default=None, max_length=50)
    company_size: str | None = Field(default=None, max_length=20)
    country: str | None = Field(default=None, max_length=2)
    timezone: str = Field(default="UTC", max_length=50, sa_column_kwargs={"server_default": "UTC"})
    subscription_plan: str = Field(default="free", max_length=20, sa_column_kwargs={"server_default": "free"})
    owner_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    settings: dict[str, Any] = json_object()
    created_at: datetime = moment()
    updated_at: datetime = moment()


class OrganizationMember(Row, table=True):
    """Who works in an organization, as what."""

    __tablename__ = "organization_members"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id"),
        CheckConstraint("role IN ('owner', 'admin', 'editor', 'agent', 'viewer', 'member')", name="role"),
        Index("ix_organization_members_user_id", "user_id"),
    )

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    role: str = Field(default="member", max_length=20, sa_column_kwargs={"server_default": "member"})
    permissions: dict[str, Any] = json_object()
    """Single grants beyond the role: `{"secrets.write": true}`."""
    invited_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    joined_at: datetime = moment()
