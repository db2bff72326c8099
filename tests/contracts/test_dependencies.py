"""Every library that is imported is declared; every pin of the locks carries hashes and no address."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("activities", "api", "cli", "core", "database", "flow_schema", "llm", "temporal", "workflows")
PARTS_OF_OTHERS = {"pydantic_core"}
"""Imported under a name of its own, installed with the library that it is a part of."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, str]:
    """Return each third-party module that the packages import, with one file that does."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                for name in names:
                    top = name.partition(".")[0]
                    if top not in PACKAGES and top not in sys.stdlib_module_names:
                        found[top] = str(path.relative_to(ROOT))
    return found


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normal(re.split(r"[\s\[<>=!;~]", entry)[0]) for entry in project["dependencies"]}
    providers = packages_distributions()
    undeclared = {
        module: path
        for module, path in imported().items()
        if module not in PARTS_OF_OTHERS
        and not declared & {normal(name) for name in providers.get(module, [module])}
    }
    assert undeclared == {}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_is_portable(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    pins = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    assert len(pins) > 50
    for pin in filter(None, (pin.strip() for pin in pins)):
        assert re.match(r"^[A-Za-z0-9._-]+==[^\s]+", pin), pin
        assert "--hash=sha256:" in pin, pin
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|(^|\s)/", text)
