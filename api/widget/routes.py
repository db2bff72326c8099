"""`/api/v1/widget`: everything a visitor's chat client uses."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from api.dependencies import BearerToken, IdempotencyKey, Parts, client_address
from api.fields import MOST_MESSAGES, After, BotName, Identifier, Limit, TranscriptMessage, message_json
from api.problems import documented
from api.routing import slice_router
from api.tokens import Visitor
from api.widget.events import EventFeed
from api.widget.schemas import (
    ChatProcessing,
    ChatReply,
    ChatRequest,
    PlatformLinks,
    PublicBot,
    PublicBots,
    StatusEvent,
    TokensEvent,
    VisitorTranscript,
    WidgetConfig,
    WidgetLimits,
    WidgetStatus,
)
from api.widget.service import Origin, chat, chat_response, given_id, visitor_of
from flow_schema.turns import MAX_PENDING

router = slice_router("/widget", "widget")
_MAX_FILES = 10
_CURSOR = re.compile(r"[0-9]{1,10}")


@router.get(
    "",
    summary="List public bots",
    response_description="The bots that can be talked to.",
    responses=documented(429, 503),
)
async def list_public_bots(request: Request, parts: Parts) -> PublicBots:
    """Return the bots that anybody may talk to, by name."""
    parts.limits.count(request, "address", client_address(request))
    bots = await parts.bots.published()
    return PublicBots(
        platform=parts.settings.app_name,
        bots=[
            PublicBot(
                chatbot_id=str(bot.id),
                slug=bot.slug,
                name=bot.name,
                description=bot.description,
                languages=list(bot.deployed().languages),
            )
            for bot in bots
        ],
        links=PlatformLinks(temporal_ui=parts.settings.temporal_ui_url),
    )


@router.get(
    "/{chatbot_id}/config",
    summary="Read a bot's settings",
    response_description="What a chat client needs before a conversation.",
    responses=documented(404, 422, 429, 503),
)
async def get_widget_config(
    chatbot_id: BotName, request: Request, response: Response, parts: Parts
) -> WidgetConfig:
    """Return what a chat client needs before a conversation: name, languages, triggers, limits."""
    parts.limits.count(request, "address", client_address(request))
    response.headers["Cache-Control"] = "public, max-age=5"
    bot = await parts.bots.find(chatbot_id)
    flow = bot.deployed()
    return WidgetConfig(
        chatbot_id=str(bot.id),
        slug=bot.slug,
        name=bot.name,
        description=bot.description,
        language=flow.language,
        languages=list(flow.languages),
        triggers=list(flow.triggers),
        limits=WidgetLimits(
            max_text=parts.settings.max_message_chars,
            max_upload_bytes=parts.settings.max_upload_bytes,
            max_files=_MAX_FILES,
            max_pending=MAX_PENDING,
        ),
    )


@router.get(
    "/{chatbot_id}/status",
    summary="Ask whether a bot answers",
    response_description="Whether a message sent now would be answered.",
    responses=documented(404, 422, 429, 503),
)
async def get_widget_status(chatbot_id: BotName, request: Request, parts: Parts) -> WidgetStatus:
    """Tell whether the bot is published and somebody is there to run it."""
    parts.limits.count(request, "address", client_address(request))
    bot = await parts.bots.find(chatbot_id)
    published = bot.active and bot.flow is not None
    accepting = published and await parts.presence.accepting()
    return WidgetStatus(status="online" if accepting else "offline", accepting=accepting)


@router.post(
    "/{chatbot_id}/chat",
    summary="Send a visitor's message",
    response_model=ChatReply,
    response_description="The bot's answer.",
    responses=documented(
        400,
        401,
        403,
        404,
        409,
        410,
        413,
        415,
        422,
        429,
        503,
        s202={
            "description": "The bot takes longer: follow the events, or send the same request again.",
            "model": ChatProcessing,
        },
    ),
)
async def send_chat_message(
    chatbot_id: BotName,
    body: ChatRequest,
    request: Request,
    parts: Parts,
    bearer: BearerToken,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take one input of a visitor and return the bot's answer to it.

    Without a token, a `start` input (or a first `text`) opens a conversation and the answer carries its
    token. The same request sent again, after a lost connection or a crash of any part of the platform, gives
    the same answer. The id of an opening's message stands for the conversation while it can be repeated:
    keep it as secret as the token.
    """
    answer = await chat(
        parts,
        chatbot_id,
        body,
        given_id(body.message_id, idempotency_key, "message_id"),
        body.token or bearer,
        Origin.of(request, parts),
    )
    return chat_response(answer)


