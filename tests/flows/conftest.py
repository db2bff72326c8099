"""A time-skipping Temporal server for the dialogues of a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.flows.temporal_runner import TemporalStage, temporal_stage


class Stages:
    """Keeps one server up, and starts another for the next file: each begins with a clock of its own."""

    def __init__(self) -> None:
        self._file = ""
        self._running: TemporalStage | None = None
        self._stack = AsyncExitStack()

    async def of(self, file: str) -> TemporalStage:
        if self._running is None or file != self._file:
            await self.close()
            self._running, self._file = await self._stack.enter_async_context(temporal_stage()), file
        return self._running

    async def close(self) -> None:
        self._running = None
        await self._stack.aclose()


@pytest.fixture(scope="session")
async def stages() -> AsyncIterator[Stages]:
    running = Stages()
    yield running
    await running.close()
