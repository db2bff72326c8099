"""`versaai chat BOT`: talk to a bot in the terminal, as a visitor over HTTP."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.markup import escape

from cli.chat_client import ApiError, ChatClient, TokenStore, checked_url, no_answer
from cli.chat_screen import Screen
from cli.installation import command_settings
from cli.line_input import LineInput

Json = dict[str, Any]
_HELP = (
    "Type a text, or the number of an option (several: 1,3). "
    "/file PATH uploads, /skip skips, /new starts again, /quit leaves."
)


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
        asyncio.run(_talk(console, checked_url(url or settings.api_url), bot, lang, conversation, tokens))
    except ApiError as error:
        console.print(f"[red]{escape(error.detail)}[/]")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _talk(
    console: Console, url: str, bot: str, lang: str | None, conversation: str | None, tokens: TokenStore
) -> None:
    screen = Screen(console)

    def on_connection(online: bool) -> None:
        lost = f"[yellow]no connection to {escape(url)}; trying again …[/]"
        screen.print("[dim]connected again[/]" if online else lost)

    async with httpx2.AsyncClient(base_url=url, timeout=15) as http:
        client = ChatClient(http, bot, on_connection)
        config = await _config(client, url)
        console.rule(f"[bold]{escape(config['name'])}")
        if conversation is not None:
            token = tokens.read(conversation)
            if token is None:
                raise ApiError({"detail": "There is no token for that conversation in this data folder."})
            client.resume(conversation, token)
            screen.show_page(await client.transcript())
        else:
            screen.show_page(await client.send(_start(lang)))
        _remember(client, tokens)
        console.print(f"[dim]conversation {client.conversation_id} · {escape(_HELP)}[/]")
        follower = asyncio.create_task(_follow(client, screen))
        lines = LineInput(lambda: screen.typing(lines.typed))
        try:
            async with lines:
                if lines.is_terminal:
                    screen.open()
                await _converse(lines, client, screen, tokens, lang)
        finally:
            screen.close()
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower


async def _config(client: ChatClient, url: str) -> Json:
    """The bot's settings; whoever starts a chat is told at once when there is no platform or no such bot."""
    try:
        return await client.config()
    except httpx2.TransportError as error:
        raise no_answer(url, error) from None
    except ApiError as error:
        if error.problem_status != 404:
            raise
        bots = ", ".join(str(bot["slug"]) for bot in (await client.bots())) or "none yet"
        raise ApiError({"detail": f"{error.detail} There are: {bots}."}) from None


async def _converse(
    lines: LineInput, client: ChatClient, screen: Screen, tokens: TokenStore, lang: str | None
) -> None:
    while screen.status != "ended":
        line = await lines.line()
        if line is None or line in {"/quit", "/q"}:
            return
        if not line:
            continue
        screen.entered(line)
        if line == "/help":
            screen.print(f"[dim]{escape(_HELP)}[/]")
            continue
        try:
            if line == "/new":
                client.conversation_id = client.token = None
                screen.forget()
                reply = await client.send(_start(lang))
            else:
                reply = await client.send(await _as_input(line, client, screen))
        except (ApiError, OSError, httpx2.TransportError) as error:
            screen.print(f"[red]{escape(str(error))}[/]")
            continue
        _remember(client, tokens)
        screen.show_page(reply)
    screen.print("[dim]the conversation has ended[/]")


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
