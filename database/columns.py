"""What the tables share: naming of constraints, identifiers, times, JSON."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime, ForeignKeyConstraint, MetaData, Text, UniqueConstraint, func
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.ids import uuid7

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every constraint has a name of its own, so that a migration can refer to it."""

NOW = func.now()
EMPTY_OBJECT = sql("'{}'::jsonb")
EMPTY_LIST = sql("'[]'::jsonb")


class Row(SQLModel):
    """Root of the tables. Rows are never answers of the API; each slice has response models of its own."""

    metadata = METADATA


def identifier() -> Any:
    """A primary key: UUIDv7, made by the process that inserts."""
    return Field(default_factory=uuid7, primary_key=True)


def moment(*, default_now: bool = True, nullable: bool = False) -> Any:
    """A time with zone; set by the server at insert unless said otherwise."""
    extra: dict[str, Any] = {"server_default": NOW} if default_now else {}
    return Field(
        default=None,
        nullable=nullable,
        sa_type=DateTime(timezone=True),  # type: ignore[call-overload, unused-ignore]
        sa_column_kwargs=extra,
    )


def json_object(column: str | None = None) -> Any:
    """A JSON object, empty by default; `column` names it where Python can't."""
    extra: dict[str, Any] = {"server_default": EMPTY_OBJECT}
    if column is not None:
        extra["name"] = column
    return Field(default_factory=dict, nullable=False, sa_type=JSONB, sa_column_kwargs=extra)


def json_list() -> Any:
    """A JSON list, empty by default."""
    return Field(
        default_factory=list, nullable=False, sa_type=JSONB, sa_column_kwargs={"server_default": EMPTY_LIST}
    )


def json_or_null() -> Any:
    """Any JSON; Python's None is SQL's NULL."""
    return Field(default=None, nullable=True, sa_type=JSONB(none_as_null=True))  # type: ignore[call-overload, unused-ignore]


def long_text(*, nullable: bool = False, default: str | None = None) -> Any:
    """Text without a limit of its own."""
    return Field(default=default, nullable=nullable, sa_type=Text)


def organization_key() -> Any:
    """The organization a row belongs to; its rows go with it."""
    return Field(foreign_key="organizations.id", ondelete="CASCADE", nullable=False)


def belongs_to(table: str, column: str, **options: Any) -> ForeignKeyConstraint:
    """A foreign key that also holds the organization: a row can't refer to another organization's row."""
    return ForeignKeyConstraint(
        ["organization_id", column], [f"{table}.organization_id", f"{table}.id"], **options
    )


def unique_in_organization() -> UniqueConstraint:
    """What `belongs_to` of other tables refers to."""
    return UniqueConstraint("organization_id", "id")
