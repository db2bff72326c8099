"""Mailed links and backup codes: found by their hashes, good once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from database.tables import AccountToken, BackupCode


@dataclass(frozen=True)
class CredentialRepository:
    """The credentials of all accounts."""

    session: AsyncSession

    async def issue(self, user_id: UUID, purpose: str, token_hash: str, expires_at: datetime) -> None:
        """Keep a link's token; earlier ones of the purpose are void."""
        await self.void(user_id, purpose)
        self.session.add(
            AccountToken(user_id=user_id, purpose=purpose, token_hash=token_hash, expires_at=expires_at)
        )
        await self.session.flush()

    async def void(self, user_id: UUID, purpose: str) -> None:
        """Make the links of a purpose worthless."""
        await self.session.exec(
            delete(AccountToken).where(
                col(AccountToken.user_id) == user_id, col(AccountToken.purpose) == purpose
            )
        )

    async def issued_within(self, user_id: UUID, purpose: str, span: timedelta) -> bool:
        """Tell whether a link of the purpose was made of late."""
        query = select(AccountToken.id).where(
            AccountToken.user_id == user_id,
            AccountToken.purpose == purpose,
            col(AccountToken.created_at) > func.now() - span,
        )
        return (await self.session.exec(query.limit(1))).first() is not None

    async def find(self, purpose: str, token_hash: str) -> AccountToken | None:
        """A token that has not expired, used or not."""
        query = select(AccountToken).where(
            AccountToken.token_hash == token_hash,
            AccountToken.purpose == purpose,
            col(AccountToken.expires_at) > func.now(),
        )
        return (await self.session.exec(query)).one_or_none()

    async def use(self, purpose: str, token_hash: str) -> UUID | None:
        """Use up a token; return whose it is, or None when it is unknown, used or over."""
        statement = (
            update(AccountToken)
            .where(
                col(AccountToken.token_hash) == token_hash,
                col(AccountToken.purpose) == purpose,
                col(AccountToken.used_at).is_(None),
                col(AccountToken.expires_at) > func.now(),
            )
            .values(used_at=func.now())
            .returning(col(AccountToken.user_id))
            .execution_options(synchronize_session=False)
        )
        found = (await self.session.exec(statement)).first()
        return found[0] if found is not None else None

    async def replace_backup_codes(self, user_id: UUID, hashes: Sequence[str]) -> None:
        """Keep these codes alone."""
        await self.session.exec(delete(BackupCode).where(col(BackupCode.user_id) == user_id))
        self.session.add_all(BackupCode(user_id=user_id, code_hash=code) for code in hashes)
        await self.session.flush()

    async def use_backup_code(self, user_id: UUID, code_hash: str) -> bool:
        """Use up a code; False when there is none, or it was used."""
        statement = (
            update(BackupCode)
            .where(
                col(BackupCode.user_id) == user_id,
                col(BackupCode.code_hash) == code_hash,
                col(BackupCode.used_at).is_(None),
            )
            .values(used_at=func.now())
            .returning(col(BackupCode.id))
        )
        return (await self.session.exec(statement)).first() is not None

    async def backup_codes(self, user_id: UUID) -> tuple[int, int, datetime | None]:
        """How many there are, how many are left, and when they were made."""
        query = select(
            func.count(),
            func.count().filter(col(BackupCode.used_at).is_(None)),
            func.max(col(BackupCode.created_at)),
        ).where(BackupCode.user_id == user_id)
        total, left, made_at = (await self.session.exec(query)).one()
        return total, left, made_at
