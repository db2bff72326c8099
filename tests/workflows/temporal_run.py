"""A conversation of the real workflow on the time-skipping server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from flow_schema.effects import (
    CONVERSATION_WORKFLOW,
    QUERY_SNAPSHOT,
    QUERY_TAIL,
    SEARCH_ATTRIBUTES,
    UPDATE_CALLBACK,
    UPDATE_TEAM,
    UPDATE_VISITOR,
    CallbackMessage,
    CallbackReply,
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
    TeamReply,
    TurnReply,
    input_hash,
)
from tests.flows.temporal_runner import SANDBOX, WORLDS, TemporalStage
from tests.workflows.pure import conversation_start
from tests.workflows.world import World
from workflows import ConversationWorkflow
from workflows.interpreter.team import Refused

T = TypeVar("T")
PATIENCE = 30.0


class TemporalConversation:
    """The same interface as `PureConversation`. `way` is a queue of the stage: `warm` or `cold`."""

    def __init__(
        self, stage: TemporalStage, world: World, way: str = "warm", *, queue: str | None = None, **start: Any
    ) -> None:
        self.stage = stage
        self.world = world
        self.conversation_id = f"{way}-{uuid.uuid4().hex[:12]}"
        WORLDS[self.conversation_id] = world  # type: ignore[assignment]
        self.start = conversation_start(self.conversation_id, **start)
        self.queue = queue or stage.queues[way]
        self.opened = False

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.stage.client.get_workflow_handle(conversation_workflow_id(self.conversation_id))

    # --- sending --------------------------------------------------------------------------------

    async def patiently(self, awaitable: Awaitable[T]) -> T:
        """Lets a little time pass while something is not done: pauses between attempts are waited for."""
        task = asyncio.ensure_future(awaitable)
        for _ in range(60):
            await asyncio.wait({task}, timeout=0.5)
            if task.done():
                return task.result()
            skipping = asyncio.ensure_future(self.stage.environment.sleep(timedelta(seconds=2)))
            await asyncio.wait({task, skipping}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({skipping}, timeout=5)
        task.cancel()
        raise AssertionError(f"no answer: {await self._where()}")

    async def events(self) -> int:
        """How long the history of the present run is."""
        return (await self.handle.describe()).history_length

    async def _where(self) -> str:
        history = await self.handle.fetch_history()
        return ", ".join(EventType.Name(event.event_type)[11:] for event in history.events[-12:])

    async def _sent(self, send: Callable[[], Awaitable[T]]) -> T:
        """Sends an update as the gateway does: again while the conversation moves to a new run."""
        for _ in range(500):
            try:
                return await self.patiently(send())
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                if not isinstance(cause, ApplicationError):
                    raise
                if cause.type == "AcceptedUpdateCompletedWorkflow":
                    raise Refused(Refusal.CLOSED, cause.message) from error
                refusal = Refusal(str(cause.type))
                if refusal is not Refusal.DRAINING:
                    raise Refused(refusal, cause.message) from error
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    run = await self.handle.describe()
                    if run.status is not WorkflowExecutionStatus.RUNNING:
                        raise Refused(Refusal.CLOSED, "the workflow has ended") from error
                elif error.status not in (RPCStatusCode.ABORTED, RPCStatusCode.UNAVAILABLE):
                    raise  # the time-skipping server drops an update together with a task that failed
            await asyncio.sleep(0.01)
        raise AssertionError("the conversation kept moving")

    def start_operation(self) -> WithStartWorkflowOperation[Any, Any]:
        values = ("organization", self.conversation_id, "version-main", ConversationStatus.ACTIVE.value)
        return WithStartWorkflowOperation(
            CONVERSATION_WORKFLOW,
            args=[self.start, None],
            id=conversation_workflow_id(self.conversation_id),
            task_queue=self.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
                    for (name, _), value in zip(SEARCH_ATTRIBUTES, values, strict=True)
                ]
            ),
        )

    async def open(self, message: VisitorMessage) -> TurnReply:
        """Update-with-start, as the first message of every conversation."""

        async def send() -> TurnReply:
            reply: TurnReply = await self.stage.client.execute_update_with_start_workflow(
                UPDATE_VISITOR,
                message,
                start_workflow_operation=self.start_operation(),
                id=message.message_id,
                result_type=TurnReply,
            )
            return reply

        reply = await self._sent(send)
        self.opened = True
        return reply

    async def visitor(self, message: VisitorMessage) -> TurnReply:
        if not self.opened:
            return await self.open(message)

        async def send() -> TurnReply:
            reply: TurnReply = await self.handle.execute_update(
                UPDATE_VISITOR, message, id=message.message_id, result_type=TurnReply
            )
            return reply

        reply = await self._sent(send)
        if reply.input_hash != input_hash(message.input):
            raise Refused(Refusal.ID_REUSED, "the id belongs to another message")
        return reply

    async def accepted(self, message: VisitorMessage) -> Any:
        """The handle of an update that has been accepted and not necessarily answered."""

        async def send() -> Any:
            return await self.handle.start_update(
                UPDATE_VISITOR,
                message,
                id=message.message_id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                result_type=TurnReply,
            )

        return await self._sent(send)

    async def result_of(self, update: Any) -> TurnReply:
        reply: TurnReply = await self._sent(update.result)
        return reply

    async def burst(self, messages: Sequence[VisitorMessage]) -> list[TurnReply | Refused]:
        """Messages sent at once; a reply or a refusal for each."""

        async def one(message: VisitorMessage) -> TurnReply | Refused:
            try:
                return await self.visitor(message)
            except Refused as refused:
                return refused

        return list(await asyncio.gather(*(one(message) for message in messages)))

    async def team(self, message: TeamMessage) -> TeamReply:
        async def send() -> TeamReply:
            reply: TeamReply = await self.handle.execute_update(
                UPDATE_TEAM, message, id=message.action_id, result_type=TeamReply
            )
            return reply

        reply = await self._sent(send)
        if reply.action_hash != input_hash(message.action):
            raise Refused(Refusal.ID_REUSED, "the id belongs to another action")
        return reply

    async def callback(self, message: CallbackMessage) -> CallbackReply:
        async def send() -> CallbackReply:
            reply: CallbackReply = await self.handle.execute_update(
                UPDATE_CALLBACK, message, id=uuid.uuid4().hex, result_type=CallbackReply
            )
            return reply

        try:
            return await self._sent(send)
        except Refused:
            return CallbackReply(outcome="late")

    # --- time and views -------------------------------------------------------------------------

    async def pass_time(self, duration: timedelta) -> None:
        """Skips time, then waits until the conversation has come to rest."""
        try:
            await self.stage.environment.sleep(duration)
        except RPCError as error:
            raise AssertionError(f"time does not pass: {await self._where()}") from error
        await self.rest()

    async def rest(self) -> None:
        """Returns when the conversation waits for something that is not due yet, or has ended."""
        for attempt in range(400):
            snapshot, now = await self.snapshot(), await self.stage.environment.get_current_time()
            if snapshot.status is ConversationStatus.ENDED:
                return
            waiting = snapshot.waiting
            if waiting is not None and (waiting.until is None or waiting.until > now):
                return
            if attempt % 10 == 9:
                await self.stage.environment.sleep(timedelta(seconds=1))
            await asyncio.sleep(0.01)
        raise AssertionError(f"the conversation does not come to rest: {await self._where()}")

    async def snapshot(self) -> ConversationSnapshot:
        snapshot: ConversationSnapshot = await self.handle.query(
            QUERY_SNAPSHOT, result_type=ConversationSnapshot
        )
        return snapshot

    async def tail(self) -> list[Message]:
        tail: ConversationTail = await self.handle.query(QUERY_TAIL, result_type=ConversationTail)
        return tail.messages

    async def ended(self) -> None:
        """Returns when the workflow has completed. Raises if it failed."""
        try:
            await asyncio.wait_for(self.handle.result(), PATIENCE)
        except WorkflowFailureError as error:
            raise AssertionError(f"the workflow failed: {error.cause}") from error
        except TimeoutError as error:
            raise AssertionError(f"the workflow does not end: {await self._where()}") from error

    # --- histories ------------------------------------------------------------------------------

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
            run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
            if not run_id:
                return histories

    async def replay(self) -> None:
        """Replays every run of the conversation; no task that brought news may have passed in silence."""
        replayer = Replayer(
            workflows=[ConversationWorkflow], data_converter=pydantic_data_converter, workflow_runner=SANDBOX
        )
        for history in await self.histories():
            assert silent_tasks(history) == []
            await replayer.replay_workflow(history)

    async def stop(self) -> None:
        """Ends what still runs."""
        try:
            await self.handle.terminate("the test is over")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        WORLDS.pop(self.conversation_id, None)


COMMANDS = (
    "ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_CANCEL_REQUESTED", "TIMER_STARTED", "TIMER_CANCELED", "MARKER_RECORDED",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    "WORKFLOW_EXECUTION_COMPLETED", "WORKFLOW_EXECUTION_CANCELED", "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
)  # fmt: skip


def silent_tasks(history: WorkflowHistory) -> list[int]:
    """Workflow tasks that brought a result or a timer and left no command: a worker without cache would merge
    them with the next task, and a replay part them again (temporalio/sdk-rust#1146). Results of activities
    that had been stopped are no news."""
    silent, news, stopped = [], False, set()
    for event, following in pairwise(history.events):
        match EventType.Name(event.event_type).removeprefix("EVENT_TYPE_"):
            case "ACTIVITY_TASK_CANCEL_REQUESTED":
                stopped.add(event.activity_task_cancel_requested_event_attributes.scheduled_event_id)
            case "ACTIVITY_TASK_COMPLETED":
                done = event.activity_task_completed_event_attributes.scheduled_event_id
                news = news or done not in stopped
            case "ACTIVITY_TASK_FAILED":
                done = event.activity_task_failed_event_attributes.scheduled_event_id
                news = news or done not in stopped
            case "TIMER_FIRED":
                news = True
            case "WORKFLOW_TASK_COMPLETED":
                next_name = EventType.Name(following.event_type).removeprefix("EVENT_TYPE_")
                if news and next_name not in COMMANDS:
                    silent.append(event.event_id)
                news = False
            case _:
                pass
    return silent
