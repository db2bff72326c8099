"""Passwords: Argon2id hashes, made a few at a time since each takes memory and time on purpose.

The parameters are pwdlib's, which follow RFC 9106: 64 MiB, three passes. A hash made with others is made
anew at the next sign-in.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError

LONGEST_PASSWORD = 256
UNUSABLE = "!"
"""The hash of an account without a password: no password fits it."""
_AT_ONCE = 2
_COMMON = frozenset(
    {
        "1234567890", "0123456789", "12345678910", "1q2w3e4r5t", "qwertyuiop", "password12", "password123",
        "passw0rd123", "contraseña", "contraseña1", "contrasena1", "contrasena123", "administrator",
        "administrador", "iloveyou12", "welcome123", "letmein123", "qwerty12345", "qwerty123456",
        "abcdefghij", "abc1234567", "adminadmin", "admin12345", "changeme123", "superman123", "barcelona1",
        "realmadrid1", "teamomucho123", "micontraseña",
    }
)  # fmt: skip
_hasher = PasswordHash.recommended()
_gate: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def weakness(password: str, shortest: int, about: Iterable[str] = ()) -> str | None:
    """Say why a password can't be taken; None if it can. `about` holds the account's name and address."""
    if len(password) < shortest:
        return f"A password needs at least {shortest} characters."
    if len(password) > LONGEST_PASSWORD:
        return f"A password has at most {LONGEST_PASSWORD} characters."
    plain = _normal(password).casefold()
    if len(set(plain)) < 4 or plain in _COMMON:
        return "This password is among the first that anybody would try."
    for known in about:
        told = known.casefold()
        if len(told) >= 4 and (plain == told or plain.strip("0123456789!.") == told):
            return "The password is the account's name or address."
    return None


async def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password."""
    async with _turn():
        return await asyncio.to_thread(_hasher.hash, _normal(password))


async def check_password(password: str, known: str) -> tuple[bool, str | None]:
    """Tell whether a password fits a hash, and the hash that should take its place, if any.

    It takes as long for an account without a password, and for none (give `UNUSABLE`).
    """
    usable = known != UNUSABLE
    async with _turn():
        fits, newer = await asyncio.to_thread(_verify, password, known if usable else _nobody())
    return (fits, newer) if usable else (False, None)


def _verify(password: str, known: str) -> tuple[bool, str | None]:
    try:
        return _hasher.verify_and_update(_normal(password)[: LONGEST_PASSWORD * 2], known)
    except PwdlibError:
        return False, None


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(24))


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _turn() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    gate = _gate.get(loop)
    if gate is None:
        _gate.clear()
        gate = _gate[loop] = asyncio.Semaphore(_AT_ONCE)
    return gate
