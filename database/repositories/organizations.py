"""An organization itself, its members and its invitations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import NotFoundError
from core.ids import uuid7
from database.tables import (
    ConversationRow,
    Invitation,
    Organization,
    OrganizationMember,
    StoredFile,
    User,
)


@dataclass(frozen=True)
class OrganizationRepository:
    """One organization's own row."""

    session: AsyncSession
    organization_id: UUID

    async def get(self) -> Organization:
        """Raises NotFoundError."""
        query = select(Organization).where(Organization.id == self.organization_id)
        found = (await self.session.exec(query)).one_or_none()
        if found is None:
            raise NotFoundError(f"There is no organization {self.organization_id}.")
        return found

    async def lock(self) -> None:
        """Let nobody else change the members until the transaction ends. Raises NotFoundError."""
        query = select(Organization.id).where(Organization.id == self.organization_id).with_for_update()
        if (await self.session.exec(query)).one_or_none() is None:
            raise NotFoundError(f"There is no organization {self.organization_id}.")

    async def change(self, **fields: Any) -> Organization:
        """Set columns. Raises NotFoundError."""
        statement = update(Organization).where(col(Organization.id) == self.organization_id)
        statement = statement.values(**fields, updated_at=func.now()).returning(Organization)
        changed: Organization | None = (
            await self.session.exec(statement.execution_options(populate_existing=True))
        ).scalar_one_or_none()
        if changed is None:
            raise NotFoundError(f"There is no organization {self.organization_id}.")
        return changed

    async def delete(self) -> None:
        """Delete it with all that belongs to it."""
        await self.session.exec(delete(Organization).where(col(Organization.id) == self.organization_id))

    async def running_conversations(self) -> list[UUID]:
        """The conversations that have not ended."""
        query = select(ConversationRow.id).where(
            ConversationRow.organization_id == self.organization_id, ConversationRow.status != "ended"
        )
        return [*await self.session.exec(query)]

    async def file_keys(self) -> list[str]:
        """Where the bytes of its files lie."""
        query = select(StoredFile.storage_key).where(StoredFile.organization_id == self.organization_id)
        return [*await self.session.exec(query)]


@dataclass(frozen=True)
class MemberRepository:
    """The members of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def list(self) -> list[tuple[OrganizationMember, User]]:
        """Everybody, the longest here first."""
        query = (
            select(OrganizationMember, User)
            .join(User, col(User.id) == col(OrganizationMember.user_id))
            .where(OrganizationMember.organization_id == self.organization_id)
            .order_by(col(OrganizationMember.joined_at), col(OrganizationMember.id))
        )
        return [(member, user) for member, user in await self.session.exec(query)]

    async def get(self, user_id: UUID) -> tuple[OrganizationMember, User]:
        """Raises NotFoundError."""
        query = (
            select(OrganizationMember, User)
            .join(User, col(User.id) == col(OrganizationMember.user_id))
            .where(
                OrganizationMember.organization_id == self.organization_id,
                OrganizationMember.user_id == user_id,
            )
        )
        found = (await self.session.exec(query)).one_or_none()
        if found is None:
            raise NotFoundError(f"There is no member {user_id}.")
        return found[0], found[1]

    async def add(
        self,
        user_id: UUID,
        role: str,
        permissions: dict[str, bool] | None = None,
        invited_by: UUID | None = None,
    ) -> bool:
        """Take somebody in; False when they are in already."""
        row = {
            "id": uuid7(),
            "organization_id": self.organization_id,
            "user_id": user_id,
            "role": role,
            "permissions": permissions or {},
            "invited_by": invited_by,
        }
        statement = insert(OrganizationMember).values(row)
        statement = statement.on_conflict_do_nothing(index_elements=["organization_id", "user_id"])
        added = await self.session.exec(statement.returning(col(OrganizationMember.id)))
        return added.first() is not None

    async def change(self, user_id: UUID, **fields: Any) -> None:
        """Set role or grants."""
        await self.session.exec(self._of(update(OrganizationMember), user_id).values(**fields))

    async def remove(self, user_id: UUID) -> None:
        await self.session.exec(self._of(delete(OrganizationMember), user_id))

    async def count(self) -> int:
        query = select(func.count()).where(OrganizationMember.organization_id == self.organization_id)
        return (await self.session.exec(query)).one()

    async def other_owners(self, user_id: UUID) -> int:
        """How many owners there are beside somebody."""
        query = select(func.count()).where(
            OrganizationMember.organization_id == self.organization_id,
            OrganizationMember.role == "owner",
            OrganizationMember.user_id != user_id,
        )
        return (await self.session.exec(query)).one()

    def _of(self, statement: Any, user_id: UUID) -> Any:
        return statement.where(
            col(OrganizationMember.organization_id) == self.organization_id,
            col(OrganizationMember.user_id) == user_id,
        )


@dataclass(frozen=True)
class InvitationRepository:
    """Who is asked to join one organization."""

    session: AsyncSession
    organization_id: UUID

    async def put(
        self,
        *,
        email: str,
        role: str,
        permissions: dict[str, bool],
        token_hash: str,
        expires_at: datetime,
        invited_by: UUID | None,
    ) -> Invitation:
        """Invite; an invitation of the same address that is still open is replaced, its link void."""
        row = {
            "id": uuid7(),
            "organization_id": self.organization_id,
            "email": email,
            "role": role,
            "permissions": permissions,
            "token_hash": token_hash,
            "expires_at": expires_at,
            "invited_by": invited_by,
        }
        statement = insert(Invitation).values(row)
        excluded = statement.excluded
        replacing = statement.on_conflict_do_update(
            index_elements=["organization_id", "email"],
            index_where=col(Invitation.accepted_at).is_(None),
            set_={
                "role": excluded.role,
                "permissions": excluded.permissions,
                "token_hash": excluded.token_hash,
                "expires_at": excluded.expires_at,
                "invited_by": excluded.invited_by,
                "created_at": func.now(),
            },
        ).returning(Invitation)
        made: Invitation = (
            await self.session.exec(replacing.execution_options(populate_existing=True))
        ).scalar_one()
        return made

    async def list(self) -> list[Invitation]:
        """Those that were not accepted, newest first; some may be over."""
        query = select(Invitation).where(
            Invitation.organization_id == self.organization_id, col(Invitation.accepted_at).is_(None)
        )
        return [*await self.session.exec(query.order_by(col(Invitation.id).desc()))]

    async def withdraw(self, invitation_id: UUID) -> bool:
        """False when there is no such open invitation."""
        statement = delete(Invitation).where(
            col(Invitation.organization_id) == self.organization_id,
            col(Invitation.id) == invitation_id,
            col(Invitation.accepted_at).is_(None),
        )
        return (await self.session.exec(statement.returning(col(Invitation.id)))).first() is not None
