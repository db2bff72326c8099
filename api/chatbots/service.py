"""What is done with bots and their versions."""

from __future__ import annotations

import re
import unicodedata
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from api.chatbots.schemas import ChatbotView, ConversationView, VersionView
from api.dependencies import as_uuid
from api.fields import looks_like_uuid
from core.errors import NotFoundError
from core.ids import short_id
from core.settings import Settings
from database.repositories import ChatbotRepository
from database.tables import Chatbot, ConversationRow, FlowVersion
from flow_schema.turns import ConversationStatus, Waiting


async def find_bot(session: AsyncSession, organization_id: UUID, name: str) -> Chatbot:
    """Return a bot of the organization by id or slug. Raises NotFoundError."""
    bots = ChatbotRepository(session, organization_id)
    if looks_like_uuid(name):
        return await bots.get(as_uuid(name, "bot"))
    found = await bots.get_by_slug(name)
    if found is None:
        raise NotFoundError(f"There is no bot `{name[:64]}`.")
    return found


def slug_from(name: str) -> str:
    """Return a slug for a name: its letters and digits without accents, or a random one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].rstrip("-")
    return slug if slug and not looks_like_uuid(slug) else f"bot-{short_id(6)}"


def chatbot_view(bot: Chatbot, settings: Settings, first_organization: UUID) -> ChatbotView:
    """Return a bot as clients see it; slugs lead to the chat page in the first organization alone."""
    name = bot.slug if bot.organization_id == first_organization else str(bot.id)
    return ChatbotView.model_validate(
        {
            "id": str(bot.id),
            "name": bot.name,
            "slug": bot.slug,
            "description": bot.description,
            "status": bot.status,
            "language": bot.language,
            "ai_model": bot.ai_model,
            "deployed_version_id": str(bot.deployed_version_id) if bot.deployed_version_id else None,
            "chat_url": f"{settings.app_url}/chat/{name}",
            "created_at": bot.created_at,
            "updated_at": bot.updated_at,
        }
    )


def version_view(version: FlowVersion, deployed: UUID | None) -> VersionView:
    """Return a version as clients see it; `deployed` is the bot's deployed version."""
    return VersionView(
        id=str(version.id),
        chatbot_id=str(version.chatbot_id),
        flow_name=version.flow_slug,
        number=version.number,
        name=version.name,
        note=version.note,
        content_hash=version.content_hash,
        deployed=version.id == deployed,
        created_at=version.created_at,
    )


def conversation_view(row: ConversationRow) -> ConversationView:
    """Return a conversation as the tables have it."""
    return ConversationView.model_validate(
        {
            "conversation_id": str(row.id),
            "chatbot_id": str(row.chatbot_id),
            "flow_version_id": str(row.flow_version_id),
            "mode": row.mode,
            "status": ConversationStatus(row.status),
            "language": row.language,
            "waiting": Waiting.model_validate(row.waiting) if row.waiting else None,
            "agent_id": row.agent_id,
            "escalation": row.escalation,
            "tags": row.tags,
            "satisfaction_rating": row.satisfaction_rating,
            "last_seq": row.last_seq,
            "started_at": row.started_at,
            "last_activity": row.last_activity,
            "ended_at": row.ended_at,
        }
    )
