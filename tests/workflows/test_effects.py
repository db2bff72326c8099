"""How long a conversation waits for a worker that died with one of its activities."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest
from temporalio import workflow
from temporalio.exceptions import ActivityError

from flow_schema.effects import ACTIVITIES, FLUSH_TRANSCRIPT, LOAD_FLOW
from flow_schema.nodes.request import RetryPolicy
from workflows.effects import TemporalEffects, flush_transcript, load_flow

LIMIT = timedelta(seconds=6)
"""Of the 10 s that a turn in flight may take, what its activity may cost; the rest is the new worker's."""


async def test_no_activity_costs_a_turn_ten_seconds_when_its_worker_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, dict[str, Any]] = {}

    async def execute(name: str, _argument: Any, **options: Any) -> None:
        asked[name] = options

    async def too_slow(*_arguments: Any, **_options: Any) -> None:
        raise ActivityError(
            "",
            scheduled_event_id=1,
            started_event_id=1,
            identity="",
            activity_type="",
            activity_id="",
            retry_state=None,
        )

    monkeypatch.setattr(workflow, "execute_activity", execute)
    monkeypatch.setattr(workflow, "execute_local_activity", too_slow)
    effects = TemporalEffects(MagicMock())
    anything = MagicMock(timeout_seconds=30, model="m", method="GET")
    await effects.http_request(anything, RetryPolicy(), "node")
    await effects.call_model(anything, "node")
    await effects.recognize_intent(anything, "node")
    await effects.send_email(anything, "node")
    await effects.run_script(anything, "node")
    await effects.open_callback(anything, "node")
    await load_flow(anything)
    await flush_transcript(anything, "node")
    assert asked.keys() == ACTIVITIES.keys()
    for name, options in asked.items():
        silent_for = options.get("heartbeat_timeout") or options["start_to_close_timeout"]
        again_after = options["retry_policy"].initial_interval
        if ACTIVITIES[name][2] == "conversations":
            assert silent_for + again_after < LIMIT, name
        else:
            assert silent_for <= LIMIT, name
    assert {LOAD_FLOW, FLUSH_TRANSCRIPT} < asked.keys()
