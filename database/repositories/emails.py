"""E-mail kept for reading where no SMTP server is configured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.ids import uuid7
from database.tables import SentEmail


@dataclass(frozen=True)
class EmailOutboxRepository:
    """The kept e-mails of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def add(
        self, *, message_id: str, to: Sequence[str], subject: str, text: str, html: str | None = None
    ) -> bool:
        """Keep an e-mail once; False when that Message-ID is there already."""
        row = {
            "id": uuid7(),
            "organization_id": self.organization_id,
            "message_id": message_id,
            "to": list(to),
            "subject": subject,
            "text": text,
            "html": html,
        }
        statement = insert(SentEmail).values(row)
        statement = statement.on_conflict_do_nothing(index_elements=["organization_id", "message_id"])
        added = await self.session.exec(statement.returning(col(SentEmail.id)))
        return added.first() is not None

    async def list(self, *, limit: int = 50, before: UUID | None = None) -> list[SentEmail]:
        """Newest first; `before` is the id of the last one seen."""
        query = select(SentEmail).where(SentEmail.organization_id == self.organization_id)
        if before is not None:
            query = query.where(col(SentEmail.id) < before)
        return [*await self.session.exec(query.order_by(col(SentEmail.id).desc()).limit(limit))]
