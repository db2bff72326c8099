"""`/api/v1/organizations`: organizations, members, invitations, API keys, usage."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Response

from api.access import unknown_organization
from api.auth.routes import SSO_ANSWERS
from api.auth.schemas import MembershipView, TokenRequest
from api.auth.sessions import membership_view
from api.dependencies import AccountHolder, Parts, SignedInPerson, Team, as_uuid
from api.fields import Identifier
from api.organizations.joining import join, own_organization
from api.organizations.schemas import (
    CreatedKey,
    InvitationList,
    InvitationOffer,
    InvitationView,
    KeyList,
    MemberChange,
    MemberList,
    MemberView,
    NewInvitation,
    NewKey,
    NewOrganization,
    OrganizationChange,
    OrganizationList,
    OrganizationView,
    OwnOrganization,
    PlanList,
    PlanView,
    SsoSettings,
    SsoView,
    UsageItem,
    UsageView,
)
from api.organizations.service import (
    AlreadyMemberError,
    change_member,
    check_scopes,
    invitation_view,
    invite,
    key_view,
    member_view,
    not_found,
    organization_view,
    own_view,
)
from api.organizations.service import (
    delete_organization as delete_whole_organization,
)
from api.organizations.service import (
    remove_member as take_out,
)
from api.organizations.sign_on import configure_sso, sso_view
from api.permissions import Role
from api.problems import documented
from api.routing import slice_router
from core.crypto import token_hash
from core.errors import ConflictError, GoneError, NotFoundError, PermissionDeniedError, UnprocessableError
from core.ids import random_token
from core.plans import PLANS, plan_of
from database.people import SessionRepository, UserRepository
from database.public_lookup import accept_invitation as use_up
from database.public_lookup import invitation_of_token, organization_by_slug
from database.repositories import (
    ApiKeyRepository,
    InvitationRepository,
    MemberRepository,
    OrganizationRepository,
    SsoRepository,
)

router = slice_router("", "organizations")

OrgId = Annotated[
    str,
    Path(title="Organization", description="Its id, a UUID.", pattern=r"^[0-9a-fA-F-]{32,36}$"),
]
_READ = documented(401, 403, 404, 422, 429, 503)
_WRITE = documented(400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
_SSO_WRITE = {**_WRITE, 502: SSO_ANSWERS[502], 504: SSO_ANSWERS[504]}
_DELETE = documented(401, 403, 404, 409, 422, 429, 503)


class InvitationOverError(GoneError):
    """The invitation was accepted or withdrawn, or its time is over: ask for a new one."""

    slug = "invitation-over"
    title = "The invitation does not work any more"


@router.get(
    "/organizations",
    summary="List one's organizations",
    response_description="The organizations of a person.",
    responses=documented(401, 403, 429, 503),
)
async def list_organizations(parts: Parts, person: SignedInPerson) -> OrganizationList:
    """Return the organizations that the person works in, with role and permissions."""
    async with parts.database.session() as session:
        found = await UserRepository(session).memberships(person.id)
    current = person.session.organization_id
    return OrganizationList(
        organizations=[
            own_view(organization, member, current)
            for organization, member in found
            if not person.session.bound or organization.id == current
        ]
    )


@router.post(
    "/organizations",
    summary="Make an organization",
    response_description="An organization, and what the person is there.",
    status_code=201,
    responses=documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
)
async def create_organization(body: NewOrganization, parts: Parts, person: AccountHolder) -> OwnOrganization:
    """Make an organization and own it; the session goes to work there. 409 when the slug is taken."""
    fields = body.model_dump(exclude={"name", "slug"})
    async with parts.database.session() as session:
        if body.slug is not None:
            if await organization_by_slug(session, body.slug) is not None:
                raise ConflictError(f"There is an organization `{body.slug}` already.")
            fields["slug"] = body.slug
        made = await own_organization(parts, session, person.user, body.name, **fields)
        await SessionRepository(session).work_in(person.session.id, made.id)
        member = await UserRepository(session).membership(person.id, made.id)
    assert member is not None
    return own_view(made, member, made.id)


@router.get(
    "/organizations/{org_id}",
    summary="Read an organization",
    response_description="An organization.",
    responses=_READ,
)
async def get_organization(org_id: OrgId, parts: Parts, team: Team) -> OrganizationView:
    """Return an organization that the caller works in."""
    async with parts.database.session() as session:
        return organization_view(await OrganizationRepository(session, team.organization_id).get())


@router.put(
    "/organizations/{org_id}",
    summary="Change an organization",
    response_description="An organization.",
    responses=_WRITE,
)
async def update_organization(
    org_id: OrgId, body: OrganizationChange, parts: Parts, team: Team
) -> OrganizationView:
    """Change name, profile and settings; what is left out stays. 409 when the slug is taken."""
    fields = body.model_dump(exclude_unset=True, exclude={"settings"})
    for name in ("name", "slug", "timezone"):
        if name in fields and fields[name] is None:
            raise UnprocessableError(f"`{name}` can't be empty.")
    async with parts.database.session() as session:
        repository = OrganizationRepository(session, team.organization_id)
        await repository.lock()
        present = await repository.get()
        if "slug" in fields and fields["slug"] != present.slug:
            if team.organization_id == await parts.organization.id():
                raise ConflictError("The slug of the first organization can't be changed.")
            if await organization_by_slug(session, fields["slug"]) is not None:
                raise ConflictError(f"There is an organization `{fields['slug']}` already.")
        if body.settings is not None:
            fields["settings"] = {**present.settings, **body.settings.model_dump(exclude_unset=True)}
        return organization_view(await repository.change(**fields))


@router.delete(
    "/organizations/{org_id}",
    summary="Delete an organization",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=_DELETE,
)
async def delete_organization(org_id: OrgId, parts: Parts, team: Team) -> Response:
    """Delete an organization with its bots, conversations, files and keys. There is no way back.

    409 for the first organization of the installation.
    """
    await delete_whole_organization(parts, team.organization_id)
    return Response(status_code=204)


@router.post(
    "/organizations/{org_id}/switch",
    summary="Work in an organization",
    response_description="An organization that somebody works in.",
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def switch_organization(org_id: OrgId, parts: Parts, person: AccountHolder) -> MembershipView:
    """Let the session work in another organization of the person; its tokens stay as they are."""
    wanted = as_uuid(org_id, "organization")
    async with parts.database.session() as session:
        member = await UserRepository(session).membership(person.id, wanted)
        if member is None:
            raise unknown_organization(wanted)
        organization = await OrganizationRepository(session, wanted).get()
        await SessionRepository(session).work_in(person.session.id, wanted)
    return membership_view(organization, member)


@router.post(
    "/organizations/{org_id}/leave",
    summary="Leave an organization",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(401, 403, 404, 409, 422, 429, 503),
)
async def leave_organization(org_id: OrgId, parts: Parts, person: AccountHolder) -> Response:
    """Stop being a member. 409 `last-owner` for the only owner."""
    wanted = as_uuid(org_id, "organization")
    async with parts.database.session() as session:
        if await UserRepository(session).membership(person.id, wanted) is None:
            raise unknown_organization(wanted)
        await take_out(session, wanted, person.id, None)
    return Response(status_code=204)


@router.get(
    "/organizations/{org_id}/members",
    summary="List members",
    response_description="The members of an organization.",
    responses=_READ,
)
async def list_members(org_id: OrgId, parts: Parts, team: Team) -> MemberList:
    """Return everybody who works in the organization."""
    async with parts.database.session() as session:
        found = await MemberRepository(session, team.organization_id).list()
    return MemberList(members=[member_view(member, user) for member, user in found])


@router.post(
    "/organizations/{org_id}/members/invite",
    summary="Invite somebody",
    response_description="An invitation that was not accepted yet.",
    status_code=201,
    responses=_WRITE,
)
async def invite_member(org_id: OrgId, body: NewInvitation, parts: Parts, team: Team) -> InvitationView:
    """Send somebody a link by e-mail that makes them a member. Inviting again sends a new link.

    403 `plan-limit` when the plan takes no more people.
    """
    async with parts.database.session() as session:
        made = await invite(
            parts, session, team, email=body.email, role=body.role, grants=dict(body.permissions)
        )
    parts.mails.hurry()
    return made


@router.put(
    "/organizations/{org_id}/members/{user_id}",
    summary="Change a member",
    response_description="A member.",
    responses=_WRITE,
)
async def update_member(
    org_id: OrgId, user_id: Identifier, body: MemberChange, parts: Parts, team: Team
) -> MemberView:
    """Change role or single grants; nobody can give what they don't have, and only owners make owners.

    409 `last-owner` for the only owner.
    """
    async with parts.database.session() as session:
        return await change_member(session, team, as_uuid(user_id, "member"), body.role, body.permissions)


@router.delete(
    "/organizations/{org_id}/members/{user_id}",
    summary="Remove a member",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=_DELETE,
)
async def remove_member(org_id: OrgId, user_id: Identifier, parts: Parts, team: Team) -> Response:
    """Take a member out; what they may do here ends at once. API keys that they made go on."""
    async with parts.database.session() as session:
        await take_out(session, team.organization_id, as_uuid(user_id, "member"), team)
    return Response(status_code=204)


@router.get(
    "/organizations/{org_id}/invitations",
    summary="List invitations",
    response_description="Open invitations.",
    responses=_READ,
)
async def list_invitations(org_id: OrgId, parts: Parts, team: Team) -> InvitationList:
    """Return the invitations that were not accepted, those that are over among them."""
    async with parts.database.session() as session:
        found = await InvitationRepository(session, team.organization_id).list()
    return InvitationList(invitations=[invitation_view(row) for row in found])


@router.delete(
    "/organizations/{org_id}/invitations/{invitation_id}",
    summary="Withdraw an invitation",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def withdraw_invitation(org_id: OrgId, invitation_id: Identifier, parts: Parts, team: Team) -> Response:
    """Make an invitation's link worthless."""
    wanted = as_uuid(invitation_id, "invitation")
    async with parts.database.session() as session:
        if not await InvitationRepository(session, team.organization_id).withdraw(wanted):
            raise not_found("invitation", wanted)
    return Response(status_code=204)


