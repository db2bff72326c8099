"""Numbers the messages, keeps those of the current turn, and fills the outbox."""

from __future__ import annotations

from datetime import datetime

from flow_schema.turns import Agent, Content, Message, MessageRole, ModelUsage, NoticeCode, NoticeContent
from workflows.interpreter.outcomes import StepFailed
from workflows.interpreter.state import ConversationState

MAX_TURN_BYTES = 600_000
"""A turn's reply must fit into one Temporal payload."""


class Transcript:
    """Writes into the state's outbox; `turn` holds what the current turn said to the visitor."""

    def __init__(self, state: ConversationState) -> None:
        self.state = state
        self.turn: list[Message] = []
        self.reply_to: str | None = None
        self._size = 0

    def begin_turn(self, reply_to: str | None) -> None:
        self.turn, self._size = [], 0
        self.reply_to = reply_to

    def end_turn(self) -> list[Message]:
        messages, self.turn, self.reply_to = self.turn, [], None
        return messages

    def add(
        self,
        role: MessageRole,
        content: Content,
        at: datetime,
        *,
        node_id: str | None = None,
        client_message_id: str | None = None,
        agent: Agent | None = None,
        typing: float = 0,
        stream_id: str | None = None,
        usage: ModelUsage | None = None,
    ) -> Message:
        """Appends a message under the next `seq`. Raises `StepFailed` when a turn says too much."""
        state = self.state
        if role is MessageRole.ASSISTANT:
            self._size += len(content.model_dump_json().encode())
            if self._size > MAX_TURN_BYTES:
                raise StepFailed(f"the turn's messages have more than {MAX_TURN_BYTES:,} bytes")
        state.last_seq += 1
        spoken = role is not MessageRole.USER
        message = Message.model_construct(
            seq=state.last_seq,
            role=role,
            content=content,
            created_at=at,
            client_message_id=client_message_id,
            reply_to=self.reply_to if spoken else None,
            node_id=node_id,
            stream_id=stream_id,
            agent=agent,
            typing_seconds=typing,
            usage=usage,
        )
        state.outbox_messages.append(message)
        if spoken:
            self.turn.append(message)
        return message

    def notice(self, code: NoticeCode, text: str, at: datetime) -> Message:
        """Appends a system notice."""
        return self.add(MessageRole.SYSTEM, NoticeContent(code=code, text=text), at)
