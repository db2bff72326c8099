"""In which order a workflow gets what is delivered to it at once."""

from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance

from temporal.activation_order import Moment, activate_in_order


class Recorder(WorkflowInstance):
    """Answers each job with a command that names it; keeps what it was given, call by call."""

    def __init__(self, fails_at: str = "", closes_at: str = "") -> None:
        self.calls: list[list[str]] = []
        self.moments: list[tuple[int, int]] = []
        """The clock of each call, in seconds, and the length of the history."""
        self.fails_at = fails_at
        self.closes_at = closes_at

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        names = [str(job.WhichOneof("variant")) for job in act.jobs]
        self.calls.append(names)
        self.moments.append((act.timestamp.seconds, act.history_length))
        completion = WorkflowActivationCompletion(run_id=act.run_id)
        completion.successful.SetInParent()
        for name in names:
            if name == self.fails_at:
                completion.failed.failure.message = name
                return completion
            command = completion.successful.commands.add()
            if name == self.closes_at:
                command.complete_workflow_execution.SetInParent()
            else:
                command.schedule_activity.activity_id = name
        return completion

    def get_serialization_context(self, command_info: Any) -> Any:
        return None

    def get_external_store_context(self, command_info: Any) -> Any:
        return None

    def get_info(self) -> Any:
        return None

    def get_thread_id(self) -> int | None:
        return None


def activation(*jobs: str) -> WorkflowActivation:
    """News at second 50; `local` stands for the result of a local activity."""
    act = WorkflowActivation(run_id="run", history_length=9)
    act.timestamp.seconds = 50
    for name in jobs:
        if name == "local":
            act.jobs.add().resolve_activity.is_local = True
        else:
            getattr(act.jobs.add(), name).SetInParent()
    return act


BEFORE = Moment(Timestamp(seconds=40), 3)


def commands(completion: WorkflowActivationCompletion) -> list[str]:
    return [command.schedule_activity.activity_id for command in completion.successful.commands]


def test_updates_come_after_other_news_and_their_commands_too() -> None:
    instance = Recorder()
    answer = activate_in_order(
        instance, activation("do_update", "fire_timer", "do_update", "resolve_activity"), BEFORE
    )
    assert instance.calls == [["fire_timer", "resolve_activity"], ["do_update", "do_update"]]
    assert commands(answer) == ["fire_timer", "resolve_activity", "do_update", "do_update"]
    assert answer.run_id == "run"


def test_results_of_local_activities_come_first_and_under_the_clock_before() -> None:
    instance = Recorder()
    answer = activate_in_order(instance, activation("do_update", "fire_timer", "local"), BEFORE)
    assert instance.calls == [["resolve_activity"], ["fire_timer"], ["do_update"]]
    assert instance.moments == [(40, 3), (50, 9), (50, 9)]
    assert commands(answer) == ["resolve_activity", "fire_timer", "do_update"]


def test_what_needs_no_order_is_passed_on_as_it_is() -> None:
    for jobs in (
        ["do_update", "do_update"],
        ["fire_timer", "resolve_activity"],
        ["query_workflow"],
        ["initialize_workflow", "do_update"],
    ):
        instance = Recorder()
        answer = activate_in_order(instance, activation(*jobs), BEFORE)
        assert instance.calls == [jobs]
        assert commands(answer) == jobs


def test_a_workflow_that_closes_gets_no_update_any_more() -> None:
    instance = Recorder(closes_at="resolve_activity")
    answer = activate_in_order(instance, activation("do_update", "resolve_activity"), BEFORE)
    assert instance.calls == [["resolve_activity"]]
    assert answer.successful.commands[-1].HasField("complete_workflow_execution")


def test_failures_of_either_step_fail_the_whole() -> None:
    for failing, calls in (
        ("fire_timer", [["fire_timer"]]),
        ("do_update", [["fire_timer"], ["do_update"]]),
    ):
        instance = Recorder(fails_at=failing)
        answer = activate_in_order(instance, activation("do_update", "fire_timer"), BEFORE)
        assert answer.failed.failure.message == failing
        assert instance.calls == calls
