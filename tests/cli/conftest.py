"""A supervised child that serves HTTP, written to a folder of the test's own."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.supervisor import Part

_CHILD = """
    import pathlib, signal, subprocess, sys, time
    folder, name, mode = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if mode == "fails":
        print("no configuration found", flush=True)
        sys.exit(3)
    def leave(*_):
        with (folder / "order").open("a") as order:
            order.write(name + "\\n")
        sys.exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "deaf" else leave)
    if mode == "family":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder / (name + ".family")).write_text(str(child.pid))
    (folder / (name + ".ready")).write_text("")
    time.sleep(600)
"""

MakePart = Callable[..., Part]


@pytest.fixture
def make_part(tmp_path: Path) -> MakePart:
    """Return a function that makes a part; it serves once its ready file is written anew."""
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(_CHILD))

    def make(name: str, mode: str = "serves", stop_seconds: float = 10.0) -> Part:
        ready = tmp_path / f"{name}.ready"

        async def healthy(_pid: int) -> bool:
            return await asyncio.to_thread(ready.exists)

        return Part(
            name=name,
            title=name.capitalize(),
            command=[sys.executable, str(script), str(tmp_path), name, mode],
            healthy=healthy,
            environment={},
            prepare=lambda: ready.unlink(missing_ok=True),
            stop_seconds=stop_seconds,
            start_seconds=30,
        )

    return make
