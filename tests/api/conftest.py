"""The whole platform in the test's process: real PostgreSQL and Temporal, a worker, the API over HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx2
import pytest
import uvicorn
from pydantic import SecretStr

from core.settings import AppEnv, Settings, get_settings

API_KEY = "vk_tests-only-0123456789abcdefghijklmnop"
SECRET_KEY = "a-key-for-api-tests-alone-0123456789abcdef"
TEAM = {"Authorization": f"Bearer {API_KEY}"}


@dataclass(frozen=True)
class Platform:
    """A running platform."""

    url: str
    settings: Settings

    def client(self, **options: Any) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, timeout=40, **options)


@pytest.fixture(scope="session")
def api_environment() -> Iterator[None]:
    """The secret key in the environment, where what encrypts secrets reads it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SECRET_KEY", SECRET_KEY)
    get_settings.cache_clear()
    yield
    patch.undo()
    get_settings.cache_clear()


@pytest.fixture(scope="session")
async def api_database(postgres_server: str, template_database: str) -> AsyncIterator[str]:
    """Address of a migrated database for the API's tests."""
    name = f"api_{uuid4().hex[:12]}"
    await _administer(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    await _administer(postgres_server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def api_settings(
    api_environment: None, api_database: str, temporal_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of the platform under test; the API's address is known before it listens."""
    return Settings(
        secret_key=SecretStr(SECRET_KEY),
        bootstrap_api_key=SecretStr(API_KEY),
        database_url=api_database,
        temporal_address=temporal_server,
        data_dir=tmp_path_factory.mktemp("data"),
        app_env=AppEnv.test,
        max_upload_bytes=200_000,
        rate_limit_visitor_per_minute=0,
        rate_limit_address_per_minute=0,
        rate_limit_key_per_minute=0,
        reply_wait_seconds=10,
        outbound_allow_private=True,
    )


@pytest.fixture(scope="session")
async def platform(api_settings: Settings) -> AsyncIterator[Platform]:
    """The API, and a worker beside it."""
    from temporal.worker import run_worker

    worker = asyncio.create_task(run_worker(api_settings))
    async with serve_api(api_settings) as url:
        yield Platform(url, api_settings)
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker


class serve_api:  # noqa: N801 - used like a function
    """Runs the API while the block lasts, on a free port unless one is given; gives its address."""

    def __init__(self, settings: Settings, port: int = 0) -> None:
        from api.app import create_app

        self._socket = socket.create_server(("127.0.0.1", port))
        port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        app = create_app(settings.model_copy(update={"api_url": self.url, "app_url": self.url}))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = lambda: _nothing()  # type: ignore[method-assign, assignment, return-value]

    async def __aenter__(self) -> str:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.01)
        return self.url

    async def __aexit__(self, *_error: object) -> None:
        self._server.should_exit = True
        await self._task
        self._socket.close()


class _nothing:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


@pytest.fixture
async def visitor(platform: Platform) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without credentials."""
    async with platform.client() as client:
        yield client


@pytest.fixture
async def team(platform: Platform) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the API key."""
    async with platform.client(headers=TEAM) as client:
        yield client


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
