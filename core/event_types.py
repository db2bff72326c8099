"""What happens in conversations, as processes tell each other (see `core.events`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import from_json, to_json

MAX_PAYLOAD = 7_500
"""Bytes of a notification; PostgreSQL takes less than 8,000."""
_TOKENS_CHARACTERS = 1_200
"""Characters of streamed text in a notification: at most 6 bytes each as JSON."""


@dataclass(frozen=True)
class MessagesEvent:
    """Messages were stored, `first_seq` to `last_seq`.

    `messages` holds them as JSON objects, or is empty when they are too large: the subscriber then reads
    them from the tables. A message may be announced again; `seq` tells.
    """

    first_seq: int
    last_seq: int
    messages: tuple[dict[str, Any], ...] = ()
    kind: Literal["messages"] = "messages"


@dataclass(frozen=True)
class StatusEvent:
    """Where the conversation is now. `waiting` and `agent` are JSON objects or None."""

    status: str
    last_seq: int
    waiting: dict[str, Any] | None = None
    agent: dict[str, Any] | None = None
    kind: Literal["status"] = "status"


@dataclass(frozen=True)
class TokensEvent:
    """Part of an answer while it is made: `text` belongs at character `offset` of the stream's text.

    A higher `attempt` starts the text anew.
    """

    stream_id: str
    attempt: int
    offset: int
    text: str
    kind: Literal["tokens"] = "tokens"


@dataclass(frozen=True)
class TypingEvent:
    """Somebody started or stopped writing."""

    who: Literal["bot", "agent", "visitor"]
    active: bool
    name: str | None = None
    kind: Literal["typing"] = "typing"


@dataclass(frozen=True)
class Resync:
    """Events may have been lost: read the transcript and the status again."""

    kind: Literal["resync"] = "resync"


Event = MessagesEvent | StatusEvent | TokensEvent | TypingEvent | Resync

_KINDS: dict[str, type[Event]] = {
    "messages": MessagesEvent,
    "status": StatusEvent,
    "tokens": TokensEvent,
    "typing": TypingEvent,
    "resync": Resync,
}


def messages_event(messages: Sequence[dict[str, Any]]) -> MessagesEvent:
    """The announcement of JSON messages in order of `seq`; at least one."""
    return MessagesEvent(messages[0]["seq"], messages[-1]["seq"], tuple(messages))


def encode(conversation_id: str, event: Event) -> Iterator[str]:
    """The notifications that carry an event: the conversation's id, a space, JSON."""
    payload = f"{conversation_id} {to_json(event, inf_nan_mode='null').decode()}"
    if len(payload.encode()) <= MAX_PAYLOAD:
        yield payload
        return
    match event:
        case MessagesEvent():
            yield from encode(conversation_id, MessagesEvent(event.first_seq, event.last_seq))
        case TokensEvent() if len(event.text) > _TOKENS_CHARACTERS:
            for start in range(0, len(event.text), _TOKENS_CHARACTERS):
                piece = event.text[start : start + _TOKENS_CHARACTERS]
                yield from encode(
                    conversation_id, TokensEvent(event.stream_id, event.attempt, event.offset + start, piece)
                )
        case _:
            yield from encode(conversation_id, Resync())


def decode(data: str) -> Event | None:
    """The event of a notification's JSON; None for one of a newer release."""
    fields: dict[str, Any] = from_json(data)
    kind = _KINDS.get(fields.get("kind", ""))
    if kind is None:
        return None
    known = {name: value for name, value in fields.items() if name in kind.__dataclass_fields__}
    if kind is MessagesEvent:
        known["messages"] = tuple(known.get("messages", ()))
    return kind(**known)
