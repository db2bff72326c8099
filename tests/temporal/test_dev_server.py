"""The embedded Temporal server as a real process: what it registers, keeps and forgets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from core.errors import UnavailableError
from core.settings import Settings
from temporal.client import (
    connect,
    is_serving,
    missing_search_attributes,
    namespace_retention,
    poller_identities,
    register_search_attributes,
    server_version,
)
from temporal.dev_server import DevServer, set_retention

NAMESPACE = "versa-test"
ATTRIBUTES = (("VersaKind", "Keyword"), ("VersaWhen", "Datetime"), ("VersaWords", "KeywordList"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def described(folder: Path) -> DevServer:
    return DevServer(folder / "t.sqlite", free_port(), free_port(), NAMESPACE, ATTRIBUTES[:2])


@asynccontextmanager
async def served(server: DevServer) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        *server.command(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        settings = Settings(temporal_address=server.address, temporal_namespace=NAMESPACE)
        client = await connect(settings, lazy=True)
        async with asyncio.timeout(30):
            while not await is_serving(client):
                await asyncio.sleep(0.05)
        yield client
    finally:
        process.kill()
        await process.wait()


async def test_a_killed_server_keeps_namespace_retention_and_attributes(tmp_path: Path) -> None:
    server = described(tmp_path)
    async with served(server) as client:
        assert (await server_version(client)).startswith("1.")
        assert await namespace_retention(client) == timedelta(days=1)
        await set_retention(client, timedelta(days=90))
        assert await missing_search_attributes(client, ATTRIBUTES[:2]) == []
        assert await missing_search_attributes(client, ATTRIBUTES) == ["VersaWords"]
        await register_search_attributes(client, ATTRIBUTES)
        assert await missing_search_attributes(client, ATTRIBUTES) == []
        assert await missing_search_attributes(client, [("VersaKind", "Int")]) == ["VersaKind"]
        assert await poller_identities(client, "nobody") == []
    async with served(server) as client:
        assert await namespace_retention(client) == timedelta(days=90)
        assert await missing_search_attributes(client, ATTRIBUTES) == []
        _, writer = await asyncio.open_connection("127.0.0.1", server.ui_port)
        writer.close()


async def test_an_unknown_namespace_is_told_from_a_missing_server(tmp_path: Path) -> None:
    server = described(tmp_path)
    async with served(server):
        settings = Settings(temporal_address=server.address, temporal_namespace="nowhere")
        stranger = await connect(settings, lazy=True)
        assert await namespace_retention(stranger) is None
        assert not await is_serving(stranger)


async def test_no_server_is_an_unavailable_error() -> None:
    with pytest.raises(UnavailableError, match="No Temporal server"):
        await connect(Settings(temporal_address=f"127.0.0.1:{free_port()}"))
