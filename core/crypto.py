"""Secrets at rest, signatures and token hashes, all from one configured secret key.

Every use has a key of its own, derived with HKDF-SHA256 (RFC 5869) from the secret key and the use's name:
a signature made for one purpose means nothing for another, and none of them reveals the encryption key.

Rotation: put the new key in SECRET_KEY and the old ones in VERSAAI_SECRET_KEY_PREVIOUS. New values use the
new key; old values and signatures keep being read; `Keyring.rotate` rewrites a stored value.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import ConfigurationError, SecretUnreadableError
from core.settings import get_settings

SIGNATURE_BYTES = 32
_MINIMUM_KEY_CHARACTERS = 32
_ENCRYPTION = "encryption"


def _derive(secret_key: str, use: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"versaai/{use}".encode())
    return derivation.derive(secret_key.encode())


class Keyring:
    """The configured secret key, the earlier ones, and what is derived from them.

    `secret_keys` holds the present key first; each has at least 32 characters, else ConfigurationError.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        if not secret_keys or any(len(key) < _MINIMUM_KEY_CHARACTERS for key in secret_keys):
            raise ConfigurationError(
                f"SECRET_KEY must hold at least {_MINIMUM_KEY_CHARACTERS} characters; make one with "
                '`python -c "import secrets; print(secrets.token_urlsafe(48))"`.'
            )
        self._secret_keys = tuple(secret_keys)
        self._signing_keys: dict[str, tuple[bytes, ...]] = {}
        self._fernet = MultiFernet(
            [Fernet(base64.urlsafe_b64encode(_derive(key, _ENCRYPTION))) for key in self._secret_keys]
        )

    def encrypt(self, plain: str) -> str:
        """Return `plain` encrypted and authenticated (Fernet), as ASCII text for a column."""
        return self._fernet.encrypt(plain.encode()).decode("ascii")

    def decrypt(self, encrypted: str) -> str:
        """Return what `encrypt` was given. Raises SecretUnreadableError when no key fits."""
        try:
            return self._fernet.decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise SecretUnreadableError(
                "The value was encrypted under a key that is not configured, or was altered. "
                "Put the earlier key into VERSAAI_SECRET_KEY_PREVIOUS, or store the secret anew."
            ) from None

    def rotate(self, encrypted: str) -> str:
        """Return the same secret encrypted under the present key. Raises SecretUnreadableError."""
        try:
            return self._fernet.rotate(encrypted.encode()).decode("ascii")
        except InvalidToken:
            raise SecretUnreadableError("No configured key reads this value.") from None

    def sign(self, purpose: str, data: bytes) -> bytes:
        """Return the HMAC-SHA256 of `data` under the present key of `purpose`: 32 bytes."""
        return hmac.digest(self._keys_of(purpose)[0], data, "sha256")

    def verify(self, purpose: str, data: bytes, signature: bytes) -> bool:
        """Tell, in constant time, whether any configured key made `signature` for `purpose`."""
        matches = [
            hmac.compare_digest(hmac.digest(key, data, "sha256"), signature) for key in self._keys_of(purpose)
        ]
        return any(matches)

    def key_for(self, purpose: str) -> bytes:
        """Return the present 32-byte key of a purpose, for libraries that sign on their own (JWT)."""
        return self._keys_of(purpose)[0]

    def keys_for(self, purpose: str) -> tuple[bytes, ...]:
        """Return the present and the earlier keys of a purpose, present first, for verification."""
        return self._keys_of(purpose)

    def _keys_of(self, purpose: str) -> tuple[bytes, ...]:
        if not purpose:
            raise ValueError("a signature needs a purpose")
        keys = self._signing_keys.get(purpose)
        if keys is None:
            keys = tuple(_derive(key, f"sign/{purpose}") for key in self._secret_keys)
            self._signing_keys[purpose] = keys
        return keys


@lru_cache(maxsize=8)
def _keyring(secret_keys: tuple[str, ...]) -> Keyring:
    return Keyring(secret_keys)


def keyring() -> Keyring:
    """Return the keyring of the process's settings. Raises ConfigurationError without a SECRET_KEY."""
    return _keyring(get_settings().secret_keys)


def encrypt(plain: str) -> str:
    """Encrypt under the configured key; see `Keyring.encrypt`."""
    return keyring().encrypt(plain)


def decrypt(encrypted: str) -> str:
    """Decrypt with the configured keys; see `Keyring.decrypt`."""
    return keyring().decrypt(encrypted)


def sign(purpose: str, data: bytes) -> bytes:
    """Sign under the configured key of `purpose`; see `Keyring.sign`."""
    return keyring().sign(purpose, data)


def verify(purpose: str, data: bytes, signature: bytes) -> bool:
    """Check a signature with the configured keys of `purpose`; see `Keyring.verify`."""
    return keyring().verify(purpose, data, signature)


def token_hash(token: str) -> str:
    """Return the SHA-256 of a random token, in hex, for storage and look-up.

    Plain and unsalted on purpose: the tokens hold 256 random bits, so that there is nothing to guess, and
    the hash has to be found by an index and to outlive a rotation of the secret key. Not for passwords.
    """
    return hashlib.sha256(token.encode()).hexdigest()
