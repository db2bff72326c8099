"""The data folder of an installation: its lock, its generated secrets and what is known of the running one.

::

    .versaai/
      lock          held by the running `versaai up`
      secrets.json  0600: secret key, first API key, the embedded database's password and address
      state.json    0600: process ids, ports and addresses, rewritten whenever one changes
      logs/ temporal/ files/    0700, and all that is written there is its owner's alone
      postgres/     0700, of a system user's own where `versaai up` runs as root
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from core.errors import ConfigurationError
from core.ids import random_token
from core.settings import Settings, load_settings

_PRIVATE_FOLDERS = ("logs", "temporal", "files")
_ANY_KEY = SecretStr("-" * 32)


class AlreadyRunningError(ConfigurationError):
    """Another `versaai up` holds the data folder."""

    slug = "already-running"
    title = "Already running"


@dataclass
class ProcessRecord:
    """One child process. `created` (seconds since the epoch) tells it from a later one with the same pid."""

    pid: int
    created: float
    log: str
    restarts: int = 0

    def process(self) -> psutil.Process | None:
        """Return the process if it is still this one and alive."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except psutil.Error:
            pass
        return None


@dataclass
class RunningState:
    """What state.json holds: the supervisor, its parts, the addresses, and settings by environment name."""

    supervisor: ProcessRecord | None = None
    parts: dict[str, ProcessRecord] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


class Installation:
    """A data folder; what it holds is its owner's alone."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir.absolute()

    @property
    def logs(self) -> Path:
        """Folder of the parts' log files."""
        return self.folder / "logs"

    def create(self) -> None:
        """Make the folders. Raises ConfigurationError when the place can't be written."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in _PRIVATE_FOLDERS:
                private = self.folder / name
                private.mkdir(mode=0o700, exist_ok=True)
                private.chmod(0o700)
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self.folder} can't be made ({error.strerror}); give another --data-dir."
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one supervisor. Raises AlreadyRunningError, naming the holder."""
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = self.read_state().supervisor
                who = f" (process {holder.pid})" if holder else ""
                raise AlreadyRunningError(
                    f"`versaai up` already runs on {self.folder}{who}. Stop it with `versaai down`, "
                    "or choose another folder with --data-dir."
                ) from None
            yield

    def read_state(self) -> RunningState:
        """Return what is recorded; an absent or damaged file counts as nothing recorded."""
        raw = _read_json(self.folder / "state.json")
        try:
            return RunningState(
                supervisor=ProcessRecord(**raw["supervisor"]) if raw.get("supervisor") else None,
                parts={name: ProcessRecord(**record) for name, record in raw.get("parts", {}).items()},
                addresses=dict(raw.get("addresses", {})),
                ports={name: int(port) for name, port in raw.get("ports", {}).items()},
                environment=dict(raw.get("environment", {})),
            )
        except (TypeError, ValueError, AttributeError):
            return RunningState()

    def write_state(self, state: RunningState) -> None:
        """Replace state.json in one step."""
        _write_private_json(
            self.folder / "state.json",
            {
                "supervisor": vars(state.supervisor) if state.supervisor else None,
                "parts": {name: vars(record) for name, record in state.parts.items()},
                "addresses": state.addresses,
                "ports": state.ports,
                "environment": state.environment,
            },
        )

    def read_secrets(self) -> dict[str, str]:
        """Return the stored secrets by environment name; empty before the first start."""
        return {str(name): str(value) for name, value in _read_json(self.folder / "secrets.json").items()}

    def ensure_secrets(self) -> dict[str, str]:
        """Return the stored secrets, making those that are missing."""
        known = self.read_secrets()
        complete = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "VERSAAI_BOOTSTRAP_API_KEY": random_token("vk_"),
            "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
            **known,
        }
        if complete != known:
            self.write_secrets(complete)
        return complete

    def write_secrets(self, values: dict[str, str]) -> None:
        """Replace secrets.json in one step, readable by its owner alone."""
        _write_private_json(self.folder / "secrets.json", values)

    def fallback_environment(self) -> dict[str, str]:
        """Return the settings under which this installation runs, by environment name."""
        return {**self.read_state().environment, **self.read_secrets()}


def find_data_dir() -> Path:
    """Return the data folder that the settings name, and judge every setting but the secret key on the way.

    The key may lie in that folder, so that its absence from the environment is no fault yet. Raises
    pydantic's ValidationError.
    """
    return Settings(secret_key=_ANY_KEY).data_dir


def command_settings(data_dir: Path | None = None) -> Settings:
    """Return the settings for a command: the environment first, then those of the installation beside it.

    `data_dir` defaults to VERSAAI_DATA_DIR, else `.versaai`; `get_settings` returns the same from here on.
    """
    folder = data_dir if data_dir is not None else find_data_dir()
    fallback = Installation(folder).fallback_environment()
    fallback.setdefault("VERSAAI_DATA_DIR", str(folder))
    return load_settings(fallback)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_private_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
