"""Running one attempt of an activity."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from flow_schema.effects import EffectContext

Argument = TypeVar("Argument")
Result = TypeVar("Result")

ORGANIZATION = "0192f0c0-0000-7000-8000-000000000001"
CONVERSATION = "0192f0c0-0000-7000-8000-000000000002"


def context(**changes: Any) -> EffectContext:
    """A context of the third visit's first call."""
    values: dict[str, Any] = {
        "organization_id": ORGANIZATION,
        "chatbot_id": "0192f0c0-0000-7000-8000-000000000003",
        "conversation_id": CONVERSATION,
        "node_id": "node-1",
        "visit": 3,
        "call": 1,
        "language": "es",
    }
    return EffectContext(**(values | changes))


async def run_attempt(
    function: Callable[[Argument], Awaitable[Result]],
    argument: Argument,
    *,
    attempt: int = 1,
    heartbeat_details: Sequence[Any] = (),
    heartbeats: list[tuple[Any, ...]] | None = None,
) -> Result:
    """Run one attempt as a worker would."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info,
        attempt=attempt,
        heartbeat_details=list(heartbeat_details),
        scheduled_time=datetime(2026, 3, 14, 12, tzinfo=UTC),
    )
    if heartbeats is not None:
        environment.on_heartbeat = lambda *details: heartbeats.append(details)
    return await environment.run(function, argument)


async def failure_of(
    function: Callable[[Argument], Awaitable[Any]], argument: Argument, **options: Any
) -> ApplicationError:
    """Run an attempt that must fail; returns the error, which must carry no cause."""
    with pytest.raises(ApplicationError) as caught:
        await run_attempt(function, argument, **options)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value
