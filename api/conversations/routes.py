"""`/api/v1/conversations`: what the team reads of a conversation and does to it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Query, Request, Response

from api.conversations.schemas import (
    ActionReply,
    ActionRequest,
    AgentMessage,
    ConversationPath,
    TeamTranscript,
)
from api.conversations.service import act, owned, path, say, snapshot
from api.dependencies import IdempotencyKey, Parts, Team, as_uuid
from api.fields import After, Identifier, Limit, team_message_json
from api.problems import documented, request_id_of
from api.routing import slice_router
from api.widget.service import given_id
from flow_schema.effects import TeamMessage
from flow_schema.turns import ConversationSnapshot

router = slice_router("/conversations", "conversations")
_READ = documented(401, 404, 422, 429, 503)
_WRITE = documented(400, 401, 404, 409, 410, 413, 415, 422, 429, 503)


@router.get(
    "/{conversation_id}",
    summary="Read a conversation",
    response_description="The conversation and the newest part of its transcript.",
    responses=_READ,
)
async def get_conversation(conversation_id: Identifier, parts: Parts, team: Team) -> ConversationSnapshot:
    """Return where a conversation is, what it waits for, its variables and the newest part of its path."""
    return await snapshot(parts, team.organization_id, as_uuid(conversation_id, "conversation"))


@router.get(
    "/{conversation_id}/messages",
    summary="Read a transcript",
    response_description="A part of the transcript.",
    response_model=TeamTranscript,
    responses=_READ,
)
async def list_conversation_messages(
    conversation_id: Identifier, parts: Parts, team: Team, after: After = 0, limit: Limit = 100
) -> Response:
    """Return the messages after a number, the newest included."""
    identifier = as_uuid(conversation_id, "conversation")
    page = await parts.transcripts.read(team.organization_id, identifier, after=after, limit=limit)
    return _json(
        {
            "conversation_id": str(identifier),
            "messages": [team_message_json(message, parts.tokens) for message in page.messages],
            "status": page.status.value,
            "waiting": page.waiting.model_dump(mode="json") if page.waiting is not None else None,
            "last_seq": page.last_seq,
            "has_more": page.has_more,
        }
    )


@router.get(
    "/{conversation_id}/path",
    summary="Read a conversation's path",
    response_description="Visits in order.",
    responses=_READ,
)
async def get_conversation_path(
    conversation_id: Identifier,
    parts: Parts,
    team: Team,
    after: Annotated[
        int, Query(title="After", description="`number` of the last visit already known.", ge=0, le=2**31 - 1)
    ] = 0,
    limit: Limit = 200,
) -> ConversationPath:
    """Return the visits after a number: which node, when, through which exit, what changed."""
    place = await owned(parts, team.organization_id, as_uuid(conversation_id, "conversation"))
    visits, has_more = await path(parts, team.organization_id, place, after=after, limit=limit)
    return ConversationPath(conversation_id=str(place.conversation_id), visits=visits, has_more=has_more)


@router.post(
    "/{conversation_id}/messages",
    summary="Write to the visitor",
    response_description="The message, and the conversation's state after it.",
    response_model=ActionReply,
    responses=_WRITE,
)
async def send_agent_message(
    conversation_id: Identifier,
    body: AgentMessage,
    request: Request,
    parts: Parts,
    team: Team,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Write as an agent. Takes the conversation first if nobody has it, unless `claim` is false."""
    action_id = given_id(body.action_id, idempotency_key, "action_id")
    return _json(
        await say(
            parts,
            team.organization_id,
            as_uuid(conversation_id, "conversation"),
            body,
            action_id,
            request_id_of(request),
        )
    )


@router.post(
    "/{conversation_id}/actions",
    summary="Act on a conversation",
    response_description="The conversation's state after the action.",
    response_model=ActionReply,
    responses=_WRITE,
)
async def act_on_conversation(
    conversation_id: Identifier,
    body: ActionRequest,
    request: Request,
    parts: Parts,
    team: Team,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Claim, hand back, close; retry, skip or jump where it is stuck; set variables."""
    identifier = as_uuid(conversation_id, "conversation")
    await owned(parts, team.organization_id, identifier)
    message = TeamMessage(
        action_id=given_id(body.action_id, idempotency_key, "action_id"),
        action=body.action,
        request_id=request_id_of(request),
    )
    return _json(await act(parts, identifier, message))


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})
