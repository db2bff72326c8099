"""Parts are restarted when they die and gone when the supervisor is, however it ends."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from cli.installation import Installation, ProcessRecord, RunningState
from cli.progress import Progress
from cli.supervisor import PartFailedError, Supervisor, own_record, pause_before_start, stop_leftovers
from tests.cli.conftest import MakePart

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Scene:
    supervisor: Supervisor
    state: RunningState
    installation: Installation
    output: io.StringIO

    def pid(self, name: str) -> int:
        return self.state.parts[name].pid


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    installation = Installation(tmp_path / "data")
    installation.create()
    state, output = RunningState(), io.StringIO()
    supervisor = Supervisor(installation, state, Progress(Console(file=output)))
    yield Scene(supervisor, state, installation, output)
    await supervisor.stop()


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_a_killed_part_is_restarted_and_reported(scene: Scene, make_part: MakePart) -> None:
    await scene.supervisor.start(make_part("engine"))
    first = scene.pid("engine")
    os.kill(first, signal.SIGKILL)
    await until(lambda: "is back" in scene.output.getvalue())
    second = scene.pid("engine")
    assert second != first
    assert alive(second)
    assert not alive(first)
    assert "Engine was killed by SIGKILL" in scene.output.getvalue()
    assert "engine.log" in scene.output.getvalue()
    recorded = scene.installation.read_state().parts["engine"]
    assert (recorded.pid, recorded.restarts) == (second, 1)


async def test_a_part_is_restarted_again_and_again(scene: Scene, make_part: MakePart) -> None:
    await scene.supervisor.start(make_part("engine"))
    begin = time.monotonic()
    for count in range(1, 7):
        os.kill(scene.pid("engine"), signal.SIGKILL)
        await until(lambda count=count: f"(restart {count}," in scene.output.getvalue())  # type: ignore[misc]
    assert alive(scene.pid("engine"))
    assert time.monotonic() - begin < 12  # somebody waits for a part that comes back each time


def test_only_failed_starts_are_put_off_for_long() -> None:
    deaths = [pause_before_start(count, 0) for count in range(1, 12)]
    assert (deaths[:2], max(deaths)) == ([0, 0], 2)
    failures = [pause_before_start(1, count) for count in range(1, 12)]
    assert failures == sorted(failures)
    assert failures[-1] == 10


async def test_parts_stop_in_reverse_order(scene: Scene, make_part: MakePart, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        await scene.supervisor.start(make_part(name))
    pids = [scene.pid(name) for name in ("first", "second", "third")]
    await scene.supervisor.stop()
    assert (tmp_path / "order").read_text().split() == ["third", "second", "first"]
    assert not any(alive(pid) for pid in pids)


async def test_a_deaf_part_is_killed(scene: Scene, make_part: MakePart) -> None:
    await scene.supervisor.start(make_part("deaf", "deaf", stop_seconds=0.3))
    pid = scene.pid("deaf")
    await scene.supervisor.stop()
    assert not alive(pid)


async def test_the_whole_group_of_a_part_is_stopped(
    scene: Scene, make_part: MakePart, tmp_path: Path
) -> None:
    await scene.supervisor.start(make_part("parent", "family"))
    grandchild = int((tmp_path / "parent.family").read_text())
    assert alive(grandchild)
    await scene.supervisor.stop()
    await until(lambda: not alive(grandchild))


async def test_a_part_that_fails_names_code_and_log(scene: Scene, make_part: MakePart) -> None:
    with pytest.raises(PartFailedError) as raised:
        await scene.supervisor.start(make_part("broken", "fails"))
    assert "exited with code 3" in raised.value.detail
    assert "no configuration found" in raised.value.detail
    assert "broken.log" in raised.value.detail


async def test_stop_works_after_a_part_failed_to_start(scene: Scene, make_part: MakePart) -> None:
    await scene.supervisor.start(make_part("engine"))
    pid = scene.pid("engine")
    with pytest.raises(PartFailedError):
        await scene.supervisor.start(make_part("broken", "fails"))
    await scene.supervisor.stop()
    assert not alive(pid)


async def test_run_once_returns_output_and_reports_failure(scene: Scene) -> None:
    assert await scene.supervisor.run_once("says", [sys.executable, "-c", "print('[]')"], {}) == "[]\n"
    with pytest.raises(PartFailedError, match="exited with code 5"):
        await scene.supervisor.run_once("dies", [sys.executable, "-c", "raise SystemExit(5)"], {})


_SUPERVISING = """
    import asyncio, pathlib, sys
    from rich.console import Console
    from cli.installation import Installation, RunningState
    from cli.progress import Progress
    from cli.supervisor import Part, Supervisor

    async def yes(pid):
        return True

    async def main(folder):
        installation = Installation(folder)
        installation.create()
        state = RunningState()
        supervisor = Supervisor(installation, state, Progress(Console()))
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        await supervisor.start(Part("sleeper", "Sleeper", command, yes, {}))
        print("ready", flush=True)
        await asyncio.sleep(600)

    asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = tmp_path / "supervising.py"
    script.write_text(textwrap.dedent(_SUPERVISING))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path / "data"),
        stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    child = Installation(tmp_path / "data").read_state().parts["sleeper"].pid
    assert alive(child)
    process.kill()
    await process.wait()
    await until(lambda: not alive(child))


def test_leftovers_are_stopped_and_strangers_are_not() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    left, stranger = subprocess.Popen(command), subprocess.Popen(command)
    try:
        born = psutil.Process(left.pid).create_time()
        state = RunningState(
            parts={
                "left": ProcessRecord(left.pid, born, ""),
                "reused": ProcessRecord(stranger.pid, born - 3600, ""),
            }
        )
        assert stop_leftovers(state) == ["left"]
        assert not alive(left.pid)
        assert alive(stranger.pid)
    finally:
        for process in (left, stranger):
            process.kill()
            process.wait(10)


def test_own_record_is_this_process() -> None:
    process = own_record().process()
    assert process is not None
    assert process.pid == os.getpid()
