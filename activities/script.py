"""`run_script`: a flow's own JavaScript."""

from __future__ import annotations

from temporalio import activity

from activities.failures import fail, try_again
from activities.heartbeat import beating
from core.errors import UnavailableError
from core.script import ScriptEngine, ScriptError
from flow_schema.effects import RUN_SCRIPT, FailureType, ScriptResult, ScriptRun


class ScriptActivities:
    """Runs scripts, each in an engine of its own."""

    def __init__(self, engine: ScriptEngine) -> None:
        self._engine = engine

    @activity.defn(name=RUN_SCRIPT)
    async def run_script(self, run: ScriptRun) -> ScriptResult:
        """Return what the script returns; fails with `bad-request` on its errors and broken limits."""
        try:
            async with beating():
                result = await self._engine.run(
                    run.code,
                    run.variables,
                    timeout_seconds=run.timeout_seconds,
                    memory_megabytes=run.memory_megabytes,
                )
        except ScriptError as error:
            fail(error.detail, FailureType.BAD_REQUEST)
        except UnavailableError as error:
            try_again(error.detail)
        return ScriptResult(value=result.value, milliseconds=result.milliseconds)
