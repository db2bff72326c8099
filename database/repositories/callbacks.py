"""One-time addresses that conversations wait on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from database.tables import Callback


@dataclass(frozen=True)
class CallbackRepository:
    """The callbacks of one organization; whoever holds only a token starts at `public_lookup`."""

    session: AsyncSession
    organization_id: UUID

    async def open(
        self, callback_id: str, conversation_id: UUID, *, token_hash: str, expires_at: datetime
    ) -> None:
        """Store a callback's token hash. Repeating it replaces token and end until the callback is used."""
        row = {
            "organization_id": self.organization_id,
            "id": callback_id,
            "conversation_id": conversation_id,
            "token_hash": token_hash,
            "expires_at": expires_at,
        }
        statement = insert(Callback).values(row)
        await self.session.exec(
            statement.on_conflict_do_update(
                index_elements=["organization_id", "id"],
                set_={
                    "token_hash": statement.excluded.token_hash,
                    "expires_at": statement.excluded.expires_at,
                },
                where=col(Callback.used_at).is_(None),
            )
        )

    async def get(self, callback_id: str) -> Callback | None:
        query = select(Callback).where(
            Callback.organization_id == self.organization_id, Callback.id == callback_id
        )
        return (await self.session.exec(query)).one_or_none()

    async def find_by_token_hash(self, token_hash: str) -> Callback | None:
        query = select(Callback).where(
            Callback.organization_id == self.organization_id, Callback.token_hash == token_hash
        )
        return (await self.session.exec(query)).one_or_none()

    async def mark_used(self, callback_id: str) -> bool:
        """Whether this call marked it; False when it was used before, or isn't there."""
        statement = (
            update(Callback)
            .where(
                col(Callback.organization_id) == self.organization_id,
                col(Callback.id) == callback_id,
                col(Callback.used_at).is_(None),
            )
            .values(used_at=func.now())
            .returning(col(Callback.id))
        )
        return (await self.session.exec(statement)).first() is not None
