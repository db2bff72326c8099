"""A time-skipping Temporal server with its workers for each test: what one leaves behind must not hold up
the clock of the next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flows.temporal_runner import TemporalStage, temporal_stage


@pytest.fixture
async def stage() -> AsyncIterator[TemporalStage]:
    async with temporal_stage() as running:
        yield running
