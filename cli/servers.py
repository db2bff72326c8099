"""PostgreSQL and Temporal servers that others run: whether they can be used, and if not, how to mend it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote, urlsplit

import asyncpg
import httpx2
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.programs import typed
from core.database_url import driver_url
from core.errors import UnavailableError, VersaError
from core.settings import Settings
from temporal.client import connect, namespace_retention, server_version

_LEAST_POSTGRES = 150_000
_CONNECT_SECONDS = 5
_UI_SECONDS = 2


class ServerUnusableError(UnavailableError):
    """A server can't be used: `wrong` is what is the matter, `mend` what to do about it."""

    slug = "server-unusable"
    title = "A server can't be used"

    def __init__(self, wrong: str, mend: str) -> None:
        super().__init__(f"{wrong} {mend}")
        self.wrong = wrong
        self.mend = mend


@dataclass(frozen=True)
class PostgresFacts:
    """What a PostgreSQL server told. `clock_gap` is in seconds, `revision` the schema's."""

    version: str
    has_vector: bool
    clock_gap: float
    revision: str | None


@dataclass(frozen=True)
class TemporalFacts:
    """What a Temporal server told of itself and of the namespace."""

    client: Client
    version: str
    retention: timedelta


async def examine_postgres(url: str, named: str) -> PostgresFacts:
    """Ask the server at `url`. Raises ServerUnusableError; `named` is the option or setting that holds it."""
    form = "postgresql://user:password@host:port/database"
    try:
        address = driver_url(url)
        parts = urlsplit(address)
        host, port = parts.hostname or "localhost", parts.port or 5432
    except ValueError as error:
        raise ServerUnusableError(
            f"{named} is no address of PostgreSQL: {error}.", f"Write {form}."
        ) from None
    user, database = unquote(parts.username or ""), unquote(parts.path.strip("/"))
    place = f"{host}:{port}"
    try:
        connection = await asyncpg.connect(address, timeout=_CONNECT_SECONDS)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise ServerUnusableError(
            f"PostgreSQL at {place} refuses the user: {error}.", f"Correct user and password in {named}."
        ) from None
    except asyncpg.InvalidCatalogNameError:
        role = f" -U {user}" if user else ""
        raise ServerUnusableError(
            f"PostgreSQL at {place} has no database {database!r}.",
            f"Make it (`createdb -h {host} -p {port}{role} {database}`), or correct {named}.",
        ) from None
    except (OSError, TimeoutError):
        raise ServerUnusableError(
            f"No PostgreSQL answers at {place}.", f"Start that server, or correct {named}."
        ) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise ServerUnusableError(
            f"PostgreSQL at {place} can't be used: {error}.", f"Correct {named} ({form})."
        ) from None
    try:
        number = int(await connection.fetchval("SHOW server_version_num"))
        version = str(await connection.fetchval("SHOW server_version"))
        vector = await connection.fetchval("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        before = time.time()
        clock = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
        after = time.time()
        revision = None
        with suppress(asyncpg.PostgresError):
            revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ServerUnusableError(
            f"PostgreSQL at {place} broke off: {error}.", "Its own log says why."
        ) from None
    finally:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close()
    if number < _LEAST_POSTGRES:
        raise ServerUnusableError(
            f"PostgreSQL at {place} is version {version}.", "Use PostgreSQL 15 or later."
        )
    return PostgresFacts(version, bool(vector), max(before - clock, clock - after, 0.0), revision)


async def examine_temporal(settings: Settings, named: str) -> TemporalFacts:
    """Ask the server and namespace of the settings. Raises ServerUnusableError."""
    address, namespace = settings.temporal_address, settings.temporal_namespace
    try:
        client = await connect(settings, lazy=True)
        version = await server_version(client)
        retention = await namespace_retention(client)
    except RPCError as error:
        if error.status in {RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED}:
            raise ServerUnusableError(
                f"Temporal at {address} refuses: {error.message}.",
                "Set VERSAAI_TEMPORAL_API_KEY to a key for this namespace.",
            ) from None
        raise _no_temporal(address, named) from None
    except (VersaError, RuntimeError, ValueError, OSError):
        raise _no_temporal(address, named) from None
    if retention is None:
        raise ServerUnusableError(
            f"The Temporal server at {address} has no namespace {namespace!r}.",
            f"Make it: `{typed('temporal')} operator namespace create --address {address} -n {namespace}`.",
        )
    return TemporalFacts(client, version, retention)


async def answers_http(url: str, *, any_status: bool = False) -> bool:
    """Tell whether a page is served at `url`, or with `any_status` whether anything speaks HTTP there."""
    try:
        async with httpx2.AsyncClient(timeout=_UI_SECONDS, follow_redirects=True) as client:
            return (await client.get(url)).status_code < 500 or any_status
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return False


def _no_temporal(address: str, named: str) -> ServerUnusableError:
    return ServerUnusableError(
        f"No Temporal server answers at {address}.", f"Start that server, or correct {named}."
    )
