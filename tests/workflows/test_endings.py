"""Ends, interruptions and cancellations: nothing may stay wedged, and every accepted message is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from flow_schema.effects import CallbackMessage
from flow_schema.flow import Flow
from flow_schema.turns import ConversationStatus, Refusal
from tests.flows.temporal_runner import TemporalStage
from tests.workflows.small_flows import (
    AGENT,
    ECHO,
    acts,
    asks,
    calls,
    chain,
    replies,
    said,
    says,
    start,
    team,
    text,
)
from tests.workflows.temporal_run import TemporalConversation
from tests.workflows.world import World
from workflows.interpreter.team import Refused

WAYS = ("warm", "cold")


def conversation(stage: TemporalStage, flow: Flow, way: str = "warm", **start: Any) -> TemporalConversation:
    return TemporalConversation(stage, World({"main": flow}), way, **start)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Returns when the condition holds."""
    for _ in range(1_000):
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


@pytest.mark.parametrize("way", WAYS)
async def test_a_conversation_ends_and_its_rows_are_written(stage: TemporalStage, way: str) -> None:
    flow = chain(asks("ask", "word"), says("bye", "Adiós {{ word }}"), variables=[{"name": "word"}])
    it = conversation(stage, flow, way)
    opened = await it.visitor(start())
    reply = await it.visitor(text("message-1", "Ana"))
    assert said(opened.messages) == ["¿word?"]
    assert (said(reply.messages), reply.status) == (["Adiós Ana"], ConversationStatus.ENDED)
    await it.ended()
    assert said([it.world.rows[seq] for seq in sorted(it.world.rows)]) == ["¿word?", "Ana", "Adiós Ana"]
    await it.replay()


@pytest.mark.parametrize("action", ["close", "claim"])
@pytest.mark.parametrize("way", WAYS)
async def test_the_team_stops_a_slow_effect(stage: TemporalStage, way: str, action: str) -> None:
    flow = chain(asks("ask", "word"), calls("call"), says("done", "Hecho"),
                 edges=[("ask", "next", "call"), ("call", "success", "done")], variables=[{"name": "word"}])  # fmt: skip
    it = conversation(stage, flow, way)
    it.world.gates["http_request"] = asyncio.Event()
    await it.visitor(start())
    turn = asyncio.create_task(it.visitor(text("message-1", "Ana")))
    await until(lambda: it.world.entered["http_request"] == 1)
    await it.team(team("action-1", action, **({"agent": AGENT} if action == "claim" else {})))
    reply = await turn
    assert reply.messages == []
    it.world.gates.pop("http_request").set()
    if action == "claim":
        assert (await it.snapshot()).status is ConversationStatus.ESCALATED
        await it.team(team("action-2", "say", agent=AGENT, text="Soy Marta"))
        back = await it.team(team("action-3", "hand_back", agent=AGENT))
        assert said(back.messages)[-1] == "Hecho"
        assert len({key for name, key in it.world.asked if name == "http_request"}) == 1
    await it.ended()
    await it.replay()


@pytest.mark.parametrize("action", ["close", "claim"])
async def test_the_team_stops_a_turn_that_writes_its_transcript(stage: TemporalStage, action: str) -> None:
    """The model's memory needs the transcript in the tables; stopping there must not stop the writing."""
    it = conversation(stage, chain(asks("ask", "word"), replies("reply"), variables=[{"name": "word"}]))
    await it.visitor(start())
    it.world.gates["flush_transcript"] = asyncio.Event()
    turn = asyncio.create_task(it.visitor(text("message-1", "Ana")))
    await until(lambda: it.world.entered["flush_transcript"] > 0)
    await it.team(team("action-1", action, **({"agent": AGENT} if action == "claim" else {})))
    assert (await turn).messages == []
    it.world.gates.pop("flush_transcript").set()
    if action == "claim":
        await it.team(team("action-2", "hand_back", agent=AGENT))
    await it.ended()
    assert sorted(it.world.rows) == list(range(1, len(it.world.rows) + 1))
    assert it.world.rows[2].content.text == "Ana"  # type: ignore[union-attr]


