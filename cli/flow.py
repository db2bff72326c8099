"""`versaai flow`: check, read, compare and export flows, without a server.

Exit status: 0 if all is well, 1 if a flow has errors, 2 if a file can't be read or the call makes no sense.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from flow_schema.diff import FieldChange, FlowDiff, diff_flows
from flow_schema.export import flow_schema_json, flow_typescript
from flow_schema.flow import Flow, canonical_json
from flow_schema.nodes import Node, StartNode
from flow_schema.references import texts
from flow_schema.validation import Finding, ValidationContext, has_errors, read_flow, validate

app = typer.Typer(
    name="flow",
    help="Check, read, compare and export flows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

FlowFile = Annotated[Path, typer.Argument(metavar="FILE", help="A flow as JSON; `-` reads standard input.")]
_COLOURS = {"error": "red", "warning": "yellow", "added": "green", "removed": "red", "changed": "yellow"}
_SHOWN = 60
_WIDEST = 10_000
"""Columns of an outline: a terminal folds what is longer than its lines, a file keeps it whole."""


@app.command("validate")
def validate_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Flows as JSON.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail too.")] = False,
) -> None:
    """Check flows; several files are the flows of one bot, named by their file names."""
    console = _console()
    read = {path: read_flow(_bytes(path)) for path in files}
    known = {path.stem: flow for path, (flow, _) in read.items() if flow is not None}
    several = len(files) > 1
    report: dict[str, list[Finding]] = {}
    for path, (flow, findings) in read.items():
        if flow is not None:
            context = ValidationContext(slug=path.stem, flows=known) if several else None
            findings = validate(flow, context)
        report[str(path)] = findings
    if as_json:
        document = {name: [item.model_dump() for item in findings] for name, findings in report.items()}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for name, findings in report.items():
            _print_findings(console, name, findings)
    failed = any(has_errors(findings) or (strict and findings) for findings in report.values())
    raise typer.Exit(1 if failed else 0)


@app.command("show")
def show(file: FlowFile) -> None:
    """Print a flow as an outline: what leads where, from the start on."""
    console = _console()
    flow = _flow(file)
    Console(highlight=False, width=_WIDEST).print(_outline(flow))
    details = [f"{len(flow.nodes)} nodes", f"{len(flow.edges)} edges", f"{len(list(texts(flow)))} texts"]
    details.append(f"languages {', '.join(flow.all_languages())}")
    console.print(", ".join(details), style="dim")
    for variable in flow.variables:
        marks = [mark for mark in ("input", "output", "personal") if getattr(variable, mark)]
        suffix = f" ({', '.join(marks)})" if marks else ""
        console.print(f"  {variable.name}: {variable.type}{suffix}", style="dim", markup=False)


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The flow before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The flow after.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> None:
    """Compare two versions of a flow, node by node."""
    found = diff_flows(_flow(old), _flow(new))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    _print_diff(_console(), found)


@app.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A flow as JSON.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of flows.")] = False,
    typescript: Annotated[
        bool, typer.Option("--typescript", help="Print TypeScript types of flows.")
    ] = False,
) -> None:
    """Print a flow as canonical JSON in the current schema version, or what describes flows."""
    if sum([file is not None, schema, typescript]) != 1:
        typer.echo("Give either a file, --schema or --typescript.", err=True)
        raise typer.Exit(2)
    if schema:
        sys.stdout.write(flow_schema_json())
    elif typescript:
        sys.stdout.write(flow_typescript())
    elif file is not None:
        typer.echo(canonical_json(_flow(file)).decode())


def _console(*, errors: bool = False) -> Console:
    return Console(highlight=False, stderr=errors, soft_wrap=True)


def _bytes(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        typer.echo(f"{path}: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None


def _flow(path: Path) -> Flow:
    flow, findings = read_flow(_bytes(path))
    if flow is None:
        _print_findings(_console(errors=True), str(path), findings)
        raise typer.Exit(1)
    return flow


def _print_findings(console: Console, name: str, findings: list[Finding]) -> None:
    if not findings:
        console.print(f"[green]✓[/] {escape(name)}")
        return
    errors = sum(item.severity == "error" for item in findings)
    console.print(
        f"[bold]{escape(name)}[/]: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}"
    )
    for item in findings:
        colour = _COLOURS[item.severity]
        place = f" [dim]{escape(item.path)}[/]" if item.path else ""
        console.print(f"  [{colour}]{item.severity}[/] {escape(item.message)} [dim]{item.code}[/]{place}")
        console.print(f"    {escape(item.fix)}", style="dim")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _outline(flow: Flow) -> Tree:
    """Each node once: a run of nodes stands one below the other, ways that part are indented."""
    nodes = {node.id: node for node in flow.nodes}
    leaving: dict[str, list[tuple[str, str]]] = {}
    for edge in flow.edges:
        if edge.target in nodes:
            leaving.setdefault(edge.source, []).append((edge.sourceHandle, edge.target))
    tree = Tree(f"[bold]{escape(flow.name)}[/]")
    seen: set[str] = set()
    starts = [node.id for node in flow.nodes if isinstance(node, StartNode)]
    for root in [*starts, *nodes]:
        if root in seen:
            continue
        pending = [(tree if root in starts else tree.add("[dim]not led to by an edge[/]"), root)]
        while pending:
            branch, node_id = pending.pop()
            if node_id in seen:
                branch.add(f"[dim]↑ {escape(node_id)}[/]")
                continue
            seen.add(node_id)
            line = branch.add(_line(nodes[node_id]))
            match leaving.get(node_id, []):
                case [("next", target)]:
                    pending.append((branch, target))
                case ways:
                    grown = [(line.add(f"[cyan]{escape(handle)}[/]"), target) for handle, target in ways]
                    pending.extend(reversed(grown))
    return tree


def _line(node: Node) -> str:
    name = f" {escape(node.data.label)}" if node.data.label else ""
    return f"[bold]{escape(node.id)}[/]{name} [dim]{escape(_kind(node))}[/]"


def _kind(node: Node) -> str:
    """The node's kind, and what it does where one kind does many things."""
    for field in ("action", "task", "webhook", "field"):
        inner = getattr(node.data, field, None)
        if inner is not None:
            return f"{node.type} {inner.kind}"
    return node.type


