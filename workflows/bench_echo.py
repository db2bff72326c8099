"""The floor of the benchmark: a workflow whose update returns its argument, and nothing else.

What a turn costs above it is what the platform adds; what it costs itself is Temporal's.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from flow_schema.effects import BENCH_ECHO_WORKFLOW, SIGNAL_STOP, UPDATE_ECHO


@workflow.defn(name=BENCH_ECHO_WORKFLOW)
class BenchEchoWorkflow:
    """Echoes until it is told to stop."""

    @workflow.init
    def __init__(self) -> None:
        self.stopped = False

    @workflow.run
    async def run(self) -> None:
        """Runs until the signal comes."""
        await workflow.wait_condition(lambda: self.stopped)

    @workflow.update(name=UPDATE_ECHO)
    async def echo(self, text: str) -> str:
        """The text, unchanged."""
        return text

    @workflow.signal(name=SIGNAL_STOP)
    def stop(self) -> None:
        """Ends the workflow."""
        self.stopped = True
