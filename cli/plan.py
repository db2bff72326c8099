"""`versaai plan`: which plan an organization has; only the operator of the installation changes it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.installation import command_settings
from core.logging import configure_logging
from core.plans import PLANS


def plan(
    organization: Annotated[str, typer.Argument(help="The organization's slug.")],
    name: Annotated[
        str | None, typer.Argument(help=f"Its new plan: {', '.join(PLANS)}. Left out: show the present one.")
    ] = None,
) -> None:
    """Show or set the plan of an organization. API processes take it up within seconds."""
    from database.database import Database
    from database.public_lookup import organization_by_slug
    from database.repositories import OrganizationRepository

    settings = command_settings()
    configure_logging(settings)
    if name is not None and name not in PLANS:
        typer.echo(f"There is no plan {name!r}; there are {', '.join(PLANS)}.", err=True)
        raise typer.Exit(2)

    async def run() -> str | None:
        database = Database(settings.database_url, pool_size=1)
        try:
            async with database.session() as session:
                found = await organization_by_slug(session, organization)
                if found is None:
                    return None
                if name is not None:
                    await OrganizationRepository(session, found.id).change(subscription_plan=name)
                return name or found.subscription_plan
        finally:
            await database.close()

    chosen = asyncio.run(run())
    if chosen is None:
        typer.echo(f"There is no organization {organization!r}.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{organization}: {chosen}")
