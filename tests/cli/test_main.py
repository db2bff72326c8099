"""The command line as a process: exit codes, help, and one import per command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import COMMANDS, build_app

ROOT = Path(__file__).resolve().parents[2]


def versaai(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_help_lists_every_command() -> None:
    result = versaai("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f" {name} " in result.stdout


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["up", "--workers", "-1"], ["api", "--port", "x"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    result = versaai(*arguments)
    assert result.returncode == 2
    assert result.stderr


def test_a_crash_exits_with_1_and_its_trace(tmp_path: Path) -> None:
    code = "import sys, cli.main; cli.main.build_app = None; sys.argv = ['versaai']; cli.main.main()"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "TypeError" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    registered = build_app(name)
    names = [command.name for command in registered.registered_commands]
    names += [group.name for group in registered.registered_groups]
    assert names == [name]
    for command in registered.registered_commands:
        assert command.callback is not None
        assert (command.callback.__doc__ or "").strip()


def test_help_keeps_what_stands_in_brackets() -> None:
    said = " ".join(versaai("up", "--help").stdout.replace("│", " ").split())
    for words in ("[default: 8000, else a", "[default: VERSAAI_DATA_DIR, else", "[default: 5432, else a"):
        assert words in said


@pytest.mark.parametrize("name", ["worker", "api", "migrate", "down", "chat"])
def test_a_wrong_setting_is_no_trace(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_PORT", "zero")
    result = versaai(name, *(["bot"] if name == "chat" else []))
    assert result.returncode == 1
    assert "EMAIL_PORT" in result.stderr
    assert "Traceback" not in result.stderr
