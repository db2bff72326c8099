"""The browser's cookies: the session (which scripts can't read), its CSRF token, and the known device.

A request that the session cookie signs and that may change something must repeat the CSRF token in
`X-CSRF-Token`. The token is a keyed hash of the session, so that one from elsewhere fits none.
"""

from __future__ import annotations

import base64
import hmac
from uuid import UUID

from fastapi import Request, Response

from core.crypto import Keyring
from core.errors import PermissionDeniedError
from core.settings import Settings

SESSION_COOKIE = "versaai_session"
CSRF_COOKIE = "versaai_csrf"
DEVICE_COOKIE = "versaai_device"
SSO_COOKIE = "versaai_sso"
CSRF_HEADER = "x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_DEVICE_SECONDS = 400 * 24 * 3600


class CsrfError(PermissionDeniedError):
    """A request with the session cookie lacks the session's CSRF token."""

    slug = "csrf"
    title = "The CSRF token is missing or wrong"


def csrf_token(keyring: Keyring, session_id: UUID) -> str:
    """Return the CSRF token of a session."""
    return _encode(keyring.sign("csrf", session_id.bytes))


def check_csrf(request: Request, keyring: Keyring, session_id: UUID) -> None:
    """Raise CsrfError unless the request only reads, or repeats the session's token."""
    if request.method in _SAFE:
        return
    given = request.headers.get(CSRF_HEADER, "")
    wanted = [_encode(hmac.digest(key, session_id.bytes, "sha256")) for key in keyring.keys_for("csrf")]
    if not any(hmac.compare_digest(given.encode(), one.encode()) for one in wanted):
        raise CsrfError(f"Send the value of the cookie `{CSRF_COOKIE}` as `X-CSRF-Token`.")


def set_session(
    response: Response, settings: Settings, keyring: Keyring, *, value: str, session_id: UUID
) -> None:
    """Give the browser a session."""
    lasting = int(settings.jwt_refresh_token_lifetime * 3600)
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=lasting,
        path="/",
        httponly=True,
        secure=settings.sends_session_securely,
        samesite="lax",
    )
    response.set_cookie(
        CSRF_COOKIE,
        csrf_token(keyring, session_id),
        max_age=lasting,
        path="/",
        secure=settings.sends_csrf_securely,
        samesite="lax",
    )


def clear_session(response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True)
    response.delete_cookie(CSRF_COOKIE, path="/")


def set_device(response: Response, settings: Settings, keyring: Keyring, user_id: UUID, device: str) -> None:
    """Remember that somebody signed in to this account from this browser."""
    response.set_cookie(
        DEVICE_COOKIE,
        f"{device}.{_device_signature(keyring, user_id, device)}",
        max_age=_DEVICE_SECONDS,
        path="/api/v1/auth",
        httponly=True,
        secure=settings.sends_session_securely,
        samesite="lax",
    )


def known_device(request: Request, keyring: Keyring, user_id: UUID) -> str | None:
    """Return the browser's name if somebody signed in to this account from it before."""
    device, _, signature = request.cookies.get(DEVICE_COOKIE, "").partition(".")
    if not device or not signature:
        return None
    wanted = _device_signature(keyring, user_id, device)
    return device if hmac.compare_digest(signature.encode(), wanted.encode()) else None


def _device_signature(keyring: Keyring, user_id: UUID, device: str) -> str:
    return _encode(keyring.sign("device", user_id.bytes + device.encode())[:18])


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
