"""A visitor's message on its way to the conversation and back."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import as_uuid, client_address
from api.fields import message_json
from api.plans import PlanLimitError
from api.problems import request_id_of
from api.rate_limits import RateLimits
from api.resources import Resources
from api.tokens import Visitor
from api.widget.schemas import ChatRequest
from core.errors import (
    AuthenticationError,
    GoneError,
    PermissionDeniedError,
    UnprocessableError,
)
from core.events import StatusEvent, messages_event
from database.repositories import FileRepository
from flow_schema.effects import ConversationStart, VisitorMessage
from flow_schema.turns import FilesInput, StartInput, TextInput, TurnReply, VisitorInput, input_hash
from temporal.gateway import Accepted, AnsweredElsewhereError, ConversationClosedError

_RETRY_AFTER_MS = 1500
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")


@dataclass(frozen=True)
class Origin:
    """What is known of a request beside its body."""

    request: Request
    limits: RateLimits
    request_id: str | None

    @classmethod
    def of(cls, request: Request, parts: Resources) -> Origin:
        """Return the origin of a request, counted against its address's limit. Raises TooFastError."""
        parts.limits.count(request, "address", client_address(request))
        return cls(request, parts.limits, request_id_of(request))

    @property
    def user_agent(self) -> str:
        """What the client calls itself, in characters that tables can hold."""
        given = self.request.headers.get("user-agent", "")[:300]
        return given if given.isprintable() else "".join(sign for sign in given if sign.isprintable())

    def count(self, conversation_id: UUID) -> None:
        """Count the request against its conversation's limit. Raises TooFastError."""
        self.limits.count(self.request, "conversation", conversation_id.hex)


