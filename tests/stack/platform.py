"""The whole platform as its users start it: `versaai up` in a process of its own, on a folder of the test's.

Parts can be killed; the supervisor of `versaai up` brings them back.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from cli.installation import Installation

ROOT = Path(__file__).resolve().parents[2]
FREE_PORTS = (
    "--postgres-port", "0", "--temporal-port", "0", "--ui-port", "0", "--api-port", "0",
)  # fmt: skip
_OURS = ("VERSAAI_", "DATABASE_URL", "SECRET_KEY", "EMAIL_", "OPENAI_", "ANTHROPIC_", "GROQ_", "MISTRAL_")
_START_SECONDS = 180
_STOP_SECONDS = 90


@dataclass
class Platform:
    """A running platform."""

    process: Process
    summary: dict[str, Any]
    installation: Installation
    log: Path

    @property
    def api(self) -> str:
        return str(self.summary["addresses"]["api"])

    @property
    def temporal_ui(self) -> str:
        return str(self.summary["addresses"]["temporal_ui"])

    @property
    def key(self) -> dict[str, str]:
        """Headers of a request with the first API key."""
        return {"Authorization": f"Bearer {self.summary['api_key']}"}

    def pid(self, part: str) -> int:
        return self.installation.read_state().parts[part].pid

    def parts(self) -> list[str]:
        return sorted(self.installation.read_state().parts)

    def kill(self, part: str) -> int | None:
        """Kill a part with SIGKILL; returns its pid, or None when it is dead already."""
        record = self.installation.read_state().parts[part]
        if record.process() is None:
            return None
        with suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGKILL)
            return record.pid
        return None

    async def restarted(self, part: str, old: int, seconds: float = 60) -> int:
        """Wait until a part that was killed runs under another pid."""
        async with asyncio.timeout(seconds):
            while (pid := self.pid(part)) == old:
                await asyncio.sleep(0.05)
        return pid

    async def healthy(self, seconds: float = 90) -> None:
        """Wait until every part runs and bots take messages."""
        async with asyncio.timeout(seconds), httpx2.AsyncClient(base_url=self.api, timeout=10) as http:
            while True:
                with suppress(httpx2.TransportError):
                    if (await http.get("/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.2)

    def client(self, **options: Any) -> httpx2.AsyncClient:
        """An HTTP client without a limit of connections."""
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        return httpx2.AsyncClient(base_url=self.api, timeout=30, limits=limits, **options)

    async def publish(
        self, name: str, flow: dict[str, Any], sub_flows: Mapping[str, dict[str, Any]] | None = None
    ) -> str:
        """Make a bot with a flow by the API; returns its id."""
        async with self.client(headers=self.key) as http:
            made = await http.post("/api/v1/chatbots", json={"name": name})
            assert made.status_code == 201, made.text
            bot = str(made.json()["id"])
            for flow_name, document in {**(sub_flows or {}), "main": flow}.items():
                answer = await http.post(
                    f"/api/v1/chatbots/{bot}/versions", json={"flow": document, "flow_name": flow_name}
                )
                assert answer.status_code == 201, answer.text
        return bot

    async def database(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.installation.read_secrets()["DATABASE_URL"], timeout=20)

    async def temporal(self) -> Client:
        return await Client.connect(
            self.summary["addresses"]["temporal"], data_converter=pydantic_data_converter
        )

    def said(self) -> str:
        """What `versaai up` has told so far."""
        return self.log.read_text(errors="replace")

    async def stop(self) -> int:
        """Stop everything as Ctrl-C does."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise


@contextmanager
def own_folder(keep: bool = False) -> Iterator[Path]:
    """A new folder for a platform, removed at the end unless `keep`.

    Not pytest's: that closes its folder to other users whenever a session begins, and PostgreSQL, which does
    not run as root, is another user.
    """
    folder = Path(tempfile.mkdtemp(prefix="versaai-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def running_platform(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Platform]:
    """Start `versaai up` on free ports and stop it at the end of the block.

    `environment` is added to this process's, out of which everything that configures a platform is taken.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    log = folder / "up.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", "up", "--json", "--data-dir", str(folder / "data"),
            *FREE_PORTS, *options,
            cwd=ROOT, env={**kept, **(environment or {})},
            stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    assert process.stdout is not None
    begin = time.monotonic()
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
        if not line:
            logs = "".join(
                f"\n--- {path.name}\n{path.read_text(errors='replace')[-1500:]}"
                for path in sorted((folder / "data" / "logs").glob("*.log"))
            )
            raise RuntimeError(f"`versaai up` did not start:\n{log.read_text(errors='replace')}{logs}")
        platform = Platform(process, json.loads(line), Installation(folder / "data"), log)
        platform.summary["start_seconds"] = round(time.monotonic() - begin, 1)
    except BaseException:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        raise
    try:
        yield platform
    finally:
        await platform.stop()
