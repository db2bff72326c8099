"""`/health`: for load balancers and supervisors."""

from __future__ import annotations

from typing import Literal

from fastapi import Response
from pydantic import Field

from api.dependencies import Parts
from api.fields import Outgoing
from api.routing import slice_router
from core.errors import UnavailableError

router = slice_router("/health", "health")


class Liveness(Outgoing):
    """The process answers."""

    status: Literal["ok"] = Field(default="ok", title="Status", description="It lives.")


class Readiness(Outgoing):
    """Whether the parts that the process needs answer."""

    status: Literal["ok", "degraded"] = Field(title="Status", description="`degraded`: something is missing.")
    database: bool = Field(title="Database", description="Whether PostgreSQL answers.")
    temporal: bool = Field(title="Temporal", description="Whether the Temporal server answers.")
    events: bool = Field(title="Events", description="Whether events between processes arrive.")
    workers: bool = Field(title="Workers", description="Whether somebody runs conversations.")


@router.get("", summary="Ask whether the process lives", response_description="The process lives.")
@router.get("/live", include_in_schema=False)
async def get_liveness() -> Liveness:
    """Answer; nothing else is looked at. Also at `/health/live`."""
    return Liveness()


@router.get(
    "/ready",
    summary="Ask whether the process can work",
    response_description="PostgreSQL and Temporal answer.",
    responses={503: {"description": "PostgreSQL or Temporal does not answer.", "model": Readiness}},
)
async def get_readiness(response: Response, parts: Parts) -> Readiness:
    """Ask PostgreSQL and Temporal. 503 when one of them doesn't answer."""
    database = await _database_answers(parts)
    temporal = await parts.gateway.serving()
    workers = temporal and await parts.presence.accepting()
    if not (database and temporal):
        response.status_code = 503
    return Readiness(
        status="ok" if database and temporal and workers and parts.events.connected else "degraded",
        database=database,
        temporal=temporal,
        events=parts.events.connected,
        workers=workers,
    )


async def _database_answers(parts: Parts) -> bool:
    try:
        async with parts.database.statement() as connection:
            return bool(await connection.fetchval("SELECT true"))
    except UnavailableError:
        return False
