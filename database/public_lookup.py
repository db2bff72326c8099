"""The few look-ups of callers whose organization is not known yet.

A widget knows a bot's id, an external system a callback's token, a link a conversation's or a file's id,
the bootstrap API key the first organization's slug. Each answers with the row whose `organization_id`
scopes everything after it; whether the caller may go on is for the caller of these functions to decide.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.ids import uuid7
from database.tables import Callback, Chatbot, ConversationRow, Organization, StoredFile


async def chatbot_of_widget(session: AsyncSession, chatbot_id: UUID) -> Chatbot | None:
    """The bot that a widget names."""
    return (await session.exec(select(Chatbot).where(Chatbot.id == chatbot_id))).one_or_none()


async def callback_of_token(session: AsyncSession, token_hash: str) -> Callback | None:
    """The callback of a token, used and expired ones too; `token_hash` by `core.crypto.token_hash`."""
    return (await session.exec(select(Callback).where(Callback.token_hash == token_hash))).one_or_none()


async def organization_of_conversation(session: AsyncSession, conversation_id: UUID) -> UUID | None:
    """Whose conversation it is, once it has been flushed."""
    query = select(ConversationRow.organization_id).where(ConversationRow.id == conversation_id)
    return (await session.exec(query)).one_or_none()


async def file_of_link(session: AsyncSession, file_id: UUID) -> StoredFile | None:
    """The file that a signed link names; the caller has checked the signature."""
    return (await session.exec(select(StoredFile).where(StoredFile.id == file_id))).one_or_none()


async def organization_by_slug(session: AsyncSession, slug: str) -> Organization | None:
    """The organization of that slug."""
    return (await session.exec(select(Organization).where(Organization.slug == slug))).one_or_none()


async def ensure_organization(session: AsyncSession, *, slug: str, name: str) -> Organization:
    """The organization of that slug, made if it isn't there."""
    statement = insert(Organization).values({"id": uuid7(), "slug": slug, "name": name})
    await session.exec(statement.on_conflict_do_nothing(index_elements=["slug"]))
    found = await organization_by_slug(session, slug)
    assert found is not None
    return found
