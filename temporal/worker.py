"""The worker process: conversations on one task queue, what waits for the outside on another.

Two workers in one process, so that a model that takes a minute never holds a place that a turn needs. Either
can also run alone in a process of its own, by `queues`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.assembly import Activities, open_activities
from activities.failures import FailureInterceptor
from core.errors import UnavailableError
from core.logging import get_logger
from core.settings import Settings
from flow_schema.effects import CONVERSATION_QUEUE, EFFECTS_QUEUE
from temporal.client import HEARTBEAT_INTERVAL, connect
from temporal.converter import data_converter
from temporal.runner import ConversationRunner

_PASSED_THROUGH = (
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "flow_schema",
    "simpleeval",
    "re2",
    "tzdata",
)
"""Pure of effects and costly to import: shared with workflows by the sandbox."""
_HEARTBEAT = timedelta(seconds=1)
"""How soon a running effect learns that it was cancelled."""
_TURN_POLLS = 10
"""How many of the worker's requests for turns wait at the server at once."""
_OPENING_POLLS = 0.4
"""The share of them that also takes conversations it has not in memory: the SDK's default is one request in
all, through which every opening would have to pass."""
_SHUTDOWN_ROOM = 4.0
"""Seconds beyond the grace, within which the supervisor does not yet end the process."""
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 5.0

_log = get_logger(__name__)


def build_workers(
    client: Client,
    settings: Settings,
    activities: Activities,
    *,
    workflows: Sequence[type] | None = None,
    queues: Sequence[str] = (CONVERSATION_QUEUE, EFFECTS_QUEUE),
    max_cached_workflows: int | None = None,
    sandbox: bool | None = None,
) -> list[Worker]:
    """Return a worker for each of `queues`, not yet running.

    `max_cached_workflows` and `sandbox` override the settings; 0 cached workflows replays every turn. Without
    `workflows`, those of the platform run on the queue of conversations.
    """
    identity = f"{os.getpid()}@{socket.gethostname()}"
    grace = timedelta(seconds=settings.worker_shutdown_seconds)
    workers = []
    for queue in queues:
        functions: list[Callable[..., Any]] = activities.on_queue(queue)
        if queue == CONVERSATION_QUEUE:
            workers.append(
                Worker(
                    client,
                    task_queue=queue,
                    workflows=_workflows() if workflows is None else workflows,
                    activities=functions,
                    workflow_runner=_runner(settings.worker_sandbox if sandbox is None else sandbox),
                    interceptors=[FailureInterceptor()],
                    identity=identity,
                    max_cached_workflows=(
                        settings.worker_max_cached_workflows
                        if max_cached_workflows is None
                        else max_cached_workflows
                    ),
                    max_concurrent_workflow_tasks=settings.worker_max_concurrent_workflow_tasks,
                    max_concurrent_workflow_task_polls=_TURN_POLLS,
                    nonsticky_to_sticky_poll_ratio=_OPENING_POLLS,
                    max_concurrent_activities=settings.worker_max_concurrent_activities,
                    max_concurrent_local_activities=settings.worker_max_concurrent_local_activities,
                    sticky_queue_schedule_to_start_timeout=timedelta(
                        seconds=settings.worker_sticky_timeout_seconds
                    ),
                    graceful_shutdown_timeout=grace,
                )
            )
        else:
            workers.append(
                Worker(
                    client,
                    task_queue=queue,
                    activities=functions,
                    interceptors=[FailureInterceptor()],
                    identity=identity,
                    max_concurrent_activities=settings.worker_max_concurrent_activities,
                    default_heartbeat_throttle_interval=_HEARTBEAT,
                    max_heartbeat_throttle_interval=_HEARTBEAT,
                    graceful_shutdown_timeout=grace,
                )
            )
    return workers


async def run_workers(workers: Sequence[Worker], stop: asyncio.Event, limit: float = 30.0) -> None:
    """Run workers until `stop` is set, then let them finish what they do within their grace.

    Raises the error of a worker that fails for good (a namespace that isn't there); the others are stopped.
    One that does not stop within `limit` is left: whatever it held is given to others after its timeouts.
    """
    running = [asyncio.create_task(worker.run(), name=f"worker-{worker.task_queue}") for worker in workers]
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        await _shut_down(workers, running, limit)
    for task in running:
        task.result()


async def _shut_down(workers: Sequence[Worker], running: Sequence[asyncio.Task[None]], limit: float) -> None:
    shutting = [asyncio.create_task(worker.shutdown()) for worker in workers]
    _, left = await asyncio.wait([*running, *shutting], timeout=limit)
    for task in left:
        _log.error("A worker does not stop", task=task.get_name(), seconds=limit)
        task.cancel()
    await asyncio.gather(*running, *shutting, return_exceptions=True)


async def run_worker(
    settings: Settings, *, queues: Sequence[str] = (CONVERSATION_QUEUE, EFFECTS_QUEUE)
) -> None:
    """Run this process's workers until SIGTERM or SIGINT, or until the task is cancelled.

    Waits for the Temporal server if it does not answer yet.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError, RuntimeError):  # not on Windows, not outside the main thread
            loop.add_signal_handler(number, stop.set)
    try:
        client = await _connected(settings, stop)
        if client is None:
            return
        async with open_activities(settings) as activities:
            workers = build_workers(client, settings, activities, queues=queues)
            _log.info("Workers start", queues=list(queues), temporal=settings.temporal_address)
            await run_workers(workers, stop, settings.worker_shutdown_seconds + _SHUTDOWN_ROOM)
            _log.info("Workers have stopped")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError):
                loop.remove_signal_handler(number)


async def _connected(settings: Settings, stop: asyncio.Event) -> Client | None:
    delay = _FIRST_DELAY
    runtime = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=HEARTBEAT_INTERVAL)
    while not stop.is_set():
        try:
            return await connect(settings, data_converter=data_converter(), runtime=runtime)
        except UnavailableError as error:
            _log.warning("Temporal does not answer yet", reason=error.detail, retry_in=delay)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)
        delay = min(delay * 2, _LONGEST_DELAY)
    return None


def _workflows() -> Sequence[type]:
    from workflows import WORKFLOWS

    return WORKFLOWS


def _runner(sandbox: bool) -> WorkflowRunner:
    if not sandbox:
        return ConversationRunner(UnsandboxedWorkflowRunner())
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_PASSED_THROUGH)
    return ConversationRunner(SandboxedWorkflowRunner(restrictions=restrictions))
