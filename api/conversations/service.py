"""The team's side of conversations: whose they are, where they are, and what is done to them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.conversations.schemas import AgentMessage, NamedVisit
from api.fields import team_message_json
from api.resources import Resources
from core.errors import NotFoundError, UnavailableError, UnprocessableError
from core.events import StatusEvent, messages_event
from database.repositories import (
    ConversationRepository,
    FileRepository,
    FlowVersionRepository,
    TranscriptRepository,
)
from flow_schema.effects import TeamMessage
from flow_schema.turns import (
    Claim,
    ConversationSnapshot,
    ConversationStatus,
    FileInfo,
    Say,
    TeamReply,
    Visit,
    Waiting,
)
from temporal.gateway import ConversationClosedError


@dataclass(frozen=True)
class Place:
    """A conversation of the caller's organization."""

    conversation_id: UUID
    chatbot_id: UUID
    flow_version_id: UUID


async def owned(parts: Resources, organization_id: UUID, conversation_id: UUID) -> Place:
    """Return a conversation of the organization. Raises NotFoundError, also for another's.

    A conversation that has just begun has no row yet: then the workflow says whose it is.
    """
    row = await parts.transcripts.row(organization_id, conversation_id)
    if row is not None:
        return Place(conversation_id, row.chatbot_id, row.flow_version_id)
    try:
        snapshot = await parts.gateway.snapshot(str(conversation_id))
    except ConversationClosedError:
        row = await parts.transcripts.row(organization_id, conversation_id)  # written if it has just ended
        if row is None:
            raise NotFoundError(f"There is no conversation {conversation_id}.") from None
        return Place(conversation_id, row.chatbot_id, row.flow_version_id)
    if snapshot.organization_id != str(organization_id):
        raise NotFoundError(f"There is no conversation {conversation_id}.")
    return Place(conversation_id, UUID(snapshot.chatbot_id), UUID(snapshot.flow_version_id))


async def snapshot(parts: Resources, organization_id: UUID, conversation_id: UUID) -> ConversationSnapshot:
    """Return where a conversation is: from its workflow, else as the tables have it."""
    place = await owned(parts, organization_id, conversation_id)
    try:
        return await parts.gateway.snapshot(str(conversation_id))
    except ConversationClosedError:
        return await _from_tables(parts, organization_id, place)


async def _from_tables(parts: Resources, organization_id: UUID, place: Place) -> ConversationSnapshot:
    async with parts.database.session() as session:
        row = await ConversationRepository(session, organization_id).get(place.conversation_id)
        transcript = TranscriptRepository(session, organization_id)
        visits = await transcript.visits(place.conversation_id)
        turns = await transcript.count_replies(place.conversation_id)
    return ConversationSnapshot(
        conversation_id=str(row.id),
        organization_id=str(organization_id),
        chatbot_id=str(row.chatbot_id),
        flow_version_id=str(row.flow_version_id),
        mode="test" if row.mode == "test" else "live",
        status=ConversationStatus(row.status),
        language=row.language,
        node_id=visits[-1].node_id if visits else None,
        waiting=Waiting.model_validate(row.waiting) if row.waiting else None,
        variables=row.variables,
        path=visits[-40:],
        agent=None,
        tags=row.tags,
        last_seq=row.last_seq,
        turns=turns,
    )


async def path(
    parts: Resources, organization_id: UUID, place: Place, *, after: int, limit: int
) -> tuple[list[NamedVisit], bool]:
    """Return visits after a number with their nodes' names, and whether more follow."""
    newest: list[Visit] = []
    with suppress(ConversationClosedError, UnavailableError):
        newest = (await parts.gateway.snapshot(str(place.conversation_id))).path
    async with parts.database.session() as session:
        stored = await TranscriptRepository(session, organization_id).visits(
            place.conversation_id, after_number=after, limit=limit + 1
        )
        flows = await FlowVersionRepository(session, organization_id).load_with_sub_flows(
            place.flow_version_id
        )
    visits = {visit.number: visit for visit in stored}
    if len(stored) <= limit:
        visits |= {visit.number: visit for visit in newest if visit.number > after}
    ordered = [visits[number] for number in sorted(visits)]
    labels = {
        (name, node.id): (node.data.label or node.id, node.type)
        for name, (_, flow) in flows.items()
        for node in flow.nodes
    }
    named = []
    for visit in ordered[:limit]:
        label, kind = labels.get((visit.flow, visit.node_id), (visit.node_id, None))
        named.append(NamedVisit(**visit.model_dump(), node_label=label, node_kind=kind))
    return named, len(ordered) > limit


async def say(
    parts: Resources,
    organization_id: UUID,
    conversation_id: UUID,
    message: AgentMessage,
    action_id: str,
    request_id: str | None,
) -> dict[str, Any]:
    """Write to the visitor, claiming the conversation first if nobody has it and the caller wants that."""
    await owned(parts, organization_id, conversation_id)
    files = await _files(parts, organization_id, conversation_id, message.files)
    if message.claim:
        current = await parts.gateway.snapshot(str(conversation_id))
        if current.agent is None:
            await act(
                parts,
                conversation_id,
                TeamMessage(
                    action_id=f"claim:{action_id}",
                    action=Claim(kind="claim", agent=message.agent),
                    request_id=request_id,
                ),
            )
    action = Say(kind="say", agent=message.agent, text=message.text, files=files)
    return await act(
        parts, conversation_id, TeamMessage(action_id=action_id, action=action, request_id=request_id)
    )


async def act(parts: Resources, conversation_id: UUID, message: TeamMessage) -> dict[str, Any]:
    """Carry out an action, tell those who watch, and return the reply as JSON."""
    reply = await parts.gateway.team(str(conversation_id), message)
    _announce(parts, conversation_id, reply)
    body = reply.model_dump(mode="json", exclude={"messages", "action_hash"})
    body["messages"] = [team_message_json(one, parts.tokens) for one in reply.messages]
    return body


def _announce(parts: Resources, conversation_id: UUID, reply: TeamReply) -> None:
    if reply.messages:
        plain = [message.model_dump(mode="json") for message in reply.messages]
        parts.events.publish(conversation_id, messages_event(plain))
    agent = reply.agent.model_dump(mode="json") if reply.agent is not None else None
    parts.events.publish(conversation_id, StatusEvent(reply.status.value, reply.last_seq, None, agent))


async def _files(
    parts: Resources, organization_id: UUID, conversation_id: UUID, file_ids: list[str]
) -> list[FileInfo]:
    if not file_ids:
        return []
    try:
        wanted = [UUID(file_id) for file_id in file_ids]
    except ValueError:
        raise UnprocessableError("A file id is a UUID, as the upload gave it.") from None
    async with parts.database.session() as session:
        found = await FileRepository(session, organization_id).list_by_ids(
            wanted, conversation_id=conversation_id
        )
    if len(found) != len(set(wanted)):
        raise UnprocessableError("Some of the files are not uploads of this conversation.")
    return [
        FileInfo(id=str(file.id), name=file.name, media_type=file.media_type, size=file.size)
        for file in found
    ]
