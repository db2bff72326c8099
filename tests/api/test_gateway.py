"""The gateway against a workflow that answers badly on purpose: refusals, troubles, lateness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from core.errors import MessageReusedError, RequestError, TooLargeError, UnavailableError
from core.settings import Settings
from flow_schema.effects import (
    CONVERSATION_QUEUE,
    CONVERSATION_WORKFLOW,
    QUERY_SNAPSHOT,
    QUERY_TAIL,
    UPDATE_CALLBACK,
    UPDATE_TEAM,
    UPDATE_VISITOR,
    CallbackMessage,
    CallbackReply,
    ConversationStart,
    TeamMessage,
    VisitorMessage,
)
from flow_schema.turns import (
    Close,
    ConversationSnapshot,
    ConversationStatus,
    ConversationTail,
    Refusal,
    StartInput,
    TeamReply,
    TextInput,
    TurnReply,
    input_hash,
)
from temporal.client import connect
from temporal.converter import data_converter
from temporal.gateway import (
    Accepted,
    AnsweredElsewhereError,
    CallbackUsedError,
    ConversationClosedError,
    ConversationGateway,
    StalePromptError,
    TooManyPendingError,
    WrongKindError,
)
from temporal.patience import persist
from temporal.runner import ConversationRunner


@workflow.defn(name=CONVERSATION_WORKFLOW)
class ScriptedConversation:
    """Does what the text of a message says."""

    @workflow.init
    def __init__(self, start: ConversationStart, carried: dict[str, Any] | None) -> None:
        self.start = start
        self.over = False
        self.drained = 0
        self.turns = 0

    @workflow.run
    async def run(self, start: ConversationStart, carried: dict[str, Any] | None) -> None:
        await workflow.wait_condition(lambda: self.over)
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update(name=UPDATE_VISITOR)
    async def visitor(self, message: VisitorMessage) -> TurnReply:
        self.turns += 1
        given = message.input
        if isinstance(given, TextInput) and given.text == "slow":
            await workflow.sleep(timedelta(seconds=1))
        if isinstance(given, TextInput) and given.text == "end":
            self.over = True
        return TurnReply(
            conversation_id=self.start.conversation_id,
            message_id=message.message_id,
            status=ConversationStatus.ENDED if self.over else ConversationStatus.ACTIVE,
            messages=[],
            last_seq=self.turns,
            input_hash=input_hash(given),
        )

    @visitor.validator
    def _check(self, message: VisitorMessage) -> None:
        given = message.input
        if not isinstance(given, TextInput) or not given.text.startswith("refuse:"):
            return
        kind = given.text.removeprefix("refuse:")
        if kind == Refusal.DRAINING and self.drained < 3:
            self.drained += 1
        elif kind == Refusal.DRAINING:
            return
        raise ApplicationError("because", type=kind, non_retryable=True)

    @workflow.update(name=UPDATE_TEAM)
    async def team(self, message: TeamMessage) -> TeamReply:
        return TeamReply(action_id=message.action_id, status=ConversationStatus.ACTIVE, last_seq=1)

    @workflow.update(name=UPDATE_CALLBACK)
    async def callback(self, message: CallbackMessage) -> CallbackReply:
        return CallbackReply(outcome="received")

    @workflow.query(name=QUERY_SNAPSHOT)
    def snapshot(self) -> ConversationSnapshot:
        return ConversationSnapshot(
            conversation_id=self.start.conversation_id,
            organization_id=self.start.organization_id,
            chatbot_id=self.start.chatbot_id,
            flow_version_id=self.start.flow_version_id,
            status=ConversationStatus.ACTIVE,
            language="es",
            variables={},
            path=[],
            last_seq=self.turns,
            turns=self.turns,
        )

    @workflow.query(name=QUERY_TAIL)
    def tail(self) -> ConversationTail:
        return ConversationTail(snapshot=self.snapshot(), messages=[])


@pytest.fixture(scope="module")
def settings(temporal_server: str) -> Settings:
    return Settings(temporal_address=temporal_server, temporal_namespace=f"gateway-{uuid4().hex[:8]}")


@pytest.fixture(scope="module")
async def client(settings: Settings) -> Client:
    """A namespace of its own: the platform's worker polls the same queue in the usual one."""
    from google.protobuf.duration_pb2 import Duration
    from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

    from flow_schema.effects import SEARCH_ATTRIBUTES
    from temporal.client import register_search_attributes

    plain = settings.model_copy(update={"temporal_namespace": "default"})
    admin = await connect(plain)
    await admin.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=settings.temporal_namespace,
            workflow_execution_retention_period=Duration(seconds=86_400),
        )
    )
    opened = await connect(settings, data_converter=data_converter())
    for _ in range(200):
        try:
            await register_search_attributes(opened, SEARCH_ATTRIBUTES)
            break
        except Exception:
            await asyncio.sleep(0.1)
    return opened


@pytest.fixture(scope="module")
async def gateway(client: Client, settings: Settings) -> AsyncIterator[ConversationGateway]:
    async with Worker(
        client,
        task_queue=CONVERSATION_QUEUE,
        workflows=[ScriptedConversation],
        workflow_runner=ConversationRunner(UnsandboxedWorkflowRunner()),
    ):
        yield ConversationGateway(client, settings)


def start() -> ConversationStart:
    return ConversationStart(
        conversation_id=str(uuid4()),
        organization_id="o",
        chatbot_id="b",
        flow_version_id="v",
        content_hash="h",
    )


def opening() -> VisitorMessage:
    return VisitorMessage(message_id=str(uuid4()), input=StartInput(type="start"))


