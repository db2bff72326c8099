"""Signs of life of an activity that waits: through them Temporal can also tell it to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from temporalio import activity

SECONDS = 1.0


@asynccontextmanager
async def beating(seconds: float = SECONDS) -> AsyncIterator[None]:
    """Send a heartbeat every `seconds` while the block runs; none for what is done before that.

    Without them a cancelled effect (the visitor closed, an agent took over) would run to its end.
    """
    task = asyncio.create_task(_beat(seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat(seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        activity.heartbeat()
