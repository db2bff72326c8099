"""Takes a multipart upload as a stream and stores its file, without holding it in memory."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from api.files.schemas import UploadedFile
from api.resources import Resources
from core.errors import RequestError, UnprocessableError, UnsupportedMediaError
from core.files import HEAD_BYTES, PART_BYTES, sniff
from core.ids import uuid7
from core.settings import Settings
from database.repositories import FileRepository
from database.repositories.files import FileRoom
from flow_schema.turns import ConversationStatus
from temporal.gateway import ConversationClosedError

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MOST_FIELDS = 10
_BROWSER_ESCAPE = re.compile(r"%(22|0[AaDd])")
"""What browsers write in a part's file name for a quote and for line breaks, and nothing else."""


@dataclass(frozen=True)
class Upload:
    """A received file and the fields beside it."""

    file: UploadFile
    fields: dict[str, str]


async def receive(request: Request) -> Upload:
    """Read a multipart body; large files wait on disk. Raises RequestError and its kind."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaError("Send the file as multipart/form-data, in a part named `file`.")
    try:
        form = await request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=64 * 1024)
    except MultiPartException as error:
        raise RequestError(f"The multipart body is malformed: {error.message}") from None
    except UnicodeDecodeError:
        raise RequestError("A part of the multipart body is not UTF-8.") from None
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise UnprocessableError("There is no file in the part `file`.")
    return Upload(file, {name: value for name, value in form.multi_items() if isinstance(value, str)})


async def check_room(
    parts: Resources,
    organization_id: UUID,
    conversation_id: UUID,
    uploaded_by: Literal["user", "agent"],
) -> None:
    """Look, before an upload is read, whether the conversation may have one more file.

    Raises ConversationClosedError when it has ended, TooLargeError when visitors have sent all they may.
    """
    row = await parts.transcripts.row(organization_id, conversation_id)
    if row is not None and row.status == ConversationStatus.ENDED.value:
        raise ConversationClosedError("The conversation has ended; it takes no files any more.")
    if uploaded_by == "user":
        async with parts.database.session() as session:
            await FileRepository(session, organization_id).check_room(
                conversation_id, _room(parts.settings), size=1
            )


def _room(settings: Settings) -> FileRoom:
    return FileRoom(settings.max_conversation_files, settings.max_conversation_file_bytes)


async def store(
    parts: Resources,
    upload: Upload,
    *,
    organization_id: UUID,
    chatbot_id: UUID,
    conversation_id: UUID,
    uploaded_by: Literal["user", "agent"],
) -> UploadedFile:
    """Store a received file for a conversation. Raises TooLargeError, UnprocessableError for an empty one."""
    head = await upload.file.read(HEAD_BYTES)
    if not head:
        raise UnprocessableError("The file is empty.")
    await parts.plans.check_storage(organization_id, upload.file.size or 0)
    name = clean_name(upload.file.filename or "")
    media_type = sniff(head, name)
    file_id = uuid7()
    key = f"conversations/{conversation_id}/{file_id}"

    async def chunks() -> AsyncIterator[bytes]:
        yield head
        while chunk := await upload.file.read(min(PART_BYTES, 1024 * 1024)):
            yield chunk

    stored = await parts.files.put_stream(key, chunks(), parts.settings.max_upload_bytes)
    try:
        async with parts.database.session() as session:
            files = FileRepository(session, organization_id)
            if uploaded_by == "user":
                await files.check_room(conversation_id, _room(parts.settings), size=stored.size, hold=True)
            await files.add(
                chatbot_id=chatbot_id,
                conversation_id=conversation_id,
                name=name,
                media_type=media_type,
                size=stored.size,
                sha256=stored.sha256,
                storage_key=key,
                uploaded_by=uploaded_by,
                file_id=file_id,
            )
    except BaseException:
        await parts.files.delete(key)
        raise
    return UploadedFile(
        id=str(file_id),
        name=name,
        media_type=media_type,
        size=stored.size,
        url=parts.tokens.file_link(str(file_id)),
    )


def clean_name(given: str) -> str:
    """Return a file name without folders, controls and what reverses text; at most 200 characters."""
    decoded = _BROWSER_ESCAPE.sub(lambda found: chr(int(found[1], 16)), given)
    name = unicodedata.normalize("NFC", decoded.replace("\\", "/").rsplit("/", 1)[-1])
    name = _CONTROLS.sub("", name).strip(" .")
    if len(name) > 200:
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem[: 199 - len(suffix)]}{dot}{suffix}" if 0 < len(suffix) <= 16 else name[:200]
    return name or "file"
