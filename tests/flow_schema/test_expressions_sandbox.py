"""Formulas run inside a workflow: in the SDK's sandbox, with the workflow's time, and the same on replay."""

import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

with workflow.unsafe.imports_passed_through():
    from flow_schema.expressions import ExpressionError, evaluate, render

FORMULAS = [
    "now()",
    "format_date(add_days(today(), 1), 'full', 'es')",
    r"extract('order 4471', '\d+')",
    "normalize('ÁRBOL')",
    "parse_json('{\"a\": [1, 2.5]}').a[1] + round(2.5)",
    "name.upper()",
]
EXPECTED_TAIL = ["4471", "arbol", 5.5]


@workflow.defn
class FormulaWorkflow:
    """Computes before and after a durable wait, so that a replay computes the first part again."""

    @workflow.run
    async def run(self, timezone: str) -> list[Any]:
        before = self._compute(timezone)
        await workflow.sleep(timedelta(days=3))
        return [before, self._compute(timezone)]

    def _compute(self, timezone: str) -> list[Any]:
        found: list[Any] = []
        for formula in FORMULAS:
            try:
                found.append(evaluate(formula, {"name": "Ana"}, now=workflow.now(), timezone=timezone))
            except ExpressionError as error:
                found.append(error.reason)
        found.append(render("Hola {{ name }}", {"name": "Ana"}, now=workflow.now(), timezone=timezone))
        return found


@pytest.mark.parametrize("cached", [1_000, 0])
async def test_formulas_run_in_the_workflow_sandbox(cached: int) -> None:
    server = Path(sys.executable).with_name("temporal-test-server")
    restrictions = SandboxRestrictions.default.with_passthrough_modules("flow_schema")
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server)
    ) as environment:
        queue = str(uuid.uuid4())
        async with Worker(
            environment.client,
            task_queue=queue,
            workflows=[FormulaWorkflow],
            workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
            max_cached_workflows=cached,
        ):
            handle = await environment.client.start_workflow(
                FormulaWorkflow.run, "America/Mexico_City", id=queue, task_queue=queue
            )
            before, after = await handle.result()
        history = await handle.fetch_history()
    assert before[2:5] == after[2:5] == EXPECTED_TAIL
    assert "upper(...)" in before[5]
    assert before[6] == "Hola Ana"
    assert before[0] < after[0]
    assert before[0].endswith("-06:00")
    await Replayer(
        workflows=[FormulaWorkflow], workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions)
    ).replay_workflow(history)
