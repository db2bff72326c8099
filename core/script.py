"""Scripts of flows: JavaScript with time and memory limits, in processes that hold nothing worth stealing.

Each process runs one script at a time, each script in a new engine. A script that will not stop is ended
with its process; the next one gets a new process. Processes start with an empty environment.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from core.errors import UnavailableError, UnprocessableError
from core.json_values import read_json

LONGEST_RESULT = 256 * 1024
"""Bytes of a result's JSON."""
LONGEST_CODE = 100_000
_PROGRAM = Path(__file__).with_name("script_process.py")
_START_SECONDS = 30.0
_GRACE_SECONDS = 0.5
_LONGEST_LINE = 4 * LONGEST_RESULT + 65_536


class ScriptError(UnprocessableError):
    """The script failed, or broke a limit; the detail says how, with the line where one is known."""

    slug = "script-failed"
    title = "The script failed"


@dataclass(frozen=True)
class ScriptValue:
    """What a script returned, and how long it ran."""

    value: JsonValue
    milliseconds: int


class ScriptEngine:
    """Runs scripts, at most `processes` at once; the rest wait for their turn.

    Processes start when first needed, or by `warm`, and end by `close`.
    """

    def __init__(self, processes: int = 2) -> None:
        self._places = asyncio.Semaphore(processes)
        self._idle: list[Process] = []

    async def warm(self) -> None:
        """Start one process, so that the first script does not wait for it (half a second)."""
        async with self._places:
            self._idle.append(await self._take())

    async def run(
        self,
        code: str,
        variables: dict[str, JsonValue],
        *,
        timeout_seconds: float,
        memory_megabytes: int,
    ) -> ScriptValue:
        """Run `code` as the body of a function of `variables` and return what it returns.

        The result is what `JSON.stringify` makes of it (`undefined` becomes null), at most 256 KB. There is
        no network, no file, no timer and no `await`; `Date` and `Math.random` are real. Raises ScriptError.
        """
        if len(code) > LONGEST_CODE:
            raise ScriptError(f"The script is longer than {LONGEST_CODE} characters.")
        request = {
            "code": code,
            "variables": variables,
            "timeout_seconds": timeout_seconds,
            "memory_megabytes": memory_megabytes,
            "longest_result": LONGEST_RESULT,
        }
        async with self._places:
            process = await self._take()
            try:
                answer = await self._ask(process, request, timeout_seconds + _GRACE_SECONDS)
            except BaseException:
                await _end(process)
                raise
            if answer is None:
                await _end(process)
            else:
                self._idle.append(process)
        match answer:
            case {"value": str(text), "milliseconds": int(milliseconds)}:
                return ScriptValue(_read(text), milliseconds)
            case None | {"error": "timeout"}:
                raise ScriptError(f"The script ran longer than {timeout_seconds:g} s.")
            case {"error": "memory"}:
                raise ScriptError(f"The script needs more than {memory_megabytes} MB of memory.")
            case {"error": "depth"}:
                raise ScriptError("The script calls itself too deeply.")
            case {"error": "size"}:
                raise ScriptError(f"The script's result is larger than {LONGEST_RESULT} bytes.")
            case _:
                raise ScriptError(f"The script failed: {answer.get('message', 'unknown error')}")

    async def close(self) -> None:
        """End the idle processes; those that run a script end with it."""
        idle, self._idle = self._idle, []
        for process in idle:
            await _end(process)

    async def _take(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(_PROGRAM), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={},
            limit=_LONGEST_LINE,
        )  # fmt: skip
        try:
            line = await asyncio.wait_for(_reader(process).readline(), _START_SECONDS)
        except BaseException:
            await _end(process)
            raise
        if not line:
            await _end(process)
            raise UnavailableError("The process that runs scripts did not start.")
        return process

    async def _ask(self, process: Process, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Return the process's answer; None if it has none in time or dies."""
        assert process.stdin is not None
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
                await process.stdin.drain()
                line = await _reader(process).readline()
        except (TimeoutError, ConnectionError):
            return None
        if not line.endswith(b"\n"):
            return {"error": "memory"}
        answer: dict[str, Any] = json.loads(line)
        return answer


def _read(text: str) -> JsonValue:
    try:
        return read_json(text)
    except ValueError as error:
        raise ScriptError(f"The script's result can't be kept: {error}.") from None


def _reader(process: Process) -> asyncio.StreamReader:
    assert process.stdout is not None
    return process.stdout


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()
