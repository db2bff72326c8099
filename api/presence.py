"""Whether somebody is there to run conversations, asked of Temporal at most every few seconds."""

from __future__ import annotations

import asyncio
import time

from temporal.gateway import ConversationGateway

_FRESH_SECONDS = 3.0


class Presence:
    """Remembers for three seconds whether workers poll."""

    def __init__(self, gateway: ConversationGateway) -> None:
        self._gateway = gateway
        self._lock = asyncio.Lock()
        self._known = False
        self._until = 0.0

    async def accepting(self) -> bool:
        """Tell whether Temporal answers and a worker is there to run conversations."""
        async with self._lock:
            if time.monotonic() >= self._until:
                self._known = await self._gateway.accepting()
                self._until = time.monotonic() + _FRESH_SECONDS
            return self._known
