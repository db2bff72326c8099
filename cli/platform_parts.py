"""The parts of the platform, in the order in which `versaai up` starts them."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.service import RPCError

from cli.embedded_postgres import EmbeddedPostgres
from cli.failures import WrongSettingError
from cli.installation import Installation, RunningState
from cli.ports import LOCAL, Ports, PortWish, bound_socket, check_host, public_host
from cli.progress import Progress
from cli.servers import answers_http, examine_postgres, examine_temporal
from cli.supervisor import HealthCheck, Part, Supervisor
from core.errors import ConfigurationError
from core.settings import Settings
from flow_schema.effects import CONVERSATION_QUEUE, SEARCH_ATTRIBUTES
from temporal.client import connect, is_serving, poller_identities, register_search_attributes
from temporal.dev_server import DevServer, set_retention

_VERSAAI = (sys.executable, "-m", "cli.main")
_LISTEN_BACKLOG = 2048
_SHORTEST_KEY = 32


@dataclass(frozen=True)
class PlatformOptions:
    """What the command line asked for; a port of None means the usual one, else any that is free."""

    demo: bool = False
    host: str = LOCAL
    api_port: int | None = None
    temporal_port: int | None = None
    ui_port: int | None = None
    postgres_port: int | None = None
    workers: int = 1
    api_processes: int = 1
    postgres_url: str | None = None
    temporal_address: str | None = None
    temporal_namespace: str | None = None
    temporal_ui_url: str | None = None
    storage_url: str | None = None


class Platform:
    """Starts the parts one after the other; each method below is one line of the progress."""

    def __init__(
        self,
        installation: Installation,
        options: PlatformOptions,
        state: RunningState,
        supervisor: Supervisor,
        progress: Progress,
        settings: Settings,
    ) -> None:
        self._installation = installation
        self._options = options
        self._state = state
        self._supervisor = supervisor
        self._progress = progress
        self._settings = settings
        self._secrets = installation.ensure_secrets()
        self._environment: dict[str, str] = {}
        self._bots: list[dict[str, Any]] = []
        self._listener: socket.socket | None = None
        self._temporal: Client | None = None
        self._ports = Ports(_wishes(options), state.ports)

    async def start(self) -> None:
        """Start everything. Raises VersaError when a part does not start."""
        self._judge_options()
        self._describe_installation()
        await self._postgres()
        await self._migrations()
        await self._temporal_server()
        if self._options.demo:
            await self._demo_services()
        if self._options.workers:
            await self._workers()
        if self._options.api_processes:
            await self._api()
        if self._options.demo:
            await self._seeds()
        self._publish()

    def close(self) -> None:
        """Give the API's port back."""
        if self._listener is not None:
            self._listener.close()

    def summary(self) -> dict[str, Any]:
        """Return addresses, bots, the first API key and the parts' process ids, for programs."""
        return {
            "addresses": self._state.addresses,
            "bots": self._bots,
            "api_key": self._environment["VERSAAI_BOOTSTRAP_API_KEY"],
            "data_dir": str(self._installation.folder),
            "pids": {name: record.pid for name, record in self._state.parts.items()},
        }

    def print_summary(self, console: Console) -> None:
        """Print the addresses for people."""
        table = Table.grid(padding=(0, 3))
        for bot in self._bots:
            table.add_row(f"Chat: {bot['name']}", self._chat_url(bot))
        addresses = self._state.addresses
        for title, name in (
            ("API documentation", "docs"),
            ("Temporal UI", "temporal_ui"),
            ("Demo's orders and mail", "demo_services"),
        ):
            if name in addresses:
                table.add_row(title, addresses[name])
        if "api" in addresses and not (self._environment.get("EMAIL_HOST") or self._settings.email_host):
            table.add_row("E-mail (no SMTP)", f"{addresses['api']}/mail")
        table.add_row("API key", self._environment["VERSAAI_BOOTSTRAP_API_KEY"])
        table.add_row("Data and logs", str(self._installation.folder))
        console.print()
        console.print(table, highlight=False, soft_wrap=True)
        console.print("\nReady. Ctrl-C stops everything; the data stays.")

    def _judge_options(self) -> None:
        """Find what is wrong with the options before anything runs. Raises WrongSettingError, PortError."""
        if 0 < len(self._settings.secret_key.get_secret_value()) < _SHORTEST_KEY:
            raise WrongSettingError(
                f"SECRET_KEY has fewer than {_SHORTEST_KEY} characters. Unset it, so that `versaai up` uses "
                'its own, or make one: `python -c "import secrets; print(secrets.token_urlsafe(48))"`.'
            )
        check_host(self._options.host)
        self._ports.check()
        if self._options.api_processes:
            # Held from here on, so that nothing else takes it while the other parts start.
            self._listener = bound_socket(self._options.host, self._ports.choose("api"))

    def _describe_installation(self) -> None:
        given = self._settings.model_fields_set
        self._environment = {
            "VERSAAI_DATA_DIR": str(self._installation.folder),
            "SECRET_KEY": self._secrets["SECRET_KEY"],
            "VERSAAI_BOOTSTRAP_API_KEY": self._secrets["VERSAAI_BOOTSTRAP_API_KEY"],
            "VERSAAI_TEMPORAL_NAMESPACE": self._options.temporal_namespace
            or self._settings.temporal_namespace,
        }
        if "secret_key" in given:
            self._environment["SECRET_KEY"] = self._settings.secret_key.get_secret_value()
        if "bootstrap_api_key" in given:
            self._environment["VERSAAI_BOOTSTRAP_API_KEY"] = (
                self._settings.bootstrap_api_key.get_secret_value()
            )
        if self._options.storage_url:
            self._environment["VERSAAI_STORAGE_URL"] = self._options.storage_url

    async def _postgres(self) -> None:
        external, named = self._options.postgres_url, "--postgres-url"
        if external is None and "database_url" in self._settings.model_fields_set:
            external, named = self._settings.database_url, "DATABASE_URL"
        if external is not None:
            with self._progress.step("PostgreSQL (external)") as notes:
                facts = await examine_postgres(external, named)
                if not facts.has_vector:
                    raise ConfigurationError(
                        f"The PostgreSQL of {named} has no pgvector. Install that extension on the server "
                        "(Debian: the package postgresql-NN-pgvector of its version)."
                    )
                self._environment["DATABASE_URL"] = external
                notes.append(f"version {facts.version}")
            return
        with self._progress.step("PostgreSQL") as notes:
            port = self._ports.choose("postgres")
            server = EmbeddedPostgres(
                self._installation.folder / "postgres", port, self._secrets["POSTGRES_PASSWORD"]
            )
            await asyncio.to_thread(server.prepare)
            await self._supervisor.start(
                Part(
                    name="postgres",
                    title="PostgreSQL",
                    command=server.command(),
                    healthy=server.is_serving,
                    environment={},
                    prepare=server.prepare,
                    user=server.system_user,
                    stop_signal=signal.SIGINT,  # "fast" shutdown
                    stop_seconds=20,
                )
            )
            self._ports.keep("postgres")
            self._environment["DATABASE_URL"] = server.url
            self._state.addresses["postgres"] = f"{server.host}:{port}"
            notes.append(self._state.addresses["postgres"])

    async def _migrations(self) -> None:
        with self._progress.step("Migrations"):
            await self._supervisor.run_once("migrate", [*_VERSAAI, "migrate"], self._environment)

    async def _temporal_server(self) -> None:
        external, named = self._options.temporal_address, "--temporal-address"
        if external is None and "temporal_address" in self._settings.model_fields_set:
            external, named = self._settings.temporal_address, "VERSAAI_TEMPORAL_ADDRESS"
        namespace = self._environment["VERSAAI_TEMPORAL_NAMESPACE"]
        if external is not None:
            await self._external_temporal(external, namespace, named)
            return
        with self._progress.step("Temporal and Web UI") as notes:
            server = DevServer(
                database_file=self._installation.folder / "temporal" / "temporal.sqlite",
                port=self._ports.choose("temporal"),
                ui_port=self._ports.choose("temporal_ui"),
                namespace=namespace,
                search_attributes=SEARCH_ATTRIBUTES,
            )
            client = self._temporal = await connect(
                self._temporal_settings(server.address, namespace), lazy=True
            )
            await self._supervisor.start(
                Part(
                    name="temporal",
                    title="Temporal",
                    command=server.command(),
                    healthy=lambda _pid: is_serving(client),
                    environment=server.environment(),
                    stop_seconds=15,
                )
            )
            self._ports.keep("temporal")
            self._ports.keep("temporal_ui")
            await set_retention(client, timedelta(days=self._settings.temporal_retention_days))
            self._environment["VERSAAI_TEMPORAL_ADDRESS"] = server.address
            self._environment["VERSAAI_TEMPORAL_UI_URL"] = server.ui_url
            self._state.addresses["temporal"] = server.address
            self._state.addresses["temporal_ui"] = server.ui_url
            notes.append(f"{server.address}, {server.ui_url}")

    async def _external_temporal(self, address: str, namespace: str, named: str) -> None:
        with self._progress.step("Temporal (external)") as notes:
            self._environment["VERSAAI_TEMPORAL_ADDRESS"] = address
            facts = await examine_temporal(self._temporal_settings(address, namespace), named)
            self._temporal = facts.client
            try:
                await register_search_attributes(self._temporal, SEARCH_ATTRIBUTES)
            except RPCError as error:
                notes.append(f"search attributes not registered: {error.message}")
            self._state.addresses["temporal"] = address
            ui_url = (self._options.temporal_ui_url or self._settings.temporal_ui_url).rstrip("/")
            self._environment["VERSAAI_TEMPORAL_UI_URL"] = ui_url
            notes.append(f"{address}, version {facts.version}")
            if await answers_http(ui_url):
                self._state.addresses["temporal_ui"] = ui_url
            elif self._options.temporal_ui_url:
                notes.append(f"no Web UI answers at {ui_url}")

    async def _demo_services(self) -> None:
        with self._progress.step("Demo services") as notes:
            port = self._ports.choose("demo_services")
            smtp_port = self._ports.choose("demo_smtp")
            self._environment["VERSAAI_DEMO_SERVICES_URL"] = f"http://{LOCAL}:{port}"
            allowed = (*self._settings.outbound_allowed_hosts, f"{LOCAL}:{port}")
            self._environment["VERSAAI_OUTBOUND_ALLOWED_HOSTS"] = ",".join(allowed)
            if not self._settings.email_host:
                self._environment |= {
                    "EMAIL_HOST": LOCAL,
                    "EMAIL_PORT": str(smtp_port),
                    "EMAIL_USE_TLS": "false",
                    "EMAIL_USE_SSL": "false",
                }
            arguments = ("demo-services", "--http-port", str(port), "--smtp-port", str(smtp_port))
            await self._supervisor.start(
                Part(
                    name="demo-services",
                    title="Demo services",
                    command=[*_VERSAAI, *arguments],
                    healthy=_answers_http(LOCAL, port, "/"),
                    environment=dict(self._environment),
                )
            )
            self._ports.keep("demo_services")
            self._ports.keep("demo_smtp")
            self._state.addresses["demo_services"] = f"http://{LOCAL}:{port}"
            notes.append(self._state.addresses["demo_services"])

    async def _workers(self) -> None:
        count = self._options.workers
        with self._progress.step("Worker" if count == 1 else f"Workers ({count})"):
            self._fix_public_addresses()
            await self._supervisor.start(
                *(
                    Part(
                        name=f"worker-{number}",
                        title=f"Worker {number}",
                        command=[*_VERSAAI, "worker"],
                        healthy=self._polls,
                        environment=dict(self._environment),
                        stop_seconds=self._settings.worker_shutdown_seconds + 5,
                    )
                    for number in range(1, count + 1)
                )
            )

    async def _api(self) -> None:
        count = self._options.api_processes
        with self._progress.step("API" if count == 1 else f"API ({count} processes)") as notes:
            self._fix_public_addresses()
            assert self._listener is not None
            # The supervisor holds the listening socket: while an API process restarts, connections queue
            # in it instead of being refused, and several processes take from one queue.
            self._listener.listen(_LISTEN_BACKLOG)
            descriptor = self._listener.fileno()
            port, host = self._ports.choose("api"), public_host(self._options.host)
            await self._supervisor.start(
                *(
                    Part(
                        name=f"api-{number}",
                        title=f"API {number}",
                        command=[*_VERSAAI, "api", "--fd", str(descriptor)],
                        healthy=_answers_http(host.strip("[]"), port, "/health"),
                        environment=dict(self._environment),
                        pass_fds=(descriptor,),
                    )
                    for number in range(1, count + 1)
                )
            )
            self._ports.keep("api")
            self._state.addresses["docs"] = f"http://{host}:{port}/docs"
            notes.append(self._state.addresses["api"])

    async def _seeds(self) -> None:
        with self._progress.step("Demo bots") as notes:
            output = await self._supervisor.run_once(
                "seed", [*_VERSAAI, "seed", "--demo", "--json"], self._environment
            )
            self._bots = json.loads(output.strip().splitlines()[-1])
            notes.append(", ".join(bot["name"] for bot in self._bots))

    def _fix_public_addresses(self) -> None:
        """Tell every process the addresses under which the API is reached."""
        if "api" not in self._state.addresses:
            address = f"http://{public_host(self._options.host)}:{self._ports.choose('api')}"
            given = self._settings.model_fields_set
            self._environment["API_URL"] = self._settings.api_url if "api_url" in given else address
            self._environment["APP_URL"] = self._settings.app_url if "app_url" in given else address
            self._state.addresses["api"] = address

    def _publish(self) -> None:
        """Record the addresses, so that commands in other terminals find the platform."""
        for bot in self._bots:
            self._state.addresses[f"chat:{bot['slug']}"] = self._chat_url(bot)
        private = {"SECRET_KEY", "VERSAAI_BOOTSTRAP_API_KEY", "DATABASE_URL"}
        self._state.environment = {
            name: value for name, value in self._environment.items() if name not in private
        }
        self._secrets["DATABASE_URL"] = self._environment["DATABASE_URL"]
        self._installation.write_secrets(self._secrets)
        self._installation.write_state(self._state)

    def _chat_url(self, bot: dict[str, Any]) -> str:
        return f"{self._environment['APP_URL']}/chat/{bot['slug']}"

    def _temporal_settings(self, address: str, namespace: str) -> Settings:
        return self._settings.model_copy(
            update={"temporal_address": address, "temporal_namespace": namespace}
        )

    async def _polls(self, pid: int) -> bool:
        if self._temporal is None:
            return False
        try:
            identities = await poller_identities(self._temporal, CONVERSATION_QUEUE)
        except (RPCError, RuntimeError):
            return False
        return any(identity.split("@")[0] == str(pid) for identity in identities)


def _wishes(options: PlatformOptions) -> dict[str, PortWish]:
    """The ports of the parts that this run has; those of servers elsewhere are not judged."""
    wishes = {
        "api": PortWish("The API", 8000, "--api-port", options.api_port, options.host),
        "postgres": PortWish("PostgreSQL", 5432, "--postgres-port", options.postgres_port),
        "temporal": PortWish("Temporal", 7233, "--temporal-port", options.temporal_port),
        "temporal_ui": PortWish("Temporal's Web UI", 8233, "--ui-port", options.ui_port),
        "demo_services": PortWish("The demo's order service", 8010),
        "demo_smtp": PortWish("The demo's mail server", 8025),
    }
    if not options.api_processes:
        wishes["api"] = PortWish("The API", 8000, "--api-port", options.api_port)
    return wishes


def _answers_http(host: str, port: int, path: str) -> HealthCheck:
    async def answers(_pid: int) -> bool:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
        finally:
            writer.close()
        words = line.split()
        return len(words) > 1 and words[1].isdigit() and int(words[1]) < 500

    return answers
