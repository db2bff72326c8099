"""Uploads (`/widget/{bot}/files`, `/conversations/{id}/files`) and what their links serve (`/files/{id}`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import StreamingResponse

from api.conversations.service import owned
from api.dependencies import BearerToken, Parts, Team, as_uuid, client_address
from api.fields import BotName, Identifier
from api.files.schemas import UploadedFile
from api.files.service import check_room, receive, store
from api.files.serving import serve
from api.problems import documented
from api.routing import slice_router
from core.errors import AuthenticationError, NotFoundError, PermissionDeniedError
from database.public_lookup import file_of_link

router = slice_router("", "files")

_MULTIPART = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The file."},
                        "conversation_id": {
                            "type": "string",
                            "description": "May be left out: the token names it.",
                        },
                        "token": {
                            "type": "string",
                            "description": "The visitor token, where no header can be sent.",
                        },
                    },
                }
            }
        },
    }
}


@router.post(
    "/widget/{chatbot_id}/files",
    summary="Upload a visitor's file",
    response_description="The stored file, with the id to send.",
    status_code=201,
    openapi_extra=_MULTIPART,
    responses=documented(400, 401, 403, 404, 410, 413, 415, 422, 429, 503),
)
async def upload_visitor_file(
    chatbot_id: BotName, request: Request, parts: Parts, bearer: BearerToken
) -> UploadedFile:
    """Store a file for the visitor's conversation; send its id in a `files` input.

    Its type is found from its content. It belongs to this conversation and can't be used in another. 410 when
    the conversation has ended, 413 when it holds as many files or bytes as one may.
    """
    parts.limits.count(request, "address", client_address(request))
    visitor = parts.tokens.read(bearer) if bearer else None
    if visitor is not None:
        await check_room(parts, visitor.organization_id, visitor.conversation_id, "user")
    upload = await receive(request)
    try:
        if visitor is None:
            token = upload.fields.get("token")
            if not token:
                raise AuthenticationError("Send the conversation's visitor token.")
            visitor = parts.tokens.read(token)
            await check_room(parts, visitor.organization_id, visitor.conversation_id, "user")
        if await parts.bots.id_of(chatbot_id) != visitor.chatbot_id:
            raise PermissionDeniedError("The visitor token belongs to a conversation with another bot.")
        named = upload.fields.get("conversation_id")
        if named and as_uuid(named, "conversation") != visitor.conversation_id:
            raise PermissionDeniedError("The visitor token belongs to another conversation.")
        return await store(
            parts,
            upload,
            organization_id=visitor.organization_id,
            chatbot_id=visitor.chatbot_id,
            conversation_id=visitor.conversation_id,
            uploaded_by="user",
        )
    finally:
        await upload.file.close()


@router.post(
    "/conversations/{conversation_id}/files",
    summary="Upload an agent's file",
    response_description="The stored file, with the id to send.",
    status_code=201,
    openapi_extra=_MULTIPART,
    responses=documented(400, 401, 404, 410, 413, 415, 422, 429, 503),
)
async def upload_agent_file(
    conversation_id: Identifier, request: Request, parts: Parts, team: Team
) -> UploadedFile:
    """Store a file that an agent sends into a conversation; give its id in a message."""
    place = await owned(parts, team.organization_id, as_uuid(conversation_id, "conversation"))
    await check_room(parts, team.organization_id, place.conversation_id, "agent")
    upload = await receive(request)
    try:
        return await store(
            parts,
            upload,
            organization_id=team.organization_id,
            chatbot_id=place.chatbot_id,
            conversation_id=place.conversation_id,
            uploaded_by="agent",
        )
    finally:
        await upload.file.close()


@router.get(
    "/files/{file_id}",
    summary="Read a file",
    response_class=StreamingResponse,
    responses=documented(
        401,
        404,
        416,
        422,
        503,
        s200={
            "description": "The file. Types that a browser could run come as a download.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        s206={
            "description": "The part of the file that `Range` asked for.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        s304={"description": "It is the file that `If-None-Match` names."},
    ),
)
@router.head("/files/{file_id}", include_in_schema=False)
async def get_file(
    request: Request,
    file_id: Identifier,
    parts: Parts,
    sig: Annotated[str, Query(title="Signature", description="Of the link.", max_length=100)],
    exp: Annotated[int, Query(title="Expires", description="Seconds since the epoch.", ge=0, le=2**40)],
) -> Response:
    """Serve a file by a signed link, as transcripts carry it. 401 when the link is over.

    `Range`, `If-Range` and `If-None-Match` are heeded, so that players can seek and browsers keep what they
    have; HEAD answers without the content.
    """
    parts.tokens.check_file_link(file_id, exp, sig)
    async with parts.database.session() as session:
        file = await file_of_link(session, as_uuid(file_id, "file"))
    if file is None:
        raise NotFoundError("There is no such file.")
    return await serve(parts, file, request)
