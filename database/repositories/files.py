"""Uploaded files; their bytes lie in the file storage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import NotFoundError, TooLargeError
from core.ids import uuid7
from database.tables import Chatbot, StoredFile


@dataclass(frozen=True)
class FileRoom:
    """What visitors may upload into one conversation: files, and bytes of all of them."""

    files: int
    size: int


@dataclass(frozen=True)
class FileRepository:
    """The files of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def add(
        self,
        *,
        chatbot_id: UUID,
        conversation_id: UUID,
        name: str,
        media_type: str,
        size: int,
        sha256: str,
        storage_key: str,
        uploaded_by: Literal["user", "agent"] = "user",
        file_id: UUID | None = None,
    ) -> StoredFile:
        """Record a stored file. `name` is cut at 255 characters. Raises NotFoundError without such a bot."""
        bot = select(Chatbot.id).where(
            Chatbot.organization_id == self.organization_id, Chatbot.id == chatbot_id
        )
        if (await self.session.exec(bot)).one_or_none() is None:
            raise NotFoundError(f"There is no bot {chatbot_id}.")
        file = StoredFile(
            id=file_id or uuid7(),
            organization_id=self.organization_id,
            chatbot_id=chatbot_id,
            conversation_id=conversation_id,
            name=name[:255],
            media_type=media_type[:255],
            size=size,
            sha256=sha256,
            storage_key=storage_key,
            uploaded_by=uploaded_by,
        )
        self.session.add(file)
        await self.session.flush()
        await self.session.refresh(file)
        return file

    async def check_room(
        self, conversation_id: UUID, room: FileRoom, *, size: int, hold: bool = False
    ) -> None:
        """Raise TooLargeError unless visitors may add a file of `size` bytes to the conversation.

        With `hold`, others who ask wait for the end of this transaction, so that several uploads at once
        don't each find the last place free.
        """
        if hold:
            key = func.hashtextextended(f"files:{conversation_id}", 0)
            await self.session.exec(select(func.pg_advisory_xact_lock(key)))
        query = select(func.count(), func.coalesce(func.sum(StoredFile.size), 0)).where(
            StoredFile.organization_id == self.organization_id,
            StoredFile.conversation_id == conversation_id,
            StoredFile.uploaded_by == "user",
        )
        files, taken = (await self.session.exec(query)).one()
        if files >= room.files:
            raise TooLargeError(f"A conversation may hold {room.files} files.", limit=room.files)
        if taken + size > room.size:
            raise TooLargeError(
                f"The files of a conversation may have {room.size} bytes together.", limit=room.size
            )

    async def get(self, file_id: UUID) -> StoredFile:
        """Raises NotFoundError."""
        found = await self.list_by_ids([file_id])
        if not found:
            raise NotFoundError(f"There is no file {file_id}.")
        return found[0]

    async def list_by_ids(
        self, file_ids: Iterable[UUID], *, conversation_id: UUID | None = None
    ) -> list[StoredFile]:
        """Those that exist (in that conversation, if one is given), in the order of `file_ids`."""
        wanted = list(file_ids)
        query = select(StoredFile).where(
            StoredFile.organization_id == self.organization_id, col(StoredFile.id).in_(wanted)
        )
        if conversation_id is not None:
            query = query.where(StoredFile.conversation_id == conversation_id)
        found = {file.id: file for file in await self.session.exec(query)}
        return [found[file_id] for file_id in dict.fromkeys(wanted) if file_id in found]
