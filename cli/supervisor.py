"""Child processes that are started in order, watched, restarted when they die, and stopped in reverse.

Each child leads a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone and a
stop reaches the child's whole process group. On Linux the kernel is asked to kill a child when the
supervisor dies; elsewhere, and for good measure, `stop_leftovers` ends what an earlier supervisor left.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from cli.installation import Installation, ProcessRecord, RunningState
from cli.progress import Progress
from core.errors import UnavailableError
from core.settings import child_environment

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PAUSES_AFTER_FAILED_STARTS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_PAUSES_AFTER_DEATHS = (0.0, 0.0, 0.5, 1.0, 2.0)
"""For a part that served before it died: somebody waits for it."""
_STEADY_SECONDS = 60.0
_PRIVATE = 0o077
"""The umask of every part."""
_PROBE_SECONDS = 0.05
_LOG_LIMIT_BYTES = 10 * 1024 * 1024

HealthCheck = Callable[[int], Awaitable[bool]]
"""Takes the child's pid, tells whether it serves."""


class PartFailedError(UnavailableError):
    """A part did not start; the detail names its log."""

    slug = "part-failed"
    title = "A part of the platform did not start"


@dataclass(frozen=True)
class Part:
    """A process to keep alive.

    `user` is a system user to run as (root only), `pass_fds` are inherited descriptors, `prepare` runs
    before each start, the first included.
    """

    name: str
    title: str
    command: Sequence[str]
    healthy: HealthCheck
    environment: Mapping[str, str]
    note: str = ""
    prepare: Callable[[], None] | None = None
    user: str | None = None
    pass_fds: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    start_seconds: float = 60.0


class Supervisor:
    """Keeps parts alive from `start` to `stop`. Use one per event loop, from the main thread."""

    def __init__(self, installation: Installation, state: RunningState, progress: Progress) -> None:
        self._installation = installation
        self._state = state
        self._progress = progress
        self._stages: list[list[Part]] = []
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    async def start(self, *parts: Part) -> None:
        """Start parts side by side and return when all serve; they are stopped as one stage.

        Raises PartFailedError when one exits or doesn't serve in its time.
        """
        self._stages.append(list(parts))
        for part in parts:
            await self._spawn(part)
        await asyncio.gather(*(self._await_health(part) for part in parts))
        for part in parts:
            self._watchers[part.name] = asyncio.create_task(self._watch(part), name=f"watch {part.name}")

    async def run_once(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a command to its end and return its output; its errors go to a log.

        Raises PartFailedError when it fails.
        """
        log = self._log_of(name)
        with _private(log) as output:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env=child_environment(environment),
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid()),
                umask=_PRIVATE,
            )
        try:
            text, _ = await child.communicate()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
            raise
        code = child.returncode
        if code:
            raise PartFailedError(f"{name} {_describe_exit(code)}:\n{_tail(log)}\nLog: {log}")
        return text.decode("utf-8", "replace")

    async def stop(self) -> None:
        """Stop all parts, the last started first; a part that doesn't end in its time is killed."""
        self._stopping = True
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._stop_one(part) for part in stage))
        self._stages.clear()
        self._state.parts.clear()

    async def _spawn(self, part: Part, restarts: int = 0) -> None:
        if part.prepare is not None:
            part.prepare()
        log = self._log_of(part.name)
        with _private(log) as output:
            child = await asyncio.create_subprocess_exec(
                *part.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child_environment(part.environment),
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid()),
                pass_fds=part.pass_fds,
                user=part.user,
                group=part.user,
                extra_groups=None if part.user is None else [],
                umask=_PRIVATE,
            )
        self._children[part.name] = child
        self._state.parts[part.name] = ProcessRecord(child.pid, _created(child.pid), str(log), restarts)
        self._installation.write_state(self._state)

    async def _await_health(self, part: Part) -> None:
        child = self._children[part.name]
        deadline = time.monotonic() + part.start_seconds
        while True:
            if child.returncode is not None:
                raise self._failure(part, _describe_exit(child.returncode))
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(max(0.1, min(3.0, deadline - time.monotonic()))):
                    if await part.healthy(child.pid):
                        return
            if time.monotonic() >= deadline:
                raise self._failure(part, f"did not serve within {part.start_seconds:.0f} s")
            await asyncio.sleep(_PROBE_SECONDS)

    async def _watch(self, part: Part) -> None:
        restarts = 0
        deaths = 0
        while True:
            born = time.monotonic()
            code = await self._children[part.name].wait()
            deaths = 1 if time.monotonic() - born > _STEADY_SECONDS else deaths + 1
            failed_starts = 0
            self._progress.notice(
                f"! {part.title} {_describe_exit(code)}; restarting. Log: {self._log_of(part.name)}", "yellow"
            )
            while True:
                await asyncio.sleep(pause_before_start(deaths, failed_starts))
                restarts += 1
                begin = time.monotonic()
                try:
                    await self._spawn(part, restarts)
                    await self._await_health(part)
                except (PartFailedError, OSError) as error:
                    self._progress.notice(f"! {error}", "red")
                    await self._end(part, self._children.get(part.name))
                    failed_starts += 1
                    continue
                self._progress.notice(
                    f"✓ {part.title} is back after {time.monotonic() - begin:.1f} s "
                    f"(restart {restarts}, process {self._children[part.name].pid})",
                    "green",
                )
                break

    async def _stop_one(self, part: Part) -> None:
        child = self._children.pop(part.name, None)
        await self._end(part, child)

    async def _end(self, part: Part, child: asyncio.subprocess.Process | None) -> None:
        if child is None:
            return
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.send_signal(part.stop_signal)
            with suppress(TimeoutError):
                async with asyncio.timeout(part.stop_seconds):
                    await child.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()

    def _log_of(self, name: str) -> Path:
        log = self._installation.logs / f"{name}.log"
        with suppress(FileNotFoundError):
            if log.stat().st_size > _LOG_LIMIT_BYTES:
                log.replace(log.with_suffix(".log.1"))
        return log

    def _failure(self, part: Part, reason: str) -> PartFailedError:
        log = self._log_of(part.name)
        return PartFailedError(f"{part.title} {reason}:\n{_tail(log)}\nLog: {log}")


def pause_before_start(deaths: int, failed_starts: int) -> float:
    """Return the seconds to wait before a part is started again.

    `deaths` came in short succession, each after the part had served; `failed_starts` since the last.
    """
    pauses, count = (
        (_PAUSES_AFTER_FAILED_STARTS, failed_starts) if failed_starts else (_PAUSES_AFTER_DEATHS, deaths - 1)
    )
    return pauses[min(count, len(pauses) - 1)]


def stop_leftovers(state: RunningState) -> list[str]:
    """Kill the processes that an earlier supervisor recorded and left behind; return their names.

    A pid counts only with the recorded time of birth, so that a reused pid is never touched.
    """
    stopped = []
    for name, record in state.parts.items():
        process = record.process()
        if process is None:
            continue
        family = [*process.children(recursive=True), process]
        for member in family:
            with suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(family, timeout=5)
        stopped.append(name)
    return stopped


def own_record() -> ProcessRecord:
    """Return the record of this process, for state.json."""
    return ProcessRecord(os.getpid(), _created(os.getpid()), "")


def _private(log: Path) -> BinaryIO:
    """Open a log to add to it; nobody but its owner reads it."""
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _created(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return time.time()


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    libc = _LIBC

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was asked
            os.kill(os.getpid(), signal.SIGKILL)

    return ask_the_kernel


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def _tail(log: Path, lines: int = 15) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
