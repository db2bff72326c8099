"""How people prove who they are: sessions, refresh tokens, mailed links, backup codes, failed attempts.

These rows belong to a person, not to an organization.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from database.columns import Row, identifier, long_text, moment


class UserSession(Row, table=True):
    """A place where somebody is signed in, and the organization that they work in there."""

    __tablename__ = "user_sessions"
    __table_args__ = (
        CheckConstraint("kind IN ('token', 'cookie')", name="kind"),
        UniqueConstraint("cookie_hash"),
        Index("ix_user_sessions_user_id", "user_id"),
    )

    id: UUID = identifier()
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    organization_id: UUID | None = Field(default=None, foreign_key="organizations.id", ondelete="SET NULL")
    kind: str = Field(max_length=10)
    bound: bool = Field(default=False, sa_column_kwargs={"server_default": sql("false")})
    """Made by the organization's provider: good in that organization alone."""
    cookie_hash: str | None = Field(default=None, max_length=64)
    address: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    user_agent: str = Field(default="", max_length=300, sa_column_kwargs={"server_default": ""})
    created_at: datetime = moment()
    last_used_at: datetime = moment()
    expires_at: datetime = moment(default_now=False)
    ended_at: datetime | None = moment(default_now=False, nullable=True)
    end_reason: str | None = Field(default=None, max_length=40)


class RefreshToken(Row, table=True):
    """One link of a session's chain of refresh tokens; only the hash is kept, each is good once."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_refresh_tokens_session_id", "session_id"),
    )

    id: UUID = identifier()
    session_id: UUID = Field(foreign_key="user_sessions.id", ondelete="CASCADE")
    token_hash: str = Field(max_length=64)
    created_at: datetime = moment()
    used_at: datetime | None = moment(default_now=False, nullable=True)


class AccountToken(Row, table=True):
    """The secret part of a mailed link; only its hash is kept."""

    __tablename__ = "account_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        CheckConstraint("purpose IN ('verify', 'reset')", name="purpose"),
        Index("ix_account_tokens_user_id", "user_id"),
    )

    id: UUID = identifier()
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    purpose: str = Field(max_length=10)
    token_hash: str = Field(max_length=64)
    created_at: datetime = moment()
    expires_at: datetime = moment(default_now=False)
    used_at: datetime | None = moment(default_now=False, nullable=True)


class BackupCode(Row, table=True):
    """A code that stands in for the second factor, once; only its hash is kept."""

    __tablename__ = "backup_codes"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"),)

    id: UUID = identifier()
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    code_hash: str = Field(max_length=64)
    created_at: datetime = moment()
    used_at: datetime | None = moment(default_now=False, nullable=True)


class SignInFailure(Row, table=True):
    """How often somebody failed to sign in of late; `key_hash` stands for an account, an address or both."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (Index("ix_sign_in_failures_last_at", "last_at"),)

    key_hash: str = Field(max_length=64, primary_key=True)
    failures: int = Field(sa_column_kwargs={"server_default": sql("0")}, default=0)
    last_at: datetime = moment()
    blocked_until: datetime | None = moment(default_now=False, nullable=True)


class AccountEmail(Row, table=True):
    """An e-mail about an account, waiting to be sent or to be read where no SMTP server is configured.

    `body` is encrypted, since it holds a link that signs in; it is emptied once the e-mail is sent.
    """

    __tablename__ = "account_emails"
    __table_args__ = (
        Index(
            "ix_account_emails_next_at",
            "next_at",
            postgresql_where=sql("sent_at IS NULL AND failed_at IS NULL"),
        ),
    )

    id: UUID = identifier()
    to: str = Field(max_length=320)
    subject: str = long_text()
    body: str = long_text()
    created_at: datetime = moment()
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": sql("0")})
    next_at: datetime = moment()
    sent_at: datetime | None = moment(default_now=False, nullable=True)
    failed_at: datetime | None = moment(default_now=False, nullable=True)
    error: str | None = long_text(nullable=True)
