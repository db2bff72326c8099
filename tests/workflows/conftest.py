"""One time-skipping Temporal server, with its workers, for all tests of the workflow."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flows.temporal_runner import TemporalStage, temporal_stage


@pytest.fixture(scope="session")
async def stage() -> AsyncIterator[TemporalStage]:
    async with temporal_stage() as running:
        yield running
