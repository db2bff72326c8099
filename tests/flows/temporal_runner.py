"""Plays dialogues on Temporal: the real workflow, activities of the contract's names over the scripted world.

Time passes by skipping. Three ways to run a conversation must not be told apart: with the worker's cache,
without any (every task replays the history), and moving to a new run after every turn.
"""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from temporalio import activity
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from flow_schema.effects import (
    CONVERSATION_QUEUE,
    CONVERSATION_WORKFLOW,
    EFFECTS_QUEUE,
    QUERY_SNAPSHOT,
    QUERY_TAIL,
    SEARCH_ATTRIBUTES,
    UPDATE_CALLBACK,
    UPDATE_TEAM,
    UPDATE_VISITOR,
    CallbackMessage,
    CallbackReply,
    ConversationStart,
    EmailMessage,
    EmailSent,
    FailureType,
    FlowBundle,
    Flush,
    Flushed,
    HttpCall,
    HttpResult,
    LoadFlow,
    ModelAnswer,
    ModelCall,
    OpenCallback,
    OpenedCallback,
    RecognizedIntent,
    RecognizeIntent,
    ScriptResult,
    ScriptRun,
    TeamMessage,
    VisitorMessage,
    conversation_workflow_id,
)
from flow_schema.turns import (
    ConversationSnapshot,
    ConversationStatus,
    ConversationTail,
    Message,
    Refusal,
    TurnReply,
    input_hash,
)
from temporal.runner import ConversationRunner
from tests.flows.dialogue import Case
from tests.flows.player import Refused
from tests.flows.scripted_world import EffectRefused, ScriptedWorld, TryAgain
from workflows.conversation import ConversationWorkflow

T = TypeVar("T")
PATIENCE = 15.0
QUERY_TIMEOUT = timedelta(seconds=5)
TASK_TIMEOUT = timedelta(seconds=3)
"""Without a cache the SDK drops a query that comes while a task is under way; the server then repeats it."""
SANDBOX = ConversationRunner(
    SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            "flow_schema",
            "workflows.interpreter",
            "pydantic",
            "phonenumbers",
            "rapidfuzz",
            "re2",
            "jmespath",
            "email_validator",
            "idna",
        )
    )
)
WORLDS: dict[str, ScriptedWorld] = {}
"""The worlds of the conversations that run, by conversation id (which is also their chatbot's)."""


async def _answer(name: str, world_id: str, argument: Any) -> Any:
    try:
        return await WORLDS[world_id].attempt(name, argument, activity.info().attempt)
    except TryAgain as failure:
        raise ApplicationError(str(failure), type=FailureType.RETRY) from failure
    except EffectRefused as failure:
        raise ApplicationError(str(failure), type=failure.type, non_retryable=True) from failure
    except (AssertionError, KeyError) as failure:
        raise ApplicationError(repr(failure), type="dialogue", non_retryable=True) from failure


@activity.defn(name="load_flow")
async def load_flow(request: LoadFlow) -> FlowBundle:
    world = WORLDS.get(request.chatbot_id)
    if world is None:
        raise ApplicationError("the dialogue is over", non_retryable=True)
    try:
        return world.flows()
    except TryAgain as failure:
        raise ApplicationError(str(failure), type=FailureType.RETRY) from failure


@activity.defn(name="flush_transcript")
async def flush_transcript(request: Flush) -> Flushed:
    result: Flushed = await _answer("flush_transcript", request.record.conversation_id, request)
    return result


@activity.defn(name="http_request")
async def http_request(request: HttpCall) -> HttpResult:
    result: HttpResult = await _answer("http_request", request.context.conversation_id, request)
    return result


@activity.defn(name="call_model")
async def call_model(request: ModelCall) -> ModelAnswer:
    result: ModelAnswer = await _answer("call_model", request.context.conversation_id, request)
    return result


@activity.defn(name="recognize_intent")
async def recognize_intent(request: RecognizeIntent) -> RecognizedIntent:
    result: RecognizedIntent = await _answer("recognize_intent", request.context.conversation_id, request)
    return result


@activity.defn(name="send_email")
async def send_email(request: EmailMessage) -> EmailSent:
    result: EmailSent = await _answer("send_email", request.context.conversation_id, request)
    return result


