"""When a workflow gets the result of a local activity, by its own clock."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from temporal.runner import ConversationRunner

SEEN: list[datetime] = []
"""The workflow's clock when it had its result: in the worker, then in the replay."""


@activity.defn
async def read() -> str:
    await asyncio.sleep(0.02)
    return "read"


@workflow.defn
class Reader:
    """Reads at the beginning, as a conversation reads its flow."""

    @workflow.init
    def __init__(self) -> None:
        self.finished = False

    @workflow.run
    async def run(self) -> None:
        timer = asyncio.create_task(workflow.sleep(60))  # a task without commands would be merged by a replay
        await workflow.execute_local_activity(read, start_to_close_timeout=timedelta(seconds=1))
        SEEN.append(workflow.now())
        await workflow.wait_condition(lambda: self.finished)
        timer.cancel()

    @workflow.query
    def is_finished(self) -> bool:
        return self.finished

    @workflow.signal
    def finish(self) -> None:
        self.finished = True


async def clocks(address: str, runner: WorkflowRunner) -> tuple[datetime, datetime]:
    """What a worker and a replay of its history see, when a query has come with the first task.

    The SDK then ends the task for the query's sake, and tells of the result in the next one.
    """
    SEEN.clear()
    client = await Client.connect(address)
    queue = f"results-{uuid4().hex}"
    handle = await client.start_workflow(Reader.run, id=queue, task_queue=queue)
    asking = asyncio.create_task(handle.query(Reader.is_finished))
    await asyncio.sleep(0.3)
    async with Worker(
        client, task_queue=queue, workflows=[Reader], activities=[read], workflow_runner=runner
    ):
        assert await asking is False
        while not SEEN:
            await asyncio.sleep(0.02)
        await handle.signal(Reader.finish)
        await handle.result()
    await Replayer(workflows=[Reader], workflow_runner=runner).replay_workflow(await handle.fetch_history())
    worker, replay = SEEN
    return worker, replay


async def test_a_replay_sees_the_clock_that_the_worker_saw(temporal_server: str) -> None:
    for _ in range(5):
        worker, replay = await clocks(temporal_server, ConversationRunner(UnsandboxedWorkflowRunner()))
        assert replay == worker
