"""Credentials of the team, and what each may do: sessions of people, API keys, the bootstrap key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from fastapi import Request

from api.cookies import SESSION_COOKIE, check_csrf
from api.permissions import BY_OPERATION, NAMES, permissions_of
from api.resources import Resources
from core.crypto import token_hash
from core.errors import AuthenticationError, NotFoundError, PermissionDeniedError
from core.ids import uuid7
from database.people import SessionRepository, SignedIn
from database.public_lookup import api_key_of_hash
from database.repositories import ApiKeyRepository
from database.tables import User, UserSession

_TOUCHED_AFTER = timedelta(minutes=1)
_KEY_PREFIX = "vk_"


class NoOrganizationError(PermissionDeniedError):
    """The person works in no organization at the moment."""

    slug = "no-organization"
    title = "No organization chosen"


@dataclass(frozen=True)
class Caller:
    """Who acts, in which organization, and what they may do there. `role` and `user_id` are of people."""

    organization_id: UUID
    permissions: frozenset[str]
    kind: Literal["person", "key", "bootstrap"]
    role: str | None = None
    user_id: UUID | None = None
    user: User | None = None

    @property
    def is_owner(self) -> bool:
        """Whether the caller may do what only owners may."""
        return self.role == "owner" or self.kind == "bootstrap"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    user: User
    session: UserSession

    @property
    def id(self) -> UUID:
        return self.user.id


async def person_of(request: Request, parts: Resources, given: str | None) -> Person:
    """Return who is signed in. Raises AuthenticationError, PermissionDeniedError for an API key."""
    if given is not None and _is_key(parts, given):
        raise PermissionDeniedError("This is for people who are signed in, not for API keys.")
    found = await _signed_in(request, parts, given, None)
    return Person(found.user, found.session)


async def caller_of(request: Request, parts: Resources, given: str | None) -> Caller:
    """Return who acts, and that they may: a route's name stands in the table of permissions.

    Raises AuthenticationError; NotFoundError where the path names an organization that is not the caller's;
    PermissionDeniedError.
    """
    wanted = _organization_of_path(request)
    if given is not None and _is_key(parts, given):
        caller = await _by_key(request, parts, given)
        if wanted is not None and wanted != caller.organization_id:
            raise unknown_organization(wanted)
    else:
        caller = await _by_session(request, parts, given, wanted)
    operation = getattr(request.scope.get("route"), "name", "")
    needed = BY_OPERATION.get(operation)
    if needed is None or needed.name not in caller.permissions:
        name = needed.name if needed is not None else operation
        raise PermissionDeniedError(f"This needs the permission `{name}`.", permission=name)
    return caller


async def _by_key(request: Request, parts: Resources, given: str) -> Caller:
    if _is_bootstrap(parts, given):
        parts.limits.count(request, "key", "bootstrap")
        return Caller(await parts.organization.id(), NAMES, "bootstrap")
    async with parts.database.session() as session:
        key = await api_key_of_hash(session, token_hash(given))
        if key is not None and _is_stale(key.last_used_at):
            await ApiKeyRepository(session, key.organization_id).touch(key.id)
    if key is None:
        parts.limits.count(request, "address", request.client.host if request.client is not None else "")
        raise AuthenticationError("The API key is not known, was revoked or is over.")
    parts.limits.count(request, "key", key.id.hex)
    return Caller(key.organization_id, frozenset(key.scopes) & NAMES, "key")


async def _by_session(request: Request, parts: Resources, given: str | None, wanted: UUID | None) -> Caller:
    found = await _signed_in(request, parts, given, wanted)
    foreign = found.session.bound and wanted is not None and wanted != found.session.organization_id
    if wanted is not None and (found.member is None or foreign):
        raise unknown_organization(wanted)
    if found.member is None:
        raise NoOrganizationError("Make an organization, accept an invitation, or switch to one of yours.")
    member = found.member
    return Caller(
        organization_id=member.organization_id,
        permissions=permissions_of(member.role, member.permissions),
        kind="person",
        role=member.role,
        user_id=found.user.id,
        user=found.user,
    )


async def _signed_in(request: Request, parts: Resources, given: str | None, wanted: UUID | None) -> SignedIn:
    async with parts.database.session() as session:
        sessions = SessionRepository(session)
        if given:
            found = await sessions.find(parts.access_tokens.read(given), wanted)
        elif cookie := request.cookies.get(SESSION_COOKIE):
            found = await sessions.find_by_cookie(token_hash(cookie), wanted)
        else:
            raise AuthenticationError(
                "Sign in, or send an API key: `Authorization: Bearer vk_...` or `X-API-Key: vk_...`."
            )
        if found is None:
            raise AuthenticationError("The session has ended; sign in again.")
        if not given:
            check_csrf(request, parts.keyring, found.session.id)
        if _is_stale(found.session.last_used_at):
            await sessions.touch(found.session.id)
    parts.limits.count(request, "key", found.session.id.hex)
    return found


def unknown_organization(organization_id: UUID) -> NotFoundError:
    """Return the error for an organization that there is not, for this caller."""
    return NotFoundError(f"There is no organization {organization_id}.")


def _organization_of_path(request: Request) -> UUID | None:
    text = request.path_params.get("org_id")
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        return uuid7()  # one that nobody has


def _is_stale(moment: datetime | None) -> bool:
    return moment is None or datetime.now(UTC) - moment > _TOUCHED_AFTER


def _is_key(parts: Resources, given: str) -> bool:
    return given.startswith(_KEY_PREFIX) or _is_bootstrap(parts, given)


def _is_bootstrap(parts: Resources, given: str) -> bool:
    wanted = parts.settings.bootstrap_api_key.get_secret_value()
    return bool(wanted) and hmac.compare_digest(_digest(given), _digest(wanted))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
