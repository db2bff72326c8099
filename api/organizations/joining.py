"""How people come into organizations: by their own, by an invitation, by its provider."""

from __future__ import annotations

import re
import unicodedata

from sqlmodel.ext.asyncio.session import AsyncSession

from api.resources import Resources
from core.ids import short_id
from database.public_lookup import create_organization
from database.repositories import MemberRepository
from database.tables import Invitation, Organization, User


def slug_of(name: str) -> str:
    """Return a slug for a name: letters and digits without accents, or a random one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80].rstrip("-") or f"org-{short_id(6)}"


async def own_organization(
    parts: Resources, session: AsyncSession, user: User, name: str | None = None, **fields: object
) -> Organization:
    """Make an organization that a person owns; a slug that is taken gets an ending."""
    title = (name or f"{user.first_name} {user.last_name}").strip()[:200]
    slug = str(fields.pop("slug", None) or slug_of(title))
    made = None
    while made is None:
        made = await create_organization(
            session,
            name=title,
            slug=slug,
            owner_id=user.id,
            subscription_plan=parts.settings.default_plan,
            **fields,
        )
        slug = f"{slug[:90]}-{short_id(6)}"
    await MemberRepository(session, made.id).add(user.id, "owner")
    return made


async def join(parts: Resources, session: AsyncSession, user: User, invitation: Invitation) -> None:
    """Make somebody a member as an invitation says. Raises PlanLimitError when the plan is full."""
    members = MemberRepository(session, invitation.organization_id)
    await parts.plans.check_members(session, invitation.organization_id)
    await members.add(user.id, invitation.role, invitation.permissions, invitation.invited_by)
