"""A whole flow: nodes, edges, variables and settings. One `Flow` is one immutable published version."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints, field_validator, model_validator

from flow_schema.expressions import is_variable_name
from flow_schema.fields import (
    DAY_PATTERN,
    TIME_OF_DAY_PATTERN,
    Duration,
    DurationLimits,
    Identifier,
    Instructions,
    Language,
    Model,
    ModelName,
    NodeReference,
    Position,
    PositiveDuration,
    Slug,
    Text,
    Timezone,
    VariableName,
    misuse,
)
from flow_schema.nodes import Node
from flow_schema.upgrade import upgrade

SCHEMA_VERSION = 1
MAX_NODES = 2_000
MAIN_FLOW = "main"
"""The name of the flow that a bot's conversations begin with."""
MAX_FLOW_DEPTH = 20
"""How many flows may be running inside one another, the main flow included."""

VariableType = Literal["string", "number", "boolean", "date", "datetime", "list", "object"]


class Variable(Model):
    """A named value of the conversation. Values are coerced to the type wherever they enter.

    Dates are texts `YYYY-MM-DD`, dates with times ISO 8601 texts. A variable without a value is null.
    """

    name: VariableName = Field(
        title="Name",
        description="As formulas write it; not a name that the platform provides, nor a word such as `and`.",
    )
    type: VariableType = Field(default="string", title="Type", description="What it holds.")
    default: JsonValue = Field(default=None, title="Default", description="Its value at the start.")
    personal: bool = Field(
        default=False,
        title="Personal",
        description="Whether it is masked in details, logs and test views.",
    )
    input: bool = Field(
        default=False,
        title="Input",
        description="Whether the site, or a flow that runs this one, may set it at the start.",
    )
    output: bool = Field(
        default=False, title="Output", description="Whether a flow that runs this one may read it afterwards."
    )
    description: str | None = Field(
        default=None, title="Description", description="What it is for.", max_length=500
    )

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name in RESERVED_NAMES or not is_variable_name(name):
            raise misuse(
                f"`{name}` is a name of the platform or of formulas", "Give the variable another name."
            )
        return name


TimeOfDay = Annotated[str, StringConstraints(pattern=TIME_OF_DAY_PATTERN)]


class OpeningHours(Model):
    """Open from `start` to `end` on some days; an `end` before the `start` is on the next day."""

    days: list[Annotated[int, Field(ge=1, le=7)]] = Field(
        title="Days", description="1 Monday to 7 Sunday.", min_length=1, max_length=7
    )
    start: TimeOfDay = Field(title="From", description="`HH:MM` in the schedule's timezone.")
    end: TimeOfDay = Field(title="To", description="`HH:MM`; `24:00` is midnight at the end of the day.")


class Schedule(Model):
    """Business hours."""

    id: Slug = Field(title="Id", description="What conditions refer to.")
    timezone: Timezone | None = Field(
        default=None, title="Timezone", description="IANA name; empty: the flow's."
    )
    hours: list[OpeningHours] = Field(
        title="Hours", description="When it is open.", min_length=1, max_length=50
    )
    closed_dates: list[Annotated[str, StringConstraints(pattern=DAY_PATTERN)]] = Field(
        default_factory=list, title="Closed on", description="Days `YYYY-MM-DD`.", max_length=400
    )


class AiDefaults(Model):
    """What `ai` nodes use where they say nothing; publishing fills it from the bot."""

    model: ModelName | None = Field(default=None, title="Model", description="`provider/model`.")
    fallback_models: list[ModelName] = Field(
        default_factory=list,
        title="Fallbacks",
        description="Tried in order when the model fails.",
        max_length=5,
    )
    instructions: Instructions | None = Field(
        default=None, title="Instructions", description="The bot's system prompt."
    )
    temperature: float | None = Field(default=None, title="Temperature", description="0 to 2.", ge=0, le=2)
    max_tokens: int | None = Field(
        default=None, title="Longest answer", description="Tokens.", ge=1, le=128_000
    )


