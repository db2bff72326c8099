"""`versaai chat BOT`: talk to a bot in the terminal, as a visitor over HTTP."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console, Group
from rich.markdown import Markdown
from rich.panel import Panel
from rich.text import Text

from cli.chat_client import ApiError, ChatClient, TokenStore
from cli.installation import command_settings

Json = dict[str, Any]
_HELP = (
    "Type a text, or the number of an option (several: 1,3). "
    "/file PATH uploads, /skip skips, /new starts again, /quit leaves."
)
_ROLE_STYLE = {"assistant": "cyan", "agent": "green", "system": "dim"}


def chat(
    bot: Annotated[str, typer.Argument(help="The bot's slug or id.")],
    url: Annotated[str | None, typer.Option(help="Address of the API.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language to talk in, such as `es` or `en`.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Go on with this conversation.")] = None,
) -> None:
    """Talk to a bot. What you type is sent again, under the same id, until the bot has answered."""
    settings = command_settings()
    console = Console(highlight=False)
    tokens = TokenStore(settings.data_dir / "chats.json")
    try:
        asyncio.run(_talk(console, (url or settings.api_url).rstrip("/"), bot, lang, conversation, tokens))
    except ApiError as error:
        console.print(f"[red]{error.detail}[/]")
        raise typer.Exit(1) from None


async def _talk(
    console: Console, url: str, bot: str, lang: str | None, conversation: str | None, tokens: TokenStore
) -> None:
    def on_connection(online: bool) -> None:
        console.print("[dim]connected again[/]" if online else "[yellow]no connection; trying again …[/]")

    async with httpx2.AsyncClient(base_url=url, timeout=15) as http:
        client = ChatClient(http, bot, on_connection)
        screen = Screen(console)
        config = await client.config()
        console.rule(f"[bold]{config['name']}")
        if conversation is not None:
            token = tokens.read(conversation)
            if token is None:
                raise ApiError({"detail": "There is no token for that conversation in this data folder."})
            client.resume(conversation, token)
            screen.show_page(await client.transcript())
        else:
            screen.show_page(await client.send(_start(lang)))
        _remember(client, tokens)
        console.print(f"[dim]conversation {client.conversation_id} · {_HELP}[/]")
        follower = asyncio.create_task(_follow(client, screen))
        try:
            await _converse(console, client, screen, tokens, lang)
        finally:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower


async def _converse(
    console: Console, client: ChatClient, screen: Screen, tokens: TokenStore, lang: str | None
) -> None:
    while screen.status != "ended":
        line = await _read_line()
        if line is None or line in {"/quit", "/q"}:
            return
        if not line:
            continue
        if line == "/help":
            console.print(f"[dim]{_HELP}[/]")
            continue
        try:
            if line == "/new":
                client.conversation_id = client.token = None
                screen.forget()
                reply = await client.send(_start(lang))
            else:
                reply = await client.send(await _as_input(line, client, screen))
        except (ApiError, OSError) as error:
            console.print(f"[red]{error}[/]")
            continue
        _remember(client, tokens)
        screen.show_page(reply)
    console.print("[dim]the conversation has ended[/]")


async def _follow(client: ChatClient, screen: Screen) -> None:
    while True:
        current = client.conversation_id
        async for name, data in client.events(lambda: screen.cursor):
            if client.conversation_id != current:
                break
            screen.on_event(name, data)
        await asyncio.sleep(0.5)


async def _as_input(line: str, client: ChatClient, screen: Screen) -> Json:
    """Return the input that a typed line means under the question that is open."""
    if line.startswith("/file "):
        info = await client.upload(line[6:].strip())
        return {"type": "files", "files": [info["id"]]}
    if line == "/skip":
        return {"type": "value", "value": None}
    prompt = screen.prompt
    content = prompt["content"] if prompt else {}
    numbers = _numbers(line)
    if content.get("type") == "choices" and numbers:
        options = content["options"]
        if all(1 <= number <= len(options) for number in numbers) and (
            content["multiple"] or len(numbers) == 1
        ):
            chosen = [options[number - 1]["id"] for number in numbers]
            return {"type": "choice", "options": chosen, "prompt": prompt["seq"] if prompt else None}
    if content.get("type") == "csat" and numbers and 1 <= numbers[0] <= 5 and len(numbers) == 1:
        return {"type": "value", "value": {"rating": numbers[0]}}
    return {"type": "text", "text": line}


def _numbers(line: str) -> list[int]:
    parts = line.replace(",", " ").split()
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else []


def _start(lang: str | None) -> Json:
    return {"type": "start", **({"language": lang} if lang else {})}


def _remember(client: ChatClient, tokens: TokenStore) -> None:
    if client.conversation_id and client.token:
        tokens.keep(client.conversation_id, client.token)


async def _read_line() -> str | None:
    """Return the next typed line, or None at the end of the input."""
    sys.stdout.write("› ")
    sys.stdout.flush()
    line = await asyncio.to_thread(sys.stdin.readline)
    return line.strip() if line else None


class Screen:
    """What was shown: each message once, whether it came as a reply, as an event or in a transcript."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.forget()

    def forget(self) -> None:
        """Begin another conversation."""
        self._shown: set[int] = set()
        self._streams: dict[str, tuple[int, str]] = {}
        self.prompt: Json | None = None
        self.status = "active"

    @property
    def cursor(self) -> int:
        """The number up to which nothing is missing."""
        seq = 0
        while seq + 1 in self._shown:
            seq += 1
        return seq

    def show_page(self, page: Json) -> None:
        """Show the messages of a reply or of a transcript."""
        for message in page["messages"]:
            self.show(message)
        self.status = page.get("status", self.status)

    def on_event(self, name: str, data: Json) -> None:
        """Show what an event tells."""
        if name == "message":
            self.show(data)
        elif name == "tokens":
            self._stream(data)
        elif name == "status":
            self.status = data.get("status", self.status)

    def _stream(self, data: Json) -> None:
        stream, attempt = str(data["stream_id"]), int(data["attempt"])
        known_attempt, text = self._streams.get(stream, (attempt, ""))
        if attempt < known_attempt:
            return
        if attempt > known_attempt:
            self._console.print("\n[dim]… once more[/]")
            text = ""
        fresh = str(data["text"])[max(0, len(text) - int(data["offset"])) :]
        if not text:
            self._console.print()
        self._console.print(Text(fresh, style="cyan"), end="")
        self._streams[stream] = (attempt, text + fresh)

    def show(self, message: Json) -> None:
        """Show a message, unless it has been shown."""
        seq = int(message["seq"])
        if seq in self._shown:
            return
        self._shown.add(seq)
        content = message["content"]
        if message["role"] == "user":
            self.prompt = None
            return
        if content["type"] in {"choices", "input", "csat"}:
            self.prompt = message
        streamed = self._streams.pop(str(message.get("stream_id")), (0, ""))[1]
        if streamed and streamed.strip() == str(content.get("text", "")).strip():
            self._console.print()
            return
        style = _ROLE_STYLE.get(message["role"], "cyan")
        who = message["agent"]["name"] if message.get("agent") else None
        for part in render(content):
            self._console.print(Panel(part, border_style=style, title=who, title_align="left", expand=False))


