"""`versaai mail`: the outbox in the terminal, for installations without an SMTP server."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from cli.installation import command_settings
from core.logging import configure_logging


def mail(
    to: Annotated[str | None, typer.Option("--to", help="Only e-mails to this address.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON an e-mail.")] = False,
) -> None:
    """Show the newest e-mails that wait or were kept: confirmations, new passwords, invitations.

    The bodies of those that were sent are not kept.
    """
    from database.database import Database
    from database.people import AccountMailRepository
    from database.people.mails import KeptMail

    settings = command_settings()
    configure_logging(settings)

    async def read() -> list[KeptMail]:
        database = Database(settings.database_url, pool_size=1)
        try:
            async with database.session() as session:
                found = await AccountMailRepository(session).newest(500 if to is not None else limit)
        finally:
            await database.close()
        wanted = to.strip().lower() if to is not None else None
        return [one for one in found if wanted is None or wanted in one.to.lower()][:limit]

    found = asyncio.run(read())
    if as_json:
        for one in found:
            typer.echo(
                json.dumps(
                    {
                        "to": one.to,
                        "subject": one.subject,
                        "body": one.body,
                        "created_at": one.created_at,
                        "state": one.state,
                    },
                    ensure_ascii=False,
                )
            )
        return
    if not found:
        typer.echo("No e-mail.")
    for one in reversed(found):
        typer.echo(f"{one.created_at[:19]}  {one.to}  [{one.state}]\n{one.subject}\n\n{one.body}\n")
