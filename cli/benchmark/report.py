"""What `versaai bench turns --json` prints."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Report(BaseModel):
    """Configuration of the models here."""

    model_config = ConfigDict(extra="forbid")


class Timing(Report):
    """Waiting times of one kind of request, in milliseconds."""

    p50_ms: float = Field(title="Median", description="Milliseconds.", ge=0)
    p95_ms: float = Field(title="95th percentile", description="Milliseconds.", ge=0)
    requests: int = Field(title="Requests", description="How many were timed.", ge=1)


class Level(Report):
    """The three-turn dialogue at one number of concurrent conversations."""

    conversations: int = Field(title="Conversations", description="Played in all.", ge=1)
    turns_per_second: float = Field(title="Throughput", description="Median over the rounds.", gt=0)
    turns: Timing = Field(title="Turns", description="All three turns together.")
    opening: Timing = Field(title="Opening", description="The first turn, which starts the workflow.")
    later: Timing = Field(title="Later turns", description="The second and third turn.")
    cpu_ms_per_turn: dict[str, float] = Field(title="Processor", description="Milliseconds by process.")


class IdleEffect(Report):
    """What idle conversations cost those who talk."""

    conversations: int = Field(title="Conversations", description="How many were idle.", ge=0)
    before: Timing = Field(title="Before", description="One live conversation, without the idle ones.")
    after: Timing = Field(title="After", description="One live conversation beside them.")
    p50_change: float = Field(title="Change", description="Of the median; 0.1 is 10 % slower.")
    cpu_percent: dict[str, float] = Field(
        title="Idle load", description="Per cent of one processor while nobody talks, by process."
    )


class Verification(Report):
    """What was compared after the run."""

    conversations: int = Field(title="Conversations", description="All of them.", ge=1)
    replies: int = Field(title="Replies", description="Answers checked word by word.", ge=1)
    rows: int = Field(title="Rows", description="Messages in PostgreSQL, each equal to what was told.", ge=1)


class TurnsReport(Report):
    """A run of the benchmark. Ratios compare with the bare echo update of the same run and server."""

    quick: bool = Field(title="Quick", description="A smoke test: the figures mean nothing.")
    machine: dict[str, float | int] = Field(title="Machine", description="What figures depend on.")
    workers: int = Field(title="Workers", description="Worker processes.", ge=1)
    api_processes: int = Field(title="API processes", description="API processes.", ge=1)

    p50_ratio: float = Field(title="Median ratio", description="One turn over HTTP to one echo, alone.")
    p95_ratio: float = Field(title="95th percentile ratio", description="The same at the 95th percentile.")
    throughput_ratio_20: float = Field(title="Throughput ratio", description="20 at once: turns to echoes.")
    turn: Timing = Field(title="Turn", description="One question and answer over HTTP, alone.")
    echo: Timing = Field(title="Echo", description="One echo update, alone.")
    turns_per_second_20: float = Field(title="Turns at 20", description="A second, 20 at once.")
    echoes_per_second_20: float = Field(title="Echoes at 20", description="A second, 20 at once.")
    cpu_ms_per_turn_20: dict[str, float] = Field(
        title="Processor of a turn", description="At 20, by process."
    )
    cpu_ms_per_echo_20: dict[str, float] = Field(
        title="Processor of an echo", description="At 20, by process."
    )

    turns_per_second: dict[str, float] = Field(
        title="Turns a second", description="Three-turn dialogue, by concurrent conversations."
    )
    p50_ms: dict[str, float] = Field(title="Median", description="Of a turn, by concurrent conversations.")
    p95_ms: dict[str, float] = Field(title="95th percentile", description="Of a turn, likewise.")
    cpu_ms_per_turn: dict[str, float] = Field(
        title="Processor", description="Milliseconds a turn of the dialogue at 10 at once, by process."
    )
    history_events_per_turn: float = Field(
        title="History", description="Events a turn of the whole three-turn dialogue, start and end included."
    )
    history_events_per_question: float = Field(
        title="History of a question", description="Events a turn of a conversation that goes on."
    )
    idle_2000_p50_change: float | None = Field(
        title="Idle change", description="Change of a turn's median beside 2,000 idle conversations."
    )
    memory_mib: dict[str, float] = Field(title="Memory", description="After the dialogues, by process.")
    memory_mib_idle: dict[str, float] = Field(
        title="Memory, idle", description="With the idle conversations."
    )
    levels: dict[str, Level] = Field(title="Levels", description="By concurrent conversations.")
    idle: IdleEffect = Field(title="Idle", description="The idle conversations' effect.")
    verified: Verification = Field(title="Verified", description="What was compared after the run.")
