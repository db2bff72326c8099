"""An OpenID provider in a process of its own: discovery, authorization code with PKCE, keys, user info.

It is a peer, not a double: it enforces what the specifications ask of a provider (registered redirect
address, S256 challenge, codes good once, client authentication) and signs with joserfc.

`POST /behave` makes it err on purpose: `{"claims": {...}}` changes claims, `{"key": "other"}` signs with a key
that it does not publish, `{"alg": "HS256"}` signs with the client's secret, `{"iss": ...}` answers as another.
"""

from __future__ import annotations

import base64
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID = "versaai"
CLIENT_SECRET = "the client's secret: at least 32 characters"


@dataclass
class Provider:
    """The state of the process."""

    issuer: str
    redirect_uri: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    other_key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    behaviour: dict[str, Any] = field(default_factory=dict)

    async def metadata(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        query = request.query_params
        wrong = (
            query.get("client_id") != CLIENT_ID
            or query.get("redirect_uri") != self.redirect_uri
            or query.get("response_type") != "code"
            or query.get("code_challenge_method") != "S256"
            or "openid" not in query.get("scope", "").split()
        )
        if wrong:
            return JSONResponse({"error": "invalid_request"}, 400)
        if request.method == "GET":
            return HTMLResponse("<form method=post><input name=email><button>Sign in</button></form>")
        form = await request.form()
        if form.get("deny"):
            answer = {"error": "access_denied", "state": query["state"]}
            return RedirectResponse(f"{self.redirect_uri}?{urlencode(answer)}", 303)
        code = secrets.token_urlsafe(24)
        self.codes[code] = {
            "challenge": query["code_challenge"],
            "nonce": query["nonce"],
            "email": str(form["email"]),
        }
        answer = {"code": code, "state": query["state"], "iss": self.behaviour.get("iss", self.issuer)}
        return RedirectResponse(f"{self.redirect_uri}?{urlencode(answer)}", 303)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        name, _, secret = base64.b64decode(encoded or "").decode().partition(":")
        if scheme != "Basic" or (unquote(name), unquote(secret)) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        grant = self.codes.pop(str(form.get("code")), None)
        verifier = str(form.get("code_verifier", ""))
        if (
            grant is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != self.redirect_uri
            or not 43 <= len(verifier) <= 128
            or create_s256_code_challenge(verifier) != grant["challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        email = grant["email"]
        claims = {
            "iss": self.issuer,
            "sub": f"subject-of-{email}",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": grant["nonce"],
            "email": email,
            "email_verified": True,
            "given_name": "Olga",
            "family_name": "Ibáñez",
            **self.behaviour.get("claims", {}),
        }
        key: Any = self.other_key if self.behaviour.get("key") == "other" else self.key
        header = {"alg": self.behaviour.get("alg", "RS256"), "kid": "one"}
        if header["alg"] == "HS256":
            key = OctKey.import_key(CLIENT_SECRET)
        access_token = secrets.token_urlsafe(16)
        self.tokens[access_token] = claims
        return JSONResponse(
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": 300,
                "id_token": jwt.encode(header, claims, key),
            },
            headers={"Cache-Control": "no-store"},
        )

    async def user_info(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        claims = self.tokens.get(token)
        return JSONResponse(claims) if claims is not None else JSONResponse({}, 401)

    async def behave(self, request: Request) -> Response:
        self.behaviour = await request.json()
        self.redirect_uri = self.behaviour.get("redirect_uri", self.redirect_uri)
        return Response(status_code=204)


def application(issuer: str) -> Starlette:
    provider = Provider(issuer)
    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.metadata),
            Route("/keys", provider.keys),
            Route("/authorize", provider.authorize, methods=["GET", "POST"]),
            Route("/token", provider.token, methods=["POST"]),
            Route("/userinfo", provider.user_info),
            Route("/behave", provider.behave, methods=["POST"]),
        ]
    )


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(application(f"http://127.0.0.1:{port}"), host="127.0.0.1", port=port, log_level="warning")
