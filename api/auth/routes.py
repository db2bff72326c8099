"""`/api/v1/auth`: registering, signing in and out, passwords, sessions, second factors."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query, Request, Response
from starlette.responses import RedirectResponse

from api.auth import accounts, single_sign_on
from api.auth.schemas import (
    BackupCodes,
    Done,
    EmailRequest,
    NewBackupCodes,
    NewPassword,
    PasswordChange,
    PasswordConfirmation,
    RefreshRequest,
    Registration,
    RegistrationReply,
    SessionList,
    SessionReply,
    SignIn,
    TwoFactorCode,
    TwoFactorProof,
    TwoFactorSetup,
    TwoFactorState,
    Verified,
)
from api.auth.sessions import begin_session, confirm, describe, place_of, renew, session_view, sign_in
from api.auth.throttle import FORGOTTEN_AFTER, attempt_of, slowed
from api.auth.two_factor import (
    backup_hash,
    new_backup_codes,
    new_secret,
    provisioning_uri,
    qr_code,
    take_code,
)
from api.cookies import SSO_COOKIE, clear_session, set_device
from api.dependencies import AccountHolder, Parts, SignedInPerson, as_uuid, client_address
from api.fields import Identifier
from api.problems import PROBLEM_MEDIA_TYPE, documented
from api.routing import slice_router
from core.crypto import encrypt
from core.errors import ConflictError, NotFoundError, UnprocessableError
from core.ids import short_id
from database.people import CredentialRepository, FailureRepository, SessionRepository, UserRepository

router = slice_router("/auth", "auth")

_OPEN = documented(400, 413, 415, 422, 429, 503)
_SIGNED_IN = documented(401, 403, 422, 429, 503)
AcceptLanguage = Annotated[str | None, Header(alias="Accept-Language", include_in_schema=False)]


def _count(request: Request, response: Response, parts: Parts) -> None:
    parts.limits.count(request, "sign-in", client_address(request))
    response.headers["Cache-Control"] = "no-store"


@router.post(
    "/register",
    summary="Make an account",
    response_description="What happens next; the same for an address that has an account.",
    status_code=201,
    responses=documented(400, 403, 410, 413, 415, 422, 429, 503),
)
async def register(
    body: Registration, request: Request, response: Response, parts: Parts, language: AcceptLanguage = None
) -> RegistrationReply:
    """Make an account, and an organization that it owns. A link is sent that confirms the address.

    The first account of an installation needs no confirmation and owns the organization that is there. The
    answer is the same for an address that has an account already.
    """
    _count(request, response, parts)
    return await accounts.register(parts, body, language)


@router.post(
    "/login",
    summary="Sign in",
    response_description="A session.",
    responses=documented(400, 401, 413, 415, 422, 429, 503),
)
async def login(body: SignIn, request: Request, response: Response, parts: Parts) -> SessionReply:
    """Begin a session. 401 `two-factor-required` asks for the same again with a `code`.

    Failed attempts are slowed with 429 `sign-in-slowed`, by account and address.
    """
    _count(request, response, parts)
    return await sign_in(parts, body, request, response)


@router.post(
    "/logout",
    summary="Sign out",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=_SIGNED_IN,
)
async def logout(parts: Parts, person: SignedInPerson) -> Response:
    """End the session of this request, with its tokens and cookies."""
    async with parts.database.session() as session:
        await SessionRepository(session).end(person.id, person.session.id, "signed out")
    response = Response(status_code=204)
    clear_session(response)
    return response


@router.post(
    "/refresh",
    summary="Renew a session",
    response_description="A session.",
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503),
)
async def refresh(body: RefreshRequest, request: Request, response: Response, parts: Parts) -> SessionReply:
    """Exchange a refresh token for the next pair, or lengthen a browser's cookie (with its CSRF token).

    A refresh token is good once. One that comes again ends its session: 401 `refresh-token-reused`.
    """
    _count(request, response, parts)
    token = body.refresh_token.get_secret_value() if body.refresh_token is not None else None
    return await renew(parts, token, request, response)


@router.get(
    "/session",
    summary="Who is signed in",
    response_description="A session.",
    responses=documented(401, 403, 429, 503),
)
async def get_session(response: Response, parts: Parts, person: SignedInPerson) -> SessionReply:
    """Return the person, their organizations and what they may do; a browser's CSRF token too."""
    response.headers["Cache-Control"] = "no-store"
    return await describe(parts, person)


