"""Conversations go on while every process of the platform is killed under them, again and again.

VERSAAI_TEST_PROFILE=full runs the large profile; VERSAAI_CHAOS_SEED chooses another order of kills, and
VERSAAI_CHAOS_REPORT a file for the report.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.chaos.checks import wrong_api_transcripts, wrong_payments, wrong_rows, wrong_transcripts
from tests.chaos.conftest import Profile, World
from tests.chaos.flow import Visitor, chaos_flow
from tests.chaos.landings import Chains, Kill, landings, read_chains, read_waits, render
from tests.chaos.visitors import Crowd, gather_crowd
from tests.peers.payment_server import PaymentServer
from tests.stack.platform import Platform, running_platform

SEED = int(os.environ.get("VERSAAI_CHAOS_SEED", "20261122"))
VICTIMS = ("worker-1", "worker-2", "api-1", "api-2", "temporal", "postgres")
WAITS = {"hold": "timer", "pay": "callback wait"}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(2400)]


async def test_kills_at_random_moments_leave_no_trace(
    data_folder: Path, world: World, profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    """Transcripts, rows, visits and payments are those of conversations that nothing has disturbed."""
    environment = {**world.environment, "VERSAAI_CONTINUE_AS_NEW_AFTER_TURNS": "2"}
    options = ("--workers", "2", "--api-processes", "2")
    async with running_platform(data_folder, *options, environment=environment) as platform:
        bot = await platform.publish("Reservas", chaos_flow(world.payments.url))
        calm = await _undisturbed(platform, bot)
        begin = time.monotonic()
        crowd, kills = await _disturbed(platform, bot, profile)
        seconds = time.monotonic() - begin
        await platform.healthy()
        chains = await _chains_at_rest(await platform.temporal(), bot)
        talks = [*calm.talks, *crowd.talks]
        problems = wrong_transcripts(talks) + wrong_payments(world.payments, calm.talks, talks)
        pages = await asyncio.gather(*(talk.client.transcript() for talk in talks))
        problems += wrong_api_transcripts(talks, pages)
        database = await platform.database()
        problems += await wrong_rows(database, calm.talks, talks)
        await read_waits(database, chains.spans, WAITS)
        await database.close()
        table = landings(kills, chains.spans)
        report = _report(profile, crowd, chains, world.payments, kills, seconds)
        with capsys.disabled():
            print(f"\n{json.dumps(report, indent=1)}\n{render(table)}")
        assert problems == []
        assert chains.statuses.keys() == {"COMPLETED", "CONTINUED_AS_NEW"}
        assert not any("500" in status for status in crowd.statuses), crowd.statuses
        assert not [talk.visitor.name for talk in talks if talk.missed_events], "events came too late"
        assert chains.moves >= len(talks)
        for kind in ("LLM call", "HTTP call", "timer", "callback wait"):
            assert any(row[kind] for row in table), f"no kill landed in a {kind}; take another seed"
        if target := os.environ.get("VERSAAI_CHAOS_REPORT"):
            await asyncio.to_thread(
                Path(target).write_text, json.dumps({**report, "landings": table}, indent=1)
            )


async def _undisturbed(platform: Platform, bot: str) -> Crowd:
    visitors = [Visitor("Ana de la Calma", "card"), Visitor("Leo de la Calma", "transfer")]
    crowd = gather_crowd(platform.client(), bot, visitors, SEED)
    assert await crowd.run(0.5) == []
    return crowd


async def _disturbed(platform: Platform, bot: str, profile: Profile) -> tuple[Crowd, list[Kill]]:
    """Have everybody talk while parts are killed; returns when everybody has come to the end."""
    visitors = [
        Visitor(f"Visitante {number}", "card" if number % 2 else "transfer")
        for number in range(profile.conversations)
    ]
    crowd = gather_crowd(platform.client(), bot, visitors, SEED)
    kills: list[Kill] = []
    killing = asyncio.create_task(_kill_parts(platform, profile, kills))
    try:
        async with asyncio.timeout(profile.patience):
            failures = await crowd.run(profile.spread)
    except TimeoutError:
        pytest.fail(f"not finished after {profile.patience} s:\n" + "\n".join(crowd.unfinished()))
    finally:
        killing.cancel()
    assert not failures, failures
    return crowd, kills


async def _kill_parts(platform: Platform, profile: Profile, kills: list[Kill]) -> None:
    """Kill every part once before any is killed again; one that is not back yet is left for later."""
    chance = random.Random(SEED)
    left: list[str] = []
    while len(kills) < profile.kills:
        left = left or chance.sample(VICTIMS, len(VICTIMS))
        await asyncio.sleep(chance.uniform(*profile.pause))
        part = left.pop()
        at = time.time()
        pid = platform.kill(part)
        if pid is None:
            left.insert(0, part)
        else:
            kills.append(Kill(part, pid, at))


async def _chains_at_rest(client: Client, bot: str) -> Chains:
    """Read the histories once no conversation runs any more; the last ones write their transcripts."""
    async with asyncio.timeout(60):
        while (await client.count_workflows(f'VersaChatbot = "{bot}" AND ExecutionStatus = "Running"')).count:
            await asyncio.sleep(0.3)
    return await read_chains(client, bot)


def _report(
    profile: Profile,
    crowd: Crowd,
    chains: Chains,
    payments: PaymentServer,
    kills: Sequence[Kill],
    seconds: float,
) -> dict[str, Any]:
    by_key = payments.by_key()
    durations = sorted(talk.seconds for talk in crowd.talks)
    return {
        "profile": profile.name,
        "seed": SEED,
        "conversations": len(crowd.talks),
        "seconds": round(seconds, 1),
        "kills": dict(Counter(kill.part for kill in kills)),
        "conversation_seconds": {
            "median": round(durations[len(durations) // 2], 1),
            "longest": round(durations[-1], 1),
        },
        "messages": sum(len(talk.messages) for talk in crowd.talks),
        "runs": chains.runs,
        "continued_as_new": chains.moves,
        "attempts_repeated": chains.lost_attempts,
        "answers": dict(sorted(crowd.statuses.items())),
        "payment_requests": len(payments.requests),
        "payment_keys": len(by_key),
        "payment_repeats": len(payments.requests) - len(by_key),
        "payment_refusals": payments.refused,
        "callbacks": dict(Counter(payments.callbacks)),
        "callback_attempts": payments.callback_attempts,
    }
