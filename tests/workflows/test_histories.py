"""Conversations that began on an earlier release go on with the present code: their histories replay."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from workflows.conversation import ConversationWorkflow

HISTORIES = Path(__file__).parent / "histories"
FILES = sorted(HISTORIES.rglob("*.json.gz"))


def read(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"conversation/{path.name}", gzip.decompress(path.read_bytes()).decode())


def replayer() -> Replayer:
    return Replayer(
        workflows=[ConversationWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


def test_there_are_histories() -> None:
    commands = {
        event.WhichOneof("attributes")
        for path in FILES
        for event in read(path).events
        if event.HasField("event_time")
    }
    assert {
        "activity_task_scheduled_event_attributes",
        "timer_started_event_attributes",
        "timer_canceled_event_attributes",
        "workflow_execution_update_completed_event_attributes",
        "workflow_execution_continued_as_new_event_attributes",
        "workflow_execution_completed_event_attributes",
        "upsert_workflow_search_attributes_event_attributes",
    } <= commands


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
async def test_it_replays(path: Path) -> None:
    await replayer().replay_workflow(read(path))


async def test_another_order_of_commands_is_noticed() -> None:
    history = read(next(path for path in FILES if "webhook" in path.name))
    first = next(
        event for event in history.events if event.HasField("activity_task_scheduled_event_attributes")
    )
    first.activity_task_scheduled_event_attributes.activity_type.name = "send_email"
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(history)
