"""What activities need of the database, as the small functions that they take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from core.mail import WrittenMail
from database.database import Database
from database.repositories import (
    CallbackRepository,
    EmailOutboxRepository,
    SecretRepository,
    TranscriptRepository,
)
from database.streams import StreamText
from flow_schema.effects import EffectContext, OpenCallback
from flow_schema.turns import Message
from llm.protocol import StreamSink


class DatabaseStores:
    """Secrets, transcripts, callbacks and kept e-mails of any organization, each call a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_secrets(self, organization_id: str, names: set[str]) -> dict[str, str]:
        """Return the values of those names that exist. Raises SecretUnreadableError."""
        async with self._database.session() as session:
            return await SecretRepository(session, UUID(organization_id)).reveal(names)

    async def read_transcript(self, context: EffectContext, limit: int, up_to: int) -> Sequence[Message]:
        """Return the newest stored messages up to a `seq`, in order."""
        async with self._database.session() as session:
            transcripts = TranscriptRepository(session, UUID(context.organization_id))
            return await transcripts.newest(UUID(context.conversation_id), limit=limit, up_to=up_to)

    async def keep_callback(self, request: OpenCallback, token_hash: str) -> None:
        """Store a callback under its token's hash; twice is once."""
        context = request.context
        async with self._database.session() as session:
            await CallbackRepository(session, UUID(context.organization_id)).open(
                request.callback_id,
                UUID(context.conversation_id),
                token_hash=token_hash,
                expires_at=request.expires_at,
            )

    async def keep_email(self, organization_id: str, mail: WrittenMail) -> None:
        """Keep an e-mail in the outbox, once by its Message-ID."""
        async with self._database.session() as session:
            await EmailOutboxRepository(session, UUID(organization_id)).add(
                message_id=mail.message_id,
                to=mail.recipients,
                subject=str(mail.message["Subject"]),
                text=mail.text,
                html=mail.html,
            )


class TokenStreams:
    """Opens the stream of a model call: tokens under the call's key, for those who watch."""

    def __init__(self, streams: StreamText) -> None:
        self._streams = streams

    def open(self, context: EffectContext, attempt: int) -> AbstractAsyncContextManager[StreamSink]:
        """Return a sink for the text of one attempt. What it got is forgotten when the block ends."""
        return self._open(context, attempt)

    @asynccontextmanager
    async def _open(self, context: EffectContext, attempt: int) -> AsyncIterator[StreamSink]:
        sink = _Sink(self._streams, context, attempt)
        try:
            yield sink
        finally:
            await self._streams.finish(context.key)


class _Sink:
    """Text of one attempt of the activity. Models tried one after the other count as attempts as well."""

    _MODELS_AN_ATTEMPT = 100

    def __init__(self, streams: StreamText, context: EffectContext, attempt: int) -> None:
        self._streams = streams
        self._context = context
        self._attempt = attempt * self._MODELS_AN_ATTEMPT
        self._offset = 0

    async def text(self, delta: str) -> None:
        self._streams.append(
            self._context.key, self._context.conversation_id, self._attempt, self._offset, delta
        )
        self._offset += len(delta)

    async def reset(self, reason: str) -> None:
        self._attempt += 1
        self._offset = 0
        self._streams.append(self._context.key, self._context.conversation_id, self._attempt, 0, "")
