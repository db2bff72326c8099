"""The API's only way to conversations: updates with the caller's ids, queries, and typed refusals.

Every method is safe to repeat: an update's id is the caller's message id, so that the server answers a
repetition with the first result. Passing troubles (a server that restarts, a conversation that moves to a
new run) are retried in here with the same id, within the caller's time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateStage,
)
from temporalio.common import (
    QueryRejectCondition,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from core.errors import MessageReusedError, UnavailableError
from core.settings import Settings
from flow_schema.effects import (
    CONVERSATION_QUEUE,
    CONVERSATION_WORKFLOW,
    QUERY_SNAPSHOT,
    QUERY_TAIL,
    SEARCH_ATTRIBUTES,
    UPDATE_CALLBACK,
    UPDATE_TEAM,
    UPDATE_VISITOR,
    CallbackMessage,
    CallbackReply,
    ConversationStart,
    TeamMessage,
    VisitorMessage,
    conversation_workflow_id,
)
from flow_schema.turns import (
    ConversationSnapshot,
    ConversationStatus,
    ConversationTail,
    TeamReply,
    TurnReply,
    input_hash,
)
from temporal.client import connect, is_serving, poller_identities
from temporal.converter import data_converter
from temporal.patience import FIRST_PAUSE, Trouble, from_rpc, late, persist, within
from temporal.refusals import (
    AnsweredElsewhereError,
    BadVariableError,
    CallbackUsedError,
    ClaimedByAnotherError,
    ConversationClosedError,
    NotStuckError,
    NotWithAgentError,
    StalePromptError,
    TooManyPendingError,
    UnknownExitError,
    UnknownNodeError,
    UnknownOptionError,
    WrongKindError,
)

__all__ = [
    "Accepted",
    "AnsweredElsewhereError",
    "BadVariableError",
    "CallbackUsedError",
    "ClaimedByAnotherError",
    "ConversationClosedError",
    "ConversationGateway",
    "ConversationRun",
    "NotStuckError",
    "NotWithAgentError",
    "StalePromptError",
    "TooManyPendingError",
    "UnknownExitError",
    "UnknownNodeError",
    "UnknownOptionError",
    "WrongKindError",
    "open_gateway",
]

_T = TypeVar("_T")

_LATE_SECONDS = 300.0
"""How long a reply is still waited for after its request was answered 202."""
_TEAM_SECONDS = 25.0
_TASK_TIMEOUT = timedelta(seconds=2)
"""After this long without an answer a worker is taken to be dead and another gets the task."""
_QUERY_TIMEOUT = timedelta(seconds=5)
_QUERY_TRIES = 5
_START_HOLD_SECONDS = 0.4
"""A start holds its place in the queue of starts no longer than this, however long the greeting takes."""


@dataclass(frozen=True)
class Accepted:
    """The reply takes longer than the request may; `late` ends with it, or with its failure."""

    message_id: str
    late: asyncio.Future[TurnReply]


@dataclass(frozen=True)
class ConversationRun:
    """What the server knows of a conversation's workflow without asking a worker."""

    open: bool
    run_id: str
    started_at: datetime
    closed_at: datetime | None
    history_events: int


