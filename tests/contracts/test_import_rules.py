"""The import table of the house is enforced, and covers every package."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_package_imports_what_it_may_not_know() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_package_stands_in_the_table_and_in_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    aside = {"tests", "benchmarks"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - aside
    tools = project["tool"]
    assert set(tools["importlinter"]["root_packages"]) >= packages
    assert {pattern.rstrip("*") for pattern in tools["setuptools"]["packages"]["find"]["include"]} >= packages
    assert set(tools["mypy"]["files"]) >= packages
    assert set(tools["ruff"]["lint"]["isort"]["known-first-party"]) >= packages
