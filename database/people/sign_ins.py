"""How often signing in failed of late, by account, by address and by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, text
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from database.tables import SignInFailure

_COUNT = """
INSERT INTO sign_in_failures AS present (key_hash, failures, last_at) VALUES (:key, 1, now())
ON CONFLICT (key_hash) DO UPDATE SET
    failures = CASE WHEN present.last_at < now() - :forget THEN 1 ELSE present.failures + 1 END,
    last_at = now()
RETURNING failures
"""


@dataclass(frozen=True)
class FailureRepository:
    """Counters under keys that the caller makes; a silent hour and more forgets one."""

    session: AsyncSession

    async def seconds_blocked(self, keys: Sequence[str]) -> float:
        """For how long the most blocked of the keys still has to wait; 0 for none."""
        query = select(func.max(func.extract("epoch", col(SignInFailure.blocked_until) - func.now()))).where(
            col(SignInFailure.key_hash).in_(keys)
        )
        longest = (await self.session.exec(query)).one()
        return max(0.0, float(longest or 0))

    async def count(self, key: str, forget_after: timedelta) -> int:
        """Count a failure; return how many there were."""
        statement = text(_COUNT).bindparams(key=key, forget=forget_after)
        return int((await self.session.exec(statement)).scalar_one())  # type: ignore[call-overload]

    async def block(self, seconds: Mapping[str, float]) -> None:
        """Block keys from now on, for so many seconds each."""
        for key, span in seconds.items():
            statement = text(
                "UPDATE sign_in_failures SET blocked_until = now() + :span WHERE key_hash = :key"
            ).bindparams(key=key, span=timedelta(seconds=span))
            await self.session.exec(statement)  # type: ignore[call-overload]

    async def forget(self, keys: Sequence[str]) -> None:
        """Forget the failures of these keys."""
        await self.session.exec(delete(SignInFailure).where(col(SignInFailure.key_hash).in_(keys)))

    async def forget_old(self, span: timedelta) -> None:
        """Forget whoever has been silent for so long."""
        await self.session.exec(delete(SignInFailure).where(col(SignInFailure.last_at) < func.now() - span))
