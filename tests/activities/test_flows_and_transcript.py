"""`load_flow` and `flush_transcript` in an activity environment, on a real PostgreSQL."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.flows import FlowActivities
from activities.transcript import TranscriptActivities
from core.events import EventBus, MessagesEvent, StatusEvent, TokensEvent
from core.ids import uuid7
from database.database import Database
from database.public_lookup import ensure_organization
from database.repositories import ChatbotRepository, FlowVersionRepository, TranscriptRepository
from database.streams import StreamText
from database.tables import FlowVersion
from flow_schema.effects import (
    ACTIVITIES,
    FLUSH_TRANSCRIPT,
    LOAD_FLOW,
    ConversationRecord,
    FailureType,
    Flush,
    LoadedFlow,
    LoadFlow,
)
from flow_schema.flow import Flow, canonical_json, content_hash
from flow_schema.turns import ConversationStatus, Message, Waiting

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Bot:
    """A bot and what it published."""

    def __init__(self, database: Database, organization_id: UUID, chatbot_id: UUID) -> None:
        self.database = database
        self.organization_id = organization_id
        self.chatbot_id = chatbot_id

    async def publish(self, flow: Flow, slug: str = "main") -> FlowVersion:
        async with self.database.session() as session:
            repository = FlowVersionRepository(session, self.organization_id)
            return await repository.publish(self.chatbot_id, flow, flow_slug=slug)

    def request(self, version: FlowVersion, **changes: Any) -> LoadFlow:
        fields = {
            "organization_id": str(self.organization_id),
            "chatbot_id": str(self.chatbot_id),
            "flow_version_id": str(version.id),
            "content_hash": version.content_hash,
        }
        return LoadFlow.model_validate(fields | changes)


@pytest.fixture
async def bot(database: Database) -> Bot:
    async with database.session() as session:
        organization = await ensure_organization(session, slug="ours", name="Ours")
        row = await ChatbotRepository(session, organization.id).create(name="Bot", slug="bot")
    return Bot(database, organization.id, row.id)


@pytest.fixture
async def events(database_url: str) -> AsyncIterator[EventBus]:
    bus = EventBus(database_url)
    await bus.start()
    yield bus
    await bus.close()


def flow(text: str, runs: str | None = None) -> Flow:
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "start", "data": {}},
        {"id": "hi", "type": "message", "data": {"text": text}},
    ]
    if runs:
        nodes.append({"id": "run", "type": "action", "data": {"action": {"kind": "run_flow", "flow": runs}}})
    return Flow.model_validate({"name": "Prueba", "nodes": nodes})


def unpack(loaded: LoadedFlow) -> Flow:
    data = zlib.decompress(base64.b64decode(loaded.compressed))
    return Flow.model_validate(json.loads(data))


async def run(activities: FlowActivities, request: LoadFlow) -> Any:
    return await ActivityEnvironment().run(activities.load_flow, request)


async def test_a_flow_comes_with_those_it_runs(database: Database, bot: Bot) -> None:
    old = await bot.publish(flow("sub 1"), "sub")
    main = await bot.publish(flow("¡Hola! 👋", runs="sub"))
    activities = FlowActivities(database)
    bundle = await run(activities, bot.request(main))
    assert set(bundle.flows) == {"main", "sub"}
    assert unpack(bundle.flows["main"]) == flow("¡Hola! 👋", runs="sub")
    packed = zlib.decompress(base64.b64decode(bundle.flows["main"].compressed))
    assert packed == canonical_json(flow("¡Hola! 👋", runs="sub"))
    assert bundle.flows["main"].content_hash == content_hash(flow("¡Hola! 👋", runs="sub"))
    new = await bot.publish(flow("sub 2"), "sub")
    newest = await run(activities, bot.request(main))
    assert newest.flows["sub"].version_id == str(new.id)
    pinned = await run(activities, bot.request(main, sub_flows={"sub": str(old.id)}))
    assert unpack(pinned.flows["sub"]) == flow("sub 1")


async def test_a_flow_that_was_read_is_served_again_without_the_database(database_url: str, bot: Bot) -> None:
    main = await bot.publish(flow("uno"))
    database = Database(database_url)
    activities = FlowActivities(database)
    first = await run(activities, bot.request(main))
    await database.close()
    broken = Database("postgresql://nobody@127.0.0.1:1/none")
    activities._database = broken
    assert await run(activities, bot.request(main)) == first
    with pytest.raises(ApplicationError) as raised:
        await run(activities, bot.request(main, flow_version_id=str(uuid4())))
    assert (raised.value.type, raised.value.non_retryable) == (FailureType.RETRY, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flow_version_id": "01890000-0000-7000-8000-000000000000"}, "no flow version"),
        ({"flow_version_id": "x"}, "can't be read"),
        ({"organization_id": "01890000-0000-7000-8000-000000000000"}, "no flow version"),
        ({"chatbot_id": "01890000-0000-7000-8000-000000000000"}, "another bot"),
        ({"content_hash": "0" * 64}, "another content"),
    ],
)
async def test_what_is_not_there_fails_for_good(
    database: Database, bot: Bot, changes: dict[str, str], words: str
) -> None:
    main = await bot.publish(flow("uno"))
    activities = FlowActivities(database)
    for _ in range(2):
        with pytest.raises(ApplicationError, match=words) as raised:
            await run(activities, bot.request(main, **changes))
        assert (raised.value.type, raised.value.non_retryable) == (FailureType.BAD_REQUEST, True)
        await run(activities, bot.request(main))


async def test_a_sub_flow_that_was_never_published(database: Database, bot: Bot) -> None:
    main = await bot.publish(flow("uno", runs="nowhere"))
    with pytest.raises(ApplicationError, match="`nowhere`"):
        await run(FlowActivities(database), bot.request(main))


def record(bot: Bot, version: FlowVersion, conversation: UUID, **changes: Any) -> ConversationRecord:
    fields: dict[str, Any] = {
        "organization_id": str(bot.organization_id),
        "chatbot_id": str(bot.chatbot_id),
        "conversation_id": str(conversation),
        "flow_version_id": str(version.id),
        "mode": "live",
        "session_id": "s",
        "user_identifier": None,
        "user_metadata": {},
        "status": "waiting",
        "language": "es",
        "started_at": NOW,
        "last_activity": NOW,
        "last_seq": 2,
        "agent_id": "7",
        "waiting": Waiting(kind="timer", node_id="n", since=NOW, until=NOW),
    }
    return ConversationRecord.model_validate(fields | changes)


async def test_a_flush_is_written_and_announced(database: Database, bot: Bot, events: EventBus) -> None:
    version = await bot.publish(flow("uno"))
    conversation = uuid7()
    streams = StreamText(database, events)
    streams.append("k:1:1", conversation, 1, 0, "Hola a to")
    while not await streams.current(conversation):
        pass
    messages = [
        Message.model_validate(
            {"seq": seq, "role": "assistant", "content": {"text": text, "type": "text"}, "created_at": NOW}
            | ({"stream_id": "k:1:1"} if seq == 2 else {})
        )
        for seq, text in ((1, "Hola"), (2, "Hola a todos"))
    ]
    batch = Flush(record=record(bot, version, conversation), messages=messages, visits=[])
    activities = TranscriptActivities(database, events)
    async with events.subscribe(conversation) as subscription:
        flushed = await ActivityEnvironment().run(activities.flush_transcript, batch)
        assert (flushed.messages, flushed.visits) == (2, 0)
        announced = await subscription.next(10)
        while isinstance(announced, TokensEvent):
            announced = await subscription.next(10)
        assert isinstance(announced, MessagesEvent)
        assert [Message.model_validate(entry) for entry in announced.messages] == messages
        status = await subscription.next(10)
        assert isinstance(status, StatusEvent)
        assert (status.status, status.last_seq, status.agent) == (ConversationStatus.WAITING, 2, {"id": "7"})
        assert Waiting.model_validate(status.waiting) == batch.record.waiting
    assert await streams.current(conversation) == []
    await streams.close()
    async with database.session() as session:
        stored = await TranscriptRepository(session, bot.organization_id).messages(conversation)
    assert stored == messages


async def test_a_flush_for_a_bot_that_is_gone_fails_for_good(
    database: Database, bot: Bot, events: EventBus
) -> None:
    version = await bot.publish(flow("uno"))
    batch = Flush(record=record(bot, version, uuid7(), chatbot_id=str(uuid4())), messages=[], visits=[])
    with pytest.raises(ApplicationError) as raised:
        await ActivityEnvironment().run(TranscriptActivities(database, events).flush_transcript, batch)
    assert (raised.value.type, raised.value.non_retryable) == (FailureType.REFUSED, True)


async def test_a_flush_without_a_database_is_tried_again(bot: Bot, events: EventBus) -> None:
    version = await bot.publish(flow("uno"))
    batch = Flush(record=record(bot, version, uuid7()), messages=[], visits=[])
    absent = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(ApplicationError) as raised:
        await ActivityEnvironment().run(TranscriptActivities(absent, events).flush_transcript, batch)
    assert (raised.value.type, raised.value.non_retryable) == (FailureType.RETRY, False)


def test_names_and_types_are_those_of_the_contract() -> None:
    from temporalio.activity import _Definition

    for function, name in (
        (FlowActivities.load_flow, LOAD_FLOW),
        (TranscriptActivities.flush_transcript, FLUSH_TRANSCRIPT),
    ):
        definition = _Definition.must_from_callable(function)
        assert definition.name == name
        taken, given, _ = ACTIVITIES[name]
        assert definition.arg_types == [taken]
        assert definition.ret_type is given
