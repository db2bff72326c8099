"""What organizations may still use. The answer for visitors' openings is kept in memory.

An opening looks into a dictionary. What stands there is at most some seconds old: when it is older, the
request goes on with it and a task reads the counters anew. Only the first opening of an organization in a
process waits for the tables.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import PermissionDeniedError, UnavailableError
from core.logging import get_logger
from core.plans import plan_of
from database.database import Database
from database.repositories import MemberRepository, OrganizationRepository, UsageRepository
from database.repositories.usage import Usage

_FRESH_SECONDS = 5.0
_MOST_REMEMBERED = 10_000
_MONTHLY = ("conversations", "messages", "tokens")
_log = get_logger(__name__)

EXHAUSTED_TEXT = "This bot can't take new conversations at the moment. Please come back later."


class PlanLimitError(PermissionDeniedError):
    """The organization's plan is used up; `limit` names what, `allowed` and `used` say how much."""

    slug = "plan-limit"
    title = "The plan's limit is reached"


@dataclass(frozen=True)
class _Known:
    read_at: float
    usage: Usage | None


class Plans:
    """Reads usage and refuses what is beyond a plan."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._reading: set[UUID] = set()

    async def check_opening(self, organization_id: UUID, background: Any) -> None:
        """Raise PlanLimitError when no new conversation may begin."""
        known = self._known.get(organization_id)
        if known is None:
            await self._refresh(organization_id)
            known = self._known[organization_id]
        elif time.monotonic() - known.read_at > _FRESH_SECONDS and organization_id not in self._reading:
            self._reading.add(organization_id)
            background.run(self._refresh(organization_id), "read an organization's usage")
        if known.usage is not None:
            refuse_beyond(known.usage, _MONTHLY, _text(known.usage))

    async def check_storage(self, organization_id: UUID, more: int) -> None:
        """Raise PlanLimitError when so many bytes more don't fit."""
        usage = await self.read(organization_id)
        allowed = plan_of(usage.plan).storage if usage is not None else None
        if usage is not None and allowed is not None and usage.storage + more > allowed:
            raise limit_error("storage", usage.storage, allowed)

    async def check_members(self, session: AsyncSession, organization_id: UUID) -> None:
        """Raise PlanLimitError when nobody else fits in; holds the organization until the end."""
        organization = OrganizationRepository(session, organization_id)
        await organization.lock()
        allowed = plan_of((await organization.get()).subscription_plan).members
        used = await MemberRepository(session, organization_id).count()
        if allowed is not None and used >= allowed:
            raise limit_error("members", used, allowed)

    async def read(self, organization_id: UUID) -> Usage | None:
        """Return this month's usage as it is now; None when the organization is gone."""
        async with self._database.session() as session:
            repository = UsageRepository(session, organization_id)
            await repository.fold()
            usage = await repository.read()
        self._remember(organization_id, usage)
        return usage

    async def _refresh(self, organization_id: UUID) -> None:
        try:
            await self.read(organization_id)
        except UnavailableError as error:
            _log.warning("usage could not be read", reason=error.detail)
            known = self._known.get(organization_id)
            self._remember(organization_id, known.usage if known is not None else None)
        finally:
            self._reading.discard(organization_id)

    def _remember(self, organization_id: UUID, usage: Usage | None) -> None:
        self._known[organization_id] = _Known(time.monotonic(), usage)
        self._known.move_to_end(organization_id)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)


def refuse_beyond(usage: Usage, names: tuple[str, ...], text: str = "") -> None:
    """Raise PlanLimitError when one of these is used up."""
    limits = plan_of(usage.plan).limits()
    for name in names:
        allowed = limits[name]
        used = int(getattr(usage, name))
        if allowed is not None and used >= allowed:
            raise limit_error(name, used, allowed, text)


def limit_error(name: str, used: int, allowed: int, text: str = "") -> PlanLimitError:
    """Return the error for a limit that is reached."""
    detail = text or f"The plan allows {allowed} {name}; {used} are used."
    return PlanLimitError(detail, limit=name, used=used, allowed=allowed)


def _text(usage: Usage) -> str:
    chosen = usage.settings.get("exhausted_text")
    return chosen if isinstance(chosen, str) and chosen.strip() else EXHAUSTED_TEXT
