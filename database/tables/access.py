"""How an organization lets others in, and what it has used: keys, invitations, single sign-on, counters."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from database.columns import (
    Row,
    belongs_to,
    identifier,
    json_list,
    json_object,
    long_text,
    moment,
    organization_key,
    unique_in_organization,
)


class ApiKey(Row, table=True):
    """A key for programs. Only its hash is kept; `hint` is the beginning that people know it by."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("key_hash"),
        Index("ix_api_keys_organization_id", "organization_id"),
    )

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    name: str = Field(max_length=100)
    hint: str = Field(max_length=20)
    key_hash: str = Field(max_length=64)
    scopes: list[str] = json_list()
    created_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    created_at: datetime = moment()
    expires_at: datetime | None = moment(default_now=False, nullable=True)
    last_used_at: datetime | None = moment(default_now=False, nullable=True)
    revoked_at: datetime | None = moment(default_now=False, nullable=True)


class Invitation(Row, table=True):
    """Somebody is asked to join; the token of the mailed link is kept as a hash."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index(
            "uq_invitations_open",
            "organization_id",
            "email",
            unique=True,
            postgresql_where=sql("accepted_at IS NULL"),
        ),
    )

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    email: str = Field(max_length=255)
    role: str = Field(max_length=20)
    permissions: dict[str, Any] = json_object()
    token_hash: str = Field(max_length=64)
    invited_by: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    created_at: datetime = moment()
    expires_at: datetime = moment(default_now=False)
    accepted_at: datetime | None = moment(default_now=False, nullable=True)


class SsoProvider(Row, table=True):
    """The OpenID provider through which an organization's members sign in."""

    __tablename__ = "sso_providers"
    __table_args__ = (UniqueConstraint("organization_id"), unique_in_organization())

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    issuer: str = long_text()
    client_id: str = long_text()
    client_secret: str = long_text()
    """Encrypted by `core.crypto`; empty for a public client."""
    domains: list[str] = json_list()
    default_role: str = Field(default="member", max_length=20, sa_column_kwargs={"server_default": "member"})
    creates_accounts: bool = Field(default=True, sa_column_kwargs={"server_default": sql("true")})
    enabled: bool = Field(default=True, sa_column_kwargs={"server_default": sql("true")})
    created_at: datetime = moment()
    updated_at: datetime = moment()


class SsoIdentity(Row, table=True):
    """Who a provider's subject is here."""

    __tablename__ = "sso_identities"
    __table_args__ = (
        UniqueConstraint("provider_id", "subject"),
        belongs_to("sso_providers", "provider_id", ondelete="CASCADE"),
    )

    id: UUID = identifier()
    organization_id: UUID
    provider_id: UUID
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    subject: str = Field(max_length=255)
    created_at: datetime = moment()


class SsoAttempt(Row, table=True):
    """A sign-in that is under way at the provider; good once, in the browser that began it."""

    __tablename__ = "sso_attempts"
    __table_args__ = (
        UniqueConstraint("state_hash"),
        Index("ix_sso_attempts_provider_id", "provider_id"),
        belongs_to("sso_providers", "provider_id", ondelete="CASCADE"),
    )

    id: UUID = identifier()
    organization_id: UUID
    provider_id: UUID
    state_hash: str = Field(max_length=64)
    browser_hash: str = Field(max_length=64)
    nonce: str = Field(max_length=64)
    code_verifier: str = long_text()
    """Encrypted by `core.crypto`."""
    return_to: str = Field(max_length=500)
    created_at: datetime = moment()
    expires_at: datetime = moment(default_now=False)


def _count() -> Any:
    return Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": sql("0")})


class UsageCounter(Row, table=True):
    """What an organization used in a month (its first day, in UTC). Add the deltas not folded in yet."""

    __tablename__ = "usage_counters"

    organization_id: UUID = Field(foreign_key="organizations.id", ondelete="CASCADE", primary_key=True)
    month: date = Field(primary_key=True)
    conversations: int = _count()
    messages: int = _count()
    tokens: int = _count()


class UsageDelta(Row, table=True):
    """What one batch of a transcript added: inserted with it, so that no writer waits for another."""

    __tablename__ = "usage_deltas"
    __table_args__ = (Index("ix_usage_deltas_organization_id", "organization_id"),)

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    month: date
    conversations: int = _count()
    messages: int = _count()
    tokens: int = _count()
