"""Long conversations, large flows, long waits. `VERSAAI_TEST_PROFILE=full` has 10,000 turns."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from datetime import timedelta

import pytest

from flow_schema.effects import CallbackMessage
from flow_schema.flow import Flow
from flow_schema.turns import ConversationStatus
from tests.flows.temporal_runner import TemporalStage
from tests.workflows.small_flows import ECHO, asks, chain, said, says, start, team, text
from tests.workflows.temporal_run import TemporalConversation
from tests.workflows.world import World
from workflows.interpreter.team import Refused

TURNS = 10_000 if os.environ.get("VERSAAI_TEST_PROFILE") == "full" else 700
UPDATES_A_RUN = (500, 610)
"""A run moves when it is quiet after so many updates, or at last after so many."""
EVENTS_A_RUN = 4_096
"""Temporal suggests continue-as-new at so many events; a run must not go far beyond."""


@pytest.mark.timeout(3_600)
async def test_a_visitor_notices_nothing_of_many_runs(stage: TemporalStage) -> None:
    it = TemporalConversation(stage, World({"main": ECHO}))
    await it.visitor(start())
    for number in range(TURNS):
        reply = await it.visitor(text(f"message-{number}", f"palabra {number}"))
        assert said(reply.messages) == [f"palabra {number}", "¿word?"]
        assert reply.last_seq == 1 + 3 * (number + 1)
    histories = await it.histories()
    fewest, most = UPDATES_A_RUN
    assert 1 + TURNS // most <= len(histories) <= 1 + TURNS // fewest
    assert max(len(history.events) for history in histories) < EVENTS_A_RUN
    await it.team(team("close-0001", "close"))
    await it.ended()
    assert sorted(it.world.rows) == list(range(1, 3 * TURNS + 3))
    assert len(it.world.replies) == TURNS + 1


@pytest.mark.parametrize("way", ["warm", "cold"])
async def test_a_flow_of_300_nodes(stage: TemporalStage, way: str) -> None:
    """29 blocks of nine messages and a question, and a last message of all answers."""
    nodes = []
    for block in range(29):
        nodes += [says(f"m{block}-{number}", f"{block}.{number}") for number in range(9)]
        nodes.append(asks(f"q{block}", f"v{block}"))
    nodes += [says(f"last-{number}", f"fin {number}") for number in range(8)]
    nodes.append(says("all", " ".join(f"{{{{ v{block} }}}}" for block in range(29))))
    flow = chain(*nodes, variables=[{"name": f"v{block}"} for block in range(29)])
    assert len(flow.nodes) == 300
    it = TemporalConversation(stage, World({"main": flow}), way)
    reply = await it.visitor(start())
    for block in range(29):
        assert said(reply.messages) == [f"{block}.{number}" for number in range(9)] + [f"¿v{block}?"]
        reply = await it.visitor(text(f"message-{block}", f"a{block}"))
    answers = " ".join(f"a{block}" for block in range(29))
    assert said(reply.messages) == [f"fin {number}" for number in range(8)] + [answers]
    assert reply.status is ConversationStatus.ENDED
    await it.ended()
    assert sorted(it.world.visits) == list(range(1, 301))
    await it.replay()


WAITING = "wait"
BRANCHES = ("reply", "received", "timeout")


def race() -> Flow:
    """A callback is waited for, for 30 days; a visitor may interrupt. Each end says its name, then asks."""
    wait = {"webhook": {"kind": "wait", "timeout": "P30D", "accept_reply": True}}
    return chain(
        (WAITING, "webhook", wait),
        *(says(branch, branch) for branch in BRANCHES),
        asks("after", "word"),
        edges=[
            *((WAITING, branch, branch) for branch in BRANCHES),
            *((branch, "next", "after") for branch in BRANCHES),
        ],
        variables=[{"name": "word"}],
    )


async def _opened(stage: TemporalStage, way: str) -> TemporalConversation:
    """A conversation that waits for a callback. The cold way knows it from its history alone, each time."""
    it = TemporalConversation(stage, World({"main": race()}), way)
    await it.visitor(start())
    await it.rest()
    return it


async def _branches_taken(it: TemporalConversation) -> list[str]:
    snapshot = await it.snapshot()
    assert snapshot.node_id == "after"
    return [visit.node_id for visit in snapshot.path if visit.node_id in BRANCHES]


async def _finish(it: TemporalConversation) -> None:
    with suppress(Refused):  # the time-skipping server may carry out an update and lose its answer
        await it.team(team("close-0001", "close"))
    await it.ended()
    await it.replay()


@pytest.mark.parametrize("way", ["warm", "cold"])
@pytest.mark.parametrize("winner", BRANCHES)
async def test_one_branch_wins_a_wait_of_30_days(stage: TemporalStage, winner: str, way: str) -> None:
    """The other two come later and change nothing."""
    it = await _opened(stage, way)
    callback = CallbackMessage(callback_id=it.world.callbacks[0].callback_id, body={"paid": True})
    await it.pass_time(timedelta(days=29))
    if winner == "reply":
        await it.visitor(text("message-1", "¿Sigue ahí?"))
    elif winner == "received":
        assert (await it.callback(callback)).outcome == "received"
    else:
        await it.pass_time(timedelta(days=2))
    assert await _branches_taken(it) == [winner]
    if winner != "received":
        assert (await it.callback(callback)).outcome == "late"
    before = await it.events()
    await it.pass_time(timedelta(days=2))
    assert await it.events() - before < 20, "who waits for a visitor alone needs no timers"
    assert await _branches_taken(it) == [winner]
    await _finish(it)


@pytest.mark.parametrize("way", ["warm", "cold"])
async def test_one_branch_wins_when_reply_and_callback_come_at_once(stage: TemporalStage, way: str) -> None:
    it = await _opened(stage, way)
    callback = CallbackMessage(callback_id=it.world.callbacks[0].callback_id, body={"paid": True})
    reply, received = await asyncio.gather(
        it.visitor(text("message-1", "¿Sigue ahí?")), it.callback(callback)
    )
    taken = await _branches_taken(it)
    assert len(taken) == 1
    assert (received.outcome == "received") is (taken == ["received"])
    assert reply.message_id == "message-1"
    await _finish(it)
