"""A conversation's events as a stream for one reader: what is there, then what comes, nothing missing.

The id of an event is the cursor to go on from: the `seq` up to which the reader has everything. Messages may
come ahead of others (a reply is announced before the visitor's own message is written); each comes once.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from fastapi.sse import format_sse_event

from api.fields import message_json
from api.resources import Resources
from api.tokens import Visitor
from api.transcripts import Transcript
from core.errors import NotFoundError, UnavailableError
from core.events import MessagesEvent, Resync, StatusEvent, Subscription, TokensEvent, TypingEvent
from flow_schema.turns import Message

_HEARTBEAT_SECONDS = 15.0
_GAP_SECONDS = 5.0
_RECONNECT_MS = 2000
_HEARTBEAT = b": still here\n\n"


class EventFeed:
    """The events of one conversation for one reader, from a cursor on."""

    def __init__(self, parts: Resources, visitor: Visitor, after: int) -> None:
        self._parts = parts
        self._visitor = visitor
        self._cursor = after
        self._ahead: set[int] = set()
        self._behind = False
        """Whether something could not be read: tried again shortly, since no event may tell of it."""
        self._finished_streams: set[str] = set()

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the stream's bytes until the reader leaves or the token ends."""
        yield format_sse_event(retry=_RECONNECT_MS, comment="events")
        async with self._parts.events.subscribe(self._visitor.conversation_id) as subscription:
            async for chunk in self._catch_up():
                yield chunk
            for text in await self._streams():
                yield text
            async for chunk in self._live(subscription):
                yield chunk

    async def _live(self, subscription: Subscription) -> AsyncIterator[bytes]:
        while time.time() < self._visitor.expires_at:
            incomplete = bool(self._ahead) or self._behind
            left = max(0.0, self._visitor.expires_at - time.time())
            event = await subscription.next(min(left, _GAP_SECONDS if incomplete else _HEARTBEAT_SECONDS))
            match event:
                case None:
                    yield _HEARTBEAT
                    if incomplete:
                        async for chunk in self._catch_up():
                            yield chunk
                case MessagesEvent(messages=messages) if messages:
                    for chunk in self._new(list(messages)):
                        yield chunk
                case MessagesEvent(last_seq=last) if last <= self._cursor:
                    pass
                case MessagesEvent() | Resync():
                    async for chunk in self._catch_up():
                        yield chunk
                case StatusEvent():
                    yield self._event(
                        "status",
                        {"status": event.status, "waiting": event.waiting, "last_seq": event.last_seq},
                    )
                case TokensEvent() if event.stream_id not in self._finished_streams:
                    yield self._event(
                        "tokens",
                        {
                            "stream_id": event.stream_id,
                            "attempt": event.attempt,
                            "offset": event.offset,
                            "text": event.text,
                        },
                    )
                case TypingEvent() if event.who != "visitor":
                    yield self._event(
                        "typing", {"who": event.who, "active": event.active, "name": event.name}
                    )
                case _:
                    pass

    async def _catch_up(self) -> AsyncIterator[bytes]:
        """Read what is missing, or note that it can't be read at the moment."""
        page: Transcript | None = None
        while page is None or page.has_more:
            try:
                page = await self._parts.transcripts.read(
                    self._visitor.organization_id, self._visitor.conversation_id, after=self._cursor
                )
            except NotFoundError:
                return
            except UnavailableError:
                self._behind = True
                return
            for chunk in self._new(page.messages):
                yield chunk
        self._behind = False
        waiting = page.waiting.model_dump(mode="json") if page.waiting is not None else None
        yield self._event(
            "status", {"status": page.status.value, "waiting": waiting, "last_seq": page.last_seq}
        )

    async def _streams(self) -> list[bytes]:
        """Return the texts that are being written now, so far."""
        try:
            texts = await self._parts.streams.current(self._visitor.conversation_id)
        except UnavailableError:
            return []
        return [
            self._event(
                "tokens",
                {"stream_id": text.stream_id, "attempt": text.attempt, "offset": 0, "text": text.text},
            )
            for text in texts
            if text.stream_id not in self._finished_streams
        ]

    def _new(self, messages: Sequence[Message | dict[str, Any]]) -> list[bytes]:
        chunks = []
        for given in messages:
            message = given if isinstance(given, Message) else Message.model_validate(given)
            if message.seq <= self._cursor or message.seq in self._ahead:
                continue
            self._ahead.add(message.seq)
            while self._cursor + 1 in self._ahead:
                self._cursor += 1
                self._ahead.discard(self._cursor)
            if message.stream_id:
                self._finished_streams.add(message.stream_id)
            chunks.append(self._event("message", message_json(message, self._parts.tokens)))
        return chunks

    def _event(self, name: str, data: dict[str, Any]) -> bytes:
        identifier = str(self._cursor) if name == "message" else None
        return format_sse_event(data_str=orjson.dumps(data).decode(), event=name, id=identifier)
