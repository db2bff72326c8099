"""Queries are built in `database/` alone, where every one is scoped to an organization."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ("activities", "api", "cli", "core", "flow_schema", "llm", "temporal", "workflows")
STATEMENTS = {"select", "insert", "update", "delete", "text"}
ON_SESSION = {"get", "get_one", "exec", "execute", "scalar", "scalars", "scalar_one", "stream", "query"}


def queries(source: str) -> list[int]:
    """Return the lines that build a statement of SQLAlchemy or SQLModel, or query a session directly."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in {"sqlalchemy", "sqlmodel"}:
                if STATEMENTS & {name.name for name in node.names}:
                    found.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="sa" | "sqlalchemy" | "sqlmodel"), attr=name)):
                if name in STATEMENTS:
                    found.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=target, attr=name)) if name in ON_SESSION:
                called = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
                if called.strip("_").endswith("session"):
                    found.append(node.lineno)
            case _:
                pass
    return found


@pytest.mark.parametrize(
    "source",
    [
        "from sqlmodel import select",
        "from sqlalchemy import Table, text as sql",
        "from sqlalchemy.sql.expression import delete",
        "import sqlalchemy as sa\nsa.update(table)",
        "async def f(session):\n    await session.get(Row, 1)",
        "class A:\n    def f(self):\n        self._session.execute(statement)",
    ],
)
def test_the_reader_of_sources_finds_queries(source: str) -> None:
    assert queries(source)


def test_the_reader_of_sources_leaves_others_alone() -> None:
    assert (
        queries("from sqlalchemy.ext.asyncio import AsyncSession\nsettings.get('a')\nsession.commit()") == []
    )


def test_no_queries_outside_the_database_package() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in OUTSIDE
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in queries(path.read_text(encoding="utf-8"))
    ]
    assert found == []
