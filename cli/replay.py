"""`versaai replay CONVERSATION`: the path of a conversation, step by step."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import httpx2
import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from cli.chat_client import ApiError, checked_url, no_answer, read_json
from cli.installation import command_settings

Json = dict[str, Any]
_SPEAKERS = {
    "user": ("→", "bold"),
    "assistant": ("←", "cyan"),
    "agent": ("←", "green"),
    "system": ("·", "dim"),
}


def replay(
    conversation: Annotated[str, typer.Argument(help="The conversation's id.")],
    url: Annotated[str | None, typer.Option(help="Address of the API.")] = None,
    api_key: Annotated[
        str | None, typer.Option(help="API key; default: the installation's first key.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show how a conversation went: nodes, exits, variables that changed, messages, waits and times."""
    settings = command_settings()
    key = api_key or settings.bootstrap_api_key.get_secret_value()
    console = Console(highlight=False)
    try:
        address = checked_url(url or settings.api_url)
        try:
            story = asyncio.run(_read(address, key, _checked_id(conversation)))
        except httpx2.TransportError as error:
            raise no_answer(address, error) from None
    except ApiError as error:
        console.print(f"[red]{escape(error.detail)}[/]")
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(story, option=orjson.OPT_INDENT_2).decode())
    else:
        show(console, story)


def _checked_id(conversation: str) -> str:
    try:
        return str(UUID(conversation))
    except ValueError:
        raise ApiError(
            {
                "detail": f"{conversation!r} is no conversation's id. An id has 32 hexadecimal digits; "
                "`versaai chat` shows it, and workflows in the Temporal UI are named by it."
            }
        ) from None


async def _read(url: str, key: str, conversation: str) -> Json:
    root = f"/api/v1/conversations/{conversation}"
    async with httpx2.AsyncClient(
        base_url=url, timeout=30, headers={"Authorization": f"Bearer {key}"}
    ) as http:
        state = await read_json(await http.get(root))
        visits = await _pages(http, f"{root}/path", "visits", "number")
        messages = await _pages(http, f"{root}/messages", "messages", "seq")
    return {"conversation": state, "visits": visits, "messages": messages}


async def _pages(http: httpx2.AsyncClient, path: str, name: str, number: str) -> list[Json]:
    found: list[Json] = []
    while True:
        after = found[-1][number] if found else 0
        page = await read_json(await http.get(path, params={"after": after, "limit": 200}))
        found += page[name]
        if not page["has_more"]:
            return found


def show(console: Console, story: Json) -> None:
    """Print a conversation: every visit with the messages that belong to it, in order of time."""
    state = story["conversation"]
    console.rule(f"[bold]{state['conversation_id']}")
    console.print(
        f"status [bold]{state['status']}[/] · language {state['language']} · "
        f"version {state['flow_version_id']} · {state['last_seq']} messages"
    )
    for visit, messages in by_visit(story["visits"], story["messages"]):
        if visit is not None:
            console.print(_visit_line(visit))
            for name, value in visit["changes"].items():
                console.print(Text(f"        {name} = {orjson.dumps(value).decode()}", style="yellow"))
            if visit.get("error"):
                console.print(Text(f"        failed: {visit['error']}", style="red"))
        for message in messages:
            console.print(_message_line(message))
    waiting = state.get("waiting")
    if waiting:
        until = f" until {waiting['until']}" if waiting.get("until") else ""
        console.print(
            f"\n[bold]waits[/] for {waiting['kind']} at “{waiting['node_label'] or waiting['node_id']}”"
            f" since {waiting['since']}{until}" + (f": {waiting['reason']}" if waiting.get("reason") else "")
        )


def by_visit(visits: list[Json], messages: list[Json]) -> list[tuple[Json | None, list[Json]]]:
    """Put each message to the visit in which it was said; those before any visit come first, under None.

    Everything of a turn has the same time, so that a message's node decides, and its place among the others.
    """
    grouped: list[tuple[Json | None, list[Json]]] = [(None, []), *((visit, []) for visit in visits)]
    place = 0
    for message in messages:
        said = _moment(message["created_at"])
        for index, (visit, _) in enumerate(grouped):
            if visit is None or index < place or _moment(visit["entered_at"]) > said:
                continue
            if message.get("node_id") == visit["node_id"]:
                place = index
                break
            if message["role"] in {"user", "agent"} and _moment(visit["entered_at"]) < said:
                place = index
        grouped[place][1].append(message)
    return [(visit, said) for visit, said in grouped if visit is not None or said]


def _visit_line(visit: Json) -> Text:
    entered = _moment(visit["entered_at"])
    line = Text.assemble(
        (f"{entered:%H:%M:%S.%f}"[:-3] + " ", "dim"),
        (f"#{visit['number']:<4}", "dim"),
        (str(visit.get("node_label") or visit["node_id"]), "bold magenta"),
    )
    if visit["flow"] != "main":
        line.append(f" ({visit['flow']})", style="dim")
    if visit.get("left_at"):
        seconds = (_moment(visit["left_at"]) - entered).total_seconds()
        line.append(f"  → {visit.get('exit') or 'end'}  {seconds:.3f} s", style="dim")
    return line


def _message_line(message: Json) -> Text:
    content = message["content"]
    arrow, style = _SPEAKERS[message["role"]]
    text = content.get("text") or content.get("name") or content.get("code") or content.get("url") or ""
    if content["type"] == "choices":
        text += "  [" + " | ".join(option["label"] for option in content["options"]) + "]"
    return Text(f"             {arrow} {content['type']}: {text}", style=style)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