async def test_events_while_the_last_rows_are_written(stage: TemporalStage) -> None:
    it = conversation(stage, chain(asks("ask", "word"), variables=[{"name": "word"}]))
    await it.visitor(start())
    await it.team(team("action-1", "set_variables", variables={"word": "x"}))
    it.world.gates["flush_transcript"] = asyncio.Event()
    await it.visitor(text("message-1", "Ana"))
    late = asyncio.create_task(it.callback(CallbackMessage(callback_id="unknown", body=1)))
    again = asyncio.create_task(it.team(team("action-1", "set_variables", variables={"word": "x"})))
    with pytest.raises(Refused) as refused:
        await it.team(team("action-2", "retry"))
    assert refused.value.refusal is Refusal.CLOSED
    assert (await it.visitor(text("message-1", "Ana"))).status is ConversationStatus.ENDED
    assert (await late).outcome == "late"
    assert (await again).action_id == "action-1"
    it.world.gates.pop("flush_transcript").set()
    await it.ended()
    await it.replay()


async def test_a_conversation_nobody_opens_ends(stage: TemporalStage) -> None:
    it = conversation(stage, ECHO)
    await stage.client.start_workflow(
        "Conversation", args=[it.start, None], id=it.handle.id, task_queue=it.queue
    )
    await stage.environment.sleep(timedelta(minutes=11))
    await it.ended()
    assert it.world.rows == {}
    await it.replay()


@pytest.mark.parametrize("opened", [True, False])
async def test_cancelling_the_workflow_closes_the_conversation(stage: TemporalStage, opened: bool) -> None:
    it = conversation(stage, ECHO)
    if opened:
        await it.visitor(start())
    else:
        await stage.client.start_workflow(
            "Conversation", args=[it.start, None], id=it.handle.id, task_queue=it.queue
        )
        await it.snapshot()
    await it.handle.cancel()
    with pytest.raises(AssertionError, match="Workflow cancelled|Cancelled"):
        await it.ended()
    if opened:
        assert it.world.rows[2].content.code == "closed"  # type: ignore[union-attr]
        assert it.world.flushes[-1].record.status is ConversationStatus.ENDED
    await it.replay()


async def test_cancelling_the_workflow_answers_the_turn_in_progress(stage: TemporalStage) -> None:
    flow = chain(calls("call"), says("done", "Hecho"), edges=[("call", "success", "done")])
    it = conversation(stage, flow)
    it.world.gates["http_request"] = asyncio.Event()
    turn = asyncio.create_task(it.visitor(start()))
    await until(lambda: it.world.entered["http_request"] == 1)
    await it.handle.cancel()
    reply = await turn
    it.world.gates.pop("http_request").set()
    assert reply.messages == []
    with pytest.raises(AssertionError, match="Workflow cancelled|Cancelled"):
        await it.ended()
    assert it.world.replies["start-000"].seqs == []
    assert it.world.flushes[-1].record.status is ConversationStatus.ENDED
    await it.replay()


async def test_rows_are_written_although_a_long_wait_began_during_a_write(stage: TemporalStage) -> None:
    """A timer for a far deadline must not keep the next write of the transcript from happening."""
    flow = chain(
        asks("ask", "word"),
        *(says(f"m{number}", str(number)) for number in range(7)),
        asks("again", "word", no_reply_after="P3D"),
        acts("wait", "wait", duration="P30D"),
        variables=[{"name": "word"}],
    )
    it = conversation(stage, flow)
    await it.visitor(start())
    await stage.environment.sleep(timedelta(seconds=10))
    await until(lambda: len(it.world.rows) == 1)
    gate = it.world.gates["flush_transcript"] = asyncio.Event()
    await it.visitor(text("message-1", "Ana"))
    await until(lambda: it.world.entered["flush_transcript"] == 2)
    await it.visitor(text("message-2", "Eva"))
    it.world.gates.pop("flush_transcript")
    gate.set()
    await until(lambda: len(it.world.rows) == 10)
    await stage.environment.sleep(timedelta(seconds=10))
    await until(lambda: len(it.world.rows) == 11)
    await it.stop()
