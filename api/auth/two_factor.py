"""The second factor: time-based codes (RFC 6238) and backup codes, each good once."""

from __future__ import annotations

import hmac
import time
from uuid import UUID

import pyotp
import segno
from sqlmodel.ext.asyncio.session import AsyncSession

from core.crypto import decrypt, token_hash
from core.ids import short_id
from database.people import CredentialRepository, UserRepository
from database.tables import User

BACKUP_CODES = 10
_BACKUP_LENGTH = 16
_STEP_SECONDS = 30


def new_secret() -> str:
    """Return a new secret for an authenticator: 160 bits in base 32."""
    return pyotp.random_base32()


def provisioning_uri(secret: str, email: str, platform: str) -> str:
    """Return the `otpauth:` address that authenticators read."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=platform)


def qr_code(uri: str) -> str:
    """Return an address as a QR code: an SVG in a `data:` URI."""
    code = segno.make(uri, error="m")
    return code.svg_data_uri(scale=4, border=4, light="white")


def new_backup_codes() -> list[str]:
    """Return ten codes of 79 bits each, in groups of four that people can copy."""
    codes = [short_id(_BACKUP_LENGTH) for _ in range(BACKUP_CODES)]
    return ["-".join(code[at : at + 4] for at in range(0, _BACKUP_LENGTH, 4)) for code in codes]


def backup_hash(user_id: UUID, code: str) -> str:
    """Return what is kept of a backup code."""
    plain = "".join(character for character in code.lower() if character.isalnum())
    return token_hash(f"{user_id.hex}:{plain}")


async def take_code(session: AsyncSession, user: User, code: str, now: float | None = None) -> bool:
    """Use up a code of the authenticator or a backup code; False when it is wrong or was used."""
    plain = "".join(code.split())
    if len(plain) == 6 and plain.isascii() and plain.isdigit():
        step = matching_step(user, plain, time.time() if now is None else now)
        return step is not None and await UserRepository(session).take_step(user.id, step)
    if not user.two_factor_enabled:
        return False
    return await CredentialRepository(session).use_backup_code(user.id, backup_hash(user.id, plain))


def matching_step(user: User, code: str, now: float) -> int | None:
    """Return the time step whose code this is: the present one, the one before or the one after."""
    if user.two_factor_secret is None:
        return None
    totp = pyotp.TOTP(decrypt(user.two_factor_secret), interval=_STEP_SECONDS)
    present = int(now) // _STEP_SECONDS
    fitting = [
        step
        for step in (present - 1, present, present + 1)
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())
    ]
    return fitting[-1] if fitting else None
