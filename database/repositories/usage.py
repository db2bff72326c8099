"""What an organization used this month. Counters are exact: each batch of a transcript adds what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

_FOLD = """
WITH taken AS (
    DELETE FROM usage_deltas WHERE id IN (
        SELECT id FROM usage_deltas WHERE organization_id = :organization FOR UPDATE SKIP LOCKED
    )
    RETURNING month, conversations, messages, tokens
)
INSERT INTO usage_counters AS present (organization_id, month, conversations, messages, tokens)
SELECT :organization, month, sum(conversations), sum(messages), sum(tokens) FROM taken GROUP BY month
ON CONFLICT (organization_id, month) DO UPDATE SET
    conversations = present.conversations + EXCLUDED.conversations,
    messages = present.messages + EXCLUDED.messages,
    tokens = present.tokens + EXCLUDED.tokens
"""

_READ = """
SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month,
    coalesce(sum(conversations), 0)::bigint AS conversations,
    coalesce(sum(messages), 0)::bigint AS messages,
    coalesce(sum(tokens), 0)::bigint AS tokens,
    (SELECT coalesce(sum(size), 0)::bigint FROM files WHERE organization_id = :organization) AS storage,
    (SELECT count(*) FROM organization_members WHERE organization_id = :organization) AS members,
    (SELECT subscription_plan FROM organizations WHERE id = :organization) AS plan,
    (SELECT settings FROM organizations WHERE id = :organization) AS settings
FROM (
    SELECT conversations, messages, tokens FROM usage_counters
    WHERE organization_id = :organization AND month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT conversations, messages, tokens FROM usage_deltas
    WHERE organization_id = :organization AND month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
) AS used
"""


@dataclass(frozen=True)
class Usage:
    """What was used in the month that begins on `month`; `storage` (bytes) and `members` are now."""

    month: date
    conversations: int
    messages: int
    tokens: int
    storage: int
    members: int
    plan: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class UsageRepository:
    """The counters of one organization."""

    session: AsyncSession
    organization_id: UUID

    async def fold(self) -> None:
        """Add the deltas to the counters. Several processes may do so at once."""
        await self._run(_FOLD)

    async def read(self) -> Usage | None:
        """This month's usage; None when the organization is gone."""
        row = (await self._run(_READ)).mappings().one()
        return Usage(**row) if row["plan"] is not None else None

    async def _run(self, statement: str) -> Any:
        bound = text(statement).bindparams(organization=self.organization_id)
        return await self.session.exec(bound)  # type: ignore[call-overload]
