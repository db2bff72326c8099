"""The migrations lead to exactly the tables that the models describe, and back."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from database.database import Database
from database.migrate import current, head, migrate
from database.tables import METADATA


def _differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


async def test_models_and_migrations_agree(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_down_to_nothing_and_up_again(database_url: str) -> None:
    assert await current(database_url) == head()
    await migrate(database_url, "base")
    assert await current(database_url) is None
    connection = await asyncpg.connect(database_url)
    left = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relname NOT LIKE 'alembic%' AND relname NOT LIKE 'pg_%'"
    )
    assert left == []
    await migrate(database_url)
    await connection.close()
    assert await current(database_url) == head()


async def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    await migrate(database_url, "base")
    await asyncio.gather(*(migrate(database_url) for _ in range(3)))
    assert await current(database_url) == head()


async def test_customer_columns_and_indexes_are_there(database_url: str) -> None:
    """Table 4 of the specification: names of columns and indexes."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    indexes = {row["indexname"] for row in await connection.fetch("SELECT indexname FROM pg_indexes")}
    await connection.close()
    columns: dict[str, set[str]] = {}
    for row in rows:
        columns.setdefault(row["table_name"], set()).add(row["column_name"])
    expected = {
        "users": "id email password_hash first_name last_name phone avatar_url is_active email_verified "
        "two_factor_enabled two_factor_secret last_login date_joined updated_at",
        "organizations": "id name slug description website industry company_size country timezone "
        "subscription_plan owner_id settings created_at updated_at",
        "organization_members": "id organization_id user_id role permissions invited_by joined_at",
        "chatbots": "id organization_id name description slug status ai_model system_prompt temperature "
        "max_tokens personality language use_case config created_by created_at updated_at",
        "conversations": "id chatbot_id session_id user_identifier user_metadata status "
        "satisfaction_rating feedback started_at ended_at last_activity",
        "messages": "id conversation_id role content metadata created_at",
    }
    for table, names in expected.items():
        assert set(names.split()) <= columns[table], table
    assert indexes >= {
        "idx_users_email",
        "idx_organizations_slug",
        "idx_chatbots_org_status",
        "idx_conversations_chatbot_status",
        "idx_messages_conversation_created",
        "idx_conversations_started_at",
    }


async def test_what_deleting_looks_for_has_an_index(database_url: str) -> None:
    """Each foreign key is led by an index's columns: deleting a bot or a version reads no whole table.

    Those to users are left out: members of the team are few, and leave their rows behind.
    """
    connection = await asyncpg.connect(database_url)
    keys = await connection.fetch(
        "SELECT conname, conrelid::regclass::text AS owner, conkey::int[] AS columns FROM pg_constraint "
        "WHERE contype = 'f' AND confrelid::regclass::text NOT IN ('users', 'organizations')"
    )
    indexes = await connection.fetch(
        "SELECT indrelid::regclass::text AS owner, string_to_array(indkey::text, ' ')::int[] AS columns FROM pg_index"
    )
    await connection.close()
    led = {(index["owner"], frozenset(index["columns"][:length]))
           for index in indexes for length in range(1, len(index["columns"]) + 1)}  # fmt: skip
    unled = [
        key["conname"]
        for key in keys
        if not any(
            owner == key["owner"]
            and columns <= {*key["columns"]}
            and (columns != {key["columns"][0]} or len(key["columns"]) == 1)
            for owner, columns in led  # one of the organization alone is not selective
        )
    ]
    assert unled == []
