"""Connections and transactions: the one place that commits.

`Database.session()` is a transaction around a unit of work. `Database.statement()` lends the driver's own
connection for a single statement, which PostgreSQL makes a transaction by itself: one round trip, for the
few places where that counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database_url import driver_url
from core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT_SECONDS = 10
_CHECKOUT_SECONDS = 30
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # between the server's last word and the end of the connection
)


def connector(url: str) -> Callable[[], Awaitable[Any]]:
    """Return what opens one driver connection to `url`, in UTC, named for the server's activity view."""
    address = driver_url(url)

    async def connect() -> Any:
        return await asyncpg.connect(
            address,
            timeout=_CONNECT_SECONDS,
            server_settings={"application_name": "versaai", "timezone": "UTC"},
        )

    return connect


class Database:
    """A pool of connections to one PostgreSQL database.

    `pool_size` connections are kept open, `overflow` more are opened under load. Nothing connects before
    the first use. Connections that the server closed are replaced without a round trip.
    """

    def __init__(self, url: str, pool_size: int = 10, overflow: int = 10) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connector(url),
            pool_size=pool_size,
            max_overflow=overflow,
            pool_timeout=_CHECKOUT_SECONDS,
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Raises UnavailableError when PostgreSQL can't be reached.
        """
        with _translated():
            async with AsyncSession(self.engine, expire_on_commit=False) as session:
                try:
                    yield session
                    await session.commit()
                except BaseException:
                    await session.rollback()
                    raise

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[asyncpg.Connection]:
        """The driver's connection, for statements that are each a transaction of their own.

        Raises UnavailableError when PostgreSQL can't be reached.
        """
        with _translated():
            async with self.engine.connect() as connection:
                yield await _driver_connection(connection)

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self.engine.dispose()


async def _driver_connection(connection: AsyncConnection) -> asyncpg.Connection:
    adapted = await connection.get_raw_connection()
    return adapted.driver_connection


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have the pool replace a connection that the server closed meanwhile; asyncpg knows without asking."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise UnavailableError("The database is busy; try again in a moment.") from error
    except _LOST as error:
        raise UnavailableError("The database can't be reached; try again in a moment.") from error
    except asyncpg.InterfaceError as error:
        if "closed" in str(error):
            raise UnavailableError("The database closed the connection; try again.") from error
        raise
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig and error.orig.__cause__, _LOST):
            raise UnavailableError("The database can't be reached; try again in a moment.") from error
        raise
