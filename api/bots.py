"""Bots as visitors' requests need them, remembered for a moment to spare the database."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from api.fields import looks_like_uuid
from api.organization import FirstOrganization
from core.errors import NotFoundError
from database.database import Database
from database.public_lookup import chatbot_of_widget
from database.repositories import ChatbotRepository, FlowVersionRepository
from database.tables import Chatbot
from flow_schema.flow import Flow
from flow_schema.nodes.start import StartNode, Trigger

_FRESH_SECONDS = 2.0
_MOST_REMEMBERED = 5_000


@dataclass(frozen=True)
class PublishedFlow:
    """What visitors' requests need of a version; versions never change."""

    version_id: UUID
    content_hash: str
    language: str
    languages: tuple[str, ...]
    triggers: tuple[Trigger, ...]


@dataclass(frozen=True)
class Bot:
    """A bot. `flow` is what new conversations run; None: nothing is published."""

    id: UUID
    organization_id: UUID
    slug: str
    name: str
    description: str | None
    active: bool
    flow: PublishedFlow | None

    def deployed(self) -> PublishedFlow:
        """Return what new conversations run. Raises NotFoundError when there is nothing to talk to."""
        if self.flow is None or not self.active:
            raise NotFoundError(f"The bot `{self.slug}` is not published.")
        return self.flow


class BotDirectory:
    """Finds bots by id or slug. What it says may be two seconds old."""

    def __init__(self, database: Database, organization: FirstOrganization) -> None:
        self._database = database
        self._organization = organization
        self._known: OrderedDict[str, tuple[float, Bot]] = OrderedDict()
        self._ids: dict[str, UUID] = {}
        self._flows: OrderedDict[UUID, PublishedFlow] = OrderedDict()

    async def find(self, name: str) -> Bot:
        """Return a bot by id or slug. Raises NotFoundError, UnavailableError."""
        known = self._known.get(name)
        if known is not None and time.monotonic() - known[0] < _FRESH_SECONDS:
            return known[1]
        async with self._database.session() as session:
            bot = await self._load(session, name)
        self._known[name] = (time.monotonic(), bot)
        self._known.move_to_end(name)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        if len(self._ids) > _MOST_REMEMBERED:
            self._ids.clear()
        self._ids[name] = bot.id
        return bot

    async def id_of(self, name: str) -> UUID:
        """Return a bot's id; names keep their meaning, so this asks the database once."""
        known = self._ids.get(name)
        if known is None:
            known = _as_uuid(name) or (await self.find(name)).id
        return known

    async def published(self) -> list[Bot]:
        """Return the first organization's bots that can be talked to, by name; at most 200."""
        organization_id = await self._organization.id()
        async with self._database.session() as session:
            rows = await ChatbotRepository(session, organization_id).list(limit=200)
            bots = [await self._bot(session, row) for row in rows]
        return sorted(
            (bot for bot in bots if bot.active and bot.flow is not None), key=lambda bot: bot.name.casefold()
        )

    def forget(self, *names: object) -> None:
        """Read these bots anew at the next request."""
        for name in names:
            self._known.pop(str(name), None)

    async def _load(self, session: AsyncSession, name: str) -> Bot:
        identifier = _as_uuid(name)
        if identifier is not None:
            row = await chatbot_of_widget(session, identifier)
        else:
            row = await ChatbotRepository(session, await self._organization.id()).get_by_slug(name)
        if row is None or row.status == "archived":
            raise NotFoundError("There is no such bot.")
        return await self._bot(session, row)

    async def _bot(self, session: AsyncSession, row: Chatbot) -> Bot:
        flow = None
        if row.deployed_version_id is not None:
            flow = self._flows.get(row.deployed_version_id)
            if flow is None:
                versions = FlowVersionRepository(session, row.organization_id)
                version = await versions.get(row.deployed_version_id)
                flow = _published(version.id, version.content_hash, Flow.model_validate(version.flow))
                self._flows[version.id] = flow
                while len(self._flows) > _MOST_REMEMBERED:
                    self._flows.popitem(last=False)
        return Bot(
            id=row.id,
            organization_id=row.organization_id,
            slug=row.slug,
            name=row.name,
            description=row.description,
            active=row.status == "active",
            flow=flow,
        )


def _published(version_id: UUID, content_hash: str, flow: Flow) -> PublishedFlow:
    start = next((node for node in flow.nodes if isinstance(node, StartNode)), None)
    return PublishedFlow(
        version_id=version_id,
        content_hash=content_hash,
        language=flow.language,
        languages=tuple(flow.all_languages()),
        triggers=tuple(start.data.triggers) if start is not None else (),
    )


def _as_uuid(name: str) -> UUID | None:
    return UUID(name) if looks_like_uuid(name) else None
