"""Two organizations, each with a bot and a published flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.ids import uuid7
from database.database import Database
from database.public_lookup import ensure_organization
from database.repositories import ChatbotRepository, FlowVersionRepository
from flow_schema.effects import ConversationRecord, Flush, StoredReply
from flow_schema.flow import Flow
from flow_schema.turns import Message, Visit

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def flow(text: str = "Hola", runs: Sequence[str] = ()) -> Flow:
    """A flow that says `text` and runs the flows named."""
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "start", "data": {}},
        {"id": "hi", "type": "message", "data": {"text": text}},
    ]
    edges = [{"id": "e1", "source": "start", "target": "hi"}]
    before = "hi"
    for slug in runs:
        nodes.append(
            {"id": f"run-{slug}", "type": "action", "data": {"action": {"kind": "run_flow", "flow": slug}}}
        )
        edges.append({"id": f"e-{slug}", "source": before, "target": f"run-{slug}"})
        before = f"run-{slug}"
    return Flow.model_validate({"name": "Prueba", "nodes": nodes, "edges": edges})


@dataclass(frozen=True)
class Tenant:
    """An organization with a bot whose main flow has one version."""

    organization_id: UUID
    chatbot_id: UUID
    version_id: UUID

    def record(self, conversation_id: UUID, last_seq: int = 0, **changes: Any) -> ConversationRecord:
        """The conversation's row as of message `last_seq`, a second of activity a message."""
        fields: dict[str, Any] = {
            "organization_id": str(self.organization_id),
            "chatbot_id": str(self.chatbot_id),
            "conversation_id": str(conversation_id),
            "flow_version_id": str(self.version_id),
            "mode": "live",
            "session_id": "session",
            "user_identifier": None,
            "user_metadata": {},
            "status": "active",
            "language": "es",
            "started_at": START,
            "last_activity": START + timedelta(seconds=last_seq),
            "last_seq": last_seq,
        }
        return ConversationRecord.model_validate(fields | changes)

    def flush(
        self,
        conversation_id: UUID,
        seqs: Sequence[int] = (),
        visits: Sequence[Visit] = (),
        replies: Sequence[StoredReply] = (),
        **changes: Any,
    ) -> Flush:
        """A batch with plain messages of those numbers."""
        return Flush(
            record=self.record(conversation_id, max(seqs, default=0), **changes),
            messages=[message(seq) for seq in seqs],
            visits=list(visits),
            replies=list(replies),
        )


def message(seq: int, **changes: Any) -> Message:
    """Message `seq`, of the visitor where it is odd."""
    fields: dict[str, Any] = {
        "seq": seq,
        "role": "user" if seq % 2 else "assistant",
        "content": {"type": "text", "text": f"texto {seq}"},
        "created_at": START + timedelta(seconds=seq),
    }
    return Message.model_validate(fields | changes)


def visit(number: int, *, left: bool = True, **changes: Any) -> Visit:
    """Visit `number`, finished unless said otherwise."""
    entered = START + timedelta(seconds=number)
    fields: dict[str, Any] = {"number": number, "node_id": f"n{number}", "entered_at": entered}
    if left:
        fields |= {"left_at": entered + timedelta(milliseconds=5), "exit": "next"}
    return Visit.model_validate(fields | changes)


async def make_tenant(database: Database, slug: str) -> Tenant:
    """A new organization with a bot `soporte` and one published, deployed version."""
    async with database.session() as session:
        organization = await ensure_organization(session, slug=slug, name=slug.title())
        bots = ChatbotRepository(session, organization.id)
        bot = await bots.create(name="Soporte", slug="soporte")
        version = await FlowVersionRepository(session, organization.id).publish(bot.id, flow())
        await bots.deploy(bot.id, version.id)
        return Tenant(organization.id, bot.id, version.id)


class Make:
    """What the tests of this folder build rows with."""

    START = START
    Tenant = Tenant
    flow = staticmethod(flow)
    message = staticmethod(message)
    visit = staticmethod(visit)
    tenant = staticmethod(make_tenant)
    id = staticmethod(uuid7)


@pytest.fixture
def make() -> type[Make]:
    """Builders of flows, messages, visits, tenants."""
    return Make


@pytest.fixture
async def ours(database: Database) -> Tenant:
    """The organization that acts."""
    return await make_tenant(database, "ours")


@pytest.fixture
async def theirs(database: Database) -> Tenant:
    """Another organization, which must stay out of reach."""
    return await make_tenant(database, "theirs")
