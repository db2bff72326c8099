"""The platform's processes in the foreground: `versaai worker`, `versaai api`, `versaai migrate`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from contextlib import suppress
from typing import Annotated

import typer

from cli.installation import command_settings
from core.logging import configure_logging, get_logger

_GRACE_SECONDS = 3
_MIGRATION_SMALL_TALK = ("Context impl ", "Will assume ")
_COLLECTED_AT = (20_000, 20, 50)
"""Net new objects before the garbage collector looks for cycles, and its rarer, deeper looks."""


def worker() -> None:
    """Run one worker: conversations and their effects, until it is told to stop."""
    import uvloop

    from temporal.worker import run_worker

    settings = command_settings()
    configure_logging(settings)

    spare_the_collector()

    async def run() -> None:
        running = asyncio.ensure_future(run_worker(settings))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, running.cancel)
        with suppress(asyncio.CancelledError):
            await running

    uvloop.run(run())


def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    fd: Annotated[int | None, typer.Option(help="Take connections from this inherited socket.")] = None,
) -> None:
    """Run one API process."""
    import uvicorn

    settings = command_settings()
    configure_logging(settings)
    config = uvicorn.Config(
        "api.app:create_app",
        factory=True,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    spare_the_collector()
    inherited = [socket.socket(fileno=fd)] if fd is not None else None
    uvicorn.Server(config).run(sockets=inherited)


def spare_the_collector() -> None:
    """Leave what has been imported out of garbage collections, and collect less often.

    Thousands of conversations in memory are long-lived objects that Python's defaults walk through again
    and again while somebody waits for a turn.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AT)


def migrate() -> None:
    """Bring the database to the newest schema; does nothing when it is there."""
    from database.migrate import upgrade

    settings = command_settings()
    configure_logging(settings)
    logging.getLogger("alembic.runtime.migration").addFilter(_is_news)
    upgrade(settings.database_url)
    get_logger(__name__).info("database is at the newest schema")


def _is_news(record: logging.LogRecord) -> bool:
    """What Alembic does, not how it sees the database each time that it looks."""
    return not record.getMessage().startswith(_MIGRATION_SMALL_TALK)
