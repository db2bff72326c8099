"""Delivers to workflows in one order and under one clock, in every worker and every replay alike.

What the SDK delivers together, and when, is not always the same:

- An update is no event of the history but a message beside it, and the SDK takes it before other news that is
  delivered with it. A worker without the workflow in memory may merge earlier tasks that led to no command
  with the present one, where a later replay doesn't (temporalio/sdk-python#1591). Conversations leave a
  command in every task that brought news, so that none is merged; beneath that, an update comes last in
  whatever it is delivered with.
- A query that waits for a task makes the worker end that task before it tells the workflow of the local
  activity whose result the task records. The workflow hears of it in the next task, under that one's clock;
  in a replay at once. So results of local activities come first, under the clock of the activation before.

Only what a workflow begins with is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance

_CLOSING = frozenset(
    {
        "complete_workflow_execution",
        "continue_as_new_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
    }
)


@dataclass(frozen=True)
class Moment:
    """The clock of an activation, and how long the history was."""

    timestamp: Timestamp
    history_length: int


def activate_in_order(
    instance: WorkflowInstance, act: WorkflowActivation, before: Moment | None
) -> WorkflowActivationCompletion:
    """Activate `instance` in up to three steps; their commands become one answer.

    `before` is the moment of the activation before this one.
    """
    first, *more = _steps(act, before)
    result = instance.activate(first)
    for step in more:
        if result.HasField("failed") or _closes(result):
            return result  # the server hands updates to the next run, or refuses them
        so_far, result = result, WorkflowActivationCompletion()
        result.CopyFrom(so_far)
        after = instance.activate(step)
        if after.HasField("failed"):
            return after
        result.successful.MergeFrom(after.successful)
    return result


def _steps(act: WorkflowActivation, before: Moment | None) -> list[WorkflowActivation]:
    if before is None or any(job.HasField("initialize_workflow") for job in act.jobs):
        return [act]
    if len(act.jobs) == 1 and not act.jobs[0].HasField("resolve_activity"):
        return [act]
    results, news, updates = [], [], []
    for job in act.jobs:
        if job.HasField("resolve_activity") and job.resolve_activity.is_local:
            results.append(job)
        elif job.HasField("do_update"):
            updates.append(job)
        else:
            news.append(job)
    steps = []
    if results:
        early = _with_jobs(act, results)
        early.timestamp.CopyFrom(before.timestamp)
        early.history_length = before.history_length
        steps.append(early)
    steps += [_with_jobs(act, jobs) for jobs in (news, updates) if jobs]
    return steps or [act]


def _with_jobs(act: WorkflowActivation, jobs: Sequence[WorkflowActivationJob]) -> WorkflowActivation:
    part = WorkflowActivation()
    part.CopyFrom(act)
    del part.jobs[:]
    part.jobs.extend(jobs)
    return part


def _closes(completion: WorkflowActivationCompletion) -> bool:
    return any(command.WhichOneof("variant") in _CLOSING for command in completion.successful.commands)
