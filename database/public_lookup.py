"""The few look-ups of callers whose organization is not known yet.

A widget knows a bot's id, an external system a callback's token, a program its API key, a mailed link an
invitation's token, a link a conversation's or a file's id, the bootstrap API key the first organization's
slug. Each answers with the row whose `organization_id`
scopes everything after it; whether the caller may go on is for the caller of these functions to decide.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.ids import uuid7
from database.tables import (
    ApiKey,
    Callback,
    Chatbot,
    ConversationRow,
    Invitation,
    Organization,
    SsoAttempt,
    StoredFile,
)


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
    """The organization of that slug, made if it isn't there; an installation's own has no limits."""
    statement = insert(Organization).values(
        {"id": uuid7(), "slug": slug, "name": name, "subscription_plan": "unlimited"}
    )
    await session.exec(statement.on_conflict_do_nothing(index_elements=["slug"]))
    found = await organization_by_slug(session, slug)
    assert found is not None
    return found


async def create_organization(session: AsyncSession, **fields: Any) -> Organization | None:
    """A new organization; None when the slug is taken."""
    statement = insert(Organization).values({"id": uuid7(), **fields})
    once = statement.on_conflict_do_nothing(index_elements=["slug"]).returning(Organization)
    created: Organization | None = (await session.exec(once)).scalar_one_or_none()
    return created


async def api_key_of_hash(session: AsyncSession, key_hash: str) -> ApiKey | None:
    """The live API key of that hash."""
    query = select(ApiKey).where(
        ApiKey.key_hash == key_hash,
        col(ApiKey.revoked_at).is_(None),
        col(ApiKey.expires_at).is_(None) | (col(ApiKey.expires_at) > func.now()),
    )
    return (await session.exec(query)).one_or_none()


async def invitation_of_token(session: AsyncSession, token_hash: str) -> Invitation | None:
    """The invitation that a mailed link names, while it is open."""
    query = select(Invitation).where(
        Invitation.token_hash == token_hash,
        col(Invitation.accepted_at).is_(None),
        col(Invitation.expires_at) > func.now(),
    )
    return (await session.exec(query)).one_or_none()


async def accept_invitation(session: AsyncSession, invitation_id: UUID) -> bool:
    """Use up an invitation; False when somebody else did."""
    statement = update(Invitation).where(
        col(Invitation.id) == invitation_id, col(Invitation.accepted_at).is_(None)
    )
    statement = statement.values(accepted_at=func.now()).returning(col(Invitation.id))
    return (await session.exec(statement)).first() is not None


async def take_sso_attempt(session: AsyncSession, state_hash: str) -> SsoAttempt | None:
    """Use up a sign-in that comes back from its provider; None when it is unknown or over."""
    statement = delete(SsoAttempt).where(
        col(SsoAttempt.state_hash) == state_hash, col(SsoAttempt.expires_at) > func.now()
    )
    taken: SsoAttempt | None = (await session.exec(statement.returning(SsoAttempt))).scalar_one_or_none()
    return taken
