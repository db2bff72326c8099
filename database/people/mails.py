"""E-mail about accounts: written with what it tells of, sent afterwards, kept where nothing sends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.crypto import decrypt, encrypt
from core.errors import SecretUnreadableError
from database.tables import AccountEmail, SentEmail


@dataclass(frozen=True)
class KeptMail:
    """An e-mail as the outbox has it; `body` is empty once it was sent."""

    id: UUID
    to: str
    subject: str
    body: str
    created_at: str
    state: str


@dataclass(frozen=True)
class AccountMailRepository:
    """The e-mail of all accounts. `encrypted` bodies hold links that sign in."""

    session: AsyncSession

    async def add(self, *, to: str, subject: str, body: str) -> UUID:
        row = AccountEmail(to=to, subject=subject, body=encrypt(body))
        self.session.add(row)
        await self.session.flush()
        return row.id

    async def take_due(self, limit: int, lease: timedelta) -> list[tuple[AccountEmail, str]]:
        """E-mails to send now, with their bodies; no other process gets them until the lease is over."""
        due = (
            select(AccountEmail)
            .where(
                col(AccountEmail.sent_at).is_(None),
                col(AccountEmail.failed_at).is_(None),
                col(AccountEmail.next_at) <= func.now(),
            )
            .order_by(col(AccountEmail.next_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = [*await self.session.exec(due)]
        if rows:
            taken = update(AccountEmail).where(col(AccountEmail.id).in_([row.id for row in rows]))
            await self.session.exec(
                taken.values(next_at=func.now() + lease, attempts=col(AccountEmail.attempts) + 1)
            )
        return [(row, decrypt(row.body)) for row in rows]

    async def sent(self, mail_id: UUID) -> None:
        """It went out: its body is not kept."""
        statement = update(AccountEmail).where(col(AccountEmail.id) == mail_id)
        await self.session.exec(statement.values(sent_at=func.now(), body="", error=None))

    async def not_sent(self, mail_id: UUID, error: str, again_in: timedelta | None) -> None:
        """It did not go out; without `again_in` it never will."""
        statement = update(AccountEmail).where(col(AccountEmail.id) == mail_id)
        if again_in is None:
            statement = statement.values(failed_at=func.now(), error=error)
        else:
            statement = statement.values(next_at=func.now() + again_in, error=error)
        await self.session.exec(statement)

    async def newest(self, limit: int = 50) -> list[KeptMail]:
        """The outbox, newest first: e-mails about accounts, and those of flows that were kept."""
        mails = []
        for row in await self.session.exec(
            select(AccountEmail).order_by(col(AccountEmail.id).desc()).limit(limit)
        ):
            try:
                body = decrypt(row.body) if row.body else ""
            except SecretUnreadableError:
                body = ""
            state = "sent" if row.sent_at else "failed" if row.failed_at else "kept"
            mails.append(KeptMail(row.id, row.to, row.subject, body, row.created_at.isoformat(), state))
        for kept in await self.session.exec(
            select(SentEmail).order_by(col(SentEmail.id).desc()).limit(limit)
        ):
            mails.append(
                KeptMail(
                    kept.id, ", ".join(kept.to), kept.subject, kept.text, kept.created_at.isoformat(), "kept"
                )
            )
        return sorted(mails, key=lambda mail: mail.created_at, reverse=True)[:limit]
