"""`versaai seed`: the first organization and, when asked, the demo bots."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from cli.installation import command_settings
from core.logging import configure_logging


def seed(
    demo: Annotated[bool, typer.Option("--demo", help="Publish the demo bots.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bots as one line of JSON.")] = False,
) -> None:
    """Put the demo bots into the database; those that are there and unchanged stay as they are."""
    from cli.seed import seed_demo

    settings = command_settings()
    configure_logging(settings)
    if not demo:
        typer.echo("Nothing to do: give --demo to publish the demo bots.")
        raise typer.Exit(2)
    bots = asyncio.run(seed_demo(settings))
    if as_json:
        typer.echo(
            json.dumps(
                [{"name": bot.name, "slug": bot.slug, "chatbot_id": str(bot.chatbot_id)} for bot in bots],
                ensure_ascii=False,
            )
        )
        return
    for bot in bots:
        typer.echo(f"{bot.name}: {settings.app_url}/chat/{bot.slug}")
