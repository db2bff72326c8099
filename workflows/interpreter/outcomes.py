"""What a step may be given (events) and what it may answer (outcomes)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue

from flow_schema.turns import Agent, VisitorInput

Accepts = Literal["text", "choice", "value", "files"]


# --- events: why a waiting step is called again; part of the state, hence models ----------------


class VisitorSaid(BaseModel):
    """The visitor answered."""

    kind: Literal["visitor"] = "visitor"
    input: VisitorInput
    files: list[dict[str, JsonValue]] = Field(default_factory=list)


class DeadlinePassed(BaseModel):
    """The step's own deadline is over."""

    kind: Literal["deadline"] = "deadline"


class CallbackReceived(BaseModel):
    """Somebody called the one-time address."""

    kind: Literal["callback"] = "callback"
    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)


class HandedBack(BaseModel):
    """An agent gave the conversation back."""

    kind: Literal["handed_back"] = "handed_back"
    agent: Agent


class FlowReturned(BaseModel):
    """The sub-flow that the step called has ended."""

    kind: Literal["returned"] = "returned"
    outputs: dict[str, Any] = Field(default_factory=dict)


StepEvent = Annotated[
    VisitorSaid | DeadlinePassed | CallbackReceived | HandedBack | FlowReturned, Field(discriminator="kind")
]


# --- outcomes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Goto:
    """Leave through this exit; without an edge there, the flow ends."""

    exit: str


@dataclass(frozen=True)
class Jump:
    """Continue at this node of the same flow."""

    node_id: str


@dataclass(frozen=True)
class Call:
    """Run another flow with these inputs, then come back with `FlowReturned`."""

    flow: str
    inputs: dict[str, Any]


@dataclass(frozen=True)
class AwaitVisitor:
    """Wait for the visitor's answer, until the deadline if there is one."""

    accepts: tuple[Accepts, ...]
    prompt: int | None
    reason: str
    until: datetime | None = None


@dataclass(frozen=True)
class AwaitEvent:
    """Wait for time, a callback or an agent."""

    kind: Literal["timer", "callback", "agent"]
    reason: str
    until: datetime | None = None
    accepts_reply: bool = False


@dataclass(frozen=True)
class Finish:
    """End the flow; `everything` also ends the flows that called it."""

    everything: bool = False


@dataclass(frozen=True)
class Stuck:
    """The step failed for good and has no way out: an operator must act."""

    reason: str


Outcome = Goto | Jump | Call | AwaitVisitor | AwaitEvent | Finish | Stuck


class StepFailed(Exception):
    """A step can't do its work; it takes the exit `error` if that has an edge, else it is stuck.

    `detail` is what `save_error_to` receives beside the message.
    """

    def __init__(self, message: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail or {}


@dataclass
class EffectFailed(Exception):
    """An effect failed for good, after its retries."""

    message: str
    type: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message
