"""`/api/v1/secrets`: values that flows name and nobody reads back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from api.dependencies import Parts, Team
from api.problems import documented
from api.routing import slice_router
from api.secrets.schemas import NAME_PATTERN, RESERVED_NAME, SecretList, SecretValue, SecretView
from core.errors import NotFoundError, UnprocessableError
from database.repositories import SecretRepository

router = slice_router("/secrets", "secrets")

Name = Annotated[
    str, Path(title="Name", description="Letters, digits, `_`.", pattern=NAME_PATTERN, examples=["CRM_TOKEN"])
]


@router.get(
    "",
    summary="List secrets",
    response_description="The names of all secrets.",
    responses=documented(401, 429, 503),
)
async def list_secrets(parts: Parts, team: Team) -> SecretList:
    """Return the names of all secrets."""
    async with parts.database.session() as session:
        names = await SecretRepository(session, team.organization_id).names()
    return SecretList(secrets=[SecretView(name=name) for name in names])


@router.get(
    "/{name}",
    summary="Look for a secret",
    response_description="The secret exists.",
    responses=documented(401, 404, 422, 429, 503),
)
async def get_secret(name: Name, parts: Parts, team: Team) -> SecretView:
    """Tell that a secret exists; its value is never shown."""
    async with parts.database.session() as session:
        names = await SecretRepository(session, team.organization_id).names()
    if name not in names:
        raise NotFoundError(f"There is no secret {name}.")
    return SecretView(name=name)


@router.put(
    "/{name}",
    summary="Store a secret",
    response_description="Stored.",
    status_code=204,
    responses=documented(400, 401, 413, 415, 422, 429, 503),
)
async def put_secret(name: Name, request: SecretValue, parts: Parts, team: Team) -> Response:
    """Store or replace a value. Flows use it from the next call on."""
    if name == RESERVED_NAME:
        raise UnprocessableError(
            f"`secrets.{name}` always means the address of a waiting step; give the secret another name.",
            errors=[{"detail": "it is taken by the platform", "pointer": "path.name", "code": "reserved"}],
        )
    async with parts.database.session() as session:
        await SecretRepository(session, team.organization_id).set(name, request.value)
    return Response(status_code=204)


@router.delete(
    "/{name}",
    summary="Delete a secret",
    response_description="Deleted.",
    status_code=204,
    responses=documented(401, 404, 422, 429, 503),
)
async def delete_secret(name: Name, parts: Parts, team: Team) -> Response:
    """Delete a value; steps that name it fail from then on."""
    async with parts.database.session() as session:
        found = await SecretRepository(session, team.organization_id).delete(name)
    if not found:
        raise NotFoundError(f"There is no secret {name}.")
    return Response(status_code=204)
