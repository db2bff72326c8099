"""The demo bots: three flows of `cli/demo`, published by the same service as everybody's.

A flow names the demo services by a placeholder address; publishing puts the real one in its place, since the
port is chosen when `versaai up` starts. Seeding again changes nothing unless that address or a flow has
changed, and it never covers a version that somebody else has published over a demo.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from api.flows.publishing import MAIN, publish
from api.organization import FirstOrganization
from core.settings import Settings
from database.database import Database
from database.repositories import ChatbotRepository, FlowVersionRepository
from database.tables import Chatbot

PLACEHOLDER = "http://demo-services.invalid"
DEFAULT_SERVICES = "http://127.0.0.1:8010"
NOTE = "Demo"
"""The note of versions that seeding published; a newest version with another note is somebody's own."""


@dataclass(frozen=True)
class DemoBot:
    """A demo: its flow, and the flows that it runs by their names."""

    slug: str
    file: str
    sub_flows: tuple[str, ...] = ()


DEMO_BOTS = (
    DemoBot("soporte", "support", ("support-order",)),
    DemoBot("presupuestos", "leads"),
    DemoBot("citas", "booking"),
)


@dataclass(frozen=True)
class SeededBot:
    """A demo bot as it now is in the database. `changed` tells whether seeding published anything."""

    name: str
    slug: str
    chatbot_id: UUID
    changed: bool


def demo_flow(name: str, services_url: str) -> dict[str, Any]:
    """The flow document `cli/demo/<name>.json`, with the address of the demo services in it."""
    text = files("cli").joinpath("demo", f"{name}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text.replace(PLACEHOLDER, services_url.rstrip("/")))
    return document


async def seed_demo(settings: Settings) -> list[SeededBot]:
    """Put the demo bots into the first organization.

    Raises UnavailableError without a database, and FlowInvalidError if a demo flow has errors.
    """
    database = Database(settings.database_url, pool_size=1)
    try:
        organization_id = await FirstOrganization(database).id()
        services_url = settings.demo_services_url or DEFAULT_SERVICES
        seeded = []
        for demo in DEMO_BOTS:
            async with database.session() as session:
                seeded.append(await _seed(session, organization_id, demo, services_url))
        return seeded
    finally:
        await database.close()


async def _seed(session: AsyncSession, organization_id: UUID, demo: DemoBot, services_url: str) -> SeededBot:
    document = demo_flow(demo.file, services_url)
    bot = await _bot(session, organization_id, demo, document)
    changed = False
    parts = [(name, demo_flow(name, services_url)) for name in demo.sub_flows]
    for flow_name, flow in [*parts, (MAIN, document)]:
        newest = await FlowVersionRepository(session, organization_id).latest(bot.id, flow_name)
        if newest is not None and newest.note != NOTE:
            continue
        published = await publish(session, organization_id, bot, flow, flow_name=flow_name, note=NOTE)
        changed = changed or published.created
    return SeededBot(name=bot.name, slug=bot.slug, chatbot_id=bot.id, changed=changed)


async def _bot(
    session: AsyncSession, organization_id: UUID, demo: DemoBot, document: dict[str, Any]
) -> Chatbot:
    bots = ChatbotRepository(session, organization_id)
    known = await bots.get_by_slug(demo.slug)
    if known is not None:
        return known
    return await bots.create(
        name=document["name"],
        slug=demo.slug,
        description=document["description"],
        language=document["language"],
    )
