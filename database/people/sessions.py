"""Where people are signed in: sessions, and the refresh tokens of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from database.tables import OrganizationMember, RefreshToken, User, UserSession


@dataclass(frozen=True)
class SignedIn:
    """A session with its person and, if they work in an organization there, their membership."""

    session: UserSession
    user: User
    member: OrganizationMember | None


class Rotation(StrEnum):
    """What became of a refresh token that was presented."""

    fresh = "fresh"
    reused = "reused"
    unknown = "unknown"


@dataclass(frozen=True)
class SessionRepository:
    """All sessions of the installation."""

    session: AsyncSession

    async def add(self, **fields: Any) -> UserSession:
        row = UserSession(**fields)
        self.session.add(row)
        await self.session.flush()
        await self.session.refresh(row)
        return row

    async def find(self, session_id: UUID, organization_id: UUID | None = None) -> SignedIn | None:
        """A live session of an active account, with the membership of the session's organization.

        `organization_id` asks for the membership of another one.
        """
        return await self._signed_in(UserSession.id == session_id, organization_id)

    async def find_by_cookie(self, cookie_hash: str, organization_id: UUID | None = None) -> SignedIn | None:
        """As `find`, by the hash of a browser's cookie."""
        return await self._signed_in(UserSession.cookie_hash == cookie_hash, organization_id)

    async def _signed_in(self, condition: Any, organization_id: UUID | None) -> SignedIn | None:
        wanted: Any = organization_id if organization_id is not None else col(UserSession.organization_id)
        query = (
            select(UserSession, User, OrganizationMember)
            .join(User, col(User.id) == col(UserSession.user_id))
            .outerjoin(
                OrganizationMember,
                (col(OrganizationMember.user_id) == col(User.id))
                & (col(OrganizationMember.organization_id) == wanted),
            )
            .where(
                condition,
                col(UserSession.ended_at).is_(None),
                col(UserSession.expires_at) > func.now(),
                col(User.is_active),
            )
        )
        found = (await self.session.exec(query)).one_or_none()
        return SignedIn(*found) if found is not None else None

    async def list(self, user_id: UUID) -> list[UserSession]:
        """A person's live sessions, the last used first."""
        query = select(UserSession).where(
            UserSession.user_id == user_id,
            col(UserSession.ended_at).is_(None),
            col(UserSession.expires_at) > func.now(),
        )
        return [*await self.session.exec(query.order_by(col(UserSession.last_used_at).desc()))]

    async def touch(self, session_id: UUID, expires_at: datetime | None = None) -> None:
        """Record that a session is used now; `expires_at` moves its end."""
        values: dict[str, Any] = {"last_used_at": func.now()}
        if expires_at is not None:
            values["expires_at"] = expires_at
        statement = update(UserSession).where(col(UserSession.id) == session_id).values(values)
        await self.session.exec(statement.execution_options(synchronize_session=False))

    async def work_in(self, session_id: UUID, organization_id: UUID | None) -> None:
        """Choose the organization of a session."""
        statement = update(UserSession).where(col(UserSession.id) == session_id)
        await self.session.exec(statement.values(organization_id=organization_id))

    async def leave(self, user_id: UUID, organization_id: UUID) -> None:
        """A person is no member any more: sessions go elsewhere, those bound to the organization end."""
        mine = (
            col(UserSession.user_id) == user_id,
            col(UserSession.organization_id) == organization_id,
        )
        bound = update(UserSession).where(*mine, col(UserSession.bound), col(UserSession.ended_at).is_(None))
        await self.session.exec(bound.values(ended_at=func.now(), end_reason="removed"))
        await self.session.exec(update(UserSession).where(*mine).values(organization_id=None))

    async def end(self, user_id: UUID, session_id: UUID, reason: str) -> bool:
        """End one session of a person; False when there is no such live one."""
        statement = update(UserSession).where(
            col(UserSession.id) == session_id,
            col(UserSession.user_id) == user_id,
            col(UserSession.ended_at).is_(None),
        )
        statement = statement.values(ended_at=func.now(), end_reason=reason)
        return (await self.session.exec(statement.returning(col(UserSession.id)))).first() is not None

    async def end_all(self, user_id: UUID, reason: str, keep: UUID | None = None) -> int:
        """End all sessions of a person but `keep`; return how many."""
        statement = update(UserSession).where(
            col(UserSession.user_id) == user_id, col(UserSession.ended_at).is_(None)
        )
        if keep is not None:
            statement = statement.where(col(UserSession.id) != keep)
        statement = statement.values(ended_at=func.now(), end_reason=reason)
        return len((await self.session.exec(statement.returning(col(UserSession.id)))).all())

    async def add_token(self, session_id: UUID, token_hash: str) -> None:
        self.session.add(RefreshToken(session_id=session_id, token_hash=token_hash))
        await self.session.flush()

    async def use_token(self, token_hash: str) -> tuple[Rotation, UUID | None]:
        """Use up a refresh token; return what it was, and its session.

        One statement marks it, so that of two requests with one token only the first finds it fresh.
        """
        taken = (
            update(RefreshToken)
            .where(col(RefreshToken.token_hash) == token_hash, col(RefreshToken.used_at).is_(None))
            .values(used_at=func.now())
            .returning(col(RefreshToken.session_id))
        )
        fresh = (await self.session.exec(taken)).first()
        if fresh is not None:
            return Rotation.fresh, fresh[0]
        query = select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash)
        known = (await self.session.exec(query)).one_or_none()
        return (Rotation.reused, known) if known is not None else (Rotation.unknown, None)

    async def end_family(self, session_id: UUID) -> None:
        """End the session whose refresh token came twice."""
        statement = update(UserSession).where(
            col(UserSession.id) == session_id, col(UserSession.ended_at).is_(None)
        )
        await self.session.exec(statement.values(ended_at=func.now(), end_reason="refresh token reused"))

    async def forget_old(self, user_id: UUID, span: timedelta) -> None:
        """Forget a person's sessions that ended so long ago."""
        await self.session.exec(
            delete(UserSession).where(
                col(UserSession.user_id) == user_id, col(UserSession.expires_at) < func.now() - span
            )
        )

    async def knows_address(self, user_id: UUID, address: str, since: timedelta) -> bool:
        """Tell whether somebody signed in to this account from this address of late."""
        query = select(UserSession.id).where(
            UserSession.user_id == user_id,
            UserSession.address == address,
            col(UserSession.created_at) > func.now() - since,
        )
        return (await self.session.exec(query.limit(1))).first() is not None