class ConversationGateway:
    """Conversations by their ids. One a process; shares the client's connection."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._starts = asyncio.Semaphore(settings.max_concurrent_openings)
        self._late: set[asyncio.Future[TurnReply]] = set()

    # --- visitors ----------------------------------------------------------------------------------

    async def open(
        self,
        start: ConversationStart,
        message: VisitorMessage,
        timeout: float,
        *,
        title: str = "",
    ) -> TurnReply | Accepted:
        """Start the conversation with its first input, or repeat that input if it has been started.

        `title` is the bot's name, for the Temporal UI. Waits `timeout` seconds for the reply. Raises
        MessageReusedError, the refusals, ConversationClosedError when it has ended, UnavailableError.
        """

        async def call() -> TurnReply:
            async with self._starting():
                reply: TurnReply = await self._client.execute_update_with_start_workflow(
                    UPDATE_VISITOR,
                    message,
                    start_workflow_operation=self._start_operation(start, title),
                    id=message.message_id,
                    result_type=TurnReply,
                )
            return reply

        return await self._turn(call, message, timeout)

    async def send(
        self, conversation_id: str, message: VisitorMessage, timeout: float
    ) -> TurnReply | Accepted:
        """Give a visitor's input to a running conversation and wait `timeout` seconds for the reply.

        Raises as `open`, and AnsweredElsewhereError when only the tables hold the reply.
        """
        handle = self._handle(conversation_id)

        async def call() -> TurnReply:
            reply: TurnReply = await handle.execute_update(
                UPDATE_VISITOR, message, id=message.message_id, result_type=TurnReply
            )
            return reply

        return await self._turn(call, message, timeout)

    async def _turn(
        self, call: Callable[[], Awaitable[TurnReply]], message: VisitorMessage, timeout: float
    ) -> TurnReply | Accepted:
        expected = input_hash(message.input)
        trouble = Trouble()
        attempt = asyncio.ensure_future(persist(call, timeout + _LATE_SECONDS, trouble))
        done, _ = await asyncio.wait({attempt}, timeout=timeout)
        if not done and trouble.present:
            attempt.cancel()
            raise late()
        if not done:
            self._late.add(attempt)
            attempt.add_done_callback(self._forget)
            return Accepted(message_id=message.message_id, late=attempt)
        reply = attempt.result()
        if reply.input_hash and reply.input_hash != expected:
            raise MessageReusedError(
                f"The message id {message.message_id} was used before for another message; "
                "give each message an id of its own."
            )
        return reply

    def _forget(self, attempt: asyncio.Future[TurnReply]) -> None:
        self._late.discard(attempt)
        if not attempt.cancelled():
            attempt.exception()  # seen, so that the loop doesn't report it

    # --- the team and the world --------------------------------------------------------------------

    async def team(self, conversation_id: str, message: TeamMessage) -> TeamReply:
        """Carry out an action of the team, once however often it is sent. Raises as `send`."""
        expected = input_hash(message.action)
        handle = self._handle(conversation_id)

        async def call() -> TeamReply:
            reply: TeamReply = await handle.execute_update(
                UPDATE_TEAM, message, id=message.action_id, result_type=TeamReply
            )
            return reply

        reply = await within(_TEAM_SECONDS, call)
        if reply.action_hash and reply.action_hash != expected:
            raise MessageReusedError(
                f"The action id {message.action_id} was used before for another action; "
                "give each action an id of its own."
            )
        return reply

    async def callback(self, conversation_id: str, message: CallbackMessage, timeout: float) -> CallbackReply:
        """Hand a callback to its conversation.

        Returns once it is durable. Raises ConversationClosedError, CallbackUsedError, and UnavailableError
        when it could not be made durable within `timeout` seconds: the sender has to repeat it.
        """
        handle = self._handle(conversation_id)
        update_id = f"callback:{message.callback_id}:{_body_digest(message)}"
        deadline = asyncio.get_running_loop().time() + timeout

        async def call() -> CallbackReply:
            update = await handle.start_update(
                UPDATE_CALLBACK,
                message,
                id=update_id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                result_type=CallbackReply,
            )
            remaining = max(0.05, deadline - asyncio.get_running_loop().time())
            answer = asyncio.ensure_future(update.result())
            done, _ = await asyncio.wait({answer}, timeout=remaining)
            if done:
                result: CallbackReply = answer.result()
                return result
            answer.cancel()
            return CallbackReply(outcome="received")

        return await within(timeout + 1, call)

    # --- reading -----------------------------------------------------------------------------------

    async def snapshot(self, conversation_id: str) -> ConversationSnapshot:
        """Return where a running conversation is. Raises ConversationClosedError, UnavailableError."""
        snapshot: ConversationSnapshot = await self._query(
            conversation_id, QUERY_SNAPSHOT, ConversationSnapshot
        )
        return snapshot

    async def tail(self, conversation_id: str) -> ConversationTail:
        """Return where it is and the messages that are not in the tables yet. Raises as `snapshot`."""
        tail: ConversationTail = await self._query(conversation_id, QUERY_TAIL, ConversationTail)
        return tail

    async def describe(self, conversation_id: str) -> ConversationRun:
        """Return what the server knows without a worker. Raises ConversationClosedError, UnavailableError."""
        handle = self._handle(conversation_id)
        try:
            description = await handle.describe(rpc_timeout=_QUERY_TIMEOUT)
        except RuntimeError as error:
            raise late() from error
        except RPCError as error:
            raise from_rpc(error) from error
        return ConversationRun(
            open=description.status is WorkflowExecutionStatus.RUNNING,
            run_id=description.run_id,
            started_at=description.start_time,
            closed_at=description.close_time,
            history_events=description.history_length,
        )

    async def serving(self) -> bool:
        """Tell whether the Temporal server answers."""
        return await is_serving(self._client)

    async def accepting(self) -> bool:
        """Tell whether the server answers and a worker is there to run conversations."""
        try:
            return bool(await poller_identities(self._client, CONVERSATION_QUEUE))
        except (RPCError, RuntimeError):
            return False

    async def _query(self, conversation_id: str, name: str, result_type: type[_T]) -> _T:
        """Ask, again where the question came in the middle of something (`temporal/runner.py`)."""
        pause = FIRST_PAUSE
        for tries_left in reversed(range(_QUERY_TRIES)):
            try:
                result: _T = await self._handle(conversation_id).query(
                    name,
                    result_type=result_type,
                    reject_condition=QueryRejectCondition.NOT_OPEN,
                    rpc_timeout=_QUERY_TIMEOUT,
                )
            except WorkflowQueryRejectedError as error:
                raise ConversationClosedError("The conversation has ended.") from error
            except WorkflowQueryFailedError as error:
                if not tries_left:
                    raise UnavailableError("The conversation could not be read just now.") from error
            except RuntimeError as error:
                raise late() from error
            except RPCError as error:
                raise from_rpc(error) from error
            else:
                return result
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("no question was asked")

    # --- plumbing ----------------------------------------------------------------------------------

    def _handle(self, conversation_id: str) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(conversation_workflow_id(conversation_id))

    def _start_operation(
        self, start: ConversationStart, title: str
    ) -> WithStartWorkflowOperation[object, object]:
        values = (
            start.organization_id,
            start.chatbot_id,
            start.flow_version_id,
            ConversationStatus.ACTIVE.value,
        )
        return WithStartWorkflowOperation(
            CONVERSATION_WORKFLOW,
            args=[start, None],
            id=conversation_workflow_id(start.conversation_id),
            task_queue=CONVERSATION_QUEUE,
            task_timeout=_TASK_TIMEOUT,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
                    for (name, _), value in zip(SEARCH_ATTRIBUTES, values, strict=True)
                ]
            ),
            static_summary=title[:200] or None,
            static_details=f"Bot **{title}**, conversation `{start.conversation_id}`" if title else None,
        )

    @asynccontextmanager
    async def _starting(self) -> AsyncIterator[None]:
        """Hold one of the places for starts, for as long as a start itself takes."""
        await self._starts.acquire()
        held = True

        def release() -> None:
            nonlocal held
            if held:
                held = False
                self._starts.release()

        timer = asyncio.get_running_loop().call_later(_START_HOLD_SECONDS, release)
        try:
            yield
        finally:
            timer.cancel()
            release()


async def open_gateway(settings: Settings) -> ConversationGateway:
    """Return a gateway to the configured server; it connects when it is first used."""
    client = await connect(settings, data_converter=data_converter(), lazy=True)
    return ConversationGateway(client, settings)


def _body_digest(message: CallbackMessage) -> str:
    canonical = json.dumps(message.body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
