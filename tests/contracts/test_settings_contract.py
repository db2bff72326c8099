"""Settings are documented, and nobody else reads the environment."""

from __future__ import annotations

import ast
from pathlib import Path

from core.settings import Settings, environment_name
from core.settings_page import render_settings_page

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("activities", "api", "cli", "core", "database", "flow_schema", "llm", "temporal", "workflows")


def test_the_settings_page_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == render_settings_page(), "run `make generate`"


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.description.rstrip().endswith("."), name


def test_names_do_not_collide() -> None:
    names = [environment_name(name) for name in Settings.model_fields]
    assert len(names) == len(set(names))


def environment_reads(source: str) -> list[int]:
    """Return the lines of a module that read the process's environment."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "putenv"):
                lines.append(node.lineno)
            case ast.ImportFrom(module="os") if {"environ", "getenv"} & {name.name for name in node.names}:
                lines.append(node.lineno)
            case ast.ImportFrom(module="dotenv"):
                lines.append(node.lineno)
            case _:
                pass
    return lines


def test_the_reader_of_sources_finds_reads() -> None:
    assert environment_reads("import os\nx = os.environ['A']") == [2]
    assert environment_reads("from os import getenv") == [1]
    assert environment_reads("import os\nos.getpid()") == []


def test_only_the_settings_read_the_environment() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != ROOT / "core" / "settings.py"
        for line in environment_reads(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def attributes_read(folder: Path) -> set[str]:
    """Return the names of all attributes that the modules below a folder read."""
    return {
        node.attr
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }


def test_every_setting_has_an_effect() -> None:
    read = set().union(*(attributes_read(ROOT / package) for package in PACKAGES))
    assert sorted(Settings.model_fields.keys() - read) == []
