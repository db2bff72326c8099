"""Answers while they are streamed: their tokens to subscribers, the text so far for those who come later.

Losing any of it costs a reader some seconds of watching: the finished message is the truth.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from core.errors import VersaError
from core.events import EventBus, TokensEvent
from core.logging import get_logger
from database.database import Database

_STORE = """
INSERT INTO stream_texts AS present (stream_id, conversation_id, attempt, text, updated_at)
SELECT *, now() FROM unnest($1::text[], $2::uuid[], $3::int[], $4::text[])
ON CONFLICT (stream_id) DO UPDATE
    SET attempt = EXCLUDED.attempt, text = EXCLUDED.text, updated_at = EXCLUDED.updated_at
    WHERE present.attempt <= EXCLUDED.attempt
"""
_CURRENT = """
SELECT stream_id, attempt, text FROM stream_texts
WHERE conversation_id = $1 AND updated_at > now() - interval '2 minutes'
ORDER BY stream_id
"""
_DELETE = "DELETE FROM stream_texts WHERE stream_id = $1"

_log = get_logger(__name__)


@dataclass(frozen=True)
class StreamingText:
    """An answer in the making: `text` so far of `attempt`."""

    stream_id: str
    attempt: int
    text: str


@dataclass
class _Stream:
    conversation_id: UUID
    attempt: int
    text: str = ""
    published: int = 0
    stored: int = -1


class StreamText:
    """Publishes tokens at most every `publish_seconds` and stores the text at most every `store_seconds`."""

    def __init__(
        self,
        database: Database,
        events: EventBus,
        *,
        publish_seconds: float = 0.05,
        store_seconds: float = 0.25,
    ) -> None:
        self._database = database
        self._events = events
        self._publish_seconds = publish_seconds
        self._store_seconds = store_seconds
        self._streams: dict[str, _Stream] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._storing = asyncio.Lock()

    def append(
        self, stream_id: str, conversation_id: str | UUID, attempt: int, offset: int, text: str
    ) -> None:
        """Take the characters of the answer from `offset` on. Never waits.

        A higher attempt starts anew; a lower one is passed over.
        """
        stream = self._streams.get(stream_id)
        if stream is None or stream.attempt < attempt:
            stream = _Stream(UUID(str(conversation_id)), attempt)
            self._streams[stream_id] = stream
        elif stream.attempt > attempt:
            return
        stream.text = stream.text[:offset] + text
        stream.published = min(stream.published, offset)
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.create_task(self._tick(), name="stream-texts")

    async def finish(self, stream_id: str) -> None:
        """Publish the rest and forget the stream; its result, or its next attempt, comes by other ways."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self._publish(stream_id, stream)
        async with self._storing:
            try:
                async with self._database.statement() as connection:
                    await connection.execute(_DELETE, stream_id)
            except VersaError as error:
                _log.warning("a streamed text was not removed", stream=stream_id, reason=error.detail)

    async def current(self, conversation_id: str | UUID) -> list[StreamingText]:
        """The answers in flight, for a reader who comes in the middle. Subscribe before asking."""
        async with self._database.statement() as connection:
            rows = await connection.fetch(_CURRENT, UUID(str(conversation_id)))
        return [StreamingText(row["stream_id"], row["attempt"], row["text"]) for row in rows]

    async def close(self) -> None:
        """Stop publishing. Idempotent."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        stored_at = loop.time() - self._store_seconds
        while True:
            for stream_id, stream in self._streams.items():
                self._publish(stream_id, stream)
            if loop.time() - stored_at >= self._store_seconds:
                stored_at = loop.time()
                await self._store()
            if not any(stream.stored != len(stream.text) for stream in self._streams.values()):
                return
            await asyncio.sleep(self._publish_seconds)

    def _publish(self, stream_id: str, stream: _Stream) -> None:
        if stream.published < len(stream.text):
            event = TokensEvent(stream_id, stream.attempt, stream.published, stream.text[stream.published :])
            self._events.publish(stream.conversation_id, event)
            stream.published = len(stream.text)

    async def _store(self) -> None:
        async with self._storing:
            changed = {
                stream_id: (stream, stream.text)
                for stream_id, stream in self._streams.items()
                if stream.stored != len(stream.text)
            }
            if not changed:
                return
            for stream, text in changed.values():
                stream.stored = len(text)
            try:
                async with self._database.statement() as connection:
                    await connection.execute(
                        _STORE,
                        list(changed),
                        [stream.conversation_id for stream, _ in changed.values()],
                        [stream.attempt for stream, _ in changed.values()],
                        [text.replace("\0", "\ufffd") for _, text in changed.values()],
                    )
            except VersaError as error:
                _log.warning("streamed texts were not stored", reason=error.detail)
