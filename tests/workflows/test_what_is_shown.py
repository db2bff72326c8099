"""What the Temporal UI shows of a conversation: its path as a list, its timers by what they ring for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from markdown_it import MarkdownIt
from temporalio.api.enums.v1 import EventType
from temporalio.converter import default as default_converter

from flow_schema.turns import Visit
from tests.flows.temporal_runner import TemporalStage
from tests.workflows.pure import PureConversation
from tests.workflows.small_flows import ECHO, start, text
from tests.workflows.test_endings import conversation
from tests.workflows.test_waits import waits_for_a_month
from tests.workflows.world import World
from workflows.details import SHOWN_VISITS, details


async def test_the_path_keeps_its_numbers_and_says_what_it_leaves_out() -> None:
    it = PureConversation(World({"main": ECHO}))
    await it.visitor(start())
    for number in range(12):
        await it.visitor(text(f"message-{number}", "hola"))
    path: list[Visit] = it.session.state.path
    assert len(path) > SHOWN_VISITS
    shown = MarkdownIt().render(details(it.session))
    assert "<ol" not in shown
    first = path[-SHOWN_VISITS].number
    assert f"<li>… {first - 1} earlier</li>" in shown
    for visit in path[-SHOWN_VISITS:]:
        assert f"<li>{visit.number}. " in shown


async def timers(it: Any) -> list[tuple[timedelta, str]]:
    """How long each timer was set for, and its name."""
    found = []
    converter = default_converter().payload_converter
    for history in await it.histories():
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
                lasts = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
                found.append((lasts, converter.from_payload(event.user_metadata.summary)))
    return found


async def test_timers_are_named_by_what_they_ring_for(stage: TemporalStage) -> None:
    it = conversation(stage, waits_for_a_month(), "cold")
    await it.visitor(start())
    await it.pass_time(timedelta(hours=1))
    await it.visitor(text("message-1", "hola"))
    await it.pass_time(timedelta(hours=1))
    found = await timers(it)
    assert {name for lasts, name in found if lasts < timedelta(minutes=1)} == {"write the transcript"}
    assert [name for lasts, name in found if timedelta(days=29) < lasts < timedelta(days=30)][:1] == ["pay"]
    await it.stop()