def text(words: str, message_id: str | None = None) -> VisitorMessage:
    return VisitorMessage(message_id=message_id or str(uuid4()), input=TextInput(type="text", text=words))


async def opened(gateway: ConversationGateway) -> str:
    beginning = start()
    for _ in range(50):
        try:
            await gateway.open(beginning, opening(), 20, title="Prueba")
            break
        except UnavailableError:
            await asyncio.sleep(0.1)  # the new namespace's search attributes take a moment
    return beginning.conversation_id


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (Refusal.CLOSED, ConversationClosedError),
        (Refusal.TOO_LARGE, TooLargeError),
        (Refusal.WRONG_KIND, WrongKindError),
        (Refusal.STALE_PROMPT, StalePromptError),
        (Refusal.TOO_MANY_PENDING, TooManyPendingError),
        (Refusal.ID_REUSED, MessageReusedError),
        (Refusal.CALLBACK_USED, CallbackUsedError),
        (Refusal.ANSWERED_BEFORE, AnsweredElsewhereError),
    ],
)
async def test_refusals_become_exceptions(
    gateway: ConversationGateway, refusal: Refusal, expected: type[Exception]
) -> None:
    conversation = await opened(gateway)
    with pytest.raises(expected, match="because") as caught:
        await gateway.send(conversation, text(f"refuse:{refusal}"), 20)
    if isinstance(caught.value, RequestError):
        assert caught.value.slug == refusal.value or refusal in {Refusal.TOO_LARGE, Refusal.ID_REUSED}


async def test_every_refusal_has_an_exception() -> None:
    from temporal.refusals import REFUSALS

    assert set(REFUSALS) == set(Refusal)


async def test_a_moving_conversation_is_asked_again(gateway: ConversationGateway) -> None:
    conversation = await opened(gateway)
    reply = await gateway.send(conversation, text(f"refuse:{Refusal.DRAINING}"), 20)
    assert isinstance(reply, TurnReply)
    assert reply.last_seq == 2


async def test_the_same_id_is_answered_once(gateway: ConversationGateway) -> None:
    beginning, message = start(), opening()
    await opened(gateway)
    first = await gateway.open(beginning, message, 20)
    assert await gateway.open(beginning, message, 20) == first
    assert await gateway.send(beginning.conversation_id, message, 20) == first
    with pytest.raises(MessageReusedError):
        await gateway.send(beginning.conversation_id, text("other", message.message_id), 20)


async def test_a_late_reply_is_accepted_and_comes(gateway: ConversationGateway) -> None:
    conversation = await opened(gateway)
    accepted = await gateway.send(conversation, text("slow"), 0.2)
    assert isinstance(accepted, Accepted)
    reply = await asyncio.wait_for(accepted.late, 20)
    assert reply.message_id == accepted.message_id


async def test_an_ended_conversation_takes_nothing_and_still_knows_its_replies(
    gateway: ConversationGateway,
) -> None:
    conversation = await opened(gateway)
    last = text("end")
    ended = await gateway.send(conversation, last, 20)
    assert isinstance(ended, TurnReply)
    for _ in range(100):
        if not (await gateway.describe(conversation)).open:
            break
        await asyncio.sleep(0.05)
    with pytest.raises(ConversationClosedError):
        await gateway.send(conversation, text("more"), 20)
    with pytest.raises(ConversationClosedError):
        await gateway.snapshot(conversation)
    assert await gateway.send(conversation, last, 20) == ended


async def test_an_unknown_conversation_is_closed(gateway: ConversationGateway) -> None:
    for call in (
        gateway.send(str(uuid4()), text("x"), 20),
        gateway.snapshot(str(uuid4())),
        gateway.tail(str(uuid4())),
        gateway.describe(str(uuid4())),
        gateway.callback(str(uuid4()), CallbackMessage(callback_id="c"), 5),
        gateway.team(str(uuid4()), TeamMessage(action_id="abcdefgh", action=Close(kind="close"))),
    ):
        with pytest.raises(ConversationClosedError):
            await call


async def test_callbacks_and_team_actions_are_answered(gateway: ConversationGateway) -> None:
    conversation = await opened(gateway)
    received = await gateway.callback(conversation, CallbackMessage(callback_id="c", body={"a": 1}), 10)
    assert received.outcome == "received"
    message = TeamMessage(action_id="abcdefgh", action=Close(kind="close"))
    assert (await gateway.team(conversation, message)).action_id == "abcdefgh"
    assert (await gateway.snapshot(conversation)).conversation_id == conversation
    assert (await gateway.tail(conversation)).messages == []
    assert await gateway.accepting()


async def test_without_a_server_the_answer_is_unavailable() -> None:
    lost = Settings(temporal_address="127.0.0.1:9")
    gateway = ConversationGateway(await connect(lost, lazy=True), lost)
    for call in (gateway.send(str(uuid4()), text("x"), 1), gateway.snapshot("x"), gateway.describe("x")):
        with pytest.raises(UnavailableError):
            await call
    assert not await gateway.serving()


async def test_an_update_that_the_server_lost_is_sent_again() -> None:
    """A server that restarts forgets what no worker has taken; the workflow goes on."""
    troubles = [RPCError("update message-1 not found", RPCStatusCode.NOT_FOUND, b"")]

    async def call() -> str:
        if troubles:
            raise troubles.pop()
        return "answer"

    assert await persist(call, 5) == "answer"


async def test_a_workflow_that_is_not_there_is_not_asked_again() -> None:
    async def call() -> str:
        raise RPCError("workflow not found for ID: conversation/1", RPCStatusCode.NOT_FOUND, b"")

    with pytest.raises(ConversationClosedError):
        await persist(call, 5)
