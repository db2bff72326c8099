"""Everything a conversation is, as one serializable value. It travels through continue-as-new."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from flow_schema.effects import ConversationStart, StoredReply
from flow_schema.turns import (
    Agent,
    ConversationStatus,
    Message,
    TeamReply,
    TurnReply,
    Visit,
    Waiting,
)
from workflows.interpreter.outcomes import CallbackReceived, StepEvent

STATE_VERSION = 1
KEPT_REPLIES = 40
KEPT_PATH = 40
KEPT_SEEN = 12_000
KEPT_CALLBACKS = 50
KEPT_REPLY_BYTES = 200_000
"""Of replies that travel into a new run: the whole state must fit into one Temporal payload of 2 MB."""


class Frame(BaseModel):
    """A flow in progress; the last frame is the one that walks, the others wait for its return."""

    flow: str = "main"
    node_id: str
    variables: dict[str, Any]
    visit: int = 0
    """Number of the visit of `node_id`."""
    calls: int = 0
    """Effects made in this visit, so that each has its own key."""
    local: dict[str, Any] = Field(default_factory=dict)
    """What the node keeps while it waits."""
    event: StepEvent | None = None
    """What the step in progress was given; kept for retries."""
    event_calls: int = 0
    """`calls` when the event was given: a retry starts from here, with the same keys."""
    sent: dict[int, str] = Field(default_factory=dict)
    """Effects made since the event was given: `calls` at each -> digest of the request."""
    changes: dict[str, Any] = Field(default_factory=dict)
    record: Visit | None = None
    """The visit in progress."""


class Escalation(BaseModel):
    """Why and since when a human is wanted, or at work."""

    kind: Literal["escalate", "hand_over", "takeover"]
    since: datetime
    team: str | None = None
    reason: str = ""
    priority: str = "normal"
    claimed_at: datetime | None = None


class Suspended(BaseModel):
    """What the conversation was waiting for when an agent stepped in."""

    waiting: Waiting | None
    deadline: datetime | None
    accepts_reply: bool = False
    callback_id: str | None = None
    status: ConversationStatus = ConversationStatus.ACTIVE
    callback: CallbackReceived | None = None
    """A callback that came meanwhile."""


class ConversationState(BaseModel):
    """The state; times are UTC."""

    version: int = STATE_VERSION
    start: ConversationStart
    status: ConversationStatus = ConversationStatus.ACTIVE
    opened: bool = False
    language: str = "es"
    locale: str = ""
    """The visitor's own language tag, such as `en-US`, however little of it the flow declares."""
    started_at: datetime
    last_activity: datetime
    """When the visitor last wrote."""
    ended_at: datetime | None = None
    end_reason: str = ""

    frames: list[Frame] = Field(default_factory=list)
    sub_flows: dict[str, str] = Field(default_factory=dict)
    """Sub-flow name -> pinned version."""
    waiting: Waiting | None = None
    deadline: datetime | None = None
    accepts_reply: bool = False
    """Whether a message of the visitor ends the wait for a timer or a callback."""
    callback_id: str | None = None
    callbacks: dict[str, str] = Field(default_factory=dict)
    """Callbacks received: id -> hash of the body."""
    agent: Agent | None = None
    escalation: Escalation | None = None
    suspended: Suspended | None = None
    stuck_reason: str = ""
    inactivity_used: bool = False

    visits: int = 0
    path: list[Visit] = Field(default_factory=list)
    turns: int = 0
    last_seq: int = 0
    last_message: str = ""
    last_reply: str = ""
    page: dict[str, Any] = Field(default_factory=dict)
    visitor: dict[str, Any] = Field(default_factory=dict)
    channel: str = "web"
    tags: list[str] = Field(default_factory=list)
    satisfaction_rating: int | None = None
    feedback: str | None = None

    replies: dict[str, TurnReply] = Field(default_factory=dict)
    """The newest replies by message id; older ones are in the tables."""
    team_replies: dict[str, TeamReply] = Field(default_factory=dict)
    """The newest replies to the team's actions, by action id."""
    seen: dict[str, None] = Field(default_factory=dict)
    """Short digests of every message id answered, oldest first."""

    outbox_messages: list[Message] = Field(default_factory=list)
    outbox_visits: list[Visit] = Field(default_factory=list)
    outbox_replies: list[StoredReply] = Field(default_factory=list)
    outbox_changed: bool = False
    """Whether the conversation's row has to be written even without messages."""

    @property
    def frame(self) -> Frame:
        return self.frames[-1]
