"""Making accounts, confirming addresses, passwords."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import SecretStr
from sqlmodel.ext.asyncio.session import AsyncSession

from api.auth.schemas import Registration, RegistrationReply
from api.auth.throttle import account_key
from api.organizations.joining import join, own_organization
from api.resources import Resources
from core.account_mails import choose_language
from core.crypto import token_hash
from core.errors import GoneError, PermissionDeniedError, UnprocessableError
from core.ids import random_token
from core.passwords import UNUSABLE, hash_password, weakness
from core.settings import Registration as WhoMay
from database.people import CredentialRepository, FailureRepository, SessionRepository, UserRepository
from database.public_lookup import accept_invitation, invitation_of_token
from database.repositories import MemberRepository, OrganizationRepository
from database.tables import Invitation, User

VERIFY = "verify"
RESET = "reset"
_MAIL_PAUSE = timedelta(minutes=1)


class WeakPasswordError(UnprocessableError):
    """The password is too short or too well known; the detail says which."""

    slug = "weak-password"
    title = "This password can't be taken"


class LinkOverError(GoneError):
    """The link's token is unknown, was used, or its time is over: ask for a new one."""

    slug = "link-over"
    title = "The link does not work any more"


class RegistrationClosedError(PermissionDeniedError):
    """This installation takes new accounts by invitation, or not at all."""

    slug = "registration-closed"
    title = "Registration is closed"


def check_strength(parts: Resources, password: SecretStr, pointer: str, *about: str) -> str:
    """Return the password as text. Raises WeakPasswordError."""
    plain = password.get_secret_value()
    trouble = weakness(plain, parts.settings.password_min_length, about)
    if trouble is not None:
        raise WeakPasswordError(
            trouble, errors=[{"detail": trouble, "pointer": pointer, "code": "weak_password"}]
        )
    return plain


async def register(parts: Resources, request: Registration, accepted: str | None) -> RegistrationReply:
    """Make an account. Raises WeakPasswordError, RegistrationClosedError, LinkOverError.

    The first account is confirmed and owns the first organization. An address that has a confirmed account is
    told so by e-mail; one that was never confirmed takes the newest registration.
    """
    local = request.email.partition("@")[0]
    names = (request.first_name, request.last_name, f"{request.first_name} {request.last_name}")
    plain = check_strength(parts, request.password, "/password", request.email, local, *names)
    language = request.language or choose_language(accepted)
    password = await hash_password(plain)
    first_organization = await parts.organization.id()
    async with parts.database.session() as session:
        users = UserRepository(session)
        is_first = await users.lock_registration()
        invitation = await _invitation(session, request)
        allowed = parts.settings.registration
        if not is_first and (allowed is WhoMay.closed or (allowed is WhoMay.invited and invitation is None)):
            raise RegistrationClosedError("New accounts are made by invitation here.")
        fields = {
            "password_hash": password,
            "first_name": request.first_name,
            "last_name": request.last_name,
            "language": language,
        }
        confirmed = is_first or invitation is not None
        known = await users.by_email(request.email)
        if known is not None and (known.email_verified or known.password_hash == UNUSABLE):
            await parts.mails.write(
                session, known.email, "known", known.language, link=parts.mails.link("reset-password")
            )
            status = RegistrationReply(status="verify_email", email=request.email)
        else:
            if known is None:
                user = await users.add(
                    email=request.email, is_active=confirmed, email_verified=confirmed, **fields
                )
                assert user is not None, "registration is locked"
            else:
                changed = await users.change(
                    known.id, is_active=confirmed, email_verified=confirmed, **fields
                )
                assert changed is not None
                user = changed
                await SessionRepository(session).end_all(user.id, "registered anew")
            if is_first:
                await _take_over(session, first_organization, user)
            elif invitation is not None:
                await join(parts, session, user, invitation)
            elif known is None:
                await own_organization(parts, session, user, request.organization_name)
            if not confirmed:
                await send_verification(parts, session, user)
            status = RegistrationReply(status="active" if confirmed else "verify_email", email=request.email)
    parts.mails.hurry()
    return status


async def _invitation(session: AsyncSession, request: Registration) -> Invitation | None:
    if request.invitation is None:
        return None
    found = await invitation_of_token(session, token_hash(request.invitation))
    if found is None or found.email != request.email:
        raise LinkOverError("There is no such invitation for this address, or it is over.")
    await accept_invitation(session, found.id)
    return found


async def _take_over(session: AsyncSession, organization_id: UUID, user: User) -> None:
    await MemberRepository(session, organization_id).add(user.id, "owner")
    await OrganizationRepository(session, organization_id).change(owner_id=user.id)


