"""Secrets by name: stored encrypted, listed without values, revealed to activities alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.crypto import decrypt, encrypt
from core.ids import uuid7
from database.tables import Secret


@dataclass(frozen=True)
class SecretRepository:
    """The secrets of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def set(self, name: str, value: str) -> None:
        """Add or replace; encrypted under the present key."""
        row = {
            "id": uuid7(),
            "organization_id": self.organization_id,
            "name": name,
            "ciphertext": encrypt(value),
        }
        statement = insert(Secret).values(row)
        await self.session.exec(
            statement.on_conflict_do_update(
                index_elements=["organization_id", "name"],
                set_={"ciphertext": statement.excluded.ciphertext, "updated_at": func.now()},
            )
        )

    async def delete(self, name: str) -> bool:
        """Whether there was one."""
        statement = delete(Secret).where(
            col(Secret.organization_id) == self.organization_id, col(Secret.name) == name
        )
        return (await self.session.exec(statement.returning(col(Secret.id)))).first() is not None

    async def names(self) -> list[str]:
        """In alphabetical order."""
        query = select(Secret.name).where(Secret.organization_id == self.organization_id)
        return [*await self.session.exec(query.order_by(Secret.name))]

    async def reveal(self, names: Iterable[str]) -> dict[str, str]:
        """The values of those of `names` that exist. Raises SecretUnreadableError when a key is gone."""
        query = select(Secret.name, Secret.ciphertext).where(
            Secret.organization_id == self.organization_id, col(Secret.name).in_(set(names))
        )
        return {name: decrypt(ciphertext) for name, ciphertext in await self.session.exec(query)}
