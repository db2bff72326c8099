"""The short way of a visitor's message: from the request's bytes to its conversation and back.

Chatting is nearly all that the API is asked for, so a request that is plainly in order skips the framework's
matching, dependencies and wrapping, which cost more than the rest of its way. Any other (another media type,
credentials, a body that does not fit) takes the documented route, which answers it or says what is wrong.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

from api.widget.schemas import ChatRequest
from api.widget.service import Origin, chat, chat_response, given_id
from core.json_values import read_json

_PATH = re.compile(r"/api/v1/widget/([^/]{1,100})/chat")
_TAKEN = "versaai.long_way"


class ChatShortcut(BaseRoute):
    """Stands before the documented route for messages, and gives what it would give."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether it is a message that has not been sent the long way."""
        if scope["type"] != "http" or scope["method"] != "POST" or _TAKEN in scope:
            return Match.NONE, {}
        found = _PATH.fullmatch(scope["path"])
        return (Match.FULL, {"path_params": {"chatbot_id": found[1]}}) if found else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the message. Raises what the documented route raises."""
        body = await receive()
        request = Request(scope)
        plain = _read(request, body)
        if plain is None:
            scope[_TAKEN] = True
            await scope["app"].router(scope, _first(body, receive), send)
            return
        parts = request.app.state.resources
        bearer = request.headers.get("authorization", "")[len("Bearer ") :] or None
        answer = await chat(
            parts,
            request.path_params["chatbot_id"],
            plain,
            given_id(plain.message_id, None, "message_id"),
            plain.token or bearer,
            Origin.of(request, parts),
        )
        await chat_response(answer)(scope, receive, send)


def _read(request: Request, body: Message) -> ChatRequest | None:
    """Return the message; None if it is not plainly in order."""
    headers = request.headers
    if body["type"] != "http.request" or body.get("more_body") or headers.get("content-type") != _JSON:
        return None
    if not headers.get("authorization", _BEARER).startswith(_BEARER):
        return None
    try:
        plain = ChatRequest.model_validate(read_json(body["body"].decode()))
    except ValueError:  # not UTF-8, not JSON, or not a message: all are ValueErrors
        return None
    return plain if plain.message_id else None


_JSON = "application/json"
_BEARER = "Bearer "


def _first(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives a message again before it goes on."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return again
