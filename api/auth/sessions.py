"""Signing in and out, renewing, and where somebody is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from fastapi import Request, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from api.access import Person
from api.auth.schemas import MembershipView, SessionReply, SessionView, SignIn, UserView
from api.auth.throttle import FORGOTTEN_AFTER, KNOWN_FOR, Attempt, attempt_of, slowed
from api.auth.two_factor import take_code
from api.cookies import (
    SESSION_COOKIE,
    check_csrf,
    csrf_token,
    known_device,
    set_device,
    set_session,
)
from api.permissions import permissions_of
from api.resources import Resources
from core.crypto import token_hash
from core.errors import AuthenticationError, PermissionDeniedError
from core.ids import random_token, short_id
from core.passwords import UNUSABLE, check_password
from database.people import FailureRepository, SessionRepository, UserRepository
from database.people.sessions import Rotation
from database.tables import Organization, OrganizationMember, User, UserSession

_CLEANED_AFTER = timedelta(days=2)


class WrongCredentialsError(AuthenticationError):
    """E-mail address, password or code is wrong."""

    slug = "wrong-credentials"
    title = "These credentials are not valid"


class TwoFactorRequiredError(AuthenticationError):
    """The password is right; send a code as well."""

    slug = "two-factor-required"
    title = "A code is needed"


class UnverifiedError(AuthenticationError):
    """The password is right, and the address has to be confirmed first."""

    slug = "email-not-verified"
    title = "The e-mail address is not confirmed"


class WrongPasswordError(PermissionDeniedError):
    """The password, or the code, that should confirm this is wrong."""

    slug = "wrong-password"
    title = "The confirmation is not valid"


class RefreshReusedError(AuthenticationError):
    """A refresh token came twice: its session has been ended."""

    slug = "refresh-token-reused"
    title = "The refresh token was used before"


@dataclass(frozen=True)
class Place:
    """From where somebody signs in."""

    address: str
    user_agent: str


def place_of(request: Request) -> Place:
    """Return from where a request comes."""
    address = request.client.host if request.client is not None else ""
    return Place(address[:64], request.headers.get("user-agent", "")[:300])


async def sign_in(parts: Resources, given: SignIn, request: Request, response: Response) -> SessionReply:
    """Begin a session. Raises SlowedError, WrongCredentialsError, TwoFactorRequiredError, UnverifiedError."""
    place = place_of(request)
    async with parts.database.session() as session:
        user = await UserRepository(session).by_email(given.email)
        attempt = await _attempt(parts, session, request, given.email, user, place)
        failures = FailureRepository(session)
        wait = await failures.admit({key: rule.wait for key, rule in attempt.rules.items()}, FORGOTTEN_AFTER)
    if wait > 0:
        raise slowed(wait)
    known = user.password_hash if user is not None else UNUSABLE
    fits, newer = await check_password(given.password.get_secret_value(), known)
    if user is None or not fits:
        raise WrongCredentialsError("The address or the password is wrong.")
    async with parts.database.session() as session:
        users = UserRepository(session)
        fresh = await users.locked(user.id)
        if fresh is None or fresh.password_hash != known:
            raise WrongCredentialsError("The address or the password is wrong.")
        failures = FailureRepository(session)
        trouble: AuthenticationError | None = None
        reply: SessionReply | None = None
        if not fresh.email_verified or not fresh.is_active:
            await failures.take_back(list(attempt.rules))
            trouble = UnverifiedError(
                "Follow the link in the e-mail, or ask for a new one with `resend-verification`."
            )
        elif fresh.two_factor_enabled and not given.code:
            await failures.take_back(list(attempt.rules))
            trouble = TwoFactorRequiredError("Send the same again with `code`.")
        elif fresh.two_factor_enabled and not await take_code(session, fresh, given.code or ""):
            trouble = WrongCredentialsError("The code is wrong, or was used before.")
        else:
            await failures.forget(attempt.own)
            await failures.take_back(attempt.shared)
            await failures.forget_old(_CLEANED_AFTER)
            if newer is not None:
                await users.change(fresh.id, password_hash=newer)
            reply = await begin_session(
                parts, session, fresh, kind=given.session, place=place, response=response
            )
    if reply is None:
        raise trouble or AuthenticationError()
    set_device(response, parts.settings, parts.keyring, user.id, short_id(20))
    return reply


async def _attempt(
    parts: Resources, session: AsyncSession, request: Request, email: str, user: User | None, place: Place
) -> Attempt:
    device = known_device(request, parts.keyring, user.id) if user is not None else None
    known = (
        user is not None
        and device is None
        and await SessionRepository(session).knows_address(user.id, place.address, KNOWN_FOR)
    )
    return attempt_of(email, place.address, device=device, known_address=known)


async def begin_session(
    parts: Resources,
    session: AsyncSession,
    user: User,
    *,
    kind: str,
    place: Place,
    response: Response,
    bound_to: UUID | None = None,
) -> SessionReply:
    """Make a session and give its credentials: tokens in the reply, or cookies in the response."""
    memberships = await UserRepository(session).memberships(user.id)
    ids = [organization.id for organization, _ in memberships]
    chosen = bound_to if bound_to is not None else next(iter(ids), None)
    now = datetime.now(UTC)
    cookie = random_token("vs_") if kind == "cookie" else None
    sessions = SessionRepository(session)
    await sessions.forget_old(user.id, KNOWN_FOR)
    row = await sessions.add(
        user_id=user.id,
        organization_id=chosen,
        kind=kind,
        bound=bound_to is not None,
        cookie_hash=token_hash(cookie) if cookie is not None else None,
        address=place.address,
        user_agent=place.user_agent,
        created_at=now,
        last_used_at=now,
        expires_at=_end(parts),
    )
    refresh = None
    if cookie is not None:
        set_session(response, parts.settings, parts.keyring, value=cookie, session_id=row.id)
    else:
        refresh = random_token("vr_")
        await sessions.add_token(row.id, token_hash(refresh))
    changed = await UserRepository(session).change(user.id, last_login=now)
    return reply_of(parts, changed or user, row, memberships, refresh)


async def renew(parts: Resources, given: str | None, request: Request, response: Response) -> SessionReply:
    """Go on with a session: the next pair of tokens, or a browser's cookie for longer.

    Raises RefreshReusedError, after ending the session, and AuthenticationError.
    """
    if given is None:
        return await _renew_cookie(parts, request, response)
    async with parts.database.session() as session:
        sessions = SessionRepository(session)
        outcome, session_id = await sessions.use_token(token_hash(given))
        found = await sessions.find(session_id) if session_id is not None else None
        if outcome is Rotation.reused and session_id is not None:
            await sessions.end_family(session_id)
            if found is not None:
                await parts.mails.write(session, found.user.email, "reused", found.user.language)
        elif found is not None:
            refresh = random_token("vr_")
            await sessions.add_token(found.session.id, token_hash(refresh))
            await sessions.touch(found.session.id, _end(parts))
            memberships = await UserRepository(session).memberships(found.user.id)
            return reply_of(parts, found.user, found.session, memberships, refresh)
    parts.mails.hurry()
    if outcome is Rotation.reused:
        raise RefreshReusedError("A refresh token is good once; this session has been ended. Sign in again.")
    raise AuthenticationError("The refresh token is unknown, or its session has ended; sign in again.")


async def _renew_cookie(parts: Resources, request: Request, response: Response) -> SessionReply:
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        raise AuthenticationError("Send a refresh token, or the session cookie.")
    async with parts.database.session() as session:
        sessions = SessionRepository(session)
        found = await sessions.find_by_cookie(token_hash(cookie))
        if found is None:
            raise AuthenticationError("The session has ended; sign in again.")
        check_csrf(request, parts.keyring, found.session.id)
        await sessions.touch(found.session.id, _end(parts))
        memberships = await UserRepository(session).memberships(found.user.id)
    set_session(response, parts.settings, parts.keyring, value=cookie, session_id=found.session.id)
    return reply_of(parts, found.user, found.session, memberships, None)


async def describe(parts: Resources, person: Person) -> SessionReply:
    """Return who is signed in, without new credentials."""
    async with parts.database.session() as session:
        memberships = await UserRepository(session).memberships(person.id)
    reply = reply_of(parts, person.user, person.session, memberships, None)
    return reply.model_copy(update={"access_token": None, "expires_in": None})


def reply_of(
    parts: Resources,
    user: User,
    row: UserSession,
    memberships: list[tuple[Organization, OrganizationMember]],
    refresh: str | None,
) -> SessionReply:
    """Return a session as clients get it; a program's carries a new access token."""
    by_token = row.kind == "token"
    return SessionReply(
        user=user_view(user),
        organization_id=str(row.organization_id) if row.organization_id else None,
        organizations=[
            membership_view(organization, member)
            for organization, member in memberships
            if not row.bound or organization.id == row.organization_id
        ],
        session_id=str(row.id),
        access_token=parts.access_tokens.issue(user.id, row.id) if by_token else None,
        expires_in=parts.access_tokens.lifetime_seconds if by_token else None,
        refresh_token=refresh,
        csrf_token=None if by_token else csrf_token(parts.keyring, row.id),
    )