@router.get(
    "/organizations/{org_id}/api-keys",
    summary="List API keys",
    response_description="API keys.",
    responses=_READ,
)
async def list_api_keys(org_id: OrgId, parts: Parts, team: Team) -> KeyList:
    """Return the keys that were not revoked, without the keys themselves."""
    async with parts.database.session() as session:
        found = await ApiKeyRepository(session, team.organization_id).list()
    return KeyList(keys=[key_view(row) for row in found])


@router.post(
    "/organizations/{org_id}/api-keys",
    summary="Make an API key",
    response_description="A new API key. This is the only time that it is shown.",
    status_code=201,
    responses=_WRITE,
)
async def create_api_key(
    org_id: OrgId, body: NewKey, response: Response, parts: Parts, team: Team
) -> CreatedKey:
    """Make a key for programs. It is shown in this answer alone, and kept as a hash."""
    scopes = check_scopes(team, body.scopes)
    ends = body.expires_at
    if ends is not None:
        ends = ends if ends.tzinfo is not None else ends.replace(tzinfo=UTC)
        if ends <= datetime.now(UTC):
            raise UnprocessableError("`expires_at` is over already.")
    key = random_token("vk_")
    async with parts.database.session() as session:
        made = await ApiKeyRepository(session, team.organization_id).add(
            name=body.name,
            hint=key[:9],
            key_hash=token_hash(key),
            scopes=scopes,
            created_by=team.user_id,
            expires_at=ends,
        )
    response.headers["Cache-Control"] = "no-store"
    return CreatedKey(**key_view(made).model_dump(), key=key)


