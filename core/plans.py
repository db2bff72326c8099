"""Plans: what an organization may use in a month. The one table of them; no money is moved here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_GIB: Final = 1024**3


@dataclass(frozen=True)
class Plan:
    """Limits; None means none. Conversations, messages and tokens a calendar month, in UTC."""

    name: str
    conversations: int | None
    messages: int | None
    tokens: int | None
    storage: int | None
    members: int | None

    def limits(self) -> dict[str, int | None]:
        """Each limit by what it counts."""
        return {
            "conversations": self.conversations,
            "messages": self.messages,
            "tokens": self.tokens,
            "storage": self.storage,
            "members": self.members,
        }


PLANS: Final[Mapping[str, Plan]] = {
    plan.name: plan
    for plan in (
        Plan("free", 1_000, 20_000, 2_000_000, 1 * _GIB, 5),
        Plan("pro", 20_000, 400_000, 40_000_000, 20 * _GIB, 25),
        Plan("business", 200_000, 4_000_000, 400_000_000, 200 * _GIB, 200),
        Plan("unlimited", None, None, None, None, None),
    )
}


def plan_of(name: str) -> Plan:
    """Return a plan; an unknown name counts as the smallest."""
    return PLANS.get(name, PLANS["free"])