@activity.defn(name="run_script")
async def run_script(request: ScriptRun) -> ScriptResult:
    result: ScriptResult = await _answer("run_script", request.context.conversation_id, request)
    return result


@activity.defn(name="open_callback")
async def open_callback(request: OpenCallback) -> OpenedCallback:
    result: OpenedCallback = await _answer("open_callback", request.context.conversation_id, request)
    return result


SCRIPTED_ACTIVITIES: list[Callable[..., Coroutine[Any, Any, Any]]] = [
    load_flow, flush_transcript, http_request, call_model,
    recognize_intent, send_email, run_script, open_callback,
]  # fmt: skip


@dataclass(frozen=True)
class TemporalStage:
    """A time-skipping server with its workers; `queues` by the way in which a conversation runs."""

    environment: WorkflowEnvironment
    queues: dict[str, str]

    @property
    def client(self) -> Client:
        return self.environment.client


@asynccontextmanager
async def temporal_stage() -> AsyncIterator[TemporalStage]:
    """Starts the server and the workers, and stops them."""
    binary = Path(sys.executable).parent / "temporal-test-server"
    async with AsyncExitStack() as stack:
        environment = await stack.enter_async_context(
            await WorkflowEnvironment.start_time_skipping(
                data_converter=pydantic_data_converter, test_server_existing_path=str(binary)
            )
        )
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes={
                    name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.upper()}")
                    for name, kind in SEARCH_ATTRIBUTES
                },
            )
        )
        for queue in (CONVERSATION_QUEUE, EFFECTS_QUEUE):
            await stack.enter_async_context(
                Worker(environment.client, task_queue=queue, activities=SCRIPTED_ACTIVITIES)
            )
        queues = {"warm": "dialogues-warm", "cold": "dialogues-cold", "moving": "dialogues-warm"}
        for queue, cached in (("dialogues-warm", 200), ("dialogues-cold", 0)):
            await stack.enter_async_context(
                Worker(
                    environment.client,
                    task_queue=queue,
                    workflows=[ConversationWorkflow],
                    activities=SCRIPTED_ACTIVITIES,
                    max_cached_workflows=cached,
                    workflow_runner=SANDBOX,
                )
            )
        yield TemporalStage(environment, queues)