@router.delete(
    "/organizations/{org_id}/api-keys/{key_id}",
    summary="Revoke an API key",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def revoke_api_key(org_id: OrgId, key_id: Identifier, parts: Parts, team: Team) -> Response:
    """Make a key worthless at once."""
    wanted = as_uuid(key_id, "API key")
    async with parts.database.session() as session:
        if not await ApiKeyRepository(session, team.organization_id).revoke(wanted):
            raise not_found("API key", wanted)
    return Response(status_code=204)


@router.get(
    "/organizations/{org_id}/sso",
    summary="Read single sign-on",
    response_description="The OpenID provider of an organization.",
    responses=_READ,
)
async def get_sso_provider(org_id: OrgId, parts: Parts, team: Team) -> SsoView:
    """Return the organization's OpenID provider. 404 when there is none."""
    async with parts.database.session() as session:
        provider = await SsoRepository(session, team.organization_id).provider()
        organization = await OrganizationRepository(session, team.organization_id).get()
    if provider is None:
        raise NotFoundError("There is no single sign-on in this organization.")
    return sso_view(parts, organization, provider)


@router.put(
    "/organizations/{org_id}/sso",
    summary="Configure single sign-on",
    response_description="The OpenID provider of an organization.",
    responses=_SSO_WRITE,
)
async def put_sso_provider(org_id: OrgId, body: SsoSettings, parts: Parts, team: Team) -> SsoView:
    """Configure the OpenID provider; its metadata is read to see that it is one.

    The client secret goes with the issuer: a new issuer needs its own.
    """
    return await configure_sso(parts, team, body)


@router.delete(
    "/organizations/{org_id}/sso",
    summary="Switch single sign-on off for good",
    response_description="It is done; there is nothing to say.",
    status_code=204,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def delete_sso_provider(org_id: OrgId, parts: Parts, team: Team) -> Response:
    """Forget the provider and whom it knows; the members stay."""
    async with parts.database.session() as session:
        if not await SsoRepository(session, team.organization_id).remove():
            raise NotFoundError("There is no single sign-on in this organization.")
    return Response(status_code=204)


@router.get(
    "/organizations/{org_id}/usage",
    summary="Read what was used",
    response_description="What an organization has used of its plan.",
    responses=_READ,
)
async def get_usage(org_id: OrgId, parts: Parts, team: Team) -> UsageView:
    """Return what the organization used this month, and what its plan allows. Counters are exact."""
    usage = await parts.plans.read(team.organization_id)
    if usage is None:
        raise unknown_organization(team.organization_id)
    limits = plan_of(usage.plan).limits()
    counted = {
        "conversations": usage.conversations,
        "messages": usage.messages,
        "tokens": usage.tokens,
        "storage": usage.storage,
        "members": usage.members,
    }
    month = usage.month
    return UsageView(
        plan=usage.plan,
        period_start=month,
        period_end=month + timedelta(days=monthrange(month.year, month.month)[1]),
        items=[
            UsageItem.model_validate(
                {
                    "name": name,
                    "used": used,
                    "allowed": limits[name],
                    "reached": limits[name] is not None and used >= int(limits[name] or 0),
                }
            )
            for name, used in counted.items()
        ],
    )


@router.get("/plans", summary="List plans", response_description="All plans.", responses=documented(503))
async def list_plans() -> PlanList:
    """Return what each plan allows. The operator of the installation gives them: `versaai plan`."""
    return PlanList(plans=[PlanView(name=plan.name, **plan.limits()) for plan in PLANS.values()])


@router.get(
    "/invitations/{token}",
    summary="Look at an invitation",
    response_description="What an invitation offers to whoever has its link.",
    responses=documented(404, 410, 422, 429, 503),
)
async def get_invitation(
    token: Annotated[str, Path(title="Token", description="Of the link.", min_length=1, max_length=100)],
    parts: Parts,
) -> InvitationOffer:
    """Tell whoever has the link what it offers, before they sign in or register."""
    async with parts.database.session() as session:
        found = await invitation_of_token(session, token_hash(token))
        if found is None:
            raise InvitationOverError("There is no such invitation, or it is over.")
        organization = await OrganizationRepository(session, found.organization_id).get()
        user = await UserRepository(session).by_email(found.email)
    return InvitationOffer(
        organization=organization.name,
        email=found.email,
        role=Role(found.role),
        expires_at=found.expires_at,
        has_account=user is not None and user.email_verified,
    )


@router.post(
    "/invitations/accept",
    summary="Accept an invitation",
    response_description="An organization that somebody works in.",
    responses=documented(400, 401, 403, 409, 410, 413, 415, 422, 429, 503),
)
async def accept_invitation(body: TokenRequest, parts: Parts, person: AccountHolder) -> MembershipView:
    """Become a member; the session goes to work there. The invitation must be for the person's address."""
    async with parts.database.session() as session:
        found = await invitation_of_token(session, token_hash(body.token.get_secret_value()))
        if found is None:
            raise InvitationOverError("There is no such invitation, or it is over.")
        if found.email != person.user.email:
            raise PermissionDeniedError("The invitation is for another address; sign in with that one.")
        users = UserRepository(session)
        if await users.membership(person.id, found.organization_id) is not None:
            raise AlreadyMemberError("You work there already.")
        await join(parts, session, person.user, found)
        if not await use_up(session, found.id):
            raise InvitationOverError("There is no such invitation, or it is over.")
        await SessionRepository(session).work_in(person.session.id, found.organization_id)
        organization = await OrganizationRepository(session, found.organization_id).get()
        member = await users.membership(person.id, found.organization_id)
    assert member is not None
    return membership_view(organization, member)
