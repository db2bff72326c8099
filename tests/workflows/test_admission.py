"""What the running workflow takes and refuses: repetitions, bursts, debounce, moves to a new run, cold starts."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from flow_schema.turns import MAX_PENDING, ConversationStatus, Refusal, TurnReply
from tests.flows.temporal_runner import TemporalStage
from tests.workflows.small_flows import (
    AGENT,
    ECHO,
    asks,
    calls,
    chain,
    choice,
    chooses,
    said,
    says,
    start,
    team,
    text,
)
from tests.workflows.temporal_run import TemporalConversation
from tests.workflows.test_endings import WAYS, conversation, until
from workflows.interpreter.team import Refused


async def refusal(it: TemporalConversation, message: object) -> Refusal:
    with pytest.raises(Refused) as refused:
        await it.visitor(message)  # type: ignore[arg-type]
    return refused.value.refusal


@pytest.mark.parametrize("moves", [None, 1, 2])
@pytest.mark.parametrize("way", WAYS)
async def test_the_same_message_gets_the_same_reply(
    stage: TemporalStage, way: str, moves: int | None
) -> None:
    it = conversation(stage, ECHO, way, continue_after_turns=moves)
    first = await it.visitor(start())
    replies = [await it.visitor(text(f"message-{number}", f"palabra {number}")) for number in range(5)]
    assert await it.open(start()) == first, "update-with-start is as repeatable as an update"
    for number, reply in enumerate(replies):
        assert said(reply.messages)[0] == f"palabra {number}"
        assert await it.visitor(text(f"message-{number}", f"palabra {number}")) == reply
    assert (await it.snapshot()).turns == 6
    await it.team(team("action-9", "close"))
    await it.ended()
    if moves is not None:
        assert len(await it.histories()) > 3
    await it.replay()


async def test_another_body_under_the_id_is_refused_and_spoils_nothing(stage: TemporalStage) -> None:
    """The refusal must not be recorded under the message's id: the true message comes again after it."""
    it = conversation(stage, ECHO, continue_after_turns=1)
    await it.visitor(start())
    reply = await it.visitor(text("message-1", "uno"))
    await it.visitor(text("message-2", "dos"))
    assert await refusal(it, text("message-1", "otra cosa")) is Refusal.ID_REUSED
    assert await it.visitor(text("message-1", "uno")) == reply
    await it.team(team("action-1", "set_variables", variables={"word": "x"}))
    await it.visitor(text("message-3", "tres"))
    with pytest.raises(Refused) as refused:
        await it.team(team("action-1", "close"))
    assert refused.value.refusal is Refusal.ID_REUSED
    assert (await it.team(team("action-1", "set_variables", variables={"word": "x"}))).action_id == "action-1"
    await it.stop()


@pytest.mark.parametrize("way", WAYS)
async def test_a_burst_is_answered_in_order_and_a_sixth_is_refused(stage: TemporalStage, way: str) -> None:
    flow = chain(
        asks("ask", "word"),
        calls("call"),
        says("echo", "{{ word }}"),
        edges=[("ask", "next", "call"), ("call", "success", "echo"), ("echo", "next", "ask")],
        variables=[{"name": "word"}],
    )
    it = conversation(stage, flow, way)
    await it.visitor(start())
    it.world.gates["http_request"] = asyncio.Event()
    first = await it.accepted(text("message-0", "palabra 0"))
    await until(lambda: it.world.entered["http_request"] == 1)
    others = [
        await it.accepted(text(f"message-{number}", f"palabra {number}")) for number in range(1, MAX_PENDING)
    ]
    assert await refusal(it, text("message-9", "demasiado")) is Refusal.TOO_MANY_PENDING
    it.world.gates.pop("http_request").set()
    replies = [await it.result_of(update) for update in (first, *others)]
    assert [said(reply.messages)[0] for reply in replies] == [
        f"palabra {number}" for number in range(MAX_PENDING)
    ]
    assert [reply.last_seq for reply in replies] == sorted(reply.last_seq for reply in replies)
    assert said((await it.visitor(text("message-9", "ahora"))).messages)[0] == "ahora"
    await it.team(team("action-9", "close"))
    await it.ended()
    await it.replay()


