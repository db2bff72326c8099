"""`versaai up`: the whole platform in one supervised process tree. `versaai down` stops it from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from cli.failures import judge_storage_url, print_failure
from cli.installation import Installation, find_data_dir
from cli.platform_parts import Platform, PlatformOptions
from cli.progress import Progress
from cli.supervisor import Supervisor, own_record, stop_leftovers
from core.errors import VersaError
from core.settings import load_settings

_LAST_PORT = 65_535
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Publish the demo bots and serve what they call.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of data and logs. \\[default: VERSAAI_DATA_DIR, else .versaai]"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address that the API listens on.")] = "127.0.0.1",
    api_port: Annotated[
        int | None,
        typer.Option(min=0, max=_LAST_PORT, help="Port of the API. \\[default: 8000, else a free one]"),
    ] = None,
    temporal_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=_LAST_PORT, help="Port of the embedded Temporal. \\[default: 7233, else a free one]"
        ),
    ] = None,
    ui_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=_LAST_PORT, help="Port of Temporal's Web UI. \\[default: 8233, else a free one]"
        ),
    ] = None,
    postgres_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=_LAST_PORT, help="Port of the embedded PostgreSQL. \\[default: 5432, else a free one]"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Worker processes.")] = 1,
    api_processes: Annotated[int, typer.Option(min=0, max=64, help="API processes, on one port.")] = 1,
    postgres_url: Annotated[
        str | None, typer.Option(help="Use this PostgreSQL in place of the embedded one.")
    ] = None,
    temporal_address: Annotated[
        str | None, typer.Option(help="Use this Temporal server (host:port) in place of the embedded one.")
    ] = None,
    temporal_namespace: Annotated[
        str | None, typer.Option(help="Temporal namespace. \\[default: default]")
    ] = None,
    temporal_ui_url: Annotated[
        str | None, typer.Option(help="Address of that server's Web UI, for links.")
    ] = None,
    storage_url: Annotated[
        str | None, typer.Option(help="Keep files here (file:///folder or s3://bucket/prefix).")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one line of JSON when ready; progress goes to standard error."),
    ] = False,
) -> None:
    """Start PostgreSQL, Temporal and its Web UI, workers and the API; stop them all on Ctrl-C."""
    console = Console(stderr=as_json)
    options = PlatformOptions(
        demo=demo,
        host=host,
        api_port=api_port,
        temporal_port=temporal_port,
        ui_port=ui_port,
        postgres_port=postgres_port,
        workers=workers,
        api_processes=api_processes,
        postgres_url=postgres_url,
        temporal_address=temporal_address,
        temporal_namespace=temporal_namespace,
        temporal_ui_url=temporal_ui_url,
        storage_url=storage_url,
    )
    try:
        folder = find_data_dir()
        if storage_url is not None:
            judge_storage_url(storage_url)
        installation = Installation(data_dir if data_dir is not None else folder)
        installation.create()
        with installation.locked():
            asyncio.run(_run(installation, options, console, as_json))
    except (VersaError, ValidationError) as error:
        print_failure(console, error)
        raise typer.Exit(1) from None


async def _run(installation: Installation, options: PlatformOptions, console: Console, as_json: bool) -> None:
    progress = Progress(console)
    state = installation.read_state()
    if leftovers := stop_leftovers(state):
        progress.notice(f"Stopped what an earlier run had left: {', '.join(leftovers)}.", "yellow")
    state.parts.clear()
    state.addresses.clear()
    state.supervisor = own_record()
    supervisor = Supervisor(installation, state, progress)
    settings = load_settings({"SECRET_KEY": installation.ensure_secrets()["SECRET_KEY"]})
    platform = Platform(installation, options, state, supervisor, progress, settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    starting = asyncio.create_task(platform.start())
    waiting = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        else:
            starting.result()
            if as_json:
                sys.stdout.write(json.dumps(platform.summary()) + "\n")
                sys.stdout.flush()
            else:
                platform.print_summary(console)
            await waiting
    finally:
        waiting.cancel()
        with progress.step("Stopping") if state.parts else contextlib.nullcontext():
            await supervisor.stop()
            platform.close()
        state.supervisor = None
        installation.write_state(state)


def down(
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the platform to stop.")] = None,
) -> None:
    """Stop the platform that runs on a data folder."""
    folder = data_dir if data_dir is not None else find_data_dir()
    installation = Installation(folder)
    state = installation.read_state()
    process = state.supervisor.process() if state.supervisor else None
    if process is None:
        if leftovers := stop_leftovers(state):
            typer.echo(f"Stopped what an earlier run had left: {', '.join(leftovers)}.")
        else:
            typer.echo(f"Nothing runs on {installation.folder}.")
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    process.wait(60)
    typer.echo("Stopped.")
