"""Reads the read model of conversations: rows, transcripts, visits, replies to repeated inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, func, select, tuple_
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import NotFoundError
from database.tables import ConversationRow, MessageRow, NodeVisit, Reply
from flow_schema.effects import StoredReply
from flow_schema.turns import ConversationStatus, Message, ModelUsage, Visit


@dataclass(frozen=True)
class ConversationRepository:
    """The conversations of one organization, as of their newest flush."""

    session: AsyncSession
    organization_id: UUID

    async def find(self, conversation_id: UUID) -> ConversationRow | None:
        """None also for a conversation whose first flush is still to come."""
        query = select(ConversationRow).where(
            ConversationRow.organization_id == self.organization_id, ConversationRow.id == conversation_id
        )
        return (await self.session.exec(query)).one_or_none()

    async def get(self, conversation_id: UUID) -> ConversationRow:
        """Raises NotFoundError."""
        found = await self.find(conversation_id)
        if found is None:
            raise NotFoundError(f"There is no conversation {conversation_id}.")
        return found

    async def list(
        self,
        *,
        chatbot_id: UUID | None = None,
        status: ConversationStatus | None = None,
        mode: str | None = "live",
        limit: int = 50,
        before: UUID | None = None,
    ) -> list[ConversationRow]:
        """Newest first; `before` is the id of the last one seen. `mode` None means live and test."""
        query = select(ConversationRow).where(ConversationRow.organization_id == self.organization_id)
        if chatbot_id is not None:
            query = query.where(ConversationRow.chatbot_id == chatbot_id)
        if status is not None:
            query = query.where(ConversationRow.status == status.value)
        if mode is not None:
            query = query.where(ConversationRow.mode == mode)
        if before is not None:
            # Ids of conversations are made from their openings, so that they say nothing of their age.
            seen = (
                select(ConversationRow.started_at)
                .where(ConversationRow.organization_id == self.organization_id, ConversationRow.id == before)
                .scalar_subquery()
            )
            query = query.where(
                tuple_(col(ConversationRow.started_at), col(ConversationRow.id)) < tuple_(seen, before)
            )
        newest_first = (col(ConversationRow.started_at).desc(), col(ConversationRow.id).desc())
        return [*await self.session.exec(query.order_by(*newest_first).limit(limit))]


@dataclass(frozen=True)
class TranscriptRepository:
    """The stored part of transcripts. The newest messages may still be in the workflow's outbox."""

    session: AsyncSession
    organization_id: UUID

    async def messages(self, conversation_id: UUID, *, after_seq: int = 0, limit: int = 200) -> list[Message]:
        """In order, those with `seq` greater than `after_seq`."""
        query = select(MessageRow).where(
            MessageRow.organization_id == self.organization_id,
            MessageRow.conversation_id == conversation_id,
            MessageRow.seq > after_seq,
        )
        rows = await self.session.exec(query.order_by(col(MessageRow.seq)).limit(limit))
        return [message_of(row) for row in rows]

    async def newest(self, conversation_id: UUID, *, limit: int, up_to: int | None = None) -> list[Message]:
        """In order, the last `limit` messages, none after `up_to`."""
        query = select(MessageRow).where(
            MessageRow.organization_id == self.organization_id, MessageRow.conversation_id == conversation_id
        )
        if up_to is not None:
            query = query.where(MessageRow.seq <= up_to)
        rows = await self.session.exec(query.order_by(col(MessageRow.seq).desc()).limit(limit))
        return [message_of(row) for row in rows][::-1]

    async def by_seq(self, conversation_id: UUID, seqs: Sequence[int]) -> list[Message]:
        """In order, exactly those that are stored of `seqs`."""
        query = select(MessageRow).where(
            MessageRow.organization_id == self.organization_id,
            MessageRow.conversation_id == conversation_id,
            col(MessageRow.seq).in_(seqs),
        )
        return [message_of(row) for row in await self.session.exec(query.order_by(col(MessageRow.seq)))]

    async def visits(self, conversation_id: UUID, *, after_number: int = 0, limit: int = 1000) -> list[Visit]:
        """The path, in order, after visit `after_number`."""
        query = select(NodeVisit).where(
            NodeVisit.organization_id == self.organization_id,
            NodeVisit.conversation_id == conversation_id,
            NodeVisit.number > after_number,
        )
        rows = await self.session.exec(query.order_by(col(NodeVisit.number)).limit(limit))
        return [visit_of(row) for row in rows]

    async def count_replies(self, conversation_id: UUID) -> int:
        """How many inputs have been answered."""
        query = select(func.count()).where(
            Reply.organization_id == self.organization_id, Reply.conversation_id == conversation_id
        )
        return (await self.session.exec(query)).one()

    async def reply(self, conversation_id: UUID, message_id: str) -> StoredReply | None:
        """What was answered to the input with that client's id, once it is stored."""
        query = select(Reply).where(
            Reply.organization_id == self.organization_id,
            Reply.conversation_id == conversation_id,
            Reply.message_id == message_id,
        )
        row = (await self.session.exec(query)).one_or_none()
        return None if row is None else StoredReply.model_validate(row.reply)


def message_of(row: MessageRow) -> Message:
    """The message that a row was made of."""
    return Message.model_validate(
        {
            "seq": row.seq,
            "role": row.role,
            "content": row.body,
            "created_at": row.created_at,
            "client_message_id": row.client_message_id,
            "reply_to": row.reply_to,
            "node_id": row.node_id,
            "agent": row.agent,
            **row.details,
        }
    )


def visit_of(row: NodeVisit) -> Visit:
    """The visit that a row was made of."""
    return Visit(
        number=row.number,
        node_id=row.node_id,
        flow=row.flow,
        entered_at=row.entered_at,
        left_at=row.left_at,
        exit=row.exit,
        changes=row.changes,
        error=row.error,
        usage=None if row.usage is None else ModelUsage.model_validate(row.usage),
    )
