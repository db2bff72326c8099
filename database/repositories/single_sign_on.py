"""The OpenID provider of an organization, the sign-ins that are under way, and who its subjects are here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.ids import uuid7
from database.tables import SsoAttempt, SsoIdentity, SsoProvider


@dataclass(frozen=True)
class SsoRepository:
    """Single sign-on of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def provider(self) -> SsoProvider | None:
        query = select(SsoProvider).where(SsoProvider.organization_id == self.organization_id)
        return (await self.session.exec(query)).one_or_none()

    async def put(self, **fields: Any) -> SsoProvider:
        """Configure, or configure anew."""
        statement = insert(SsoProvider).values(
            {"id": uuid7(), "organization_id": self.organization_id, **fields}
        )
        replacing = statement.on_conflict_do_update(
            index_elements=["organization_id"], set_={**fields, "updated_at": func.now()}
        ).returning(SsoProvider)
        stored: SsoProvider = (
            await self.session.exec(replacing.execution_options(populate_existing=True))
        ).scalar_one()
        return stored

    async def remove(self) -> bool:
        """Forget the provider and whom it knows; False when there was none."""
        statement = delete(SsoProvider).where(col(SsoProvider.organization_id) == self.organization_id)
        return (await self.session.exec(statement.returning(col(SsoProvider.id)))).first() is not None

    async def forget_identities(self, provider_id: UUID) -> None:
        """The provider became another one: its subjects are others."""
        await self.session.exec(
            delete(SsoIdentity).where(
                col(SsoIdentity.organization_id) == self.organization_id,
                col(SsoIdentity.provider_id) == provider_id,
            )
        )

    async def begin(
        self,
        provider_id: UUID,
        *,
        state_hash: str,
        browser_hash: str,
        nonce: str,
        code_verifier: str,
        return_to: str,
        expires_at: datetime,
    ) -> None:
        """Remember a sign-in that goes to the provider; forget those that never came back."""
        await self.session.exec(
            delete(SsoAttempt).where(
                col(SsoAttempt.organization_id) == self.organization_id,
                col(SsoAttempt.expires_at) < func.now(),
            )
        )
        self.session.add(
            SsoAttempt(
                organization_id=self.organization_id,
                provider_id=provider_id,
                state_hash=state_hash,
                browser_hash=browser_hash,
                nonce=nonce,
                code_verifier=code_verifier,
                return_to=return_to,
                expires_at=expires_at,
            )
        )
        await self.session.flush()

    async def user_of(self, provider_id: UUID, subject: str) -> UUID | None:
        """Who a subject of the provider is here."""
        query = select(SsoIdentity.user_id).where(
            SsoIdentity.organization_id == self.organization_id,
            SsoIdentity.provider_id == provider_id,
            SsoIdentity.subject == subject,
        )
        return (await self.session.exec(query)).one_or_none()

    async def link(self, provider_id: UUID, subject: str, user_id: UUID) -> None:
        """From now on this subject is that person."""
        statement = insert(SsoIdentity).values(
            {
                "id": uuid7(),
                "organization_id": self.organization_id,
                "provider_id": provider_id,
                "subject": subject,
                "user_id": user_id,
            }
        )
        await self.session.exec(
            statement.on_conflict_do_update(
                index_elements=["provider_id", "subject"], set_={"user_id": user_id}
            )
        )
