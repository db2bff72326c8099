"""Access tokens: JSON web tokens (HS256) that name a person and a session, and nothing else.

What the person may do, and in which organization, is read from the tables at each request: a session that
was ended, a role that was taken away and an account that was deleted count at once.
"""

from __future__ import annotations

import time
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from core.crypto import Keyring
from core.errors import AuthenticationError
from core.settings import Settings

_PURPOSE = "access-token"
_ISSUER = "versaai"
_AUDIENCE = "versaai-api"
_LONGEST = 2_000


class AccessTokens:
    """Makes and reads access tokens."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        given = settings.jwt_secret_key.get_secret_value().encode()
        keys = (given,) if given else keyring.keys_for(_PURPOSE)
        self._keys = [OctKey.import_key(key) for key in keys]
        self.lifetime_seconds = int(settings.jwt_access_token_lifetime * 3600)
        self._claims = jwt.JWTClaimsRegistry(
            leeway=0,
            iss={"essential": True, "value": _ISSUER},
            aud={"essential": True, "value": _AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
        )

    def issue(self, user_id: UUID, session_id: UUID, now: float | None = None) -> str:
        """Return a token for a session, valid for the configured lifetime."""
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": issued,
            "exp": issued + self.lifetime_seconds,
        }
        return jwt.encode({"alg": "HS256", "typ": "at+jwt"}, claims, self._keys[0])

    def read(self, token: str) -> UUID:
        """Return the session of a token. Raises AuthenticationError: malformed, forged or expired."""
        if len(token) > _LONGEST:
            raise AuthenticationError("The access token is malformed.")
        for key in self._keys:
            try:
                found = jwt.decode(token, key, algorithms=["HS256"])
            except (JoseError, ValueError):
                continue
            if found.header.get("typ") != "at+jwt":
                break
            try:
                self._claims.validate(found.claims)
                return UUID(str(found.claims.get("sid")))
            except JoseError:
                raise AuthenticationError("The access token has expired; refresh it.") from None
            except ValueError:
                break
        raise AuthenticationError("The access token was not made here, or was altered.")
