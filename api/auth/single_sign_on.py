"""Single sign-on through an organization's OpenID provider: authorization code with PKCE.

What the provider says counts in its organization alone. It may be run by anybody who administers one, so a
session that it makes is bound to that organization, an address that it names opens no account of somebody
who isn't a member there, and nothing of the account itself can be changed in such a session.

Its addresses are chosen by others: they are called through the guarded client of `core.outbound`.
"""

from __future__ import annotations

import base64
import hmac
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import orjson
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlmodel.ext.asyncio.session import AsyncSession

from api.auth.schemas import normal_email
from api.resources import Resources
from core.crypto import decrypt, encrypt, token_hash
from core.errors import NotFoundError, PermissionDeniedError, UpstreamError
from core.ids import random_token
from core.outbound import OutboundRequest
from core.passwords import UNUSABLE
from database.people import UserRepository
from database.public_lookup import organization_by_slug, take_sso_attempt
from database.repositories import MemberRepository, SsoRepository
from database.tables import SsoAttempt, SsoProvider, User

CALLBACK = "/api/v1/auth/sso/callback"
ATTEMPT_SECONDS = 600
_SECONDS = 10.0
_MOST_BYTES = 256 * 1024
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY = 60


class SignOnFailedError(PermissionDeniedError):
    """The provider did not say who it is in a way that can be believed; begin again."""

    slug = "sso-failed"
    title = "Single sign-on failed"


class ProviderFailedError(UpstreamError):
    """The OpenID provider does not answer, or not as the protocol says."""

    slug = "sso-provider-failed"
    title = "The OpenID provider failed"


@dataclass(frozen=True)
class Beginning:
    """Where the browser goes, and what it keeps until it comes back."""

    url: str
    browser: str


@dataclass(frozen=True)
class Arrival:
    """Who came back, in which organization, and where they wanted to go."""

    user: User
    organization_id: UUID
    return_to: str


def redirect_uri(parts: Resources) -> str:
    """Return the address to register at the provider."""
    return parts.settings.api_url + CALLBACK