async def send_verification(parts: Resources, session: AsyncSession, user: User) -> None:
    """Send the link that confirms an address; earlier ones are void."""
    token = random_token("ev_")
    hours = parts.settings.verification_hours
    await CredentialRepository(session).issue(
        user.id, VERIFY, token_hash(token), datetime.now(UTC) + timedelta(hours=hours)
    )
    await parts.mails.write(
        session,
        user.email,
        "verify",
        user.language,
        link=parts.mails.link("verify-email", token),
        hours=f"{hours:g}",
    )


async def verify_email(parts: Resources, token: str) -> str:
    """Confirm an address; return it. Following the link again does no harm. Raises LinkOverError."""
    async with parts.database.session() as session:
        credentials = CredentialRepository(session)
        found = await credentials.find(VERIFY, token_hash(token))
        if found is None:
            raise LinkOverError("The link is over; sign in, or register again, for a new one.")
        if await credentials.use(VERIFY, token_hash(token)) is not None:
            user = await UserRepository(session).change(found.user_id, email_verified=True, is_active=True)
        else:
            user = await UserRepository(session).get(found.user_id)
    assert user is not None
    return user.email


async def resend_verification(parts: Resources, email: str) -> None:
    """Send the link once more, if the address waits to be confirmed; at most once a minute."""
    async with parts.database.session() as session:
        user = await UserRepository(session).by_email(email)
        if user is None or user.email_verified:
            return
        if await CredentialRepository(session).issued_within(user.id, VERIFY, _MAIL_PAUSE):
            return
        await send_verification(parts, session, user)
    parts.mails.hurry()


async def forgot_password(parts: Resources, email: str) -> None:
    """Send a link to a new password, if there is such an account; at most one a minute."""
    async with parts.database.session() as session:
        user = await UserRepository(session).by_email(email)
        credentials = CredentialRepository(session)
        if user is None or await credentials.issued_within(user.id, RESET, _MAIL_PAUSE):
            return
        token = random_token("pr_")
        minutes = parts.settings.password_reset_minutes
        await credentials.issue(
            user.id, RESET, token_hash(token), datetime.now(UTC) + timedelta(minutes=minutes)
        )
        await parts.mails.write(
            session,
            user.email,
            "reset",
            user.language,
            link=parts.mails.link("reset-password", token),
            minutes=f"{minutes:g}",
        )
    parts.mails.hurry()


async def reset_password(parts: Resources, token: str, password: SecretStr) -> User:
    """Set a new password by a mailed link: every session ends, the address counts as confirmed.

    Raises LinkOverError, WeakPasswordError; a link stays good when the password is refused.
    """
    async with parts.database.session() as session:
        found = await CredentialRepository(session).find(RESET, token_hash(token))
        user = await UserRepository(session).get(found.user_id) if found and not found.used_at else None
    if user is None:
        raise LinkOverError("The link was used or is over; ask for a new one.")
    plain = check_strength(parts, password, "/password", user.email, user.email.partition("@")[0])
    hashed = await hash_password(plain)
    async with parts.database.session() as session:
        if await CredentialRepository(session).use(RESET, token_hash(token)) is None:
            raise LinkOverError("The link was used or is over; ask for a new one.")
        users = UserRepository(session)
        changed = await users.change(user.id, password_hash=hashed, email_verified=True, is_active=True)
        assert changed is not None
        await SessionRepository(session).end_all(user.id, "password reset")
        await FailureRepository(session).forget([account_key(user.email)])
        await _tell_of_change(parts, session, changed)
    parts.mails.hurry()
    return changed


async def _tell_of_change(parts: Resources, session: AsyncSession, user: User) -> None:
    await parts.mails.write(
        session, user.email, "changed", user.language, link=parts.mails.link("reset-password")
    )


async def change_password(parts: Resources, user: User, password: SecretStr, keep: UUID) -> None:
    """Set a new password; all other sessions end. Raises WeakPasswordError."""
    names = (user.email, user.email.partition("@")[0], user.first_name, user.last_name)
    plain = check_strength(parts, password, "/new_password", *names)
    hashed = await hash_password(plain)
    async with parts.database.session() as session:
        await UserRepository(session).change(user.id, password_hash=hashed)
        await SessionRepository(session).end_all(user.id, "password changed", keep=keep)
        await CredentialRepository(session).void(user.id, RESET)
        await _tell_of_change(parts, session, user)
    parts.mails.hurry()
