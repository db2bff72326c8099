"""The data folder: secrets kept, state survived, ports chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.installation import (
    AlreadyRunningError,
    Installation,
    ProcessRecord,
    RunningState,
    find_data_dir,
)
from core.errors import ConfigurationError


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path / "data")
    made.create()
    return made


def test_secrets_are_made_once_and_private(installation: Installation) -> None:
    first = installation.ensure_secrets()
    assert installation.ensure_secrets() == first
    assert first["VERSAAI_BOOTSTRAP_API_KEY"].startswith("vk_")
    assert len(first["SECRET_KEY"]) >= 32
    mode = (installation.folder / "secrets.json").stat().st_mode
    assert mode & 0o077 == 0


def test_missing_secrets_are_added_to_the_kept_ones(installation: Installation) -> None:
    installation.write_secrets({"SECRET_KEY": "kept" * 10})
    assert installation.ensure_secrets()["SECRET_KEY"] == "kept" * 10
    assert "POSTGRES_PASSWORD" in installation.read_secrets()


def test_state_is_read_as_written(installation: Installation) -> None:
    state = RunningState(
        supervisor=ProcessRecord(1, 2.5, ""),
        parts={"api-1": ProcessRecord(3, 4.5, "api.log", 2)},
        addresses={"api": "http://127.0.0.1:8000"},
        ports={"api": 8000},
        environment={"VERSAAI_TEMPORAL_ADDRESS": "127.0.0.1:7233"},
    )
    installation.write_state(state)
    assert installation.read_state() == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"parts": {"a": {"pid": 1}}}', '{"supervisor": 7}'])
def test_damaged_state_counts_as_none(installation: Installation, text: str) -> None:
    (installation.folder / "state.json").write_text(text)
    assert installation.read_state() == RunningState()


def test_one_supervisor_at_a_time(installation: Installation) -> None:
    with installation.locked():
        other = Installation(installation.folder)
        with pytest.raises(AlreadyRunningError, match="versaai down"), other.locked():
            pass
    with installation.locked():
        pass


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--data-dir"):
        Installation(tmp_path / "file" / "data").create()


def test_state_holds_no_secret(installation: Installation) -> None:
    secrets = installation.ensure_secrets()
    installation.write_state(RunningState(environment={"VERSAAI_DATA_DIR": "x"}))
    text = (installation.folder / "state.json").read_text()
    assert not any(value in text for value in secrets.values())
    assert json.loads(text)["environment"] == {"VERSAAI_DATA_DIR": "x"}


def test_what_it_holds_is_its_owners_alone(installation: Installation) -> None:
    (installation.folder / "temporal").chmod(0o755)
    installation.create()
    for name in ("logs", "temporal", "files"):
        assert (installation.folder / name).stat().st_mode & 0o077 == 0, name


def test_the_data_folder_is_found_without_the_key_that_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("VERSAAI_DATA_DIR", "/somewhere")
    assert find_data_dir() == Path("/somewhere")
    monkeypatch.setenv("EMAIL_PORT", "0")
    with pytest.raises(ValidationError, match="EMAIL_PORT"):
        find_data_dir()
