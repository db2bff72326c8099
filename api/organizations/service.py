"""What is done with organizations, members, invitations and keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from api.access import Caller
from api.organizations.schemas import (
    InvitationView,
    KeyView,
    MemberView,
    OrganizationView,
    OwnOrganization,
)
from api.permissions import BY_NAME, KEY_SCOPES, NAMES, Role, permissions_of
from api.resources import Resources
from api.users.routes import LastOwnerError
from core.crypto import token_hash
from core.errors import ConflictError, NotFoundError, PermissionDeniedError, UnprocessableError, VersaError
from core.ids import random_token
from core.logging import get_logger
from database.people import SessionRepository, UserRepository
from database.repositories import InvitationRepository, MemberRepository, OrganizationRepository
from database.tables import ApiKey, Invitation, Organization, OrganizationMember, User
from flow_schema.effects import TeamMessage
from flow_schema.turns import Close

_log = get_logger(__name__)


class AlreadyMemberError(ConflictError):
    """That person works here already."""

    slug = "already-member"
    title = "Already a member"


def organization_view(row: Organization) -> OrganizationView:
    """Return an organization as its members see it."""
    return OrganizationView(**_fields(row))


def own_view(row: Organization, member: OrganizationMember, current: UUID | None) -> OwnOrganization:
    """Return an organization with what the person is there."""
    return OwnOrganization(
        **_fields(row),
        role=Role(member.role),
        permissions=sorted(permissions_of(member.role, member.permissions)),
        current=row.id == current,
    )


def _fields(row: Organization) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "slug": row.slug,
        "description": row.description,
        "website": row.website,
        "industry": row.industry,
        "company_size": row.company_size,
        "country": row.country,
        "timezone": row.timezone,
        "subscription_plan": row.subscription_plan,
        "owner_id": str(row.owner_id) if row.owner_id else None,
        "settings": row.settings,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def member_view(member: OrganizationMember, user: User) -> MemberView:
    """Return a member as the others see them."""
    return MemberView(
        user_id=str(user.id),
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        avatar_url=user.avatar_url,
        role=Role(member.role),
        permissions=dict.fromkeys(member.permissions, True),
        joined_at=member.joined_at,
        last_login=user.last_login,
    )


def invitation_view(row: Invitation) -> InvitationView:
    """Return an invitation without its link."""
    return InvitationView(
        id=str(row.id),
        email=row.email,
        role=Role(row.role),
        permissions=dict.fromkeys(row.permissions, True),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def key_view(row: ApiKey) -> KeyView:
    """Return an API key without the key."""
    return KeyView(
        id=str(row.id),
        name=row.name,
        hint=row.hint,
        scopes=sorted(row.scopes),
        created_by=str(row.created_by) if row.created_by else None,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def check_grants(caller: Caller, role: Role | None, grants: Mapping[str, bool] | None) -> None:
    """Refuse what the caller may not give: an unknown permission, one they lack, a role above their own.

    Raises UnprocessableError, PermissionDeniedError.
    """
    unknown = sorted(set(grants or ()) - NAMES)
    if unknown:
        raise UnprocessableError(
            f"There is no permission `{unknown[0][:64]}`.",
            errors=[
                {"detail": "No such permission", "pointer": "/permissions", "code": "unknown_permission"}
            ],
        )
    if role is Role.owner and not caller.is_owner:
        raise PermissionDeniedError("Only owners make owners.")
    given = permissions_of(role or "", grants or {})
    lacking = sorted(given - caller.permissions)
    if lacking and not caller.is_owner:
        raise PermissionDeniedError(f"You can't give what you don't have: `{lacking[0]}`.")


def check_scopes(caller: Caller, scopes: list[str]) -> list[str]:
    """Return the scopes of a new key, each once. Raises UnprocessableError, PermissionDeniedError."""
    for scope in scopes:
        if scope not in KEY_SCOPES:
            why = "is for people alone" if scope in BY_NAME else "does not exist"
            raise UnprocessableError(
                f"The permission `{scope[:64]}` {why}.",
                errors=[{"detail": f"It {why}", "pointer": "/scopes", "code": "unknown_scope"}],
            )
        if scope not in caller.permissions:
            raise PermissionDeniedError(f"You can't give what you don't have: `{scope}`.")
    return list(dict.fromkeys(scopes))


async def change_member(
    session: AsyncSession,
    caller: Caller,
    user_id: UUID,
    role: Role | None,
    grants: Mapping[str, bool] | None,
) -> MemberView:
    """Change a member. Raises NotFoundError, LastOwnerError, PermissionDeniedError, UnprocessableError."""
    await OrganizationRepository(session, caller.organization_id).lock()
    members = MemberRepository(session, caller.organization_id)
    member, _ = await members.get(user_id)
    if member.role == Role.owner and not caller.is_owner:
        raise PermissionDeniedError("Only owners change owners.")
    check_grants(caller, role, grants)
    fields: dict[str, object] = {}
    if role is not None and role != member.role:
        if member.role == Role.owner:
            await _need_other_owner(members, user_id)
        fields["role"] = role.value
    if grants is not None:
        fields["permissions"] = dict(grants)
    if fields:
        await members.change(user_id, **fields)
    member, user = await members.get(user_id)
    await session.refresh(member)
    return member_view(member, user)


async def remove_member(
    session: AsyncSession, organization_id: UUID, user_id: UUID, by: Caller | None
) -> None:
    """Take a member out; `by` is None for somebody who leaves. Raises as `change_member`."""
    await OrganizationRepository(session, organization_id).lock()
    members = MemberRepository(session, organization_id)
    member, _ = await members.get(user_id)
    if member.role == Role.owner:
        if by is not None and not by.is_owner:
            raise PermissionDeniedError("Only owners remove owners.")
        await _need_other_owner(members, user_id)
    await members.remove(user_id)
    await SessionRepository(session).leave(user_id, organization_id)


async def _need_other_owner(members: MemberRepository, user_id: UUID) -> None:
    if await members.other_owners(user_id) == 0:
        raise LastOwnerError("The last owner can't leave or become anything else; make another owner first.")


async def invite(
    parts: Resources,
    session: AsyncSession,
    caller: Caller,
    *,
    email: str,
    role: Role,
    grants: Mapping[str, bool],
) -> InvitationView:
    """Ask somebody in, by e-mail. Raises AlreadyMemberError, PlanLimitError, PermissionDeniedError."""
    check_grants(caller, role, grants)
    await parts.plans.check_members(session, caller.organization_id)
    organization = await OrganizationRepository(session, caller.organization_id).get()
    users = UserRepository(session)
    known = await users.by_email(email)
    if known is not None and await users.membership(known.id, caller.organization_id) is not None:
        raise AlreadyMemberError(f"{email} works here already.")
    token = random_token("in_")
    days = parts.settings.invitation_days
    made = await InvitationRepository(session, caller.organization_id).put(
        email=email,
        role=role.value,
        permissions=dict(grants),
        token_hash=token_hash(token),
        expires_at=datetime.now(UTC) + timedelta(days=days),
        invited_by=caller.user_id,
    )
    by = caller.user
    await parts.mails.write(
        session,
        email,
        "invitation",
        known.language if known is not None else by.language if by is not None else "es",
        organization=organization.name,
        inviter=f"{by.first_name} {by.last_name}" if by is not None else organization.name,
        link=parts.mails.link("invitation", token),
        days=f"{days:g}",
    )
    return invitation_view(made)


async def delete_organization(parts: Resources, organization_id: UUID) -> None:
    """Delete an organization; its conversations end and its files go. Raises ConflictError for the first."""
    if organization_id == await parts.organization.id():
        raise ConflictError("The first organization of an installation can't be deleted.")
    async with parts.database.session() as session:
        repository = OrganizationRepository(session, organization_id)
        await repository.lock()
        running = await repository.running_conversations()
        keys = await repository.file_keys()
        await repository.delete()
    parts.background.run(_tidy(parts, running, keys), "tidy up after an organization")


async def _tidy(parts: Resources, running: list[UUID], keys: list[str]) -> None:
    for conversation_id in running:
        message = TeamMessage(action_id=f"gone:{conversation_id.hex}", action=Close(kind="close"))
        try:
            await parts.gateway.team(str(conversation_id), message)
        except VersaError as error:
            _log.info("a conversation of a deleted organization did not close", reason=error.detail)
    for key in keys:
        await parts.files.delete(key)


def not_found(what: str, identifier: UUID) -> NotFoundError:
    """Return the error for what there is not, for this caller."""
    return NotFoundError(f"There is no {what} {identifier}.")
