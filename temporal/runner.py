"""The runner of the platform's workflows: the SDK's, with two guards against wedged workflows.

What is delivered together comes in one order, under one clock (`activation_order.py`).

Queries may not move a workflow ahead of its history. The history that comes with a query may end with news
that no workflow task has started on yet: an activity that completed while the query waited for a worker. The
SDK applies that news in order to answer, under the clock of the task before, and keeps the workflow with the
commands that came of it. The next task then reports commands in an order that no replay repeats. Such a query
fails here instead, whereupon the SDK forgets the workflow; its caller asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from temporal.activation_order import Moment, activate_in_order

REASON = "The workflow has news that no worker has taken yet; ask again."


class ConversationRunner(WorkflowRunner):
    """Wraps a runner of the SDK. Workers and replayers of the same workflows must agree on using it."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _GuardedInstance(self._runner.create_instance(det))

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)


class _GuardedInstance(WorkflowInstance):
    """A workflow that refuses news which comes without a workflow task.

    Such news is told by a history that has grown while its clock, which each task sets, stands still.
    """

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._before: Moment | None = None

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if not all(job.HasField("query_workflow") or job.HasField("remove_from_cache") for job in act.jobs):
            before = self._before
            if before and act.timestamp == before.timestamp and act.history_length > before.history_length:
                refusal = WorkflowActivationCompletion()
                refusal.failed.failure.message = REASON
                refusal.failed.failure.application_failure_info.SetInParent()
                return refusal
            self._before = Moment(act.timestamp, act.history_length)
            return activate_in_order(self._instance, act, before)
        return self._instance.activate(act)

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()
