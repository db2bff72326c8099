"""What routes ask for: the process's resources, who calls, and what a call may do.

All are coroutines: the framework would hand a plain function to a thread at every request.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from api.access import Caller, Person, caller_of, person_of
from api.cookies import SESSION_COOKIE
from api.resources import Resources
from core.errors import AuthenticationError, NotFoundError, PermissionDeniedError

_bearer = HTTPBearer(
    auto_error=False, scheme_name="BearerToken", description="An access token, an API key or a visitor token."
)
_key_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="ApiKey", description="An API key (`vk_...`)."
)
_session_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    auto_error=False,
    scheme_name="SessionCookie",
    description="The browser's session. What changes something also needs `X-CSRF-Token`.",
)


async def _resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


Parts = Annotated[Resources, Depends(_resources)]


async def _credential(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    key_header: Annotated[str | None, Security(_key_header)],
    _cookie: Annotated[str | None, Security(_session_cookie)],
) -> str | None:
    return key_header or (bearer.credentials if bearer is not None else None) or None


Credential = Annotated[str | None, Depends(_credential)]


async def _caller(request: Request, parts: Parts, given: Credential) -> Caller:
    return await caller_of(request, parts, given)


async def _person(request: Request, parts: Parts, given: Credential) -> Person:
    return await person_of(request, parts, given)


async def _free_person(person: Annotated[Person, Depends(_person)]) -> Person:
    if person.session.bound:
        raise PermissionDeniedError(
            "Signed in through an organization's provider, you can't change the account itself. Sign in "
            "with a password for that; `forgot-password` gives you one."
        )
    return person


Team = Annotated[Caller, Depends(_caller)]
"""Somebody with a credential of the team, and with the route's permission; others get 401 or 403."""
SignedInPerson = Annotated[Person, Depends(_person)]
"""Somebody who is signed in."""
AccountHolder = Annotated[Person, Depends(_free_person)]
"""Somebody who signed in to their account itself, not through an organization's provider."""


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
