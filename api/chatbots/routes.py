"""`/api/v1/chatbots`: bots, their versions and their conversations."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Response

from api.chatbots.schemas import (
    SLUG_PATTERN,
    ChatbotPage,
    ChatbotView,
    ConversationPage,
    NewChatbot,
    NewVersion,
    PublishedVersion,
    VersionPage,
    VersionWithFlow,
)
from api.chatbots.service import (
    chatbot_view,
    conversation_view,
    find_bot,
    slug_from,
    version_view,
)
from api.dependencies import Parts, Team
from api.fields import BotName, Limit
from api.flows.publishing import MAIN, publish
from api.problems import documented
from api.routing import slice_router
from core.ids import short_id
from database.repositories import ChatbotRepository, ConversationRepository, FlowVersionRepository
from flow_schema.turns import ConversationStatus

router = slice_router("/chatbots", "chatbots")

Cursor = Annotated[UUID | None, Query(title="Cursor", description="`next_cursor` of the page before.")]


@router.get(
    "",
    summary="List bots",
    response_description="A page of bots.",
    responses=documented(401, 404, 422, 429, 503),
)
async def list_chatbots(parts: Parts, team: Team, cursor: Cursor = None, limit: Limit = 50) -> ChatbotPage:
    """Return the organization's bots, newest first."""
    first = await parts.organization.id()
    async with parts.database.session() as session:
        found = await ChatbotRepository(session, team.organization_id).list(limit=limit + 1, before=cursor)
    shown = found[:limit]
    return ChatbotPage(
        chatbots=[chatbot_view(bot, parts.settings, first) for bot in shown],
        next_cursor=str(shown[-1].id) if len(found) > limit else None,
    )


@router.post(
    "",
    summary="Make a bot",
    response_description="The new bot.",
    status_code=201,
    responses=documented(400, 401, 409, 413, 415, 422, 429, 503),
)
async def create_chatbot(request: NewChatbot, parts: Parts, team: Team) -> ChatbotView:
    """Make a bot; it can be talked to once a `main` flow is published. 409 when the slug is taken."""
    async with parts.database.session() as session:
        bots = ChatbotRepository(session, team.organization_id)
        slug = request.slug or slug_from(request.name)
        if request.slug is None and await bots.get_by_slug(slug) is not None:
            slug = f"{slug[:57]}-{short_id(6)}"
        bot = await bots.create(**{**request.model_dump(), "slug": slug}, created_by=team.user_id)
    return chatbot_view(bot, parts.settings, await parts.organization.id())


@router.get(
    "/{chatbot_id}",
    summary="Read a bot",
    response_description="The bot.",
    responses=documented(401, 404, 422, 429, 503),
)
async def get_chatbot(chatbot_id: BotName, parts: Parts, team: Team) -> ChatbotView:
    """Return a bot by id or slug."""
    async with parts.database.session() as session:
        bot = await find_bot(session, team.organization_id, chatbot_id)
    return chatbot_view(bot, parts.settings, await parts.organization.id())


@router.get(
    "/{chatbot_id}/conversations",
    summary="List a bot's conversations",
    response_description="A page of conversations.",
    responses=documented(401, 404, 422, 429, 503),
)
async def list_conversations(
    chatbot_id: BotName,
    parts: Parts,
    team: Team,
    status: Annotated[
        ConversationStatus | None, Query(title="Status", description="Only conversations that are there.")
    ] = None,
    mode: Annotated[
        str | None, Query(title="Mode", description="`live` or `test`; empty: both.", pattern="^(live|test)$")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ConversationPage:
    """Return conversations, newest first, as of their newest write to the tables."""
    async with parts.database.session() as session:
        bot = await find_bot(session, team.organization_id, chatbot_id)
        found = await ConversationRepository(session, team.organization_id).list(
            chatbot_id=bot.id, status=status, mode=mode, limit=limit + 1, before=cursor
        )
    shown = found[:limit]
    return ConversationPage(
        conversations=[conversation_view(row) for row in shown],
        next_cursor=str(shown[-1].id) if len(found) > limit else None,
    )


@router.post(
    "/{chatbot_id}/versions",
    summary="Publish a flow",
    status_code=201,
    response_description="A new version.",
    responses=documented(
        400,
        401,
        404,
        413,
        415,
        422,
        429,
        503,
        s200={
            "description": "The newest version is this very flow; no new one was made.",
            "model": PublishedVersion,
        },
    ),
)
async def publish_version(
    chatbot_id: BotName, request: NewVersion, response: Response, parts: Parts, team: Team
) -> PublishedVersion:
    """Validate a flow and store it as a version that never changes.

    New conversations run it from now on if it is `main` and `deploy` is true; running ones go on with
    theirs. A flow with errors is refused with 422 and all `findings`.
    """
    async with parts.database.session() as session:
        bot = await find_bot(session, team.organization_id, chatbot_id)
        published = await publish(
            session,
            team.organization_id,
            bot,
            request.flow,
            flow_name=request.flow_name,
            note=request.note,
            deploy=request.deploy,
            created_by=team.user_id,
            max_bytes=parts.settings.max_flow_bytes,
        )
        now_deployed = (await find_bot(session, team.organization_id, str(bot.id))).deployed_version_id
    parts.bots.forget(bot.id, bot.slug)
    if not published.created:
        response.status_code = 200
    view = version_view(published.version, now_deployed)
    return PublishedVersion(**view.model_dump(), warnings=published.warnings)


FlowName = Annotated[
    str | None,
    Query(title="Flow's name", description="Only versions of this flow.", pattern=SLUG_PATTERN),
]


@router.get(
    "/{chatbot_id}/versions",
    summary="List versions",
    response_description="A page of versions, without their flows.",
    responses=documented(401, 404, 422, 429, 503),
)
async def list_versions(
    chatbot_id: BotName,
    parts: Parts,
    team: Team,
    flow_name: FlowName = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> VersionPage:
    """Return a bot's versions, newest first, without their flows."""
    async with parts.database.session() as session:
        bot = await find_bot(session, team.organization_id, chatbot_id)
        found = await FlowVersionRepository(session, team.organization_id).list(
            bot.id, flow_slug=flow_name, limit=limit + 1, before=cursor
        )
    shown = found[:limit]
    return VersionPage(
        versions=[version_view(version, bot.deployed_version_id) for version in shown],
        next_cursor=str(shown[-1].id) if len(found) > limit else None,
    )


@router.get(
    "/{chatbot_id}/versions/{number}",
    summary="Read a version",
    response_description="The version with its flow.",
    responses=documented(401, 404, 422, 429, 503),
)
async def get_version(
    chatbot_id: BotName,
    number: Annotated[int, Path(title="Number", description="The version's number.", ge=1, le=2**31 - 1)],
    parts: Parts,
    team: Team,
    flow_name: FlowName = None,
) -> VersionWithFlow:
    """Return a version with its flow."""
    async with parts.database.session() as session:
        bot = await find_bot(session, team.organization_id, chatbot_id)
        version = await FlowVersionRepository(session, team.organization_id).get_by_number(
            bot.id, number, flow_name or MAIN
        )
    view = version_view(version, bot.deployed_version_id)
    return VersionWithFlow(**view.model_dump(), flow=version.flow)
