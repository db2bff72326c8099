"""How often signing in failed of late, by account, by address and by both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from database.tables import SignInFailure


@dataclass(frozen=True)
class FailureRepository:
    """Counters under keys that the caller makes."""

    session: AsyncSession

    async def admit(self, waits: Mapping[str, Callable[[int], float]], forget_after: timedelta) -> float:
        """Count an attempt under all keys, unless one of them still has to wait; return the seconds to wait.

        `waits` tells, from the number of attempts, how long the next one waits. The rows are locked in order,
        so that attempts made at once are admitted one after the other.
        """
        keys = sorted(waits)
        rows = [{"key_hash": key, "failures": 0} for key in keys]
        await self.session.exec(insert(SignInFailure).values(rows).on_conflict_do_nothing())
        present = (
            select(
                SignInFailure.key_hash,
                SignInFailure.failures,
                col(SignInFailure.last_at) < func.now() - forget_after,
                func.coalesce(
                    func.extract("epoch", col(SignInFailure.blocked_until) - func.clock_timestamp()), 0
                ),
            )
            .where(col(SignInFailure.key_hash).in_(keys))
            .order_by(col(SignInFailure.key_hash))
            .with_for_update()
        )
        found = (await self.session.exec(present)).all()
        longest = max(float(waiting) for _, _, _, waiting in found)
        if longest > 0:
            return longest
        for key, failures, forgotten, _ in found:
            count = 1 if forgotten else failures + 1
            await self.session.exec(
                update(SignInFailure)
                .where(col(SignInFailure.key_hash) == key)
                .values(
                    failures=count,
                    last_at=func.now(),
                    blocked_until=func.clock_timestamp() + timedelta(seconds=waits[key](count)),
                )
            )
        return 0.0

    async def forget(self, keys: Sequence[str]) -> None:
        """Forget the attempts under these keys."""
        await self.session.exec(delete(SignInFailure).where(col(SignInFailure.key_hash).in_(keys)))

    async def take_back(self, keys: Sequence[str]) -> None:
        """One attempt under each of these keys was no failure."""
        for key in sorted(keys):  # in the order of `admit`, so that neither waits for the other
            statement = update(SignInFailure).where(
                col(SignInFailure.key_hash) == key, col(SignInFailure.failures) > 0
            )
            await self.session.exec(statement.values(failures=col(SignInFailure.failures) - 1))

    async def forget_old(self, span: timedelta) -> None:
        """Forget whoever has been silent for so long."""
        await self.session.exec(delete(SignInFailure).where(col(SignInFailure.last_at) < func.now() - span))