class TemporalConversation:
    """A conversation of the real workflow."""

    def __init__(self, case: Case, stage: TemporalStage, way: str) -> None:
        self.stage = stage
        self.world = ScriptedWorld(case)
        name = re.sub(r"[^a-z0-9]+", "-", case.name.lower()).strip("-")[:60]
        self.conversation_id = f"{way}-{name}-{uuid.uuid4().hex[:8]}"
        WORLDS[self.conversation_id] = self.world
        main = self.world.flows().flows["main"]
        self.start = ConversationStart(
            conversation_id=self.conversation_id,
            organization_id="organization",
            chatbot_id=self.conversation_id,
            flow_version_id=main.version_id,
            content_hash=main.content_hash,
            continue_after_turns=1 if way == "moving" else None,
        )
        self.queue = stage.queues[way]
        self.moves = way == "moving"
        self.run_id = ""
        self.opened = False
        self.replies: dict[str, TurnReply] = {}

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.stage.client.get_workflow_handle(conversation_workflow_id(self.conversation_id))

    async def _sent(self, send: Callable[[], Awaitable[T]]) -> T:
        """Sends an update, again while the conversation moves to a new run. Raises Refused."""
        for _ in range(200):
            try:
                return await asyncio.wait_for(send(), PATIENCE)
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                if not isinstance(cause, ApplicationError):
                    raise
                if cause.type != Refusal.DRAINING:
                    raise Refused(str(cause.type), cause.message) from error
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    run = await self.handle.describe()
                    if run.status is not WorkflowExecutionStatus.RUNNING:
                        raise Refused(Refusal.CLOSED, "the workflow has ended") from error
                elif error.status not in (RPCStatusCode.ABORTED, RPCStatusCode.UNAVAILABLE):
                    raise  # the time-skipping server drops an update together with a task that failed
            await asyncio.sleep(0.02)
        raise AssertionError("the conversation kept moving")

    async def visitor(self, message: VisitorMessage) -> TurnReply:
        async def send() -> TurnReply:
            if self.opened:
                reply: TurnReply = await self.handle.execute_update(
                    UPDATE_VISITOR, message, id=message.message_id, result_type=TurnReply
                )
                return reply
            operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
                CONVERSATION_WORKFLOW,
                self.start,
                id=conversation_workflow_id(self.conversation_id),
                task_queue=self.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                task_timeout=TASK_TIMEOUT,
            )
            opening: TurnReply = await self.stage.client.execute_update_with_start_workflow(
                UPDATE_VISITOR,
                message,
                start_workflow_operation=operation,
                id=message.message_id,
                result_type=TurnReply,
            )
            self.run_id = self.run_id or (await operation.workflow_handle()).first_execution_run_id or ""
            return opening

        try:
            reply = await self._sent(send)
        except Refused as refused:
            known = self.replies.get(message.message_id)
            if known is None or refused.refusal != Refusal.CLOSED:
                raise
            reply = self._from_the_tables(known)
        self.opened = True
        if reply.input_hash != input_hash(message.input):
            raise Refused(Refusal.ID_REUSED, "the id belongs to another message")
        first_time = message.message_id not in self.replies
        self.replies[message.message_id] = reply
        if self.moves and first_time:
            await self._moved(reply)
        return reply

    async def _moved(self, reply: TurnReply) -> None:
        """Returns when the turn's run has given way to the next, and that one has begun.

        A query that reaches a run at its end is lost, and the time-skipping clock stands still from then on.
        """
        until = asyncio.get_running_loop().time() + PATIENCE
        while reply.status is not ConversationStatus.ENDED:
            run = await self.handle.describe()
            if run.run_id != self.run_id and run.history_length > 4:
                self.run_id = run.run_id
                return
            if asyncio.get_running_loop().time() > until:
                raise AssertionError("the conversation did not move to a new run")
            await asyncio.sleep(0.01)

    def _from_the_tables(self, known: TurnReply) -> TurnReply:
        """After the end the tables answer; their row has to say what the reply said."""
        rows = {row.message_id: row for flush in self.world.flushes for row in flush.replies}
        row = rows[known.message_id]
        assert row.seqs == [message.seq for message in known.messages]
        assert (row.status, row.last_seq, row.body_hash) == (known.status, known.last_seq, known.input_hash)
        return known

    async def burst(self, messages: list[VisitorMessage]) -> list[TurnReply]:
        started = [
            await self._sent(lambda message=message: self._start_update(message))  # type: ignore[misc]
            for message in messages
        ]
        return [await self._sent(update.result) for update in started]

    async def _start_update(self, message: VisitorMessage) -> Any:
        return await self.handle.start_update(
            UPDATE_VISITOR,
            message,
            id=message.message_id,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            result_type=TurnReply,
        )

    async def team(self, message: TeamMessage) -> None:
        await self._sent(lambda: self.handle.execute_update(UPDATE_TEAM, message, id=message.action_id))

    async def callback(self, message: CallbackMessage) -> CallbackReply:
        async def send() -> CallbackReply:
            reply: CallbackReply = await self.handle.execute_update(
                UPDATE_CALLBACK, message, id=uuid.uuid4().hex, result_type=CallbackReply
            )
            return reply

        try:
            return await self._sent(send)
        except Refused as refused:
            if refused.refusal == Refusal.CLOSED:
                return CallbackReply(outcome="late")
            raise

    async def pass_time(self, duration: timedelta) -> None:
        await self.stage.environment.sleep(duration)
        await self.snapshot()

    async def _query(self, name: str, result_type: type[T]) -> T:
        """Asks once nothing is under way, again where the answer got lost."""
        await self._quiet()
        for _ in range(int(PATIENCE / QUERY_TIMEOUT.total_seconds())):
            try:
                found: T = await self.handle.query(name, result_type=result_type, rpc_timeout=QUERY_TIMEOUT)
                return found
            except RPCError as error:
                if error.status not in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                    raise
        raise AssertionError(f"nobody answers the query {name}")

    async def _quiet(self) -> None:
        """Returns when no task and no activity is under way.

        Without a cache the SDK drops what reaches a run while it is at work, and the clock then stands still.
        """
        until = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < until:
            if _is_quiet(await self.handle.fetch_history()):
                return
            await asyncio.sleep(0.01)

    async def snapshot(self) -> ConversationSnapshot:
        return await self._query(QUERY_SNAPSHOT, ConversationSnapshot)

    async def transcript(self) -> list[Message]:
        """Rows and the tail that is not in them yet, until both together are complete."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            tail = await self._query(QUERY_TAIL, ConversationTail)
            found = {message.seq: message for flush in self.world.flushes for message in flush.messages}
            found |= {message.seq: message for message in tail.messages}
            if len(found) >= tail.snapshot.last_seq:
                return [found[seq] for seq in sorted(found)]
            if asyncio.get_running_loop().time() > until:
                raise AssertionError(f"{len(found)} messages of {tail.snapshot.last_seq} can be read")
            await asyncio.sleep(0.05)

    async def record(self) -> dict[str, Any]:
        """The newest row; waits until it is as new as the conversation."""
        until = asyncio.get_running_loop().time() + PATIENCE
        snapshot = await self.snapshot()
        while asyncio.get_running_loop().time() < until:
            if self.world.flushes:
                row = self.world.flushes[-1].record
                if row.last_seq == snapshot.last_seq and row.status == snapshot.status:
                    break
            await asyncio.sleep(0.1)
        rows = [flush.record for flush in self.world.flushes]
        escalations = [row.escalation for row in rows if row.escalation]
        return {**rows[-1].model_dump(mode="json"), "escalation": escalations[-1] if escalations else None}

    async def close(self) -> None:
        """Ends what still runs, and replays every run of the conversation."""
        try:
            await self._end()
            histories = await self.histories()
        finally:
            WORLDS.pop(self.conversation_id, None)
        replayer = Replayer(
            workflows=[ConversationWorkflow], data_converter=pydantic_data_converter, workflow_runner=SANDBOX
        )
        for history in histories:
            await replayer.replay_workflow(history)

    async def _end(self) -> None:
        """Has the team close what still runs; a conversation that can't be closed is terminated."""
        if not await self._runs():
            return
        closing = TeamMessage.model_validate(
            {"action_id": "the-dialogue-is-over", "action": {"kind": "close"}}
        )
        until = asyncio.get_running_loop().time() + PATIENCE
        with suppress(Refused, TimeoutError):
            await self.team(closing)
            while await self._runs() and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.02)
        while await self._runs():
            with suppress(RPCError):
                await self.handle.terminate("the dialogue is over")

    async def _runs(self) -> bool:
        return (await self.handle.describe()).status is WorkflowExecutionStatus.RUNNING

    async def histories(self) -> list[WorkflowHistory]:
        """Of all runs, the newest first."""
        histories: list[WorkflowHistory] = []
        run_id: str | None = None
        while True:
            handle = self.stage.client.get_workflow_handle(
                conversation_workflow_id(self.conversation_id), run_id=run_id
            )
            history = await handle.fetch_history()
            histories.append(history)
            started = history.events[0].workflow_execution_started_event_attributes
            run_id = started.continued_execution_run_id
            if not run_id:
                return histories


def _is_quiet(history: WorkflowHistory) -> bool:
    """Whether every task and activity that was begun has come to an end."""
    open_tasks: set[int] = set()
    for event in history.events:
        kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        if kind in ("WORKFLOW_TASK_SCHEDULED", "ACTIVITY_TASK_SCHEDULED"):
            open_tasks.add(event.event_id)
        elif kind.startswith(("WORKFLOW_TASK_", "ACTIVITY_TASK_")) and not kind.endswith("STARTED"):
            attributes = getattr(event, event.WhichOneof("attributes") or "")
            open_tasks.discard(attributes.scheduled_event_id)
        elif (
            kind.startswith("WORKFLOW_EXECUTION_")
            and kind.endswith(("COMPLETED", "FAILED", "TERMINATED", "CANCELED", "CONTINUED_AS_NEW"))
            and "UPDATE" not in kind
        ):
            return True
    return not open_tasks
