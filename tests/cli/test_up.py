"""`versaai up` with its real servers: started, killed, restarted, stopped, started again.

Workers and API have their tests elsewhere; here the platform runs without them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
import pytest

from cli.installation import Installation
from tests.stack.platform import own_folder

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = (
    "--workers", "0", "--api-processes", "0",
    "--postgres-port", "0", "--temporal-port", "0", "--ui-port", "0", "--api-port", "0",
)  # fmt: skip


@dataclass
class Running:
    process: Process
    summary: dict[str, Any]
    installation: Installation

    def pid(self, part: str) -> int:
        return self.installation.read_state().parts[part].pid

    async def database(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.installation.read_secrets()["DATABASE_URL"], timeout=10)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(60):
            return await self.process.wait()


def environment() -> dict[str, str]:
    ours = ("VERSAAI_", "DATABASE_URL", "SECRET_KEY")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


async def command(*arguments: str, cwd: Path = ROOT, settings: Mapping[str, str] | None = None) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", *arguments,
        cwd=cwd, env={**environment(), **(settings or {})}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def start(folder: Path, *more: str, settings: Mapping[str, str] | None = None) -> Running:
    process = await command("up", "--json", "--data-dir", str(folder), *OPTIONS, *more, settings=settings)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(120):
        line = await process.stdout.readline()
    if not line:
        pytest.fail((await process.stderr.read()).decode())
    return Running(process, json.loads(line), Installation(folder))


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder into which PostgreSQL's own user is let (see `own_folder`)."""
    with own_folder() as folder:
        yield folder


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    platform = await start(tmp_path / "data")
    yield platform
    await platform.stop(signal.SIGTERM)


async def changed(running: Running, part: str, old: int) -> int:
    async with asyncio.timeout(60):
        while (pid := running.pid(part)) == old:
            await asyncio.sleep(0.05)
    return pid


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


async def test_the_summary_names_addresses_and_parts(running: Running) -> None:
    assert running.summary["api_key"].startswith("vk_")
    assert set(running.summary["addresses"]) == {"postgres", "temporal", "temporal_ui"}
    assert set(running.summary["pids"]) == {"postgres", "temporal"}
    assert running.summary["api_key"] == running.installation.read_secrets()["VERSAAI_BOOTSTRAP_API_KEY"]


async def test_no_secret_stands_on_a_command_line(running: Running) -> None:
    secrets = running.installation.read_secrets().values()
    for pid in running.summary["pids"].values():
        line = " ".join(psutil.Process(pid).cmdline())
        assert not any(secret in line for secret in secrets)


async def test_rows_survive_a_killed_postgres_and_ctrl_c_stops_all(running: Running) -> None:
    connection = await running.database()
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('row')")
    killed = running.pid("postgres")
    os.kill(killed, signal.SIGKILL)
    await changed(running, "postgres", killed)
    async with asyncio.timeout(60):
        while True:
            try:
                connection = await running.database()
                break
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)
    assert await connection.fetchval("SELECT word FROM kept") == "row"
    await connection.close()
    pids = [running.pid("postgres"), running.pid("temporal")]
    assert await running.stop(signal.SIGINT) == 0
    assert gone(pids)
    assert running.process.stderr is not None
    said = (await running.process.stderr.read()).decode()
    assert "PostgreSQL was killed by SIGKILL" in said


async def test_a_second_supervisor_is_refused(running: Running) -> None:
    second = await command("up", "--data-dir", str(running.installation.folder), *OPTIONS)
    output, _ = await second.communicate()
    assert second.returncode == 1
    assert b"versaai down" in output


async def test_down_stops_it_from_elsewhere(running: Running) -> None:
    stopping = await command("down", "--data-dir", str(running.installation.folder))
    assert await stopping.wait() == 0
    assert await running.stop() == 0
    assert gone(list(running.summary["pids"].values()))


