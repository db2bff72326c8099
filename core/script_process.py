"""The process that runs scripts, started by `core.script` as a file of its own: it imports nothing of ours.

Reads one JSON object a line from standard input (`code`, `variables`, `timeout_seconds`,
`memory_megabytes`, `longest_result`) and answers each with one line: `{"value", "milliseconds"}` or
`{"error"}`. The first line it writes is `{"ready": true}`.

JavaScript runs in QuickJS inside WebAssembly: no network, no files, no timers, one new engine a run. The
engine's own limits miss large blocks of memory and loops inside built-in functions; therefore the operating
system bounds the memory of this process and the parent ends it when the time is over.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from quickjs_rs import JSError, MemoryLimitError, QuickJSError, Runtime
from quickjs_rs import TimeoutError as ScriptTimeout

_MEGABYTE = 1 << 20
_BASE_MEGABYTES = 8
"""What an empty engine takes, beside the script's own values."""
_PLACE = re.compile(r"script:(\d+):(?:\d+)")
_UNKNOWN_PLACE = "script:1:1"
"""What the engine writes for some expressions after `return`."""
_WHOLE = """JSON.stringify((function (variables) {{{code}
}})(JSON.parse({variables})), function (key, value) {{
  if (key === "" && value instanceof Promise) throw new TypeError("a script can't wait: return a value");
  return value;
}})"""


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    with Runtime() as runtime, runtime.new_context() as context:  # compiles the engine, without our limit
        context.eval("0")
    _write(answers, {"ready": True})
    for line in sys.stdin.buffer:
        _write(answers, _run(json.loads(line)))


def _write(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode("ascii") + b"\n")
    answers.flush()


def _run(request: dict[str, Any]) -> dict[str, Any]:
    variables = json.dumps(json.dumps(request["variables"]))
    code = _WHOLE.format(code=request["code"], variables=variables)
    started = time.monotonic()
    try:
        value = _evaluate(code, request["timeout_seconds"], request["memory_megabytes"])
    except ScriptTimeout:
        return {"error": "timeout"}
    except MemoryLimitError:
        return {"error": "memory"}
    except JSError as error:
        if error.message in {"", "null", "out of memory"}:
            return {"error": "memory"}
        return {"error": "script", "message": _describe(error)}
    except QuickJSError as error:
        return {"error": "script", "message": str(error)[:500]}
    except Exception as error:  # a trap inside WebAssembly: the engine is gone, this process is not
        return {"error": "depth" if "call stack" in str(error) else "memory"}
    if not isinstance(value, str):
        value = "null"
    if len(value.encode("utf-8", errors="replace")) > request["longest_result"]:
        return {"error": "size"}
    return {"value": value, "milliseconds": round((time.monotonic() - started) * 1000)}


def _evaluate(code: str, timeout_seconds: float, memory_megabytes: int) -> Any:
    unlimited = resource.getrlimit(resource.RLIMIT_DATA)
    taken = _data_bytes()
    if taken is not None:
        allowed = taken + (memory_megabytes + _BASE_MEGABYTES) * _MEGABYTE
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, unlimited[1]))
    try:
        with (
            Runtime(memory_limit=memory_megabytes * _MEGABYTE) as runtime,
            runtime.new_context(timeout=timeout_seconds) as context,
        ):
            return context.eval(code)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, unlimited)


def _data_bytes() -> int | None:
    """What counts for RLIMIT_DATA now; None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmData:\s+(\d+) kB", status, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def _describe(error: JSError) -> str:
    place = _PLACE.search(error.stack or "") or _PLACE.search(error.message)
    message = f"{error.name}: {error.message}" if error.name else error.message
    known = place is not None and place.group(0) != _UNKNOWN_PLACE
    where = f"line {place.group(1)}: " if place is not None and known else ""
    return (where + message)[:500]


if __name__ == "__main__":
    main()
