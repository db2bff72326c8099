"""The embedded Temporal server: its command line, and what has to be set once it runs.

The options are those that measurably matter: a write-ahead log with normal synchronisation about doubles
the throughput of updates on SQLite, and the default poll rate of the only shard would quantize activities
to steps of 50 ms. The server's own default for one process reads the search attributes from the database for
each write to the index; they are registered before it serves. Its garbage collector runs a quarter as often
within a bounded heap. Both together spare an eighth of its processor time.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client

from core.errors import ConfigurationError
from temporal.client import namespace_retention

_SQLITE_PRAGMAS = ("journal_mode=wal", "synchronous=1")
_DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=2000",
    "system.forceSearchAttributesCacheRefreshOnRead=false",
)
_ENVIRONMENT = {"GOGC": "200"}


@dataclass(frozen=True)
class DevServer:
    """Where an embedded server listens and what it registers.

    `search_attributes` are (name, Temporal type name) pairs; the Web UI is served on `ui_port`.
    """

    database_file: Path
    port: int
    ui_port: int
    namespace: str
    search_attributes: Sequence[tuple[str, str]] = ()
    host: str = "127.0.0.1"
    log_level: str = "warn"

    @property
    def address(self) -> str:
        """`host:port` of the frontend."""
        return f"{self.host}:{self.port}"

    @property
    def ui_url(self) -> str:
        """Address of the Web UI."""
        return f"http://{self.host}:{self.ui_port}"

    def environment(self) -> dict[str, str]:
        """Return what to set for the server's process."""
        return dict(_ENVIRONMENT)

    def command(self) -> list[str]:
        """Return the command line that runs the server in the foreground.

        Raises ConfigurationError when the server's binary isn't installed.
        """
        command = [str(server_binary()), "server", "start-dev"]
        command += ["--db-filename", str(self.database_file)]
        command += ["--ip", self.host, "--port", str(self.port), "--ui-port", str(self.ui_port)]
        command += ["--namespace", self.namespace, "--log-level", self.log_level, "--ui-disable-news-fetch"]
        for pragma in _SQLITE_PRAGMAS:
            command += ["--sqlite-pragma", pragma]
        for value in _DYNAMIC_CONFIG:
            command += ["--dynamic-config-value", value]
        for name, kind in self.search_attributes:
            command += ["--search-attribute", f"{name}={kind}"]
        return command


def server_binary() -> Path:
    """Return the `temporal` binary beside this Python, else on the path. Raises ConfigurationError."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise ConfigurationError(
            "The `temporal` binary is missing; install the locked packages (`make setup`)."
        )
    return Path(found)


async def set_retention(client: Client, retention: timedelta) -> None:
    """Keep closed workflows of the client's namespace for `retention` instead of the default day."""
    if await namespace_retention(client) == retention:
        return
    duration = Duration()
    duration.FromTimedelta(retention)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=duration)
        )
    )
