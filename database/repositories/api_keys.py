"""Keys for programs: found by their hashes, never shown again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from database.tables import ApiKey


@dataclass(frozen=True)
class ApiKeyRepository:
    """The keys of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def add(
        self,
        *,
        name: str,
        hint: str,
        key_hash: str,
        scopes: Sequence[str],
        created_by: UUID | None,
        expires_at: datetime | None,
    ) -> ApiKey:
        row = ApiKey(
            organization_id=self.organization_id,
            name=name,
            hint=hint,
            key_hash=key_hash,
            scopes=list(scopes),
            created_by=created_by,
            expires_at=expires_at,
        )
        self.session.add(row)
        await self.session.flush()
        await self.session.refresh(row)
        return row

    async def list(self) -> list[ApiKey]:
        """Those that were not revoked, newest first."""
        query = select(ApiKey).where(
            ApiKey.organization_id == self.organization_id, col(ApiKey.revoked_at).is_(None)
        )
        return [*await self.session.exec(query.order_by(col(ApiKey.id).desc()))]

    async def revoke(self, key_id: UUID) -> bool:
        """False when there is no such key."""
        statement = update(ApiKey).where(
            col(ApiKey.organization_id) == self.organization_id,
            col(ApiKey.id) == key_id,
            col(ApiKey.revoked_at).is_(None),
        )
        statement = statement.values(revoked_at=func.now())
        return (await self.session.exec(statement.returning(col(ApiKey.id)))).first() is not None

    async def touch(self, key_id: UUID) -> None:
        """Record that a key is used now."""
        statement = update(ApiKey).where(
            col(ApiKey.organization_id) == self.organization_id, col(ApiKey.id) == key_id
        )
        statement = statement.values(last_used_at=func.now())
        await self.session.exec(statement.execution_options(synchronize_session=False))
