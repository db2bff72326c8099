"""Single sign-on as an organization configures it."""

from __future__ import annotations

import re

from api.access import Caller
from api.auth.single_sign_on import discover, redirect_uri
from api.organizations.schemas import SsoSettings, SsoView
from api.organizations.service import check_grants
from api.permissions import Role
from api.resources import Resources
from core.crypto import encrypt
from core.errors import UnprocessableError
from database.repositories import OrganizationRepository, SsoRepository
from database.tables import Organization, SsoProvider

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def sso_view(parts: Resources, organization: Organization, provider: SsoProvider) -> SsoView:
    """Return a provider without its secret."""
    return SsoView(
        issuer=provider.issuer,
        client_id=provider.client_id,
        has_client_secret=bool(provider.client_secret),
        domains=provider.domains,
        default_role=Role(provider.default_role),
        creates_accounts=provider.creates_accounts,
        enabled=provider.enabled,
        login_url=f"{parts.settings.api_url}/api/v1/auth/sso/{organization.slug}",
        redirect_uri=redirect_uri(parts),
    )


async def configure_sso(parts: Resources, caller: Caller, given: SsoSettings) -> SsoView:
    """Store a provider. Raises UnprocessableError, PermissionDeniedError, ProviderFailedError."""
    if given.default_role is Role.owner:
        raise UnprocessableError("A provider can't make owners.")
    check_grants(caller, given.default_role, {})
    domains = [domain.strip().lower() for domain in given.domains]
    for domain in domains:
        if not _DOMAIN.fullmatch(domain):
            raise UnprocessableError(f"{domain[:100]!r} is not a domain of e-mail addresses.")
    await discover(parts, given.issuer)
    async with parts.database.session() as session:
        repository = SsoRepository(session, caller.organization_id)
        before = await repository.provider()
        same = before is not None and before.issuer == given.issuer
        secret = before.client_secret if before is not None and same else ""
        if given.client_secret is not None:
            plain = given.client_secret.get_secret_value()
            secret = encrypt(plain) if plain else ""
        if before is not None and not same:
            await repository.forget_identities(before.id)
        provider = await repository.put(
            issuer=given.issuer,
            client_id=given.client_id,
            client_secret=secret,
            domains=list(dict.fromkeys(domains)),
            default_role=given.default_role.value,
            creates_accounts=given.creates_accounts,
            enabled=given.enabled,
        )
        organization = await OrganizationRepository(session, caller.organization_id).get()
    return sso_view(parts, organization, provider)