async def test_debounced_texts_are_answered_together(stage: TemporalStage) -> None:
    flow = chain(
        asks("ask", "word"),
        says("echo", "{{ last_message }}"),
        edges=[("ask", "next", "echo"), ("echo", "next", "ask")],
        variables=[{"name": "word"}],
        settings={"debounce": "PT3S"},
    )
    it = conversation(stage, flow)
    await it.visitor(start())
    updates = [await it.accepted(text(f"message-{number}", f"línea {number}")) for number in range(3)]
    await stage.environment.sleep(timedelta(seconds=10))
    one, two, three = [await it.result_of(update) for update in updates]
    assert said(three.messages)[0] == "línea 0\nlínea 1\nlínea 2"
    assert (one.messages, two.messages) == ([], [])
    assert (one.answered_by, two.answered_by, three.answered_by) == ("message-2", "message-2", None)
    assert (await it.snapshot()).turns == 4
    closing = await it.accepted(text("message-8", "y otra"))
    await it.team(team("action-9", "close"))
    assert isinstance(await it.result_of(closing), TurnReply)
    await it.ended()
    assert said([it.world.rows[seq] for seq in (2, 3, 4)]) == ["línea 0", "línea 1", "línea 2"]
    await it.replay()


async def test_wrong_kinds_are_refused_with_their_type(stage: TemporalStage) -> None:
    flow = chain(chooses("which", "rojo", "azul"), asks("ask", "word"), variables=[{"name": "word"}])
    it = conversation(stage, flow)
    opened = await it.visitor(start())
    assert await refusal(it, choice("message-1", "verde")) is Refusal.UNKNOWN_OPTION
    assert await refusal(it, choice("message-2", "rojo", prompt=99)) is Refusal.STALE_PROMPT
    assert await refusal(it, start("message-3")) is Refusal.WRONG_KIND
    assert await refusal(it, text("message-4", "\x01" * 8_000)) is Refusal.TOO_LARGE
    emoji = await it.visitor(text("message-5", "😀" * 8_000))
    assert emoji.status is ConversationStatus.ACTIVE, "8,000 characters of any script are a message"
    answered = await it.visitor(
        choice("message-6", "rojo", prompt=emoji.waiting.prompt if emoji.waiting else None)
    )
    assert answered.waiting is not None
    assert answered.waiting.node_id == "ask"
    assert await refusal(it, choice("message-7", "rojo", prompt=opened.last_seq)) is Refusal.WRONG_KIND
    await it.stop()


async def test_an_update_waits_for_a_worker(stage: TemporalStage) -> None:
    """The first message arrives before any worker has seen the conversation, a second one right behind it."""
    from temporalio.worker import Worker

    from tests.flows.temporal_runner import SANDBOX, SCRIPTED_ACTIVITIES
    from tests.workflows.world import World
    from workflows import ConversationWorkflow

    it = TemporalConversation(stage, World({"main": ECHO}), queue="late-queue")
    opening = asyncio.create_task(it.open(start()))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(it.accepted(text("message-1", "uno")))
    await asyncio.sleep(0.1)
    async with Worker(
        stage.client,
        task_queue="late-queue",
        workflows=[ConversationWorkflow],
        activities=SCRIPTED_ACTIVITIES,
        workflow_runner=SANDBOX,
        max_cached_workflows=0,
    ):
        opened = await opening
        reply = await it.result_of(await second)
        await it.team(team("action-1", "claim", agent=AGENT))
    assert said(opened.messages) == ["¿word?"]
    assert said(reply.messages)[0] == "uno"
    await it.replay()
    await it.stop()


async def test_queries_and_messages_while_moving(stage: TemporalStage) -> None:
    """No message may be lost while runs follow one another quickly."""
    it = conversation(stage, ECHO, continue_after_turns=1)
    await it.visitor(start())
    for round_ in range(4):
        replies = await it.burst(
            [text(f"message-{round_}-{number}", f"{round_}.{number}") for number in range(4)]
        )
        assert sorted(said(reply.messages)[0] for reply in replies if isinstance(reply, TurnReply)) == [
            f"{round_}.{number}" for number in range(4)
        ]
        snapshot = await it.snapshot()
        found = {message.seq for message in await it.tail()} | set(it.world.rows)
        assert found >= set(range(1, snapshot.last_seq + 1))
    await it.team(team("action-9", "close"))
    await it.ended()
    assert sorted(it.world.rows) == list(range(1, len(it.world.rows) + 1))
    await it.replay()
