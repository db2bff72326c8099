"""`versaai bench`: what a turn costs, on this machine, against the floor of the same run."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from cli.benchmark.platform import PlatformAddresses, running_platform, started_platform
from cli.benchmark.report import TurnsReport
from cli.benchmark.turns import Plan, TurnsBenchmark
from core.errors import VersaError

app = typer.Typer(
    name="bench", help="Measure the platform.", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.callback()
def _root() -> None:
    """Measure the platform."""


@app.command("turns")
def turns(
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    quick: Annotated[bool, typer.Option(help="A smoke test of seconds; its figures mean nothing.")] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Measure the platform that runs on this folder. \\[default: start one of its own]"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes to start.")] = 1,
    api_processes: Annotated[int, typer.Option(min=1, max=64, help="API processes to start.")] = 1,
    idle: Annotated[int, typer.Option(min=0, max=100_000, help="Idle conversations to open.")] = 2000,
    output: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
) -> None:
    """Play a three-turn dialogue over HTTP, and a single turn against a bare echo update of Temporal."""
    import uvloop

    console = Console(stderr=True)
    plan = Plan.smoke() if quick else Plan(idle=idle)
    try:
        report = uvloop.run(_turns(console, plan, data_dir, workers, api_processes))
    except VersaError as error:
        console.print(f"[red]{error.title}.[/red]", highlight=False)
        console.print(error.detail, highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except asyncio.CancelledError:
        raise typer.Exit(143) from None
    document = report.model_dump_json(indent=2) + "\n"
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(document, encoding="utf-8")
    if as_json:
        sys.stdout.write(document)
    else:
        _print(Console(), report)


async def _turns(
    console: Console, plan: Plan, data_dir: Path | None, workers: int, api_processes: int
) -> TurnsReport:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    async def measure(platform: PlatformAddresses) -> TurnsReport:
        client = await Client.connect(platform.temporal, namespace=platform.namespace)
        benchmark = TurnsBenchmark(platform, client, plan, lambda text: console.print(text, style="dim"))
        counts = [sum(name.startswith(kind) for name in platform.pids) for kind in ("worker", "api")]
        return await benchmark.run(*counts)

    if data_dir is not None:
        return await measure(running_platform(data_dir))
    console.print("starting a platform", style="dim")
    async with started_platform(workers, api_processes) as platform:
        return await measure(platform)


def _print(console: Console, report: TurnsReport) -> None:
    table = Table("", "turn over HTTP", "bare echo", "ratio")
    table.add_row(
        "p50, ms", f"{report.turn.p50_ms:.1f}", f"{report.echo.p50_ms:.1f}", f"{report.p50_ratio:.2f}"
    )
    table.add_row(
        "p95, ms", f"{report.turn.p95_ms:.1f}", f"{report.echo.p95_ms:.1f}", f"{report.p95_ratio:.2f}"
    )
    table.add_row(
        "a second, 20 at once",
        f"{report.turns_per_second_20:.0f}",
        f"{report.echoes_per_second_20:.0f}",
        f"{report.throughput_ratio_20:.2f}",
    )
    console.print(table)
    levels = Table("conversations at once", "turns a second", "p50, ms", "p95, ms", "processor, ms a turn")
    for name, level in report.levels.items():
        cpu = ", ".join(f"{part} {used:.1f}" for part, used in level.cpu_ms_per_turn.items())
        levels.add_row(
            name,
            f"{level.turns_per_second:.0f}",
            f"{level.turns.p50_ms:.1f}",
            f"{level.turns.p95_ms:.1f}",
            cpu,
        )
    console.print(levels)
    console.print(
        f"{report.idle.conversations} idle conversations: p50 {report.idle.p50_change:+.1%}. "
        f"{report.history_events_per_turn:.1f} history events a turn. "
        f"{report.verified.rows} rows equal what was told.",
        highlight=False,
    )