@router.get(
    "/verify-email",
    summary="Confirm an e-mail address",
    response_description="An address is confirmed.",
    responses=documented(410, 422, 429, 503),
)
async def verify_email(
    token: Annotated[str, Query(title="Token", description="Of the link.", min_length=1, max_length=100)],
    request: Request,
    response: Response,
    parts: Parts,
) -> Verified:
    """Confirm an address by the token of the link that was sent to it. Doing so again does no harm."""
    _count(request, response, parts)
    return Verified(email=await accounts.verify_email(parts, token))


@router.post(
    "/resend-verification",
    summary="Send the confirmation link again",
    response_description="It was done, or will be if there is anything to do.",
    status_code=202,
    responses=_OPEN,
)
async def resend_verification(body: EmailRequest, request: Request, response: Response, parts: Parts) -> Done:
    """Send a new link, if the address waits to be confirmed. The answer is always the same."""
    _count(request, response, parts)
    parts.background.run(accounts.resend_verification(parts, body.email), "send a confirmation link")
    return Done(status="accepted")


@router.post(
    "/forgot-password",
    summary="Ask for a new password",
    response_description="It was done, or will be if there is anything to do.",
    status_code=202,
    responses=_OPEN,
)
async def forgot_password(body: EmailRequest, request: Request, response: Response, parts: Parts) -> Done:
    """Send a link to a new password, if there is such an account. The answer is always the same."""
    _count(request, response, parts)
    parts.background.run(accounts.forgot_password(parts, body.email), "send a link to a new password")
    return Done(status="accepted")


@router.post(
    "/reset-password",
    summary="Set a new password by a link",
    response_description="It was done, or will be if there is anything to do.",
    responses=documented(400, 410, 413, 415, 422, 429, 503),
)
async def reset_password(body: NewPassword, request: Request, response: Response, parts: Parts) -> Done:
    """Set a new password. The link is good once; every session of the account ends."""
    _count(request, response, parts)
    user = await accounts.reset_password(parts, body.token.get_secret_value(), body.password)
    set_device(response, parts.settings, parts.keyring, user.id, short_id(20))
    return Done()


@router.post(
    "/change-password",
    summary="Change the password",
    response_description="It was done, or will be if there is anything to do.",
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503),
)
async def change_password(
    body: PasswordChange, request: Request, parts: Parts, person: AccountHolder
) -> Done:
    """Set a new password. All other sessions of the account end."""
    await confirm_password(parts, person, body.current_password.get_secret_value(), request)
    await accounts.change_password(parts, person.user, body.new_password, person.session.id)
    return Done()


async def confirm_password(parts: Parts, person: AccountHolder, password: str, request: Request) -> None:
    """Check the password alone, also where the second factor is on."""
    await confirm(parts, person, password, None, request, needs_code=False)


