"""Brings a database to the newest schema. Migrations lie in `database/migrations/versions`, oldest first.

Alembic is driven from here alone: no configuration file, the address is an argument. Several processes may
upgrade at once; a lock lets one work and the others find it done.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from database.database import connector

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x5645_5253_4141_4931
"""Key of the advisory lock that migrations hold."""


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration; `env.py` works on `connection`."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The newest revision that this release knows."""
    revision = ScriptDirectory.from_config(configuration()).get_current_head()
    assert revision is not None
    return revision


async def current(url: str) -> str | None:
    """The revision a database is at, or None for one without our tables."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connector(url), poolclass=NullPool)
    async with engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def migrate(url: str, revision: str = "head") -> None:
    """Upgrade to `revision` (or downgrade, where it is older) in one transaction. Idempotent."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connector(url), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(_migrate, revision)


def upgrade(url: str) -> None:
    """`migrate` to the newest revision, for callers without an event loop."""
    asyncio.run(migrate(url))


def _migrate(connection: Connection, revision: str) -> None:
    connection.execute(sql("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = configuration(connection)
    present = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    downwards = revision == "base" or (
        revision in known and present in known and known.index(revision) > known.index(present)
    )
    if downwards:
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