def user_view(user: User) -> UserView:
    """Return a person as clients see them."""
    return UserView(
        id=str(user.id),
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        phone=user.phone,
        avatar_url=user.avatar_url,
        language=user.language,
        email_verified=user.email_verified,
        two_factor_enabled=user.two_factor_enabled,
        last_login=user.last_login,
        date_joined=user.date_joined,
    )


def membership_view(organization: Organization, member: OrganizationMember) -> MembershipView:
    """Return an organization as its member sees it."""
    return MembershipView(
        organization_id=str(organization.id),
        name=organization.name,
        slug=organization.slug,
        role=member.role,
        permissions=sorted(permissions_of(member.role, member.permissions)),
    )


def session_view(row: UserSession, current: UUID) -> SessionView:
    """Return a session as its person sees it."""
    return SessionView(
        id=str(row.id),
        current=row.id == current,
        kind="cookie" if row.kind == "cookie" else "token",
        address=row.address,
        user_agent=row.user_agent,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
    )


async def confirm(
    parts: Resources,
    person: Person,
    password: str,
    code: str | None,
    request: Request,
    *,
    needs_code: bool = True,
) -> None:
    """Check the password, and a code where the second factor is on, before something weighty.

    Slowed as signing in is. Raises WrongPasswordError, TwoFactorRequiredError, SlowedError.
    """
    user = person.user
    attempt = attempt_of(
        user.email, place_of(request).address, device=person.session.id.hex, known_address=True
    )
    async with parts.database.session() as session:
        waits = {key: rule.wait for key, rule in attempt.rules.items()}
        wait = await FailureRepository(session).admit(waits, FORGOTTEN_AFTER)
    if wait > 0:
        raise slowed(wait)
    fits, _ = await check_password(password, user.password_hash)
    if not fits:
        raise WrongPasswordError("The password is wrong.")
    needs_code = needs_code and user.two_factor_enabled
    async with parts.database.session() as session:
        if needs_code and code is not None and not await take_code(session, user, code):
            raise WrongPasswordError("The code is wrong, or was used before.")
        await FailureRepository(session).forget(attempt.own)
    if needs_code and code is None:
        raise TwoFactorRequiredError("Send `code` as well.")


def _end(parts: Resources) -> datetime:
    return datetime.now(UTC) + timedelta(hours=parts.settings.jwt_refresh_token_lifetime)
