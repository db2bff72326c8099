"""The interpreter's effects as Temporal activities: the only caller of `execute_activity`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy as TemporalRetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from flow_schema.effects import (
        ACTIVITIES,
        CALL_MODEL,
        EFFECTS_QUEUE,
        FLUSH_TRANSCRIPT,
        HTTP_REQUEST,
        LOAD_FLOW,
        OPEN_CALLBACK,
        RECOGNIZE_INTENT,
        RUN_SCRIPT,
        SEND_EMAIL,
        Contract,
        EmailMessage,
        EmailSent,
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
    )
    from flow_schema.nodes.request import RetryPolicy
    from workflows.interpreter.outcomes import EffectFailed

Result = TypeVar("Result", bound=Contract)

UNTIL_IT_WORKS = TemporalRetryPolicy(
    initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=10)
)
"""For what depends on our own parts only: the database comes back."""
ONCE = TemporalRetryPolicy(maximum_attempts=1)
LOST_ATTEMPTS = 5
"""Attempts beyond those that an activity allows itself, for those that die with their worker."""
A_FEW_TIMES = TemporalRetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=20),
    maximum_attempts=5 + LOST_ATTEMPTS,
)
HEARTBEAT = timedelta(seconds=5)
"""A worker that is silent for this long is taken to be dead. Effects report each second."""
OWN_ATTEMPT = timedelta(seconds=4)
"""For one attempt at what the platform does by itself, in milliseconds as a rule and without heartbeats. When
it is over, the worker that had it is taken to be dead, and a turn must go on well within 10 s of that."""
SOON_AGAIN = TemporalRetryPolicy(
    initial_interval=timedelta(milliseconds=250),
    maximum_interval=timedelta(seconds=5),
    maximum_attempts=5 + LOST_ATTEMPTS,
)
LOCAL_LIMIT = timedelta(seconds=1)
"""For a local activity: half of the task's timeout, before the worker has to ask for more time."""


class TemporalEffects:
    """Implements `Effects` inside a workflow. `flush_now` comes from the conversation's shell."""

    def __init__(self, flush_now: Callable[[], Awaitable[None]]) -> None:
        self._flush_now = flush_now

    def now(self) -> datetime:
        return workflow.now()

    def unique(self) -> str:
        return workflow.uuid4().hex

    async def flush(self) -> None:
        await self._flush_now()

    async def http_request(self, call: HttpCall, retry: RetryPolicy, summary: str) -> HttpResult:
        return await _activity(
            HTTP_REQUEST,
            call,
            HttpResult,
            f"{summary}: {call.method}",
            attempt=timedelta(seconds=call.timeout_seconds + 10),
            retry=TemporalRetryPolicy(
                initial_interval=max(retry.first_wait, timedelta(milliseconds=50)),
                maximum_interval=max(retry.longest_wait, retry.first_wait, timedelta(milliseconds=50)),
                maximum_attempts=retry.attempts + LOST_ATTEMPTS,
            ),
        )

    async def call_model(self, call: ModelCall, summary: str) -> ModelAnswer:
        return await _activity(
            CALL_MODEL,
            call,
            ModelAnswer,
            f"{summary}: {call.model or 'model'}",
            attempt=timedelta(minutes=5),
            retry=A_FEW_TIMES,
        )

    async def recognize_intent(self, request: RecognizeIntent, summary: str) -> RecognizedIntent:
        return await _activity(
            RECOGNIZE_INTENT,
            request,
            RecognizedIntent,
            f"{summary}: intent",
            attempt=OWN_ATTEMPT,
            retry=SOON_AGAIN,
        )

    async def send_email(self, message: EmailMessage, summary: str) -> EmailSent:
        return await _activity(
            SEND_EMAIL,
            message,
            EmailSent,
            f"{summary}: e-mail",
            attempt=timedelta(seconds=60),
            retry=TemporalRetryPolicy(
                initial_interval=timedelta(seconds=2),
                maximum_interval=timedelta(minutes=1),
                maximum_attempts=8,
            ),
        )

    async def run_script(self, run: ScriptRun, summary: str) -> ScriptResult:
        return await _activity(
            RUN_SCRIPT,
            run,
            ScriptResult,
            f"{summary}: script",
            attempt=timedelta(seconds=run.timeout_seconds + 15),
            retry=A_FEW_TIMES,
        )

    async def open_callback(self, request: OpenCallback, summary: str) -> OpenedCallback:
        return await _activity(
            OPEN_CALLBACK,
            request,
            OpenedCallback,
            f"{summary}: callback address",
            attempt=OWN_ATTEMPT,
            retry=UNTIL_IT_WORKS,
        )


async def load_flow(request: LoadFlow) -> FlowBundle:
    """Loads the pinned flows: recorded in history, so that a replay needs no database.

    A local activity, since it is on the way to the first greeting. It is tried once and must end well within
    a workflow task: one that goes on longer leaves tasks without news of their own in the history, and
    repeating it starts timers that a replay doesn't find where they were. When the database does not answer
    at once, a regular activity waits for it.
    """
    try:
        bundle: FlowBundle = await workflow.execute_local_activity(
            LOAD_FLOW,
            request,
            result_type=FlowBundle,
            schedule_to_close_timeout=LOCAL_LIMIT,
            retry_policy=ONCE,
            summary="load the flow",
        )
    except FailureError as error:  # a failed local activity comes without its wrapping
        if is_cancelled_exception(error):
            raise
        bundle = await workflow.execute_activity(
            LOAD_FLOW,
            request,
            result_type=FlowBundle,
            start_to_close_timeout=OWN_ATTEMPT,
            retry_policy=UNTIL_IT_WORKS,
            summary="load the flow, once the database answers",
        )
    return bundle


async def flush_transcript(flush: Flush, summary: str) -> Flushed:
    """Writes a batch of the outbox; repeated until the database takes it."""
    flushed: Flushed = await workflow.execute_activity(
        FLUSH_TRANSCRIPT,
        flush,
        result_type=Flushed,
        start_to_close_timeout=OWN_ATTEMPT,
        retry_policy=UNTIL_IT_WORKS,
        cancellation_type=workflow.ActivityCancellationType.ABANDON,
        summary=summary,
    )
    return flushed


async def _activity(
    name: str,
    argument: Contract,
    result_type: type[Result],
    summary: str,
    *,
    attempt: timedelta,
    retry: TemporalRetryPolicy,
) -> Result:
    """Runs an activity of the contract. Raises `EffectFailed` when it fails for good."""
    queue = ACTIVITIES[name][2]
    try:
        result: Result = await workflow.execute_activity(
            name,
            argument,
            result_type=result_type,
            task_queue=queue,
            start_to_close_timeout=attempt,
            heartbeat_timeout=HEARTBEAT if queue == EFFECTS_QUEUE else None,
            retry_policy=retry,
            summary=summary[:200],
        )
        return result
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        raise _failure(error) from error


def _failure(error: ActivityError) -> EffectFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return EffectFailed(cause.message or "it failed", cause.type or "")
    if isinstance(cause, TemporalTimeoutError):
        return EffectFailed("it took too long", "timeout")
    return EffectFailed(str(cause or error), "")
