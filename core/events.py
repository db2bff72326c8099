"""Events of conversations between processes, over PostgreSQL's LISTEN and NOTIFY.

One connection a process both listens and notifies. Events are hints, never the truth: what they announce
can be read from the tables. Nothing is lost silently: after a broken connection, and for a subscriber that
is too slow, the subscribers get a `Resync`.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg

from core.database_url import driver_url
from core.event_types import (
    Event,
    MessagesEvent,
    Resync,
    StatusEvent,
    TokensEvent,
    TypingEvent,
    decode,
    encode,
    messages_event,
)
from core.logging import get_logger

__all__ = [
    "Event",
    "EventBus",
    "MessagesEvent",
    "Resync",
    "StatusEvent",
    "Subscription",
    "TokensEvent",
    "TypingEvent",
    "messages_event",
]

CHANNEL = "versaai_conversations"
EVERYBODY = "*"
"""In the place of a conversation's id: for all subscribers."""
_NOTIFY = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"
_MAX_QUEUED = 20_000
_MAX_UNREAD = 1_000
_BATCH = 500
_IDLE_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_log = get_logger(__name__)


class Subscription:
    """The events of one conversation from now on, for one reader. Iterate it, or call `next`."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue(_MAX_UNREAD)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._queue.get()

    async def next(self, timeout: float | None = None) -> Event | None:
        """The next event, or None when none came within `timeout` seconds."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout)
        except TimeoutError:
            return None

    def put(self, event: Event) -> None:
        """Hand over an event; a reader that left a thousand unread gets a `Resync` in their place."""
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            event = Resync()
        self._queue.put_nowait(event)


class EventBus:
    """Publishes events to, and receives them from, every process that is connected to the database."""

    def __init__(self, database_url: str, *, receives: bool = True) -> None:
        """`receives=False` is for processes without readers, which then are not woken by every event."""
        self._url = driver_url(database_url)
        self._receives = receives
        self._outgoing: deque[str] = deque()
        self._dropped = False
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._wake = asyncio.Event()
        self._connected = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, timeout: float = 5.0) -> None:
        """Connect. When PostgreSQL can't be reached within `timeout` seconds, go on trying behind."""
        if self._task is None:
            self._closing = False
            self._task = asyncio.create_task(self._run(), name="events")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), timeout)

    async def close(self, timeout: float = 2.0) -> None:
        """Send what is queued, if that goes within `timeout` seconds, and disconnect. Idempotent."""
        if self._task is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=timeout)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    @property
    def connected(self) -> bool:
        """Whether events arrive at present."""
        return self._connected.is_set()

    def publish(self, conversation_id: str | UUID, event: Event) -> None:
        """Queue an event for the subscribers of every process, this one included. Never waits.

        What queues up during a round trip travels in the next one. Events of one process arrive in order.
        """
        for payload in encode(str(conversation_id), event):
            if len(self._outgoing) >= _MAX_QUEUED:
                self._outgoing.popleft()
                self._dropped = True
            self._outgoing.append(payload)
        self._wake.set()

    @asynccontextmanager
    async def subscribe(self, conversation_id: str | UUID) -> AsyncIterator[Subscription]:
        """Receive a conversation's events from the moment the block is entered.

        Subscribe first, read the transcript then: what comes twice is told by `seq` or `offset`.
        """
        assert self._receives, "this bus only sends"
        key = str(conversation_id)
        subscription = Subscription()
        self._subscriptions.setdefault(key, set()).add(subscription)
        try:
            yield subscription
        finally:
            others = self._subscriptions[key]
            others.discard(subscription)
            if not others:
                del self._subscriptions[key]

    async def _run(self) -> None:
        delay = _FIRST_DELAY
        known = False
        while True:
            try:
                connection = await asyncpg.connect(
                    self._url, timeout=_ANSWER_SECONDS, server_settings={"application_name": "versaai-events"}
                )
            except _LOST as error:
                if self._closing:
                    return
                _log.warning("events are not connected", reason=str(error), retry_in=delay)
                await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311
                delay = min(delay * 2, _LONGEST_DELAY)
                continue
            try:
                if self._receives:
                    await connection.add_listener(CHANNEL, self._receive)
                if known:
                    self._deliver_to_all(Resync())
                known = True
                delay = _FIRST_DELAY
                self._connected.set()
                if await self._pump(connection):
                    return
            except Exception as error:
                # Not only _LOST: between the server's last word and the end of the connection the driver
                # raises errors of its own, and this task must outlive them all.
                _log.warning("events lost their connection", reason=str(error))
            finally:
                self._connected.clear()
                await _disconnect(connection)

    async def _pump(self, connection: Any) -> bool:
        """Send until the bus closes (True) or the connection is lost (raises)."""
        connection.add_termination_listener(lambda _connection: self._wake.set())
        while True:
            if not self._outgoing and not self._closing:
                try:
                    await asyncio.wait_for(self._wake.wait(), _IDLE_SECONDS)
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
            self._wake.clear()
            if connection.is_closed():
                raise ConnectionResetError("PostgreSQL closed the connection")
            if self._outgoing:
                await self._send(connection)
            elif self._closing:
                return True

    async def _send(self, connection: Any) -> None:
        if self._dropped:
            self._dropped = False
            self._outgoing.extendleft(encode(EVERYBODY, Resync()))
        batch = [self._outgoing.popleft() for _ in range(min(len(self._outgoing), _BATCH))]
        try:
            await connection.execute(_NOTIFY, CHANNEL, batch, timeout=_ANSWER_SECONDS)
        except BaseException:
            self._outgoing.extendleft(reversed(batch))
            raise

    def _receive(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        conversation_id, _, data = payload.partition(" ")
        if conversation_id == EVERYBODY:
            self._deliver_to_all(Resync())
            return
        subscriptions = self._subscriptions.get(conversation_id)
        if subscriptions:
            event = decode(data)
            if event is not None:
                for subscription in tuple(subscriptions):
                    subscription.put(event)

    def _deliver_to_all(self, event: Event) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.put(event)


async def _disconnect(connection: Any) -> None:
    try:
        await connection.close(timeout=1)
    except _LOST:
        connection.terminate()
