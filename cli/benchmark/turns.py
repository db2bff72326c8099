"""The phases of `versaai bench turns`.

A turn and the bare echo take their measurements in alternating slices, so that what else happens on the
machine falls on both alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle

from cli.benchmark.measures import ProcessMeter, add_cpu, cpu_milliseconds, machine, quantile
from cli.benchmark.platform import PlatformAddresses, publish
from cli.benchmark.report import IdleEffect, Level, Timing, TurnsReport
from cli.benchmark.verification import verify
from cli.benchmark.visitors import LOOP_OPENING, LOOP_TURN, Conversation, Visitors, visitors
from flow_schema.effects import (
    BENCH_ECHO_WORKFLOW,
    CONVERSATION_QUEUE,
    SIGNAL_STOP,
    UPDATE_ECHO,
    conversation_workflow_id,
)

Turn = Callable[[], Awaitable[float]]
Say = Callable[[str], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    quick: bool = False
    warm_up: int = 60
    rounds: int = 3
    dialogues: tuple[tuple[int, int], ...] = ((1, 40), (10, 150), (50, 300))
    """Concurrent conversations, and how many are played a round."""
    slices_alone: int = 24
    turns_a_slice: int = 30
    slices_at_20: int = 10
    seconds_a_slice: float = 1.5
    idle: int = 2000
    idle_turns: int = 300

    @classmethod
    def smoke(cls) -> Plan:
        """Return the plan of a smoke test: every phase, a few requests each."""
        return cls(
            quick=True, warm_up=2, rounds=1, dialogues=((1, 2), (10, 10), (50, 50)), slices_alone=2,
            turns_a_slice=5, slices_at_20=2, seconds_a_slice=0.3, idle=10, idle_turns=5,
        )  # fmt: skip


@dataclass
class _Side:
    """What was measured of a turn, or of an echo."""

    alone: list[float] = field(default_factory=list)
    together: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)


class TurnsBenchmark:
    """One run against one platform."""

    def __init__(self, platform: PlatformAddresses, client: Client, plan: Plan, say: Say) -> None:
        self._platform = platform
        self._client = client
        self._plan = plan
        self._say = say
        self._meter = ProcessMeter(platform.pids)
        self._seen: list[Conversation] = []

    async def run(self, workers: int, api_processes: int) -> TurnsReport:
        """Measure everything. Raises WrongAnswerError and RowsDifferError when the platform is wrong."""
        plan, figures = self._plan, machine()
        async with AsyncExitStack() as stack:
            most = max(conversations for conversations, _ in plan.dialogues)
            three = await publish(self._platform, "three-turns")
            loop = await publish(self._platform, "question-answer")
            shop = await stack.enter_async_context(visitors(self._platform.api, three, most))
            quiz = await stack.enter_async_context(visitors(self._platform.api, loop, 20))
            await self._dialogues(shop, 4, plan.warm_up)
            levels = await self._levels(shop)
            dialogue_events = await self._events_of_dialogues()
            memory = self._meter.memory()
            turn, echo, events = await self._against_echo(quiz)
            idle, idle_memory = await self._beside_idle(quiz)
        self._say("comparing the rows with what was told")
        verified = await verify(self._platform.database, self._seen)
        turn_rate, echo_rate = turn.together / turn.seconds, echo.together / echo.seconds
        turn_timing, echo_timing = _timing(turn.alone), _timing(echo.alone)
        return TurnsReport(
            quick=plan.quick,
            machine=figures,
            workers=workers,
            api_processes=api_processes,
            p50_ratio=_rounded(turn_timing.p50_ms / echo_timing.p50_ms),
            p95_ratio=_rounded(turn_timing.p95_ms / echo_timing.p95_ms),
            throughput_ratio_20=_rounded(turn_rate / echo_rate),
            turn=turn_timing,
            echo=echo_timing,
            turns_per_second_20=_rounded(turn_rate),
            echoes_per_second_20=_rounded(echo_rate),
            cpu_ms_per_turn_20=cpu_milliseconds({}, turn.cpu, turn.together),
            cpu_ms_per_echo_20=cpu_milliseconds({}, echo.cpu, echo.together),
            turns_per_second={name: level.turns_per_second for name, level in levels.items()},
            p50_ms={name: level.turns.p50_ms for name, level in levels.items()},
            p95_ms={name: level.turns.p95_ms for name, level in levels.items()},
            cpu_ms_per_turn=levels["10" if "10" in levels else next(iter(levels))].cpu_ms_per_turn,
            history_events_per_turn=_rounded(dialogue_events),
            history_events_per_question=_rounded(events),
            idle_2000_p50_change=idle.p50_change if idle.conversations == 2000 else None,
            memory_mib=memory,
            memory_mib_idle=idle_memory,
            levels=levels,
            idle=idle,
            verified=verified,
        )

    # --- the three-turn dialogue --------------------------------------------------------------------

    async def _levels(self, shop: Visitors) -> dict[str, Level]:
        """Play the dialogue at each level, the levels taking turns."""
        rates: dict[int, list[float]] = {}
        openings: dict[int, list[float]] = {}
        later: dict[int, list[float]] = {}
        cpu: dict[int, dict[str, float]] = {}
        for number in range(self._plan.rounds):
            for level, count in self._plan.dialogues:
                self._say(f"round {number + 1}: {count} dialogues, {level} at once")
                before = self._meter.cpu()
                begin = time.perf_counter()
                waits = await self._dialogues(shop, level, count)
                rates.setdefault(level, []).append(3 * count / (time.perf_counter() - begin))
                add_cpu(cpu.setdefault(level, {}), before, self._meter.cpu())
                openings.setdefault(level, []).extend(one[0] for one in waits)
                later.setdefault(level, []).extend(second for one in waits for second in one[1:])
        return {
            str(level): Level(
                conversations=count * self._plan.rounds,
                turns_per_second=_rounded(median(rates[level])),
                turns=_timing(openings[level] + later[level]),
                opening=_timing(openings[level]),
                later=_timing(later[level]),
                cpu_ms_per_turn=cpu_milliseconds({}, cpu[level], 3 * count * self._plan.rounds),
            )
            for level, count in self._plan.dialogues
        }

    async def _dialogues(self, shop: Visitors, level: int, count: int) -> list[list[float]]:
        """Play `count` dialogues, `level` at once; return the seconds of the turns of each."""
        waits: list[list[float]] = []
        left = iter(range(count))

        async def visitor() -> None:
            for _ in left:
                conversation, seconds = await shop.dialogue()
                self._seen.append(conversation)
                waits.append(seconds)

        await _all([visitor() for _ in range(level)])
        return waits

    async def _events_of_dialogues(self) -> float:
        """Return the events a turn in the histories of the newest dialogues, once they are closed."""
        counts = []
        for conversation in self._seen[-5:]:
            handle = self._client.get_workflow_handle(conversation_workflow_id(conversation.conversation_id))
            async with asyncio.timeout(30):
                await handle.result()
            counts.append((await handle.describe()).history_length / conversation.turns)
        return mean(counts)

    # --- one turn against one echo ------------------------------------------------------------------

    async def _against_echo(self, quiz: Visitors) -> tuple[_Side, _Side, float]:
        """Return what turn and echo took, and the history events of a turn."""
        turn, echo = _Side(), _Side()
        conversations = [await self._opened(quiz) for _ in range(20)]
        echoes = [await self._echo_workflow() for _ in range(20)]
        sides: list[tuple[_Side, list[Turn]]] = [
            (turn, [self._loop_turn(quiz, conversation) for conversation in conversations]),
            (echo, [_echo_turn(handle) for handle in echoes]),
        ]
        for _, actions in sides:
            for action in actions:
                await action()
        await asyncio.sleep(0 if self._plan.quick else 3)
        self._say("one turn against one echo, alone")
        for number in range(self._plan.slices_alone):
            for side, actions in _swapped(sides, number):
                await actions[number % 20]()
                for _ in range(self._plan.turns_a_slice):
                    side.alone.append(await actions[number % 20]())
        self._say("turns against echoes, 20 at once")
        for number in range(self._plan.slices_at_20):
            for side, actions in _swapped(sides, number):
                await self._together(side, actions)
        events = await self._events_of_questions(conversations)
        for handle in echoes:
            await handle.signal(SIGNAL_STOP)
        return turn, echo, events

    async def _together(self, side: _Side, actions: Sequence[Turn]) -> None:
        before, begin = self._meter.cpu(), time.perf_counter()
        end = begin + self._plan.seconds_a_slice

        async def one(action: Turn) -> int:
            done = 0
            while time.perf_counter() < end:
                await action()
                done += 1
            return done

        side.together += sum(await _all([one(action) for action in actions]))
        side.seconds += time.perf_counter() - begin
        add_cpu(side.cpu, before, self._meter.cpu())

    async def _events_of_questions(self, conversations: Sequence[Conversation]) -> float:
        """Return the events a turn of conversations that go on, their transcripts' writing included."""
        counts = []
        for conversation in conversations[:5]:
            handle = self._client.get_workflow_handle(conversation_workflow_id(conversation.conversation_id))
            counts.append((await handle.describe()).history_length / conversation.turns)
        return mean(counts)

    async def _opened(self, quiz: Visitors) -> Conversation:
        conversation = Conversation()
        await quiz.turn(conversation, LOOP_OPENING)
        self._seen.append(conversation)
        return conversation

    def _loop_turn(self, quiz: Visitors, conversation: Conversation) -> Turn:
        async def turn() -> float:
            return await quiz.turn(conversation, LOOP_TURN)

        return turn

    async def _echo_workflow(self) -> WorkflowHandle[object, object]:
        return await self._client.start_workflow(
            BENCH_ECHO_WORKFLOW, id=f"bench-echo/{uuid4()}", task_queue=CONVERSATION_QUEUE
        )

    # --- idle conversations -------------------------------------------------------------------------

    async def _beside_idle(self, quiz: Visitors) -> tuple[IdleEffect, dict[str, float]]:
        """Return what idle conversations change for one that talks, and the memory with them."""
        before = await self._live(quiz)
        self._say(f"opening {self._plan.idle} idle conversations")
        left = iter(range(self._plan.idle))

        async def opener() -> None:
            for _ in left:
                await self._opened(quiz)

        await _all([opener() for _ in range(10)])
        await asyncio.sleep(0 if self._plan.quick else 8)
        seconds = 0.5 if self._plan.quick else 5.0
        used = self._meter.cpu()
        await asyncio.sleep(seconds)
        cpu = self._meter.cpu()
        after = await self._live(quiz)
        effect = IdleEffect(
            conversations=self._plan.idle,
            before=_timing(before),
            after=_timing(after),
            p50_change=_rounded(quantile(after, 0.5) / quantile(before, 0.5) - 1),
            cpu_percent={part: round((cpu[part] - used[part]) / seconds * 100, 1) for part in cpu},
        )
        return effect, self._meter.memory()

    async def _live(self, quiz: Visitors) -> list[float]:
        self._say("one live conversation")
        waits: list[float] = []
        conversation = await self._opened(quiz)
        turn = self._loop_turn(quiz, conversation)
        for _ in range(self._plan.idle_turns):
            waits.append(await turn())
        return waits


def _echo_turn(handle: WorkflowHandle[object, object]) -> Turn:
    async def turn() -> float:
        begin = time.perf_counter()
        answer = await handle.execute_update(UPDATE_ECHO, "Profesional", id=str(uuid4()), result_type=str)
        seconds = time.perf_counter() - begin
        if answer != "Profesional":
            raise ValueError(f"the echo answered {answer!r}")
        return seconds

    return turn


async def _all(work: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run all; the first failure cancels the rest and is raised."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
    return [task.result() for task in tasks]


def _swapped(sides: list[tuple[_Side, list[Turn]]], number: int) -> list[tuple[_Side, list[Turn]]]:
    return sides if number % 2 == 0 else sides[::-1]


def _timing(seconds: Sequence[float]) -> Timing:
    return Timing(
        p50_ms=round(quantile(seconds, 0.5) * 1000, 2),
        p95_ms=round(quantile(seconds, 0.95) * 1000, 2),
        requests=len(seconds),
    )


def _rounded(value: float) -> float:
    return round(value, 3)
