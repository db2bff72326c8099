"""Runs workflows so that updates are taken after the news that came before them, in every worker alike.

An update is no event of the history but a message beside it, and the SDK takes it before other news that is
delivered with it. What is delivered together is not always the same: a worker without the workflow in memory
may merge earlier tasks that led to no command with the present one, where a later replay doesn't
(temporalio/sdk-python#1591). Conversations leave a command in every task that brought news, so that none is
merged; beneath that, this module makes the order the same either way: an update comes last in whatever it is
delivered with. Only what a workflow begins with is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def activate_updates_last(
    instance: WorkflowInstance, act: WorkflowActivation
) -> WorkflowActivationCompletion:
    """Activate `instance` in two steps if updates come with other news; their commands become one answer."""
    updates = [job for job in act.jobs if job.HasField("do_update")]
    if not updates or len(updates) == len(act.jobs) or _begins(act):
        return instance.activate(act)
    news = [job for job in act.jobs if not job.HasField("do_update")]
    result = WorkflowActivationCompletion()
    result.CopyFrom(instance.activate(_with_jobs(act, news)))
    if result.HasField("failed") or _closes(result):
        return result  # the server hands the updates to the next run, or refuses them
    after = instance.activate(_with_jobs(act, updates))
    if after.HasField("failed"):
        return after
    result.successful.MergeFrom(after.successful)
    return result


def _begins(act: WorkflowActivation) -> bool:
    return any(job.HasField("initialize_workflow") for job in act.jobs)


def _with_jobs(act: WorkflowActivation, jobs: Sequence[WorkflowActivationJob]) -> WorkflowActivation:
    part = WorkflowActivation()
    part.CopyFrom(act)
    del part.jobs[:]
    part.jobs.extend(jobs)
    return part


def _closes(completion: WorkflowActivationCompletion) -> bool:
    return any(command.WhichOneof("variant") in _CLOSING for command in completion.successful.commands)
