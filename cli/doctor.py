"""`versaai doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from cli.diagnosis import examine
from cli.findings import Finding, Verdict
from cli.installation import Installation, command_settings

_MARKS = {
    Verdict.good: "[green]✓[/green]",
    Verdict.hint: "[yellow]![/yellow]",
    Verdict.broken: "[red]✗[/red]",
}


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the installation to examine.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine this machine and the running platform; exit code 1 when something is broken."""
    try:
        settings = command_settings(data_dir)
    except ValidationError as error:
        findings = [
            Finding(
                "settings",
                Verdict.broken,
                f"{'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}",
                "Correct the variable in the environment or in .env; docs/settings.md lists them all.",
            )
            for problem in error.errors(include_url=False, include_input=False)
        ]
    else:
        installation = Installation(data_dir if data_dir is not None else settings.data_dir)
        findings = asyncio.run(examine(settings, installation))
    broken = any(finding.verdict is Verdict.broken for finding in findings)
    if as_json:
        report = {"ok": not broken, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(findings, broken)
    if broken:
        raise typer.Exit(1)


def _print(findings: list[Finding], broken: bool) -> None:
    console = Console()
    for finding in findings:
        console.print(f"{_MARKS[finding.verdict]} {finding.name:<16}", end=" ", highlight=False)
        console.print(finding.detail, highlight=False, markup=False, soft_wrap=True)
        if finding.mend:
            console.print(f"{'':19}→ {finding.mend}", highlight=False, markup=False, soft_wrap=True)
    console.print("\nSomething is broken." if broken else "\nNothing is broken.")