def _print_diff(console: Console, found: FlowDiff) -> None:
    if found.is_empty:
        console.print("no differences")
        return
    for node in found.nodes_added:
        console.print(f"[green]+[/] node [bold]{escape(node.id)}[/] [dim]{node.type}[/]")
    for node in found.nodes_removed:
        console.print(f"[red]-[/] node [bold]{escape(node.id)}[/] [dim]{node.type}[/]")
    for changed in found.nodes_changed:
        console.print(f"[yellow]~[/] node [bold]{escape(changed.id)}[/] [dim]{changed.type}[/]")
        _print_changes(console, changed.changes)
    for name in found.nodes_moved:
        console.print(f"[dim]→ node {escape(name)} is drawn elsewhere[/]")
    for sign, colour, edges in (("+", "green", found.edges_added), ("-", "red", found.edges_removed)):
        for edge in edges:
            line = f"{edge.source} [{edge.exit}] → {edge.target}"
            console.print(f"[{colour}]{sign}[/] edge {escape(line)}")
    for sign, colour, names in (
        ("+", "green", found.variables_added),
        ("-", "red", found.variables_removed),
    ):
        for name in names:
            console.print(f"[{colour}]{sign}[/] variable [bold]{escape(name)}[/]")
    for variable in found.variables_changed:
        console.print(f"[yellow]~[/] variable [bold]{escape(variable.name)}[/]")
        _print_changes(console, variable.changes)
    _print_changes(console, [*found.settings, *found.flow])


def _print_changes(console: Console, changes: list[FieldChange]) -> None:
    for change in changes:
        values = {
            "added": _value(change.new),
            "removed": _value(change.old),
            "changed": f"{_value(change.old)} → {_value(change.new)}",
        }[change.change]
        colour = _COLOURS[change.change]
        console.print(f"    [{colour}]{change.change}[/] {escape(change.path)}: {escape(values)}")


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