@dataclass(frozen=True)
class ChatAnswer:
    """What to answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def chat_response(answer: ChatAnswer) -> Response:
    """Return the answer as it travels."""
    return Response(
        orjson.dumps(answer.body),
        status_code=answer.status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **answer.headers},
    )


async def visitor_of(parts: Resources, bot_name: str, token: str | None, conversation_id: str) -> Visitor:
    """Return whom a token stands for, in a conversation of a bot. Raises the errors of tokens."""
    if not token:
        raise AuthenticationError("Send the conversation's visitor token: `Authorization: Bearer vt_...`.")
    visitor = parts.tokens.read_for(token, as_uuid(conversation_id, "conversation"))
    await _same_bot(parts, bot_name, visitor)
    return visitor


async def chat(
    parts: Resources, bot_name: str, request: ChatRequest, message_id: str, token: str | None, origin: Origin
) -> ChatAnswer:
    """Give one input to its conversation, opening it if need be, and return the answer."""
    _check_length(request.input, parts.settings.max_message_chars)
    if token:
        visitor = parts.tokens.read(token)
        if (
            request.conversation_id
            and as_uuid(request.conversation_id, "conversation") != visitor.conversation_id
        ):
            raise PermissionDeniedError("The visitor token belongs to another conversation.")
        await _same_bot(parts, bot_name, visitor)
        origin.count(visitor.conversation_id)
        return await _go_on(parts, visitor, request.input, message_id, origin)
    if not isinstance(request.input, StartInput | TextInput):
        raise AuthenticationError(
            "This input needs the visitor token of a conversation; open one with a `start` input."
        )
    return await _open(parts, bot_name, request, message_id, origin)


def _check_length(given: VisitorInput, most: int) -> None:
    text = given.text if isinstance(given, StartInput | TextInput) else None
    if text is not None and len(text) > most:
        raise UnprocessableError(
            f"A message may have at most {most} characters.",
            errors=[
                {
                    "detail": f"it should have at most {most} characters",
                    "pointer": "/input/text",
                    "code": "string_too_long",
                }
            ],
        )


async def _go_on(
    parts: Resources,
    visitor: Visitor,
    given: VisitorInput,
    message_id: str,
    origin: Origin,
) -> ChatAnswer:
    files = await _files(parts, visitor, given) if isinstance(given, FilesInput) else []
    message = VisitorMessage(message_id=message_id, input=given, files=files, request_id=origin.request_id)
    try:
        reply = await parts.gateway.send(
            str(visitor.conversation_id), message, parts.settings.reply_wait_seconds
        )
    except (ConversationClosedError, AnsweredElsewhereError) as error:
        reply = await _from_tables(parts, visitor.organization_id, visitor.conversation_id, message, error)
    renewed = (
        parts.tokens.issue(visitor.conversation_id, visitor.chatbot_id, visitor.organization_id)
        if visitor.is_half_spent(time.time())
        else None
    )
    return _answer(parts, visitor.conversation_id, reply, renewed)


async def _open(
    parts: Resources,
    bot_name: str,
    request: ChatRequest,
    message_id: str,
    origin: Origin,
) -> ChatAnswer:
    bot = await parts.bots.find(bot_name)
    conversation_id = parts.tokens.opening_id(bot.id, message_id)
    if request.conversation_id and as_uuid(request.conversation_id, "conversation") != conversation_id:
        raise AuthenticationError("This conversation needs its visitor token.")
    flow = bot.deployed()
    try:
        await parts.plans.check_opening(bot.organization_id, parts.background)
    except PlanLimitError:
        if not await _has_begun(parts, bot.organization_id, conversation_id):
            raise
    if await parts.transcripts.is_older(
        bot.organization_id, conversation_id, parts.settings.opening_token_seconds
    ):
        raise GoneError("That opening is too long ago to be repeated; open a new conversation.")
    given = request.input
    opening = given if isinstance(given, StartInput) else StartInput(type="start", text=_text_of(given))
    metadata: dict[str, Any] = {"user_agent": origin.user_agent} if origin.user_agent else {}
    start = ConversationStart(
        conversation_id=str(conversation_id),
        organization_id=str(bot.organization_id),
        chatbot_id=str(bot.id),
        flow_version_id=str(flow.version_id),
        content_hash=flow.content_hash,
        session_id=conversation_id.hex,
        user_metadata=metadata,
        continue_after_turns=parts.settings.continue_as_new_after_turns,
    )
    message = VisitorMessage(message_id=message_id, input=opening, request_id=origin.request_id)
    try:
        reply = await parts.gateway.open(start, message, parts.settings.reply_wait_seconds, title=bot.name)
    except (ConversationClosedError, AnsweredElsewhereError) as error:
        reply = await _from_tables(parts, bot.organization_id, conversation_id, message, error)
    token = parts.tokens.issue(conversation_id, bot.id, bot.organization_id)
    return _answer(parts, conversation_id, reply, token)


async def _has_begun(parts: Resources, organization_id: UUID, conversation_id: UUID) -> bool:
    """Tell whether an opening is one that was answered before: it is again, whatever the plan says."""
    if await parts.transcripts.row(organization_id, conversation_id) is not None:
        return True
    try:
        await parts.gateway.snapshot(str(conversation_id))
    except ConversationClosedError:
        return False
    return True


def _text_of(given: VisitorInput) -> str | None:
    return given.text if isinstance(given, TextInput) else None


async def _from_tables(
    parts: Resources,
    organization_id: UUID,
    conversation_id: UUID,
    message: VisitorMessage,
    error: Exception,
) -> TurnReply:
    """Return what was answered while the conversation still ran. Raises ConversationClosedError."""
    stored = await parts.transcripts.stored_reply(
        organization_id, conversation_id, message.message_id, input_hash(message.input)
    )
    if stored is None:
        raise ConversationClosedError("The conversation has ended; open a new one.") from error
    return stored


async def _same_bot(parts: Resources, bot_name: str, visitor: Visitor) -> None:
    if await parts.bots.id_of(bot_name) != visitor.chatbot_id:
        raise PermissionDeniedError("The visitor token belongs to a conversation with another bot.")


async def _files(parts: Resources, visitor: Visitor, given: FilesInput) -> list[dict[str, Any]]:
    """Return what is known of the uploads of this conversation. Raises UnprocessableError."""
    wanted: list[UUID] = []
    for file_id in given.files:
        try:
            wanted.append(UUID(file_id))
        except ValueError:
            raise UnprocessableError(f"There is no file {file_id!r} in this conversation.") from None
    async with parts.database.session() as session:
        found = await FileRepository(session, visitor.organization_id).list_by_ids(
            wanted, conversation_id=visitor.conversation_id
        )
    known = {file.id: file for file in found}
    missing = [str(one) for one in wanted if one not in known]
    if missing:
        raise UnprocessableError(f"There is no file {missing[0]!r} in this conversation.")
    return [
        {
            "id": str(known[one].id),
            "name": known[one].name,
            "media_type": known[one].media_type,
            "size": known[one].size,
        }
        for one in wanted
    ]


def _answer(
    parts: Resources,
    conversation_id: UUID,
    reply: TurnReply | Accepted,
    token: str | None,
) -> ChatAnswer:
    if isinstance(reply, Accepted):
        parts.background.run(_announce_late(parts, conversation_id, reply), "announce a late reply")
        return ChatAnswer(
            202,
            {
                "conversation_id": str(conversation_id),
                "message_id": reply.message_id,
                "status": "processing",
                "retry_after_ms": _RETRY_AFTER_MS,
                "token": token,
            },
            {"Retry-After": "2"},
        )
    announce(parts, conversation_id, reply)
    body = reply.model_dump(mode="json", exclude={"messages", "input_hash"})
    body["messages"] = [message_json(message, parts.tokens) for message in reply.messages]
    body["token"] = token
    return ChatAnswer(200, body, {})


def announce(parts: Resources, conversation_id: UUID, reply: TurnReply) -> None:
    """Tell others who watch the conversation, at once; the tables follow within seconds."""
    if reply.messages:
        plain = [message.model_dump(mode="json") for message in reply.messages]
        parts.events.publish(conversation_id, messages_event(plain))
    waiting = reply.waiting.model_dump(mode="json") if reply.waiting is not None else None
    parts.events.publish(conversation_id, StatusEvent(reply.status.value, reply.last_seq, waiting))


async def _announce_late(parts: Resources, conversation_id: UUID, accepted: Accepted) -> None:
    announce(parts, conversation_id, await accepted.late)


def given_id(in_body: str | None, in_header: str | None, name: str) -> str:
    """Return the id that makes a request repeatable. Raises UnprocessableError without a usable one."""
    found = in_body or in_header
    if not found:
        raise UnprocessableError(
            f"Give it an id of its own: `{name}` in the body, or the Idempotency-Key header.",
            errors=[{"detail": "Field required", "pointer": f"/{name}", "code": "missing"}],
        )
    if not _MESSAGE_ID.fullmatch(found):
        raise UnprocessableError(
            "Such an id has 8 to 64 characters of `A-Z a-z 0-9 _ . : -`.",
            errors=[{"detail": "Malformed id", "pointer": f"/{name}", "code": "string_pattern_mismatch"}],
        )
    return found
