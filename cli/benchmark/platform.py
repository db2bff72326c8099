"""The platform under load: one started for the benchmark in a folder of its own, or one that runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.benchmark.http_connection import HttpConnection
from cli.installation import Installation
from core.errors import ConfigurationError, UnavailableError
from core.ids import short_id
from core.settings import child_environment

_START_SECONDS = 180
_STOP_SECONDS = 60
_UNLIMITED = "100000000"
_FLOWS = Path(__file__).resolve().parents[2] / "benchmarks" / "flows"


@dataclass(frozen=True)
class PlatformAddresses:
    """Where a running platform is reached, and its processes by the supervisor's names."""

    api: str
    temporal: str
    namespace: str
    database: str
    api_key: str
    pids: dict[str, int]


@asynccontextmanager
async def started_platform(workers: int, api_processes: int) -> AsyncIterator[PlatformAddresses]:
    """Run `versaai up` on free ports and a temporary folder, with rate limits counted but out of reach.

    Raises UnavailableError when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="versaai-bench-") as folder:
        data_dir = Path(folder) / "data"
        process = await _up(data_dir, workers, api_processes)
        try:
            yield await _ready(process, data_dir)
        finally:
            await _stop(process)


def running_platform(data_dir: Path) -> PlatformAddresses:
    """Return the platform that runs on a data folder. Raises ConfigurationError when none does."""
    installation = Installation(data_dir)
    state = installation.read_state()
    if state.supervisor is None or state.supervisor.process() is None:
        raise ConfigurationError(f"Nothing runs on {installation.folder}; leave out --data-dir to start one.")
    return _addresses(installation, {name: record.pid for name, record in state.parts.items()})


async def publish(platform: PlatformAddresses, flow_name: str) -> str:
    """Publish `benchmarks/flows/<flow_name>.json` as a new bot; return the bot's id.

    Raises ConfigurationError when the flow's file is missing or the API refuses it.
    """
    path = _FLOWS / f"{flow_name}.json"
    if not path.exists():
        raise ConfigurationError(f"The flow {path} is missing; run the benchmark from a checkout.")
    flow = json.loads(path.read_text(encoding="utf-8"))
    connection = await HttpConnection.open(platform.api)
    try:
        slug = f"bench-{flow_name}-{short_id(6).lower()}"
        bot = await _post(connection, "/api/v1/chatbots", {"name": flow["name"], "slug": slug}, platform)
        chatbot_id = str(bot["chatbot_id"] if "chatbot_id" in bot else bot["id"])
        await _post(connection, f"/api/v1/chatbots/{chatbot_id}/versions", {"flow": flow}, platform)
    finally:
        connection.close()
    return chatbot_id


async def _post(
    connection: HttpConnection, path: str, body: object, platform: PlatformAddresses
) -> dict[str, object]:
    status, answer = await connection.post(path, body, platform.api_key)
    if status != 201:
        raise ConfigurationError(f"{path} answered {status}: {answer.decode(errors='replace')[:500]}")
    result: dict[str, object] = json.loads(answer)
    return result


async def _up(data_dir: Path, workers: int, api_processes: int) -> Process:
    ports = [part for name in ("postgres", "temporal", "ui", "api") for part in (f"--{name}-port", "0")]
    counts = ["--workers", str(workers), "--api-processes", str(api_processes)]
    environment = child_environment(
        {
            "VERSAAI_RATE_LIMIT_VISITOR_PER_MINUTE": _UNLIMITED,
            "VERSAAI_RATE_LIMIT_ADDRESS_PER_MINUTE": _UNLIMITED,
        }
    )
    for name in ("DATABASE_URL", "VERSAAI_TEMPORAL_ADDRESS"):
        environment.pop(name, None)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "up", "--json", "--data-dir", str(data_dir), *ports, *counts,
        stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True,
    )  # fmt: skip


async def _ready(process: Process, data_dir: Path) -> PlatformAddresses:
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[bytes] = []

    async def read_on(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            said.append(line)

    reading = asyncio.create_task(read_on(process.stderr))
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError:
        line = b""
    if not line:
        reading.cancel()
        output = b"".join(said).decode(errors="replace")[-2000:]
        raise UnavailableError(f"The platform did not start:\n{output}")
    process_tasks.add(reading)
    reading.add_done_callback(process_tasks.discard)
    return _addresses(Installation(data_dir), json.loads(line)["pids"])


process_tasks: set[asyncio.Task[None]] = set()
"""Readers of the supervisor's output, kept so that it never blocks on a full pipe."""


def _addresses(installation: Installation, pids: dict[str, int]) -> PlatformAddresses:
    state, secrets = installation.read_state(), installation.read_secrets()
    return PlatformAddresses(
        api=state.addresses["api"],
        temporal=state.addresses["temporal"],
        namespace=state.environment.get("VERSAAI_TEMPORAL_NAMESPACE", "default"),
        database=secrets["DATABASE_URL"],
        api_key=secrets["VERSAAI_BOOTSTRAP_API_KEY"],
        pids=pids,
    )


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
