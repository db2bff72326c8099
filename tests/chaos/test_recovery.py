"""How soon a conversation goes on after a worker was killed, with a second worker alive."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.chat_client import ChatClient
from tests.chaos.conftest import Profile, World
from tests.chaos.flow import MODEL
from tests.stack.drawing import draw
from tests.stack.platform import Platform, running_platform

AFTER_SECONDS = 3.0
"""For a message that is sent when the worker is dead."""
IN_FLIGHT_SECONDS = 10.0
"""For a message that the worker was at."""
VISITORS = 12
WORK = ("talk", "model", "call")
"""What a message leads to: nothing but the turn itself, a model's answer, an HTTP call."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


async def test_another_worker_goes_on_soon(
    data_folder: Path, world: World, profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within 3 s for messages sent after the kill, within 10 s for those in flight."""
    options = ("--workers", "2", "--api-processes", "1")
    async with running_platform(data_folder, *options, environment=world.environment) as platform:
        bot = await platform.publish("Eco", _flow(world.payments.url))
        http = platform.client()
        clients = [ChatClient(http, bot) for _ in range(VISITORS)]
        for client in clients:
            await client.send({"type": "start", "language": "es"})
        calm = await _send(clients)
        after, in_flight = [], []
        for number in range(profile.rounds):
            victim = f"worker-{number % 2 + 1}"
            after += await _killed_before(platform, victim, clients)
            in_flight += await _killed_during(platform, victim, clients)
        measured = {
            "undisturbed": _summary(calm),
            "sent after the kill": _summary(after),
            "in flight": _summary(in_flight),
        }
        with capsys.disabled():
            print(f"\nseconds until the reply: {json.dumps(measured, indent=1)}")
        # What a turn takes on this machine at this moment without any kill. The short profile, which runs
        # beside whatever else the machine does, says whether conversations go on; the full one, how soon.
        slack = max(calm) * (1 if profile.name == "full" else 3)
        assert max(after) <= AFTER_SECONDS + slack
        assert max(in_flight) <= IN_FLIGHT_SECONDS + slack
        if target := os.environ.get("VERSAAI_RECOVERY_REPORT"):
            await asyncio.to_thread(Path(target).write_text, json.dumps(measured, indent=1))


async def _killed_before(platform: Platform, victim: str, clients: Sequence[ChatClient]) -> list[float]:
    await _send(clients)  # so that both workers have conversations in memory
    pid = platform.kill(victim)
    assert pid is not None
    seconds = await _send(clients)
    await _both_work(platform, victim, pid)
    return seconds


async def _killed_during(platform: Platform, victim: str, clients: Sequence[ChatClient]) -> list[float]:
    """Seconds from the kill to the reply, for each message that was not answered before."""
    killed = asyncio.Event()
    at = 0.0

    async def one(number: int, client: ChatClient) -> float | None:
        await client.send({"type": "text", "text": WORK[number % len(WORK)]}, str(uuid4()))
        return time.monotonic() - at if killed.is_set() else None

    sending = [asyncio.create_task(one(number, client)) for number, client in enumerate(clients)]
    await asyncio.sleep(0.25)
    pid = platform.kill(victim)
    at = time.monotonic()
    killed.set()
    assert pid is not None
    seconds = [taken for taken in await asyncio.gather(*sending) if taken is not None]
    assert seconds, "everything was answered before the kill"
    await _both_work(platform, victim, pid)
    return seconds


async def _send(clients: Sequence[ChatClient]) -> list[float]:
    async def one(number: int, client: ChatClient) -> float:
        begin = time.monotonic()
        await client.send({"type": "text", "text": WORK[number % len(WORK)]}, str(uuid4()))
        return time.monotonic() - begin

    return list(await asyncio.gather(*(one(number, client) for number, client in enumerate(clients))))


async def _both_work(platform: Platform, victim: str, old: int) -> None:
    pid = await platform.restarted(victim, old)
    async with asyncio.timeout(60):
        while f"process {pid})" not in platform.said():
            await asyncio.sleep(0.1)


def _summary(seconds: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(seconds)
    return {
        "messages": len(ordered),
        "median": round(ordered[len(ordered) // 2], 2),
        "longest": round(ordered[-1], 2),
    }


def _flow(payments: str) -> dict[str, Any]:
    """Asks, does what the text says, says that it is done, and asks again."""

    nodes: list[tuple[str, str, dict[str, Any]]] = [
        ("start", "start", {}),
        ("ask", "input", {"text": "¿Qué hago?", "field": {"kind": "text"}, "save_to": "word"}),
        ("what", "condition", {"branches": [
            {"id": word, "test": {"kind": "expression", "formula": f"word == '{word}'"}}
            for word in ("model", "call")
        ]}),
        ("model", "ai", {"task": {"kind": "reply"}, "model": MODEL, "prompt": "Greet Ana"}),
        ("call", "api_call", {"request": {
            "method": "POST", "url": f"{payments}/orders", "body_type": "json", "body": {"name": "Ana"},
        }}),
        ("done", "message", {"text": "Hecho."}),
    ]  # fmt: skip
    arrows = (
        "start ask, ask what, what.branch:model model, what.branch:call call, what.else done, "
        "model done, call.success done, done ask"
    )
    return draw("Eco", nodes, arrows, [{"name": "word"}])