SSO_ANSWERS: dict[int | str, dict[str, object]] = {
    302: {"description": "To the provider, or back to the application.", "content": {}},
    502: {
        "description": "The OpenID provider failed.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
    504: {
        "description": "The OpenID provider did not answer in time.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
}


@router.get(
    "/sso/callback",
    summary="Come back from an OpenID provider",
    status_code=302,
    response_class=RedirectResponse,
    responses={**documented(403, 422, 429, 503), **SSO_ANSWERS},
)
async def finish_single_sign_on(
    request: Request,
    parts: Parts,
    state: Annotated[str, Query(title="State", description="As it was sent.", max_length=200)],
    code: Annotated[str | None, Query(title="Code", description="Of the provider.", max_length=4_000)] = None,
    error: Annotated[
        str | None, Query(title="Error", description="Why the provider refused.", max_length=200)
    ] = None,
    iss: Annotated[
        str | None, Query(title="Issuer", description="Who answers (RFC 9207).", max_length=500)
    ] = None,
) -> RedirectResponse:
    """Begin a browser's session in the provider's organization, and lead back to the application.

    The session is good in that organization alone, and changes nothing of the account itself.
    """
    parts.limits.count(request, "sign-in", client_address(request))
    browser = request.cookies.get(SSO_COOKIE, "")
    arrival = await single_sign_on.finish(
        parts, state=state, code=code, error=error, issuer=iss, browser=browser
    )
    response = RedirectResponse(parts.settings.app_url + arrival.return_to, status_code=302)
    async with parts.database.session() as session:
        await begin_session(
            parts,
            session,
            arrival.user,
            kind="cookie",
            place=place_of(request),
            response=response,
            bound_to=arrival.organization_id,
        )
    response.delete_cookie(SSO_COOKIE, path="/api/v1/auth/sso", httponly=True)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/sso/{slug}",
    summary="Sign in through an organization's provider",
    status_code=302,
    response_class=RedirectResponse,
    responses={**documented(404, 422, 429, 503), **SSO_ANSWERS},
)
async def begin_single_sign_on(
    slug: Annotated[str, Path(title="Organization", description="Its slug.", pattern=r"^[a-z0-9-]{1,100}$")],
    request: Request,
    parts: Parts,
    return_to: Annotated[
        str, Query(title="Return to", description="Path of the application to come back to.", max_length=500)
    ] = "/",
) -> RedirectResponse:
    """Lead the browser to the OpenID provider of an organization (authorization code, PKCE)."""
    parts.limits.count(request, "sign-in", client_address(request))
    beginning = await single_sign_on.begin(parts, slug, return_to)
    response = RedirectResponse(beginning.url, status_code=302)
    response.set_cookie(
        SSO_COOKIE,
        beginning.browser,
        max_age=single_sign_on.ATTEMPT_SECONDS,
        path="/api/v1/auth/sso",
        httponly=True,
        secure=parts.settings.sends_session_securely,
        samesite="lax",
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/sessions",
    summary="List one's sessions",
    response_description="Where the person is signed in.",
    responses=documented(401, 403, 429, 503),
)
async def list_sessions(parts: Parts, person: SignedInPerson) -> SessionList:
    """Return where the person is signed in, the last used first."""
    async with parts.database.session() as session:
        rows = await SessionRepository(session).list(person.id)
    if person.session.bound:
        rows = [row for row in rows if row.organization_id == person.session.organization_id and row.bound]
    return SessionList(sessions=[session_view(row, person.session.id) for row in rows])


@router.delete(
    "/sessions/{session_id}",
    summary="End a session",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def end_session(session_id: Identifier, parts: Parts, person: AccountHolder) -> Response:
    """End one of the person's sessions; its tokens and cookie stop working at once."""
    wanted = as_uuid(session_id, "session")
    async with parts.database.session() as session:
        ended = await SessionRepository(session).end(person.id, wanted, "ended elsewhere")
    if not ended:
        raise NotFoundError(f"There is no session {wanted}.")
    return Response(status_code=204)


@router.delete(
    "/sessions",
    summary="End all other sessions",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(401, 403, 429, 503),
)
async def end_other_sessions(parts: Parts, person: AccountHolder) -> Response:
    """End every session of the person but this one."""
    async with parts.database.session() as session:
        await SessionRepository(session).end_all(person.id, "ended elsewhere", keep=person.session.id)
    return Response(status_code=204)


@router.post(
    "/2fa/setup",
    summary="Begin a second factor",
    response_description="A second factor that is not on yet.",
    responses=documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
)
async def set_up_two_factor(
    body: PasswordConfirmation, request: Request, response: Response, parts: Parts, person: AccountHolder
) -> TwoFactorSetup:
    """Return a secret for an authenticator, as a QR code too, and ten backup codes.

    Nothing is on until `2fa/verify` has seen a code. The backup codes are not shown again.
    """
    if person.user.two_factor_enabled:
        raise ConflictError("The second factor is on already; switch it off first.")
    await confirm_password(parts, person, body.password.get_secret_value(), request)
    secret, codes = new_secret(), new_backup_codes()
    async with parts.database.session() as session:
        fresh = await UserRepository(session).locked(person.id)
        if fresh is None or fresh.two_factor_enabled:
            raise ConflictError("The second factor is on already; switch it off first.")
        await UserRepository(session).change(person.id, two_factor_secret=encrypt(secret), two_factor_step=0)
        await CredentialRepository(session).replace_backup_codes(
            person.id, [backup_hash(person.id, code) for code in codes]
        )
    response.headers["Cache-Control"] = "no-store"
    uri = provisioning_uri(secret, person.user.email, parts.settings.app_name)
    return TwoFactorSetup(secret=secret, uri=uri, qr_svg=qr_code(uri), backup_codes=codes)


@router.post(
    "/2fa/verify",
    summary="Switch the second factor on",
    response_description="Whether the second factor is on.",
    responses=documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
)
async def verify_two_factor(
    body: TwoFactorCode, request: Request, parts: Parts, person: AccountHolder
) -> TwoFactorState:
    """Switch the second factor on with a code of the authenticator; all other sessions end."""
    if person.user.two_factor_secret is None:
        raise ConflictError("Begin with `2fa/setup`.")
    attempt = attempt_of(
        person.user.email, client_address(request), device=f"code-{person.session.id.hex}", known_address=True
    )
    async with parts.database.session() as session:
        waits = {key: rule.wait for key, rule in attempt.rules.items()}
        wait = await FailureRepository(session).admit(waits, FORGOTTEN_AFTER)
    if wait > 0:
        raise slowed(wait)
    async with parts.database.session() as session:
        users = UserRepository(session)
        user = await users.locked(person.id)
        if user is None or user.two_factor_secret is None:
            raise ConflictError("Begin with `2fa/setup`.")
        if not await take_code(session, user, body.code):
            raise UnprocessableError(
                "The code is wrong, or was used before.",
                errors=[{"detail": "The code is wrong.", "pointer": "/code", "code": "wrong_code"}],
            )
        await FailureRepository(session).forget(attempt.own)
        if not user.two_factor_enabled:
            await users.change(user.id, two_factor_enabled=True)
            await SessionRepository(session).end_all(
                user.id, "second factor switched on", keep=person.session.id
            )
    return TwoFactorState(enabled=True)


@router.post(
    "/2fa/disable",
    summary="Switch the second factor off",
    response_description="Whether the second factor is on.",
    responses=documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
)
async def disable_two_factor(
    body: TwoFactorProof, request: Request, parts: Parts, person: AccountHolder
) -> TwoFactorState:
    """Switch the second factor off, by password and a code; secret and backup codes are deleted."""
    if not person.user.two_factor_enabled:
        raise ConflictError("The second factor is off.")
    await confirm(parts, person, body.password.get_secret_value(), body.code, request)
    async with parts.database.session() as session:
        await UserRepository(session).change(
            person.id, two_factor_enabled=False, two_factor_secret=None, two_factor_step=0
        )
        await CredentialRepository(session).replace_backup_codes(person.id, [])
    return TwoFactorState(enabled=False)


@router.get(
    "/2fa/backup-codes",
    summary="Count the backup codes",
    response_description="How many backup codes there are; they are not shown.",
    responses=documented(401, 403, 429, 503),
)
async def get_backup_codes(parts: Parts, person: AccountHolder) -> BackupCodes:
    """Tell how many backup codes are left. They are shown once, when they are made."""
    async with parts.database.session() as session:
        total, left, made_at = await CredentialRepository(session).backup_codes(person.id)
    return BackupCodes(total=total, remaining=left, created_at=made_at)


@router.post(
    "/2fa/backup-codes",
    summary="Make new backup codes",
    response_description="New backup codes in the place of the old ones.",
    responses=documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
)
async def regenerate_backup_codes(
    body: TwoFactorProof, request: Request, response: Response, parts: Parts, person: AccountHolder
) -> NewBackupCodes:
    """Make ten new backup codes, by password and a code; the old ones stop working."""
    if not person.user.two_factor_enabled:
        raise ConflictError("The second factor is off.")
    await confirm(parts, person, body.password.get_secret_value(), body.code, request)
    codes = new_backup_codes()
    async with parts.database.session() as session:
        await CredentialRepository(session).replace_backup_codes(
            person.id, [backup_hash(person.id, code) for code in codes]
        )
    response.headers["Cache-Control"] = "no-store"
    return NewBackupCodes(backup_codes=codes)
