"""Published flows: immutable, numbered within a bot and slug."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import NotFoundError, UnprocessableError
from database.repositories.chatbots import MAIN_FLOW
from database.tables import Chatbot, FlowVersion
from flow_schema.flow import Flow, canonical_json, content_hash
from flow_schema.references import flows_used


@dataclass(frozen=True)
class FlowVersionRepository:
    """The flow versions of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def publish(
        self,
        chatbot_id: UUID,
        flow: Flow,
        *,
        flow_slug: str = MAIN_FLOW,
        name: str | None = None,
        note: str | None = None,
        created_by: UUID | None = None,
    ) -> FlowVersion:
        """Store the flow under the next number. The caller has validated it.

        Raises NotFoundError without such a bot, UnprocessableError for a text that holds NUL characters.
        """
        data = canonical_json(flow)
        if "\0" in data.decode() or b"\\u0000" in data:
            raise UnprocessableError("The flow holds a NUL character, which can't be stored.")
        bot = select(Chatbot.id).where(
            Chatbot.organization_id == self.organization_id, Chatbot.id == chatbot_id
        )
        if (await self.session.exec(bot.with_for_update())).one_or_none() is None:
            raise NotFoundError(f"There is no bot {chatbot_id}.")
        newest = select(func.max(FlowVersion.number)).where(
            FlowVersion.chatbot_id == chatbot_id, FlowVersion.flow_slug == flow_slug
        )
        version = FlowVersion(
            organization_id=self.organization_id,
            chatbot_id=chatbot_id,
            flow_slug=flow_slug,
            number=((await self.session.exec(newest)).one() or 0) + 1,
            name=name or flow.name,
            note=note,
            flow=from_json(data),
            content_hash=content_hash(flow),
            created_by=created_by,
        )
        self.session.add(version)
        await self.session.flush()
        await self.session.refresh(version)
        return version

    async def list(
        self,
        chatbot_id: UUID,
        *,
        flow_slug: str | None = None,
        limit: int = 50,
        before: UUID | None = None,
    ) -> list[FlowVersion]:
        """Newest first; `before` is the id of the last one seen."""
        query = select(FlowVersion).where(
            FlowVersion.organization_id == self.organization_id, FlowVersion.chatbot_id == chatbot_id
        )
        if flow_slug is not None:
            query = query.where(FlowVersion.flow_slug == flow_slug)
        if before is not None:
            query = query.where(col(FlowVersion.id) < before)
        return [*await self.session.exec(query.order_by(col(FlowVersion.id).desc()).limit(limit))]

    async def get(self, version_id: UUID) -> FlowVersion:
        """Raises NotFoundError."""
        found = await self._find(FlowVersion.id == version_id)
        if found is None:
            raise NotFoundError(f"There is no flow version {version_id}.")
        return found

    async def get_by_number(self, chatbot_id: UUID, number: int, flow_slug: str = MAIN_FLOW) -> FlowVersion:
        """Raises NotFoundError."""
        found = await self._find(
            FlowVersion.chatbot_id == chatbot_id,
            FlowVersion.flow_slug == flow_slug,
            FlowVersion.number == number,
        )
        if found is None:
            raise NotFoundError(f"There is no version {number} of flow `{flow_slug}`.")
        return found

    async def latest(self, chatbot_id: UUID, flow_slug: str = MAIN_FLOW) -> FlowVersion | None:
        """The newest version of that flow, or None when it was never published."""
        query = select(FlowVersion).where(
            FlowVersion.organization_id == self.organization_id,
            FlowVersion.chatbot_id == chatbot_id,
            FlowVersion.flow_slug == flow_slug,
        )
        found = await self.session.exec(query.order_by(col(FlowVersion.number).desc()).limit(1))
        return found.one_or_none()

    async def slugs(self, chatbot_id: UUID) -> set[str]:
        """The names of all flows of a bot that were ever published."""
        query = select(FlowVersion.flow_slug).where(
            FlowVersion.organization_id == self.organization_id, FlowVersion.chatbot_id == chatbot_id
        )
        return {*await self.session.exec(query.distinct())}

    async def load_with_sub_flows(
        self, version_id: UUID, pinned: Mapping[str, UUID] | None = None
    ) -> dict[str, tuple[FlowVersion, Flow]]:
        """The version as `main` and every flow that it runs, however deep, by slug.

        A sub-flow is the version in `pinned` if it is named there, else the newest. Raises NotFoundError
        that names a flow that was never published.
        """
        main = await self.get(version_id)
        loaded = {MAIN_FLOW: (main, Flow.model_validate(main.flow))}
        pending = flows_used(loaded[MAIN_FLOW][1])
        while missing := sorted(pending - loaded.keys()):
            pending = set()
            for slug in missing:
                version = await self._sub_flow(main.chatbot_id, slug, (pinned or {}).get(slug))
                flow = Flow.model_validate(version.flow)
                loaded[slug] = (version, flow)
                pending |= flows_used(flow)
        return loaded

    async def _sub_flow(self, chatbot_id: UUID, slug: str, version_id: UUID | None) -> FlowVersion:
        if version_id is None:
            found = await self.latest(chatbot_id, slug)
        else:
            found = await self._find(
                FlowVersion.id == version_id,
                FlowVersion.chatbot_id == chatbot_id,
                FlowVersion.flow_slug == slug,
            )
        if found is None:
            raise NotFoundError(f"The flow `{slug}` is used but was never published in this bot.")
        return found

    async def _find(self, *conditions: Any) -> FlowVersion | None:
        query = select(FlowVersion).where(FlowVersion.organization_id == self.organization_id, *conditions)
        return (await self.session.exec(query)).one_or_none()
