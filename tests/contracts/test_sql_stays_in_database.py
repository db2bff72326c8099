"""Nothing outside `database/` speaks SQL, so that no query escapes an organization's scope."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "activities",
    "api",
    "channels",
    "cli",
    "core",
    "flow_schema",
    "knowledge",
    "llm",
    "temporal",
    "workflows",
)
CONSTRUCTORS = {"select", "text", "update", "delete", "insert"}
LIBRARIES = {"sqlalchemy", "sqlmodel"}
EXCEPTIONS = {
    "core/events.py": "LISTEN and NOTIFY on a connection of its own",
    "cli/servers.py": "asks the server for its version and the database for its revision",
    "cli/embedded_postgres.py": "makes the database before there are tables",
}
"""Files that use the driver itself, and why; none touches a table."""


def findings(source: str, name: str) -> list[str]:
    """Where a module imports a SQL library or calls one of its constructors."""
    found: list[str] = []
    tree = ast.parse(source)
    constructors = CONSTRUCTORS - _own_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case ast.Call(func=ast.Name(id=called)) if called in constructors:
                found.append(f"{name}:{node.lineno} calls {called}()")
                continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id="session"), attr="get" | "exec" | "execute")):
                found.append(f"{name}:{node.lineno} queries a session")
                continue
            case _:
                continue
        for module in modules:
            if module.partition(".")[0] in LIBRARIES and module != "sqlmodel.ext.asyncio.session":
                found.append(f"{name}:{node.lineno} imports {module}")
            if module.partition(".")[0] == "asyncpg" and name not in EXCEPTIONS:
                found.append(f"{name}:{node.lineno} imports asyncpg")
    return found


def _own_names(tree: ast.AST) -> set[str]:
    """What a module defines, or takes from a module that is no SQL library."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] not in LIBRARIES:
                names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_only_database_speaks_sql() -> None:
    found: list[str] = []
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            found += findings(file.read_text(encoding="utf-8"), name)
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "from sqlmodel import select\nselect(1)",
        "import sqlalchemy as sa",
        "import asyncpg",
        "text('SELECT 1')",
        "async def f(session):\n    await session.get(int, 1)",
        "async def f(session):\n    await session.execute('x')",
        "delete(1)",
    ],
)
def test_the_lint_finds(source: str) -> None:
    assert findings(source, "api/example.py")


def test_the_exceptions_exist_and_touch_no_table() -> None:
    from database.tables import METADATA

    for name in EXCEPTIONS:
        file = ROOT / name
        statements = [
            node.value.upper()
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for table in METADATA.tables:
            for verb in ("FROM", "INTO", "UPDATE"):
                assert not any(f"{verb} {table.upper()}" in statement for statement in statements), name
