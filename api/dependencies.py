"""What routes ask for: the process's resources, who calls, and what a call may do.

All are coroutines: the framework would hand a plain function to a thread at every request.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from api.resources import Resources
from core.errors import AuthenticationError, NotFoundError

_bearer = HTTPBearer(
    auto_error=False, scheme_name="BearerToken", description="An API key or a visitor token."
)
_key_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="ApiKey", description="An API key (`vk_...`)."
)


async def _resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


Parts = Annotated[Resources, Depends(_resources)]


@dataclass(frozen=True)
class Caller:
    """Who holds an API key, and in which organization they act."""

    organization_id: UUID


async def _caller(
    request: Request,
    parts: Parts,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    key_header: Annotated[str | None, Security(_key_header)],
) -> Caller:
    given = key_header or (bearer.credentials if bearer is not None else "")
    if not given:
        raise AuthenticationError("Send an API key: `Authorization: Bearer vk_...` or `X-API-Key: vk_...`.")
    wanted = parts.settings.bootstrap_api_key.get_secret_value()
    if not wanted or not hmac.compare_digest(_digest(given), _digest(wanted)):
        parts.limits.count(request, "address", client_address(request))
        raise AuthenticationError("The API key is not known.")
    parts.limits.count(request, "key", "bootstrap")
    return Caller(await parts.organization.id())


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


Team = Annotated[Caller, Depends(_caller)]
"""A caller with an API key; routes that take it answer 401 to everybody else."""


async def bearer_token(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> str | None:
    """Return the bearer token of a request, if it has one.

    Raises AuthenticationError for credentials of another kind: whoever sends some must not be taken for a
    new visitor.
    """
    if bearer is not None and bearer.credentials:
        return bearer.credentials
    if request.headers.get("authorization", "").strip():
        raise AuthenticationError("The Authorization header must be `Bearer vt_...`, or be left out.")
    return None


BearerToken = Annotated[str | None, Depends(bearer_token)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        title="Idempotency key",
        description="Repeating a request under the same key has no second effect.",
        max_length=64,
    ),
]


def client_address(request: Request) -> str:
    """Return the caller's address; behind a trusted proxy the one it forwards."""
    return request.client.host if request.client is not None else ""


def as_uuid(text: str, what: str) -> UUID:
    """Return the UUID that a path names. Raises NotFoundError: what has no UUID doesn't exist."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError(f"There is no {what} {text[:64]!r}.") from None
