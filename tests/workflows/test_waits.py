"""Waits that something else happens in: an agent, a callback, silence; steps and tables that break."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from flow_schema.effects import CallbackMessage, FlowBundle
from flow_schema.flow import Flow
from flow_schema.turns import ConversationStatus, TurnReply
from tests.flows.scripted_world import TryAgain
from tests.flows.temporal_runner import TemporalStage
from tests.workflows.small_flows import (
    AGENT,
    ECHO,
    asks,
    chain,
    said,
    says,
    start,
    team,
    text,
)
from tests.workflows.temporal_run import TemporalConversation
from tests.workflows.test_endings import conversation, until
from tests.workflows.world import World
from workflows.interpreter import walk

MONTH = timedelta(days=30)
EXITS = {"received": "pagado", "timeout": "caducado", "reply": "interrumpido"}


def waits_for_a_month() -> Flow:
    wait = {"webhook": {"kind": "wait", "timeout": "P30D", "accept_reply": True}}
    return chain(
        ("pay", "webhook", wait),
        *(says(name, words) for name, words in EXITS.items()),
        asks("end", "word"),
        edges=[
            *(("pay", name, name) for name in EXITS),
            *((name, "next", "end") for name in EXITS),
        ],
        variables=[{"name": "word"}],
    )


async def receive(it: TemporalConversation) -> str:
    """A call to the address of the wait; what came of it, in a word."""
    callback_id = it.world.callbacks[0].callback_id
    return (await it.callback(CallbackMessage(callback_id=callback_id, body={"ok": True}))).outcome


@pytest.mark.parametrize("moves", [None, 1])
async def test_inactivity_ends_the_conversation(stage: TemporalStage, moves: int | None) -> None:
    flow = chain(asks("ask", "word"), variables=[{"name": "word"}], settings={"inactivity_timeout": "PT30M"})
    it = conversation(stage, flow, continue_after_turns=moves)
    await it.visitor(start())
    await it.pass_time(timedelta(minutes=20))
    await it.visitor(text("message-1", "?" * 5_000))  # too long for the field: it is asked again
    await it.pass_time(timedelta(minutes=20))
    assert (await it.snapshot()).status is ConversationStatus.ACTIVE
    await it.pass_time(timedelta(minutes=20))
    await it.ended()
    assert it.world.rows[max(it.world.rows)].content.code == "inactive"  # type: ignore[union-attr]
    await it.replay()


async def test_a_defect_of_a_step_parks_and_is_retried(
    stage: TemporalStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours in a step stops that conversation, tells the visitor, and waits for an operator."""
    it = conversation(stage, chain(asks("ask", "word"), says("bye", "Adiós"), variables=[{"name": "word"}]))
    await it.visitor(start())
    broken = True

    honest = walk.take_step

    async def broken_step(ctx: object) -> object:
        if broken:
            raise ZeroDivisionError("a mistake")
        return await honest(ctx)  # type: ignore[arg-type]

    monkeypatch.setattr(walk, "take_step", broken_step)
    reply = await it.visitor(text("message-1", "hola"))
    assert reply.status is ConversationStatus.STUCK
    assert reply.messages[-1].content.code == "stuck"  # type: ignore[union-attr]
    broken = False
    after = await it.team(team("action-1", "retry"))
    assert (said(after.messages), after.status) == (["Adiós"], ConversationStatus.ENDED)
    await it.ended()


async def test_a_taken_over_conversation_keeps_its_wait(stage: TemporalStage) -> None:
    """A callback and a deadline that come while an agent has the conversation are kept for later."""
    it = conversation(stage, waits_for_a_month())
    await it.visitor(start())
    await it.team(team("action-1", "claim", agent=AGENT))
    await it.pass_time(MONTH + timedelta(days=1))
    assert (await it.snapshot()).status is ConversationStatus.ESCALATED
    assert await receive(it) == "received"
    assert (await it.visitor(text("message-5", "¿hola?"))).messages == []
    back = await it.team(team("action-2", "hand_back", agent=AGENT))
    assert "pagado" in said(back.messages)
    await it.team(team("action-9", "close"))
    await it.ended()
    await it.replay()


async def test_a_callback_during_the_handing_out_of_its_address(stage: TemporalStage) -> None:
    """The other side may call before our request has returned, and while an agent has stepped in."""
    wait = {
        "webhook": {
            "kind": "wait",
            "request": {"url": "https://api.example/pay", "method": "POST", "body_type": "json",
                        "body": {"to": "{{ callback_url }}"}},
        }
    }  # fmt: skip
    flow = chain(("pay", "webhook", wait), says("paid", "pagado"), edges=[("pay", "received", "paid")])
    it = conversation(stage, flow)
    it.world.gates["http_request"] = asyncio.Event()
    turn = asyncio.create_task(it.visitor(start()))
    await until(lambda: it.world.entered["http_request"] == 1)
    await it.team(team("action-1", "claim", agent=AGENT))
    assert isinstance(await turn, TurnReply)
    assert await receive(it) == "received"
    it.world.gates.pop("http_request").set()
    back = await it.team(team("action-2", "hand_back", agent=AGENT))
    assert "pagado" in said(back.messages)
    await it.ended()
    await it.replay()


async def test_a_transcript_that_can_not_be_written_delays_nothing(stage: TemporalStage) -> None:
    """While the tables are away visitors are answered, runs change, and nothing is lost."""
    it = conversation(stage, ECHO, continue_after_turns=3)
    await it.visitor(start())
    gate = it.world.gates["flush_transcript"] = asyncio.Event()
    for number in range(12):
        reply = await it.visitor(text(f"message-{number}", f"palabra {number}"))
        assert said(reply.messages)[0] == f"palabra {number}"
    it.world.gates.pop("flush_transcript")
    gate.set()
    await it.team(team("action-9", "close"))
    await it.ended()
    assert sorted(it.world.rows) == list(range(1, 1 + 3 * 12 + 2))
    await it.replay()


@pytest.mark.parametrize("way", ["warm", "cold"])
async def test_an_opening_waits_for_the_tables_outside_of_its_task(
    stage: TemporalStage, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Tried once within the task, then by an activity of its own: repeating it within breaks replays."""
    it = TemporalConversation(stage, World({"main": ECHO}), way)
    troubles, honest = ["down"] * 4, it.world.flows

    def flows() -> FlowBundle:
        if troubles:
            raise TryAgain(f"the database is {troubles.pop()}")
        return honest()

    monkeypatch.setattr(it.world, "flows", flows)
    reply = await it.visitor(start())
    assert said(reply.messages) == ["¿word?"]
    (history,) = await it.histories()
    names = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    markers = [event for event in history.events if event.HasField("marker_recorded_event_attributes")]
    assert (names.count("load_flow"), len(markers)) == (1, 1)
    await it.team(team("action-9", "close"))
    await it.ended()
    await it.replay()
