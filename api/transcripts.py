"""Transcripts: what is in the tables, and after it what the workflow has not written yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.errors import MessageReusedError, NotFoundError, UnavailableError
from database.database import Database
from database.public_lookup import organization_of_conversation
from database.repositories import ConversationRepository, TranscriptRepository
from database.tables import ConversationRow
from flow_schema.turns import (
    ConversationSnapshot,
    ConversationStatus,
    Message,
    TurnReply,
    Waiting,
)
from temporal.gateway import ConversationClosedError, ConversationGateway


@dataclass(frozen=True)
class Transcript:
    """A part of a transcript and where the conversation is now."""

    messages: list[Message]
    status: ConversationStatus
    waiting: Waiting | None
    language: str
    last_seq: int
    has_more: bool


class Transcripts:
    """Reads conversations from tables and workflow together."""

    def __init__(self, database: Database, gateway: ConversationGateway) -> None:
        self._database = database
        self._gateway = gateway

    async def read(
        self, organization_id: UUID, conversation_id: UUID, *, after: int = 0, limit: int = 200
    ) -> Transcript:
        """Return the messages after a number, at most `limit`. Raises NotFoundError.

        The workflow is asked before the tables are read: what it writes in between is then in both, and
        the newer of the two says where the conversation is. When it doesn't answer, the tables alone do.
        """
        row = await self.row(organization_id, conversation_id)
        tail: list[Message] = []
        snapshot: ConversationSnapshot | None = None
        if row is None or row.status != ConversationStatus.ENDED.value:
            tail, snapshot = await self._running(str(conversation_id), known=row is not None)
            if snapshot is not None and snapshot.organization_id != str(organization_id):
                raise NotFoundError("There is no such conversation.")
        async with self._database.session() as session:
            stored = await TranscriptRepository(session, organization_id).messages(
                conversation_id, after_seq=after, limit=limit + 1
            )
            row = await ConversationRepository(session, organization_id).find(conversation_id)
        if row is None and snapshot is None:
            raise NotFoundError("There is no such conversation.")
        messages = stored
        if len(stored) <= limit:
            newest = stored[-1].seq if stored else after
            messages = stored + [message for message in tail if message.seq > newest]
        shown = messages[:limit]
        state = _state(snapshot, row)
        return Transcript(
            messages=shown,
            status=state[0],
            waiting=state[1],
            language=state[2],
            last_seq=state[3],
            has_more=len(messages) > limit,
        )

    async def row(self, organization_id: UUID, conversation_id: UUID) -> ConversationRow | None:
        """Return the conversation's row, once it has been written."""
        async with self._database.session() as session:
            return await ConversationRepository(session, organization_id).find(conversation_id)

    async def is_older(self, organization_id: UUID, conversation_id: UUID, seconds: int) -> bool:
        """Tell whether a conversation began longer ago than `seconds`; one that nobody has seen did not."""
        async with self._database.session() as session:
            if await organization_of_conversation(session, conversation_id) is None:
                return False
            row = await ConversationRepository(session, organization_id).find(conversation_id)
        return row is not None and datetime.now(UTC) - row.started_at > timedelta(seconds=seconds)

    async def stored_reply(
        self, organization_id: UUID, conversation_id: UUID, message_id: str, input_hash: str
    ) -> TurnReply | None:
        """Return the reply to an input from the tables: the same as the workflow gave.

        Raises MessageReusedError when the id was used for another input.
        """
        async with self._database.session() as session:
            transcript = TranscriptRepository(session, organization_id)
            reply = await transcript.reply(conversation_id, message_id)
            if reply is None:
                return None
            if reply.body_hash and reply.body_hash != input_hash:
                raise MessageReusedError(
                    f"The message id {message_id} was used before for another message; "
                    "give each message an id of its own."
                )
            messages = await transcript.by_seq(conversation_id, reply.seqs)
        return TurnReply(
            conversation_id=str(conversation_id),
            message_id=message_id,
            status=reply.status,
            messages=messages,
            last_seq=reply.last_seq,
            waiting=reply.waiting,
            language=reply.language,
            answered_by=reply.answered_by,
            input_hash=reply.body_hash,
        )

    async def _running(
        self, conversation_id: str, *, known: bool
    ) -> tuple[list[Message], ConversationSnapshot | None]:
        """What the workflow tells. Raises UnavailableError where no table could answer in its place."""
        try:
            tail = await self._gateway.tail(conversation_id)
        except ConversationClosedError:
            return [], None
        except UnavailableError:
            if not known:
                raise
            return [], None
        return tail.messages, tail.snapshot


def _state(
    snapshot: ConversationSnapshot | None, row: ConversationRow | None
) -> tuple[ConversationStatus, Waiting | None, str, int]:
    if snapshot is not None and (row is None or row.last_seq <= snapshot.last_seq):
        return snapshot.status, snapshot.waiting, snapshot.language, snapshot.last_seq
    assert row is not None
    waiting = Waiting.model_validate(row.waiting) if row.waiting else None
    return ConversationStatus(row.status), waiting, row.language, row.last_seq