def render(content: Json) -> list[Any]:
    """Return what the terminal shows for a message's content."""
    kind = content["type"]
    match kind:
        case "text":
            return [Markdown(content["text"])]
        case "choices":
            lines = [
                f"{number}. {option['label']}"
                + (f" ({option['description']})" if option.get("description") else "")
                for number, option in enumerate(content["options"], 1)
            ]
            hint = "\nchoose several, such as 1,3" if content["multiple"] else ""
            return [Group(Markdown(content["text"]), Text("\n".join(lines) + hint))]
        case "input":
            field = content["field"]
            details = [str(field["kind"])]
            details += [
                f"{name} {field[name]}" for name in ("min", "max", "earliest", "latest") if field.get(name)
            ]
            if isinstance(field.get("statement"), str):
                details.append(field["statement"])
            skip = "" if content["required"] else " · /skip"
            return [Group(Markdown(content["text"]), Text(", ".join(details) + skip, style="dim"))]
        case "csat":
            return [Text(f"{content['text']}\n1 … 5")]
        case "cards":
            return [
                Text(
                    "\n".join(
                        filter(
                            None,
                            [
                                card["title"],
                                card.get("text"),
                                *(
                                    f"[{one['label']}] {one.get('url') or one.get('reply')}"
                                    for one in card["buttons"]
                                ),
                            ],
                        )
                    )
                )
                for card in content["cards"]
            ]
        case "redirect":
            return [Text(f"{content.get('text') or ''} {content['url']}".strip())]
        case "notice":
            return [Text(content.get("text") or content["code"].replace("_", " "), style="dim")]
        case "files":
            names = "\n".join(f"{file['name']} {file.get('url') or ''}" for file in content["files"])
            return [Text(f"{content.get('text', '')}\n{names}".strip())]
        case _:
            return [
                Text(f"[{kind}] {content.get('name') or content.get('alt') or ''} {content.get('url', '')}")
            ]
