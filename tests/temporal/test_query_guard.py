"""A query that meets news of which no workflow task knows yet."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHistory, WorkflowUpdateStage
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from temporal.runner import ConversationRunner

METADATA = "__temporal_workflow_metadata"
"""The query of the Web UI; every workflow answers it."""
TRIES = 12
"""The query has to reach the worker before the workflow task does, which is chance."""


@activity.defn
async def step(name: str) -> str:
    return name


@workflow.defn
class Steps:
    """Takes two steps at the beginning and one for each update, as a conversation does."""

    @workflow.init
    def __init__(self) -> None:
        self.wanted: deque[str] = deque()
        self.done: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await self._step("first")
        await self._step("second")
        while "last" not in self.done:
            await workflow.wait_condition(lambda: bool(self.wanted))
            await self._step(self.wanted.popleft())
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.done

    async def _step(self, name: str) -> None:
        queue = f"{workflow.info().task_queue}-steps"
        self.done.append(
            await workflow.execute_activity(
                step, name, task_queue=queue, start_to_close_timeout=timedelta(seconds=10)
            )
        )

    @workflow.update
    async def do(self, name: str) -> str:
        self.wanted.append(name)
        await workflow.wait_condition(lambda: name in self.done)
        return name


async def queried_in_between(client: Client, runner: WorkflowRunner) -> WorkflowHistory:
    """Have a query, an activity's result and an update wait for the same worker, in this order."""
    queue = f"guard-{uuid4().hex}"
    handle = await client.start_workflow(Steps.run, id=queue, task_queue=queue)

    async def step_is_pending(wanted: bool) -> None:
        while bool((await handle.describe()).raw_description.pending_activities) is not wanted:
            await asyncio.sleep(0.02)

    async with Worker(
        client, task_queue=queue, workflows=[Steps], workflow_runner=runner, max_cached_workflows=0
    ):
        await step_is_pending(True)
    asking = asyncio.create_task(handle.query(METADATA))
    await asyncio.sleep(0.2)
    async with Worker(client, task_queue=f"{queue}-steps", activities=[step]):
        await step_is_pending(False)
        updating = asyncio.create_task(
            handle.start_update(Steps.do, "asked", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
        )
        await asyncio.sleep(0.2)
        async with Worker(client, task_queue=queue, workflows=[Steps], workflow_runner=runner):
            await asyncio.wait_for(asyncio.gather(asking, updating, return_exceptions=True), 20)
            await asyncio.wait_for(handle.execute_update(Steps.do, "last"), 20)
            assert await asyncio.wait_for(handle.result(), 20) == ["first", "second", "asked", "last"]
    return await handle.fetch_history()


async def test_a_query_never_wedges_a_workflow(temporal_server: str) -> None:
    """Every history replays, and the workflow goes on as if nobody had asked."""
    client = await Client.connect(temporal_server)
    replayer = Replayer(workflows=[Steps], workflow_runner=ConversationRunner(UnsandboxedWorkflowRunner()))
    for _ in range(TRIES):
        history = await queried_in_between(client, ConversationRunner(UnsandboxedWorkflowRunner()))
        await replayer.replay_workflow(history)