async def test_a_killed_supervisor_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    first = await start(tmp_path / "data")
    connection = await first.database()
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.close()
    assert await first.stop(signal.SIGKILL) == -signal.SIGKILL
    second = await start(tmp_path / "data")
    try:
        assert second.summary["api_key"] == first.summary["api_key"]
        connection = await second.database()
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
        await connection.close()
        assert gone(list(first.summary["pids"].values()))
    finally:
        assert await second.stop() == 0


async def refused(folder: Path, *arguments: str, **settings: str) -> str:
    """What `up` says, in one or a few lines, to a mistake."""
    process = await command("up", "--data-dir", str(folder), *arguments, settings=settings)
    output, errors = await process.communicate()
    said = (output + errors).decode()
    assert process.returncode in {1, 2}, said
    assert "Traceback" not in said
    return said


async def test_a_taken_port_is_reported_before_anything_starts(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    async with server:
        for option in ("--postgres-port", "--api-port"):
            said = await refused(tmp_path / "data", option, port)
            assert port in said
            assert "A port or an address can't be used" in said
            assert "PostgreSQL   " not in said
    assert Installation(tmp_path / "data").read_state().ports == {}


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["--host", "nosuch.invalid"], {}, ["nosuch.invalid", "--host"]),
        (["--api-port", "99999"], {}, ["65535"]),
        (["--temporal-port", "19601", "--ui-port", "19601"], {}, ["--temporal-port and --ui-port"]),
        ([], {"VERSAAI_MAX_UPLOAD_BYTES": "abc"}, ["VERSAAI_MAX_UPLOAD_BYTES", "docs/settings.md"]),
        ([], {"SECRET_KEY": "short"}, ["SECRET_KEY", "32 characters"]),
        (["--storage-url", "ftp://x"], {}, ["--storage-url", "s3://"]),
        (["--postgres-url", "mysql://x"], {}, ["--postgres-url", "postgresql://"]),
        (["--postgres-url", "postgresql://x@127.0.0.1:1/y"], {}, ["127.0.0.1:1", "Start that server"]),
    ],
)
async def test_a_mistake_is_answered_by_what_to_do(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], words: list[str]
) -> None:
    said = await refused(tmp_path / "data", *arguments, **settings)
    assert all(word in said for word in words), said


async def test_servers_that_others_run_are_examined(running: Running, tmp_path: Path) -> None:
    """A wrong password, a missing database and a missing namespace each have a cure of their own."""
    url = running.installation.read_secrets()["DATABASE_URL"]
    place = url.rpartition("@")[2].partition("/")[0]
    said = await refused(tmp_path / "other", "--postgres-url", f"postgresql://versaai:wrong@{place}/versaai")
    assert "Correct user and password in --postgres-url" in said
    said = await refused(tmp_path / "other", "--postgres-url", f"{url}-other")
    assert "createdb" in said
    temporal = running.summary["addresses"]["temporal"]
    said = await refused(
        tmp_path / "other",
        *("--postgres-url", url, "--temporal-address", temporal, "--temporal-namespace", "elsewhere"),
    )
    assert "no namespace 'elsewhere'" in said
    assert f"--address {temporal} -n elsewhere" in said
    assert "✓ PostgreSQL (external)" in said


async def test_the_api_is_linked_to_where_it_listens_and_its_files_are_private(tmp_path: Path) -> None:
    """In production too, with the key that `up` has made; PostgreSQL runs on though it may be another user."""
    options = ("--api-processes", "1", "--host", "127.0.0.5")
    platform = await start(tmp_path / "data", *options, settings={"APP_ENV": "production"})
    try:
        address = platform.summary["addresses"]["api"]
        assert address.startswith("http://127.0.0.5:")
        async with httpx2.AsyncClient() as http:
            assert (await http.get(f"{address}/health")).status_code == 200
        assert platform.installation.read_state().environment["API_URL"] == address
        for path in (tmp_path / "data").glob("*/*"):
            if path.parent.name != "postgres":
                assert path.stat().st_mode & 0o077 == 0, path
    finally:
        await platform.stop()