TokenQuery = Annotated[
    str | None,
    Query(
        title="Token",
        description="The visitor token, for clients that can't send headers (`EventSource`). Prefer the "
        "`Authorization` header: addresses end up in logs.",
        max_length=1000,
    ),
]


async def _visitor(
    chatbot_id: BotName,
    conversation_id: Identifier,
    request: Request,
    parts: Parts,
    bearer: BearerToken,
    token: TokenQuery = None,
) -> Visitor:
    parts.limits.count(request, "address", client_address(request))
    return await visitor_of(parts, chatbot_id, bearer or token, conversation_id)


CurrentVisitor = Annotated[Visitor, Depends(_visitor)]


@router.get(
    "/{chatbot_id}/conversations/{conversation_id}/messages",
    summary="Read a conversation's transcript",
    response_description="A part of the transcript, and where the conversation is.",
    response_model=VisitorTranscript,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def list_visitor_messages(
    visitor: CurrentVisitor, parts: Parts, after: After = 0, limit: Limit = 100
) -> Response:
    """Return the messages after a number, the newest included, and where the conversation is."""
    page = await parts.transcripts.read(
        visitor.organization_id, visitor.conversation_id, after=after, limit=limit
    )
    body: dict[str, Any] = {
        "conversation_id": str(visitor.conversation_id),
        "messages": [message_json(message, parts.tokens) for message in page.messages],
        "status": page.status.value,
        "waiting": page.waiting.model_dump(mode="json") if page.waiting is not None else None,
        "language": page.language,
        "last_seq": page.last_seq,
        "has_more": page.has_more,
    }
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


class EventStream(StreamingResponse):
    """Server-sent events whose bytes the feed makes."""

    media_type = "text/event-stream"


_EVENT_EXAMPLE = (
    'event: message\nid: 3\ndata: {"seq": 3, "role": "assistant", ...}\n\n'
    'event: tokens\ndata: {"stream_id": "...", "attempt": 1, "offset": 0, "text": "Hola"}\n\n'
    'event: status\ndata: {"status": "active", "waiting": {...}, "last_seq": 3}\n\n'
)


@router.get(
    "/{chatbot_id}/conversations/{conversation_id}/events",
    summary="Follow a conversation's events",
    response_class=EventStream,
    responses=documented(
        401,
        403,
        404,
        422,
        429,
        503,
        s200={
            "description": "Server-sent events: `message`, `tokens`, `status`, `typing`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EVENT_EXAMPLE}},
        },
    ),
)
async def follow_visitor_events(
    visitor: CurrentVisitor,
    parts: Parts,
    after: After = 0,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            title="Last event",
            description="Sent by browsers when they connect again; goes before `after`, unless it is no `id` "
            "of an event.",
            max_length=100,
        ),
    ] = None,
) -> EventStream:
    """Send what comes after a number, then what happens, until the client leaves.

    The `id` of a `message` event is the cursor to go on from. A message may come before one with a lower
    `seq`; each comes once, and a client that connects again with its last id misses none. `tokens` carry
    text that is being written; the message with the same `stream_id` replaces it. A client that connects in
    the middle gets the text so far. Comments come every 15 seconds.
    """
    known = last_event_id is not None and _CURSOR.fullmatch(last_event_id)
    cursor = min(int(last_event_id), MOST_MESSAGES) if last_event_id and known else after
    feed = EventFeed(parts, visitor, cursor)
    return EventStream(feed.stream(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


EVENT_MODELS = (TranscriptMessage, TokensEvent, StatusEvent)
"""What the `data` of events holds; added to the API's description."""
