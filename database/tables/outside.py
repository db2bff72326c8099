"""What conversations exchange with the outside: callbacks, files, e-mail.

These rows may precede the first flush of their conversation, so they name it without a foreign key.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from database.columns import Row, belongs_to, identifier, long_text, moment, organization_key


class Callback(Row, table=True):
    """A one-time address that a conversation waits on; only the token's hash is kept."""

    __tablename__ = "callbacks"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_callbacks_conversation_id", "conversation_id"),
    )

    organization_id: UUID = Field(foreign_key="organizations.id", ondelete="CASCADE", primary_key=True)
    id: str = Field(primary_key=True, sa_type=Text)
    conversation_id: UUID
    token_hash: str = Field(max_length=64)
    expires_at: datetime = moment(default_now=False)
    used_at: datetime | None = moment(default_now=False, nullable=True)
    created_at: datetime = moment()


class StoredFile(Row, table=True):
    """An uploaded file; its bytes lie in the file storage under `storage_key`."""

    __tablename__ = "files"
    __table_args__ = (
        belongs_to("chatbots", "chatbot_id", ondelete="CASCADE"),
        UniqueConstraint("storage_key"),
        CheckConstraint("uploaded_by IN ('user', 'agent')", name="uploaded_by"),
        CheckConstraint("size >= 0", name="size"),
        Index("ix_files_conversation_id", "conversation_id"),
        Index("ix_files_organization_id_chatbot_id", "organization_id", "chatbot_id"),
    )

    id: UUID = identifier()
    organization_id: UUID
    chatbot_id: UUID
    conversation_id: UUID
    name: str = Field(max_length=255)
    media_type: str = Field(max_length=255)
    size: int = Field(sa_type=BigInteger)
    sha256: str = Field(max_length=64)
    storage_key: str = long_text()
    uploaded_by: str = Field(default="user", max_length=20)
    created_at: datetime = moment()


class SentEmail(Row, table=True):
    """An e-mail that would have been sent, kept for reading where no SMTP server is configured."""

    __tablename__ = "sent_emails"
    __table_args__ = (UniqueConstraint("organization_id", "message_id"),)

    id: UUID = identifier()
    organization_id: UUID = organization_key()
    message_id: str = long_text()
    to: list[str] = Field(sa_type=ARRAY(Text), nullable=False)  # type: ignore[call-overload, unused-ignore]
    subject: str = long_text()
    text: str = long_text()
    html: str | None = long_text(nullable=True)
    created_at: datetime = moment()
