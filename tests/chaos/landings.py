"""What conversations were doing when a process was killed, read off their histories afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

KINDS = ("LLM call", "HTTP call", "continue-as-new", "script", "timer", "callback wait")
_ACTIVITIES = {"call_model": "LLM call", "http_request": "HTTP call", "run_script": "script"}
_ENDS = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
)


@dataclass(frozen=True)
class Kill:
    """A process that was killed; `at` is seconds since the epoch."""

    part: str
    pid: int
    at: float


@dataclass(frozen=True)
class Span:
    """What a conversation did from `begin` to `end`, seconds since the epoch."""

    kind: str
    begin: float
    end: float


@dataclass
class Chains:
    """The runs of all conversations of a bot."""

    spans: dict[str, list[Span]] = field(default_factory=dict)
    runs: int = 0
    moves: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    lost_attempts: int = 0
    """Attempts of activities beyond the first."""


async def read_chains(client: Client, bot: str) -> Chains:
    """Read every run of a bot's conversations."""
    runs: dict[str, list[tuple[float, list[HistoryEvent]]]] = {}
    chains = Chains()
    gate = asyncio.Semaphore(8)

    async def read(workflow_id: str, run_id: str, started: float) -> None:
        async with gate:
            history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        runs.setdefault(workflow_id, []).append((started, list(history.events)))

    tasks = []
    async for execution in client.list_workflows(f'VersaChatbot = "{bot}"'):
        chains.runs += 1
        chains.statuses[str(execution.status.name if execution.status else None)] += 1
        tasks.append(read(execution.id, execution.run_id, execution.start_time.timestamp()))
    await asyncio.gather(*tasks)
    for workflow_id, chain in runs.items():
        chain.sort(key=lambda run: run[0])
        conversation = workflow_id.partition("/")[2]
        spans = chains.spans.setdefault(conversation, [])
        for number, (_, events) in enumerate(chain):
            found, lost = _effects(events)
            spans += found
            chains.lost_attempts += lost
            if number + 1 < len(chain):
                chains.moves += 1
                spans.append(_move(events, chain[number + 1][1]))
    return chains


def _effects(events: Sequence[HistoryEvent]) -> tuple[list[Span], int]:
    begun: dict[int, tuple[str, float]] = {}
    spans = []
    lost = 0
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            begun[event.event_id] = (name, _time(event))
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            lost += event.activity_task_started_event_attributes.attempt - 1
        elif event.event_type in _ENDS:
            scheduled: int = getattr(event, event.WhichOneof("attributes") or "").scheduled_event_id
            name, begin = begun.pop(scheduled)
            if kind := _ACTIVITIES.get(name):
                spans.append(Span(kind, begin, _time(event)))
    return spans, lost


def _move(old: Sequence[HistoryEvent], new: Sequence[HistoryEvent]) -> Span:
    """From the last task of the old run to the first one that the new run has completed."""
    begins = [event for event in old if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED]
    ends = [event for event in new if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    return Span("continue-as-new", _time(begins[-1]), _time(ends[0]))


def _time(event: HistoryEvent) -> float:
    return event.event_time.ToNanoseconds() / 1e9


async def read_waits(
    database: asyncpg.Connection, spans: dict[str, list[Span]], nodes: dict[str, str]
) -> None:
    """Add the visits of nodes that wait (node id -> kind of wait) to the spans."""
    rows = await database.fetch(
        "SELECT conversation_id, node_id, entered_at, left_at FROM node_visits WHERE node_id = ANY($1)",
        list(nodes),
    )
    for row in rows:
        found = spans.get(str(row["conversation_id"]))
        if found is not None and row["left_at"] is not None:
            kind = nodes[row["node_id"]]
            found.append(Span(kind, row["entered_at"].timestamp(), row["left_at"].timestamp()))


def landings(kills: Sequence[Kill], spans: dict[str, list[Span]]) -> list[dict[str, Any]]:
    """For each kill, how many conversations did what; each counts once, by the order of `KINDS`."""
    table = []
    for kill in kills:
        counts: Counter[str] = Counter()
        for of_one in spans.values():
            kinds = {span.kind for span in of_one if span.begin <= kill.at <= span.end}
            if kinds:
                counts[min(kinds, key=KINDS.index)] += 1
        table.append({"part": kill.part, "at": kill.at, **{kind: counts[kind] for kind in KINDS}})
    return table


def render(table: Sequence[dict[str, Any]]) -> str:
    """The table in Markdown: a row a part, the number of its kills and where they landed."""
    parts = sorted({row["part"].rstrip("-0123456789") for row in table})
    kinds = KINDS
    lines = ["| killed | times | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 2) + "|"]
    for part in [*parts, "all"]:
        rows = [row for row in table if part in (row["part"].rstrip("-0123456789"), "all")]
        sums = [str(sum(row[kind] for row in rows)) for kind in kinds]
        lines.append(f"| {part} | {len(rows)} | " + " | ".join(sums) + " |")
    return "\n".join(lines)
