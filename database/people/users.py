"""Accounts, and the organizations that each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.ids import uuid7
from database.tables import Organization, OrganizationMember, User

_REGISTRATION_LOCK = 0x5645_5253_4141_4932
"""Key of the advisory lock under which it is decided who is first."""


@dataclass(frozen=True)
class UserRepository:
    """All accounts of the installation."""

    session: AsyncSession

    async def lock_registration(self) -> bool:
        """Let nobody else register until the transaction ends; tell whether there is no account yet."""
        await self.session.exec(
            text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=_REGISTRATION_LOCK)  # type: ignore[call-overload]
        )
        return (await self.session.exec(select(User.id).limit(1))).first() is None

    async def get(self, user_id: UUID) -> User | None:
        return (await self.session.exec(select(User).where(User.id == user_id))).one_or_none()

    async def locked(self, user_id: UUID) -> User | None:
        """The account, kept from changes by others until the transaction ends."""
        query = select(User).where(User.id == user_id).with_for_update()
        return (await self.session.exec(query.execution_options(populate_existing=True))).one_or_none()

    async def by_email(self, email: str) -> User | None:
        """`email` in the form in which accounts keep it."""
        return (await self.session.exec(select(User).where(User.email == email))).one_or_none()

    async def add(self, **fields: Any) -> User | None:
        """A new account; None when the address has one already."""
        row = {"id": uuid7(), **fields}
        statement = insert(User).values(row).on_conflict_do_nothing(index_elements=["email"])
        created: User | None = (await self.session.exec(statement.returning(User))).scalar_one_or_none()
        return created

    async def change(self, user_id: UUID, **fields: Any) -> User | None:
        """Set columns; None when the account is gone."""
        statement = update(User).where(col(User.id) == user_id).values(**fields, updated_at=func.now())
        statement = statement.returning(User).execution_options(populate_existing=True)
        changed: User | None = (await self.session.exec(statement)).scalar_one_or_none()
        return changed

    async def take_step(self, user_id: UUID, step: int) -> bool:
        """Use up a time step of the second factor; False when it, or a later one, was used before."""
        statement = (
            update(User)
            .where(col(User.id) == user_id, col(User.two_factor_step) < step)
            .values(two_factor_step=step)
            .returning(col(User.id))
        )
        return (await self.session.exec(statement)).first() is not None

    async def delete(self, user_id: UUID) -> None:
        """Delete an account with its memberships, sessions and credentials."""
        await self.session.exec(delete(User).where(col(User.id) == user_id))

    async def memberships(self, user_id: UUID) -> list[tuple[Organization, OrganizationMember]]:
        """The organizations of a person, oldest membership first."""
        query = (
            select(Organization, OrganizationMember)
            .join(OrganizationMember, col(OrganizationMember.organization_id) == col(Organization.id))
            .where(OrganizationMember.user_id == user_id)
            .order_by(col(OrganizationMember.joined_at), col(OrganizationMember.id))
        )
        return [(organization, member) for organization, member in await self.session.exec(query)]

    async def membership(self, user_id: UUID, organization_id: UUID) -> OrganizationMember | None:
        """A person's membership of one organization."""
        query = select(OrganizationMember).where(
            OrganizationMember.user_id == user_id, OrganizationMember.organization_id == organization_id
        )
        return (await self.session.exec(query)).one_or_none()

    async def solely_owned(self, user_id: UUID) -> list[Organization]:
        """The organizations whose only owner is this person; they stay locked until the transaction ends."""
        others = (
            select(OrganizationMember.id)
            .where(
                col(OrganizationMember.organization_id) == col(Organization.id),
                OrganizationMember.role == "owner",
                OrganizationMember.user_id != user_id,
            )
            .exists()
        )
        owned = (
            select(Organization)
            .join(OrganizationMember, col(OrganizationMember.organization_id) == col(Organization.id))
            .where(OrganizationMember.user_id == user_id, OrganizationMember.role == "owner")
            .order_by(col(Organization.id))
            .with_for_update(of=Organization)
        )
        mine = [*await self.session.exec(owned)]
        alone = select(Organization.id).where(col(Organization.id).in_([one.id for one in mine]), ~others)
        left = {*await self.session.exec(alone)}
        return [one for one in mine if one.id in left]