async def begin(parts: Resources, slug: str, return_to: str) -> Beginning:
    """Prepare a sign-in. Raises NotFoundError without single sign-on there, ProviderFailedError."""
    async with parts.database.session() as session:
        organization = await organization_by_slug(session, slug)
        provider = (
            await SsoRepository(session, organization.id).provider() if organization is not None else None
        )
    if provider is None or not provider.enabled:
        raise NotFoundError("There is no single sign-on under that name.")
    metadata = await discover(parts, provider.issuer)
    state, nonce, browser = random_token(), random_token(), random_token()
    verifier = random_token() + random_token()
    async with parts.database.session() as session:
        await SsoRepository(session, provider.organization_id).begin(
            provider.id,
            state_hash=token_hash(state),
            browser_hash=token_hash(browser),
            nonce=nonce,
            code_verifier=encrypt(verifier),
            return_to=safe_path(return_to),
            expires_at=datetime.now(UTC) + timedelta(seconds=ATTEMPT_SECONDS),
        )
    url = prepare_grant_uri(
        metadata["authorization_endpoint"],
        client_id=provider.client_id,
        response_type="code",
        redirect_uri=redirect_uri(parts),
        scope="openid email profile",
        state=state,
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    return Beginning(str(url), browser)


async def finish(
    parts: Resources, *, state: str, code: str | None, error: str | None, issuer: str | None, browser: str
) -> Arrival:
    """Take what the provider sent back. Raises SignOnFailedError, ProviderFailedError, PlanLimitError."""
    async with parts.database.session() as session:
        attempt = await take_sso_attempt(session, token_hash(state))
        provider = (
            await SsoRepository(session, attempt.organization_id).provider() if attempt is not None else None
        )
    if attempt is None or provider is None or not provider.enabled:
        raise SignOnFailedError("This sign-in is over, or was used before.")
    if not hmac.compare_digest(token_hash(browser), attempt.browser_hash):
        raise SignOnFailedError("This sign-in was begun in another browser.")
    if issuer is not None and issuer != provider.issuer:
        raise SignOnFailedError("The answer comes from another provider.")
    if error is not None or not code:
        raise SignOnFailedError(f"The provider refused: {(error or 'no code')[:100]}.")
    claims = await _identify(parts, provider, attempt, code)
    async with parts.database.session() as session:
        user = await _user(parts, session, provider, claims)
    return Arrival(user, provider.organization_id, attempt.return_to)


async def discover(parts: Resources, issuer: str) -> dict[str, Any]:
    """Return the provider's metadata. Raises ProviderFailedError."""
    found = await _get(parts, issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise ProviderFailedError("The provider names another issuer than the configured one.")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if urlsplit(str(found.get(name, ""))).scheme not in {"https", "http"}:
            raise ProviderFailedError(f"The provider's metadata lacks `{name}`.")
    return found


async def _identify(
    parts: Resources, provider: SsoProvider, attempt: SsoAttempt, code: str
) -> dict[str, Any]:
    metadata = await discover(parts, provider.issuer)
    answer = await _exchange(parts, provider, attempt, code, metadata)
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise ProviderFailedError("The provider sent no ID token.")
    keys = await _get(parts, metadata["jwks_uri"])
    try:
        header = jws.extract_compact(token.encode()).headers()
        if header.get("alg") not in _ALGORITHMS:
            raise SignOnFailedError("The ID token is not signed with a public key.")
        key_set = KeySet.import_key_set({"keys": keys.get("keys", [])})
        decoded = jwt.decode(token, key_set, algorithms=list(_ALGORITHMS))
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            options={
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": provider.client_id},
            },
            params={
                "nonce": attempt.nonce,
                "client_id": provider.client_id,
                "access_token": answer.get("access_token"),
            },
        )
        claims.validate(now=int(time.time()), leeway=_LEEWAY)
    except SignOnFailedError:
        raise
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignOnFailedError(f"The ID token can't be believed ({type(error).__name__}).") from None
    found = dict(decoded.claims)
    if "email" not in found and isinstance(answer.get("access_token"), str):
        found |= await _user_info(parts, metadata, answer["access_token"], found)
    return found


async def _exchange(
    parts: Resources, provider: SsoProvider, attempt: SsoAttempt, code: str, metadata: dict[str, Any]
) -> dict[str, Any]:
    secret = decrypt(provider.client_secret) if provider.client_secret else ""
    values = {"code": code, "code_verifier": decrypt(attempt.code_verifier)}
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if secret and "client_secret_basic" in methods:
        pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
        headers.append(("Authorization", "Basic " + base64.b64encode(pair.encode()).decode()))
    else:
        values["client_id"] = provider.client_id
        if secret:
            values["client_secret"] = secret
    body = prepare_token_request("authorization_code", redirect_uri=redirect_uri(parts), **values)
    request = OutboundRequest(
        "POST",
        metadata["token_endpoint"],
        headers=headers,
        body=str(body).encode(),
        confidential=frozenset({"authorization"}),
        confidential_body=True,
    )
    return await _call(parts, request)


async def _user_info(
    parts: Resources, metadata: dict[str, Any], access_token: str, claims: dict[str, Any]
) -> dict[str, Any]:
    endpoint = metadata.get("userinfo_endpoint")
    if not isinstance(endpoint, str):
        return {}
    request = OutboundRequest(
        "GET",
        endpoint,
        headers=[("Authorization", f"Bearer {access_token}")],
        confidential=frozenset({"authorization"}),
    )
    found = await _call(parts, request)
    return found if found.get("sub") == claims.get("sub") else {}


async def _get(parts: Resources, url: str) -> dict[str, Any]:
    return await _call(parts, OutboundRequest("GET", url, headers=[("Accept", "application/json")]))


async def _call(parts: Resources, request: OutboundRequest) -> dict[str, Any]:
    try:
        answer = await parts.outbound.send(request, timeout_seconds=_SECONDS, max_bytes=_MOST_BYTES)
        content = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise ProviderFailedError("The provider's answer is not JSON.") from None
    except UpstreamError as error:
        raise ProviderFailedError(error.detail) from None
    if answer.status >= 400 or not isinstance(content, dict):
        raise ProviderFailedError(f"The provider answered {answer.status}.")
    return content


async def _user(
    parts: Resources, session: AsyncSession, provider: SsoProvider, claims: dict[str, Any]
) -> User:
    """Return whom the claims mean: known by subject, else a member by address, else somebody new."""
    subject = str(claims.get("sub", ""))[:255]
    users = UserRepository(session)
    sso = SsoRepository(session, provider.organization_id)
    members = MemberRepository(session, provider.organization_id)
    known = await sso.user_of(provider.id, subject)
    if known is not None and await users.membership(known, provider.organization_id) is not None:
        user = await users.get(known)
        if user is None or not user.is_active:
            raise SignOnFailedError("This account is switched off.")
        return user
    email = _address(provider, claims)
    user = await users.by_email(email)
    if user is not None:
        if not user.is_active or await users.membership(user.id, provider.organization_id) is None:
            raise SignOnFailedError("This address has an account here: ask for an invitation first.")
    else:
        if not provider.creates_accounts:
            raise SignOnFailedError("You are no member yet: ask for an invitation.")
        await parts.plans.check_members(session, provider.organization_id)
        user = await users.add(
            email=email,
            password_hash=UNUSABLE,
            first_name=_name(claims, "given_name", email.partition("@")[0]),
            last_name=_name(claims, "family_name", "-"),
            is_active=True,
            email_verified=False,
        )
        if user is None:
            raise SignOnFailedError("Somebody registered with this address just now; begin again.")
        await members.add(user.id, provider.default_role)
    await sso.link(provider.id, subject, user.id)
    return user


def _address(provider: SsoProvider, claims: dict[str, Any]) -> str:
    if claims.get("email_verified") is False:
        raise SignOnFailedError("The provider has not confirmed the e-mail address.")
    try:
        email = normal_email(str(claims.get("email", "")))
    except ValueError:
        raise SignOnFailedError("The provider names no e-mail address.") from None
    if email.rpartition("@")[2] not in {domain.lower() for domain in provider.domains}:
        raise SignOnFailedError("The provider does not speak for this address.")
    return email


def _name(claims: dict[str, Any], claim: str, otherwise: str) -> str:
    given = "".join(character for character in str(claims.get(claim) or "") if character.isprintable())
    return (given.strip() or otherwise)[:100]


def safe_path(path: str) -> str:
    """Return a path of this site; another address becomes `/`."""
    plain = path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\"))
    return path[:500] if plain and "\\" not in path else "/"
