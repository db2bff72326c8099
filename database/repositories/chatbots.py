"""Bots and the reusable texts of an organization."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import ConflictError, NotFoundError
from core.ids import uuid7
from database.tables import Chatbot, FlowVersion, ResponseTemplate

MAIN_FLOW = "main"


@dataclass(frozen=True)
class ChatbotRepository:
    """The bots of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def list(self, *, limit: int = 50, before: UUID | None = None) -> list[Chatbot]:
        """Newest first; `before` is the id of the last one seen."""
        query = select(Chatbot).where(Chatbot.organization_id == self.organization_id)
        if before is not None:
            query = query.where(col(Chatbot.id) < before)
        return [*await self.session.exec(query.order_by(col(Chatbot.id).desc()).limit(limit))]

    async def get(self, chatbot_id: UUID) -> Chatbot:
        """Raises NotFoundError."""
        found = await self._find(Chatbot.id == chatbot_id)
        if found is None:
            raise NotFoundError(f"There is no bot {chatbot_id}.")
        return found

    async def get_by_slug(self, slug: str) -> Chatbot | None:
        return await self._find(Chatbot.slug == slug)

    async def create(
        self,
        *,
        name: str,
        slug: str,
        description: str | None = None,
        language: str = "es",
        ai_model: str | None = None,
        system_prompt: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        config: dict[str, Any] | None = None,
        chatbot_id: UUID | None = None,
        created_by: UUID | None = None,
    ) -> Chatbot:
        """A new bot in draft. Raises ConflictError when the slug or the id is taken."""
        row = {
            "id": chatbot_id or uuid7(),
            "organization_id": self.organization_id,
            "name": name,
            "slug": slug,
            "description": description,
            "language": language,
            "ai_model": ai_model,
            "system_prompt": system_prompt,
            "temperature": None if temperature is None else Decimal(str(temperature)),
            "max_tokens": max_tokens,
            "config": config or {},
            "created_by": created_by,
        }
        statement = insert(Chatbot).values(row).on_conflict_do_nothing().returning(Chatbot)
        created: Chatbot | None = (await self.session.exec(statement)).scalar_one_or_none()
        if created is None:
            raise ConflictError(f"There is a bot `{slug}` already.")
        return created

    async def deploy(self, chatbot_id: UUID, version_id: UUID) -> Chatbot:
        """New conversations run that version from now on; running ones keep theirs.

        Raises NotFoundError, and ConflictError for a version of another bot or of a sub-flow.
        """
        bot = await self.get(chatbot_id)
        version = (
            await self.session.exec(
                select(FlowVersion.chatbot_id, FlowVersion.flow_slug).where(
                    FlowVersion.organization_id == self.organization_id, FlowVersion.id == version_id
                )
            )
        ).one_or_none()
        if version is None:
            raise NotFoundError(f"There is no flow version {version_id}.")
        if version != (chatbot_id, MAIN_FLOW):
            raise ConflictError(f"Version {version_id} is not a main flow of this bot.")
        bot.deployed_version_id = version_id
        bot.status = "active"
        bot.updated_at = datetime.now(UTC)
        self.session.add(bot)
        await self.session.flush()
        await self.session.refresh(bot)
        return bot

    async def _find(self, condition: Any) -> Chatbot | None:
        query = select(Chatbot).where(Chatbot.organization_id == self.organization_id, condition)
        return (await self.session.exec(query)).one_or_none()


@dataclass(frozen=True)
class ResponseTemplateRepository:
    """The reusable texts of one organization: a string, or a map of language to string, by slug."""

    session: AsyncSession
    organization_id: UUID

    async def list(self) -> dict[str, Any]:
        """All texts by slug."""
        query = select(ResponseTemplate).where(ResponseTemplate.organization_id == self.organization_id)
        found = await self.session.exec(query.order_by(ResponseTemplate.slug))
        return {row.slug: row.text for row in found}

    async def texts(self, slugs: set[str]) -> dict[str, Any]:
        """Those of `slugs` that exist."""
        query = select(ResponseTemplate).where(
            ResponseTemplate.organization_id == self.organization_id, col(ResponseTemplate.slug).in_(slugs)
        )
        return {row.slug: row.text for row in await self.session.exec(query)}

    async def set(self, slug: str, text: str | dict[str, str]) -> None:
        """Add or replace."""
        row = {"id": uuid7(), "organization_id": self.organization_id, "slug": slug, "text": text}
        statement = insert(ResponseTemplate).values(row)
        await self.session.exec(
            statement.on_conflict_do_update(
                index_elements=["organization_id", "slug"],
                set_={"text": statement.excluded.text, "updated_at": func.now()},
            )
        )

    async def delete(self, slug: str) -> bool:
        """Whether there was one."""
        statement = delete(ResponseTemplate).where(
            col(ResponseTemplate.organization_id) == self.organization_id, col(ResponseTemplate.slug) == slug
        )
        gone = await self.session.exec(statement.returning(col(ResponseTemplate.id)))
        return gone.first() is not None
