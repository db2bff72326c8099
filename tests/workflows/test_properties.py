"""Random flows and random interleavings: on the interpreter alone, on Temporal warm and cold, and replayed.

`VERSAAI_TEST_PROFILE=full` makes it long.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flow_schema.turns import MessageRole
from tests.flows.temporal_runner import temporal_stage
from tests.workflows.flow_generator import FlowSet, flow_sets
from tests.workflows.pure import PureConversation
from tests.workflows.schedules import Operation, Player, ReplayedBursts, Trace, schedules
from tests.workflows.temporal_run import TemporalConversation
from tests.workflows.world import World, normalized

FULL = os.environ.get("VERSAAI_TEST_PROFILE") == "full"
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
pure_settings = settings(
    max_examples=3_000 if FULL else 150, deadline=None, suppress_health_check=CHECKS, derandomize=not FULL
)


def temporal_settings(examples: tuple[int, int]) -> settings:
    """Short and full number of examples. Failures are not shrunk: each example takes a second or more."""
    return settings(
        max_examples=examples[FULL],
        deadline=None,
        suppress_health_check=CHECKS,
        derandomize=not FULL,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )


def main_ids(flows: FlowSet) -> list[str]:
    return [node.id for node in flows.flows["main"].nodes]


def check(trace: Trace, world: World) -> None:
    """What holds in every conversation once its rows are written."""
    last = trace.snapshot["last_seq"]
    assert sorted(world.rows) == list(range(1, last + 1)), "rows are numbered without gaps"
    for message in trace.said:
        assert world.rows[message.seq] == message, "a reply holds what the rows hold"
    user_rows = [row.client_message_id for row in world.rows.values() if row.role is MessageRole.USER]
    assert len(user_rows) == len(set(user_rows)), "a message was recorded twice"
    for message_id, reply in trace.replies.items():
        recorded = trace.sent[message_id].input.type != "start"
        assert (message_id in user_rows) == recorded, f"{message_id} was answered and not recorded"
        stored = world.replies[message_id]
        assert stored.seqs == [message.seq for message in reply.messages]
    seqs = [message.seq for message in trace.said]
    assert len(seqs) == len(set(seqs)), "a message was said in two replies"
    for key, bodies in world.bodies.items():
        assert len(bodies) == 1, f"the key {key} was sent with different bodies: {bodies}"


async def end(player: Player) -> None:
    """Nothing is wedged: a message gets an answer or a refusal, and `close` ends it."""
    await player.fresh_message()
    await player.close()
    snapshot = await player.it.snapshot()
    assert snapshot.status.value == "ended"
    player.trace.snapshot = normalized(snapshot.model_dump(mode="json"), player.it.conversation_id)


@given(flows=flow_sets(), schedule=schedules, seed=st.integers(0, 1_000), failures=st.sampled_from([0, 2, 8]))
@pure_settings
async def test_on_the_interpreter(
    flows: FlowSet, schedule: list[Operation], seed: int, failures: int
) -> None:
    it = PureConversation(World(flows.flows, seed, failures))
    player = ReplayedBursts(it, main_ids(flows), None)
    await player.play(schedule)
    await end(player)
    check(player.trace, it.world)


def rows_of(conversation: PureConversation | TemporalConversation) -> list[object]:
    rows = [row.model_dump(mode="json") for _, row in sorted(conversation.world.rows.items())]
    return list(normalized(rows, conversation.conversation_id))


ON_TEMPORAL = given(
    flows=flow_sets(),
    schedule=schedules,
    seed=st.integers(0, 1_000),
    failures=st.sampled_from([0, 2, 8]),
    moves=st.sampled_from([None, 1, 2, 3]),
)


@ON_TEMPORAL
@temporal_settings((15, 300))
async def test_on_temporal(
    flows: FlowSet, schedule: list[Operation], seed: int, failures: int, moves: int | None
) -> None:
    await run("warm", flows, schedule, seed, failures, moves)


@ON_TEMPORAL
@temporal_settings((3, 60))
async def test_on_temporal_without_a_cache(
    flows: FlowSet, schedule: list[Operation], seed: int, failures: int, moves: int | None
) -> None:
    """Every workflow task replays the whole run. The SDK loses tasks now and then when it drops a run it was
    just asked about, and the server repeats them after ten seconds: few examples take long."""
    await run("cold", flows, schedule, seed, failures, moves)


async def run(
    way: str, flows: FlowSet, schedule: list[Operation], seed: int, failures: int, moves: int | None
) -> None:
    """A server for each: one that was left in the middle of something may not let time pass any more."""
    async with temporal_stage() as stage:
        world = World(flows.flows, seed, failures)
        it = TemporalConversation(stage, world, way, continue_after_turns=moves)
        try:
            await compare(it, flows, schedule, World(flows.flows, seed, failures))
            await it.replay()
        finally:
            await it.stop()


async def compare(
    it: TemporalConversation, flows: FlowSet, schedule: list[Operation], same_world: World
) -> None:
    """Plays the schedule on Temporal and on the interpreter; nothing may tell the two apart."""
    player = Player(it, main_ids(flows))
    await player.play(schedule)
    await end(player)
    await it.ended()
    check(player.trace, it.world)
    pure = PureConversation(same_world)
    expected = ReplayedBursts(pure, main_ids(flows), player.trace)
    await expected.play(schedule)
    await end(expected)
    assert player.trace.outcomes == expected.trace.outcomes
    assert player.trace.snapshot == expected.trace.snapshot
    assert rows_of(it) == rows_of(pure)
    keys = {normalized(key, it.conversation_id) for key in it.world.bodies}
    assert keys == {normalized(key, pure.conversation_id) for key in pure.world.bodies}
