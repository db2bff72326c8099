"""`/api/v1/callbacks/{token}`: another system answers what a conversation waits for."""

from __future__ import annotations

import codecs
import re
from email.message import Message
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from fastapi import Path, Request
from pydantic import Field

from api.dependencies import Parts, client_address
from api.fields import Outgoing
from api.problems import documented, request_id_of
from api.routing import slice_router
from core.crypto import token_hash
from core.errors import NotFoundError, RequestError, UnprocessableError, UnsupportedMediaError
from core.json_values import clean_text, read_json
from database.public_lookup import callback_of_token
from database.repositories import CallbackRepository
from flow_schema.effects import CallbackMessage
from temporal.gateway import CallbackUsedError, ConversationClosedError

router = slice_router("/callbacks", "callbacks")

_TIMEOUT_SECONDS = 20.0
_DROPPED_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "host", "connection"})
"""Credentials, which have no place in a transcript, and what only the connection needs."""
_MOST_HEADERS = 50
_LONGEST_HEADER = 500
_MOST_FIELDS = 200
_CHARSETS = re.compile(
    r"us-ascii|ascii|iso-?8859-?\d{1,2}|latin-?\d|(windows-?|cp)12\d\d|koi8-[ru]|shift-?jis|euc-(jp|kr)"
    r"|gb2312|gbk|gb18030|big5"
)
_BODY = {
    "requestBody": {
        "description": "Any content: JSON as it is, a form as an object, anything else as text.",
        "content": {
            "application/json": {"schema": {}, "example": {"status": "paid"}},
            "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
            "text/plain": {"schema": {"type": "string"}},
        },
    }
}
_RESPONSES = documented(400, 404, 410, 413, 415, 422, 429, 503)


class CallbackReceipt(Outgoing):
    """The conversation has the callback."""

    outcome: Literal["received"] = Field(
        default="received",
        title="Outcome",
        description="The conversation has it, for good. The same content again gives the same answer.",
    )


Token = Annotated[
    str, Path(title="Token", description="The secret part of the address.", min_length=20, max_length=200)
]


@router.post(
    "/{token}",
    summary="Call a one-time address",
    response_description="The conversation has it.",
    openapi_extra=_BODY,
    responses=_RESPONSES,
)
async def post_callback(token: Token, request: Request, parts: Parts) -> CallbackReceipt:
    """Hand the content to the conversation that waits for it; repeat it until the answer is 200.

    404: no such address. 410: too late, or used before with other content. 422: the content does not fit the
    flow's variables; correct it and send it again. 503: not taken yet, send it again.
    """
    return await _receive(token, request, parts)


@router.put(
    "/{token}",
    summary="Call a one-time address by PUT",
    response_description="The conversation has it.",
    openapi_extra=_BODY,
    responses=_RESPONSES,
)
async def put_callback(token: Token, request: Request, parts: Parts) -> CallbackReceipt:
    """As POST."""
    return await _receive(token, request, parts)


@router.get(
    "/{token}",
    summary="Call a one-time address by a link",
    response_description="The conversation has it.",
    responses=_RESPONSES,
)
async def get_callback(token: Token, request: Request, parts: Parts) -> CallbackReceipt:
    """As POST, the query's parameters being the content: for links that people follow."""
    return await _receive(token, request, parts)


async def _receive(token: str, request: Request, parts: Parts) -> CallbackReceipt:
    parts.limits.count(request, "address", client_address(request))
    body = await read_content(request)
    async with parts.database.session() as session:
        row = await callback_of_token(session, token_hash(token))
    if row is None:
        raise NotFoundError("There is no such callback address.")
    message = CallbackMessage(
        callback_id=row.id,
        body=body,
        headers=_kept_headers(request),
        request_id=request_id_of(request),
    )
    try:
        reply = await parts.gateway.callback(str(row.conversation_id), message, _TIMEOUT_SECONDS)
    except ConversationClosedError as error:
        raise CallbackUsedError("The conversation that waited for this has ended.") from error
    if reply.outcome == "late":
        raise CallbackUsedError("It came too late, or the address was used before with other content.")
    if reply.outcome == "unfit":
        raise UnprocessableError(f"The content does not fit: {reply.reason}. The address stays open.")
    if row.used_at is None:
        parts.background.run(_mark(parts, row.organization_id, row.id), "mark a callback used")
    return CallbackReceipt()


def _kept_headers(request: Request) -> dict[str, str]:
    """What a flow may map: names in lower case, without credentials, cut to a sensible length."""
    kept = {
        name: "".join(sign for sign in value if sign.isprintable())[:_LONGEST_HEADER]
        for name, value in request.headers.items()
        if name not in _DROPPED_HEADERS
    }
    return dict(list(kept.items())[:_MOST_HEADERS])


async def _mark(parts: Parts, organization_id: Any, callback_id: str) -> None:
    async with parts.database.session() as session:
        await CallbackRepository(session, organization_id).mark_used(callback_id)


async def read_content(request: Request) -> Any:
    """Return a request's content: JSON, a form's fields, a text, or the query.

    Forms and texts are read in the charset that the sender declares, JSON always in UTF-8. Raises
    RequestError, and UnsupportedMediaError for a charset that isn't known.
    """
    raw = await request.body()
    if not raw:
        return _fields(request.url.query, "utf-8") or None
    header = Message()
    header["Content-Type"] = request.headers.get("content-type", "")
    media_type = header.get_content_type() if header["Content-Type"] else ""
    charset = "utf-8" if media_type.endswith("json") else _charset(header.get_param("charset"))
    try:
        text = raw.decode(charset)
    except UnicodeDecodeError as error:
        raise RequestError(
            f"The body is not {charset.upper()}: a wrong byte at position {error.start}."
        ) from None
    if "\0" in text:
        raise RequestError("The body holds a NUL character.")
    if media_type == "application/x-www-form-urlencoded":
        return _fields(text, charset)
    looks_like_json = media_type.endswith("json") or (not media_type and text.lstrip()[:1] in {"{", "["})
    if not looks_like_json:
        return text
    try:
        return read_json(text)
    except ValueError as error:
        raise RequestError(f"The body can't be read as JSON: {error}.") from None


def _charset(declared: object) -> str:
    """Return the codec of a declared charset, UTF-8 by default. Raises UnsupportedMediaError.

    Only families of real charsets: Python also has codecs that are none, and some that take long.
    """
    name = str(declared or "utf-8").strip("\"' ").lower().replace("_", "-")
    if name not in {"utf-8", "utf8"} and not _CHARSETS.fullmatch(name):
        raise UnsupportedMediaError(f"The charset {name[:40]!r} isn't known here; send UTF-8.")
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise UnsupportedMediaError(f"The charset {name[:40]!r} isn't known here; send UTF-8.") from None


def _fields(encoded: str, charset: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            encoded, keep_blank_values=True, encoding=charset, errors="replace", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise RequestError(f"A form or query may have at most {_MOST_FIELDS} fields.") from None
    fields: dict[str, Any] = {}
    for name, value in ((clean_text(name), clean_text(value)) for name, value in pairs):
        known = fields.get(name)
        if known is None:
            fields[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            fields[name] = [known, value]
    return fields
