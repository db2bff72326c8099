"""The data folder: secrets kept, state survived, ports chosen."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cli.installation import (
    AlreadyRunningError,
    Installation,
    ProcessRecord,
    RunningState,
    choose_port,
    port_is_free,
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


def test_taken_ports_are_avoided_unless_given() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        chosen = choose_port("the API", None, [port])
        assert chosen != port
        assert port_is_free(chosen)
        with pytest.raises(ConfigurationError, match=str(port)):
            choose_port("the API", port, [8000])
    assert choose_port("the API", port, []) == port