class FlowSettings(Model):
    """How conversations on this flow behave."""

    inactivity_timeout: PositiveDuration | None = Field(
        default=None,
        title="Inactivity",
        description="A visitor who says nothing for this long while the bot waits for them is taken as gone.",
    )
    inactivity_text: Text | None = Field(
        default=None, title="Inactivity text", description="Said before the conversation ends."
    )
    inactivity_target: NodeReference | None = Field(
        default=None,
        title="On inactivity go to",
        description="Continues at this node (once) instead of ending.",
    )
    max_steps_per_turn: int = Field(
        default=200,
        title="Most steps a turn",
        description="Nodes passed without waiting; beyond it the conversation is stuck.",
        ge=1,
        le=1_000,
    )
    debounce: Annotated[Duration, Field(le=timedelta(seconds=30)), DurationLimits("PT0S", "PT30S")] = Field(
        default=timedelta(0),
        title="Debounce",
        description="Texts sent within this pause are answered together; zero: each is answered by itself.",
    )
    timezone: Timezone | None = Field(
        default=None,
        title="Timezone",
        description="IANA name such as `Europe/Madrid`, for dates, times and business hours; "
        "empty: that of the flow that runs this one, else UTC.",
    )
    schedules: list[Schedule] = Field(
        default_factory=list, title="Schedules", description="Business hours.", max_length=20
    )
    stuck_text: Text | None = Field(
        default=None,
        title="Text when stuck",
        description="Said when a step fails for good and has no error exit.",
    )
    closed_text: Text | None = Field(
        default=None,
        title="Text when closed",
        description="Said when the conversation is closed by the team.",
    )
    ai: AiDefaults = Field(
        default_factory=AiDefaults, title="AI defaults", description="For `ai` nodes that say nothing else."
    )


class Edge(Model):
    """Leads from an exit of a node to another node."""

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    source: Identifier = Field(title="From", description="The node it leaves.")
    sourceHandle: str = Field(
        default="next", title="Exit", description="The exit it leaves from.", min_length=1, max_length=80
    )
    target: Identifier = Field(title="To", description="The node it leads to.")
    label: str | None = Field(default=None, title="Label", description="Shown on the canvas.", max_length=120)


class Group(Model):
    """A frame around nodes on the canvas; nodes name it as `parentId`."""

    id: Identifier = Field(title="Id", description="Unique among groups and nodes.")
    title: str = Field(default="", title="Title", description="Shown on the frame.", max_length=120)
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    width: float = Field(default=400, title="Width", description="Pixels.", gt=0, le=100_000)
    height: float = Field(default=300, title="Height", description="Pixels.", gt=0, le=100_000)
    color: str | None = Field(default=None, title="Colour", description="A name or `#rrggbb`.", max_length=30)
    comment: str | None = Field(default=None, title="Comment", description="A remark.", max_length=2_000)


class Flow(Model):
    """A conversation drawn as a graph."""

    schema_version: Literal[1] = Field(
        default=1, title="Schema version", description="Version of the flow language."
    )
    name: str = Field(title="Name", description="The flow's name.", min_length=1, max_length=200)
    description: str | None = Field(
        default=None, title="Description", description="What it is for.", max_length=2_000
    )
    language: Language = Field(default="es", title="Language", description="The default language.")
    languages: list[Language] = Field(
        default_factory=list,
        title="Languages",
        description="All languages the texts come in, the default included.",
        max_length=50,
    )
    variables: list[Variable] = Field(
        default_factory=list, title="Variables", description="The conversation's variables.", max_length=500
    )
    settings: FlowSettings = Field(
        default_factory=FlowSettings, title="Settings", description="How conversations behave."
    )
    nodes: list[Node] = Field(title="Nodes", description="The steps.", min_length=1, max_length=MAX_NODES)
    edges: list[Edge] = Field(
        default_factory=list, title="Edges", description="What leads where.", max_length=MAX_NODES * 4
    )
    groups: list[Group] = Field(
        default_factory=list, title="Groups", description="Frames on the canvas.", max_length=200
    )

    @model_validator(mode="before")
    @classmethod
    def _current(cls, data: Any) -> Any:
        return upgrade(data) if isinstance(data, dict) else data

    def all_languages(self) -> list[str]:
        """Declared languages, the default first, without repetition."""
        return list(dict.fromkeys([self.language, *self.languages]))


RESERVED_NAMES = frozenset(
    {
        "args",
        "callback_url",
        "channel",
        "conversation",
        "language",
        "last_message",
        "last_reply",
        "page",
        "secrets",
        "visitor",
    }
)
"""Names that formulas may read and that the platform provides."""


def canonical_json(flow: Flow) -> bytes:
    """The flow as JSON with sorted keys and without defaults: equal flows give equal bytes."""

    data = flow.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    data["schema_version"] = flow.schema_version
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def content_hash(flow: Flow) -> str:
    """SHA-256 of `canonical_json`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(flow)).hexdigest()
