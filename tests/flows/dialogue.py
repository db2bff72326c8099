"""The dialogue format: one YAML file holds a flow and the dialogues that must come out of it.

`docs/dialogues.md` describes the format for its users. This module reads it, `expectations.py` compares
what was said with what was expected, `scripted_world.py` answers the flow's effects, `player.py` plays.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

from flow_schema.flow import Flow
from flow_schema.turns import (
    FileInfo,
    FilesInput,
    Refusal,
    StartInput,
    TeamAction,
    VisitorInput,
)

EDGE = re.compile(r"^\s*([A-Za-z0-9_-]+)(?:\.([a-z_]+(?::[A-Za-z0-9_-]+)?))?\s*->\s*([A-Za-z0-9_-]+)\s*$")
DEFAULT_NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
AGENT = {"id": "agent-1", "name": "Lucía"}


class Part(BaseModel):
    """Configuration shared by the parts of a dialogue: a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid")


class Answer(Part):
    """One answer of the world to an effect of a node, in the order in which they are asked for."""

    fail: bool | str = Field(
        default=False, description="Fails: true as the network would (tried again), a text for good."
    )
    status: int = Field(default=200, description="HTTP: the status.")
    body: JsonValue = Field(default=None, description="HTTP: the body.")
    headers: dict[str, str] = Field(default_factory=dict, description="HTTP: headers.")
    text: str = Field(default="", description="Model: what it says.")
    tool: str | None = Field(default=None, description="Model: the tool it calls.")
    arguments: dict[str, JsonValue] = Field(default_factory=dict, description="Model: the call's arguments.")
    parsed: JsonValue = Field(default=None, description="Model: the object it extracted.")
    label: str | None = Field(default=None, description="Model or intent: the class; null for none.")
    confidence: float = Field(default=0.9, description="Model or intent: how sure.")
    value: JsonValue = Field(default=None, description="Script: what it returns.")


class Start(Part):
    """The opening input; the fields are those of `StartInput`."""

    language: str | None = None
    text: str | None = None
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    trigger: dict[str, JsonValue] = Field(default_factory=dict)
    page: dict[str, str] = Field(default_factory=dict)

    def visitor_input(self) -> StartInput:
        return StartInput.model_validate({"type": "start", **self.model_dump(exclude_defaults=True)})


class CallbackStep(Part):
    """Somebody posts to the one-time address that a webhook node opened last."""

    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)
    node: str | None = Field(default=None, description="Whose address; the newest one if empty.")
    outcome: Literal["received", "duplicate", "late", "unfit"] = "received"


ACTIONS = (
    "say",
    "choose",
    "value",
    "files",
    "event",
    "burst",
    "wait",
    "callback",
    "agent",
    "operator",
    "duplicate",
)


class Step(Part):
    """One thing that happens, and what must follow. `expect` lists every message, in order."""

    say: str | None = None
    choose: list[str] | str | None = None
    value: JsonValue = None
    files: list[FileInfo] | None = None
    event: str | None = None
    data: dict[str, JsonValue] = Field(default_factory=dict)
    burst: list[str] | None = None
    wait: timedelta | None = None
    callback: CallbackStep | None = None
    agent: dict[str, JsonValue] | None = None
    operator: dict[str, JsonValue] | None = None
    duplicate: Literal[True] | dict[str, JsonValue] | None = None

    prompt: int | Literal["last"] | None = Field(
        default=None, description="With `choose`: the prompt's number."
    )
    expect: list[JsonValue] = Field(default_factory=list)
    refuse: Refusal | None = None
    status: str | None = None
    waiting: str | None = None
    node: str | None = None
    variables: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if len(done := [name for name in ACTIONS if name in self.model_fields_set]) != 1:
            raise ValueError(
                f"a step does one thing of {', '.join(ACTIONS)}; this one does {done or 'nothing'}"
            )
        return self

    @property
    def action(self) -> str:
        return next(name for name in ACTIONS if name in self.model_fields_set)

    def visitor_input(self, last_prompt: int | None) -> VisitorInput:
        """The input of a `say`, `choose`, `value`, `files` or `event` step."""
        match self.action:
            case "say":
                data: dict[str, Any] = {"type": "text", "text": self.say}
            case "choose":
                options = [self.choose] if isinstance(self.choose, str) else self.choose
                data = {"type": "choice", "options": options}
                data["prompt"] = last_prompt if self.prompt == "last" else self.prompt
            case "value":
                data = {"type": "value", "value": self.value}
            case "files":
                data = FilesInput(type="files", files=[file.id for file in self.files or []]).model_dump()
            case "event":
                data = {"type": "event", "name": self.event, "data": self.data}
            case other:
                raise AssertionError(f"{other} is no input of a visitor")
        return _VISITOR_INPUT.validate_python(data)

    def team_action(self) -> TeamAction:
        """The action of an `agent` or `operator` step; agents are Lucía unless they say otherwise."""
        data: dict[str, Any] = dict(self.agent or self.operator or {})
        if self.agent is not None:
            data.setdefault("agent", AGENT)
        return _TEAM_ACTION.validate_python(data)


_VISITOR_INPUT: TypeAdapter[VisitorInput] = TypeAdapter(VisitorInput)
_TEAM_ACTION: TypeAdapter[TeamAction] = TypeAdapter(TeamAction)


class End(Part):
    """What must hold after the last step. Objects are compared key by key; keys left out are not compared."""

    status: str | None = None
    waiting: str | None = None
    node: str | None = None
    language: str | None = None
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    path: list[str] | None = Field(default=None, description="Nodes in order; of sub-flows as `flow/node`.")
    exits: list[str] | None = Field(default=None, description="`node.exit` of each visit that was left.")
    tags: list[str] | None = None
    rating: int | None = None
    feedback: str | None = None
    escalation: dict[str, JsonValue] | None = None
    emails: list[dict[str, JsonValue]] | None = None
    requests: list[dict[str, JsonValue]] | None = None
    model_calls: list[dict[str, JsonValue]] | None = None
    hidden: list[str] = Field(default_factory=list, description="Texts that no team view may show.")


class Dialogue(Part):
    """One conversation from its opening to its end."""

    name: Annotated[str, Field(min_length=1)]
    now: datetime = DEFAULT_NOW
    clock: Literal["fixed", "any"] = Field(
        default="any", description="`fixed`: depends on `now`, so it is played on the pure interpreter alone."
    )
    start: Start = Field(default_factory=Start)
    greeting: list[JsonValue] = Field(default_factory=list)
    refuse: Refusal | None = Field(default=None, description="The opening is refused.")
    effects: dict[str, list[Answer]] = Field(default_factory=dict)
    steps: list[Step] = Field(default_factory=list)
    end: End = Field(default_factory=End)


class DialogueFile(Part):
    """A flow and its dialogues."""

    flow: dict[str, Any] | None = None
    flow_file: str | None = None
    flows: dict[str, dict[str, Any] | str] = Field(default_factory=dict)
    replace: dict[str, str] = Field(default_factory=dict)
    dialogues: list[Dialogue] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_one_flow(self) -> Self:
        if (self.flow is None) == (self.flow_file is None):
            raise ValueError("a dialogue file needs either `flow` or `flow_file`")
        return self


class Case(BaseModel):
    """A dialogue with the flows it is played on."""

    file: str
    main: Flow
    sub_flows: dict[str, Flow]
    dialogue: Dialogue

    @property
    def name(self) -> str:
        return f"{self.file}: {self.dialogue.name}"


def read_flow(data: dict[str, Any]) -> Flow:
    """A flow as dialogue files may write it.

    Beside the flow language's own form, an edge may be a text such as `ask.option:yes -> thanks` (without an
    exit: `next`), and a start node called `start` and a name are added where there are none.
    """
    flow = dict(data)
    flow.setdefault("name", "Dialogue")
    nodes = list(flow.get("nodes", []))
    if not any(node.get("type") == "start" for node in nodes):
        nodes.insert(0, {"id": "start", "type": "start"})
    flow["nodes"] = nodes
    flow["edges"] = [
        _edge(number, edge) if isinstance(edge, str) else edge
        for number, edge in enumerate(flow.get("edges", []))
    ]
    return Flow.model_validate(flow)


def _edge(number: int, written: str) -> dict[str, Any]:
    found = EDGE.match(written)
    if found is None:
        raise ValueError(f"{written!r} is not an edge such as `ask.option:yes -> thanks`")
    source, handle, target = found.groups()
    return {"id": f"e{number + 1}", "source": source, "sourceHandle": handle or "next", "target": target}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values: `no`, `on`, `10:30` and `2026-11-23` are texts."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?[0-9]+\.[0-9]+$", "-+0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def load_cases(path: Path) -> list[Case]:
    """The cases of one file, which holds one or several YAML documents.

    Raises pydantic's ValidationError for a document that is no dialogue file.
    """
    cases: list[Case] = []
    for document in yaml.load_all(path.read_text(encoding="utf-8"), _Loader):
        file = DialogueFile.model_validate(document)
        main = _flow_of(file, path, file.flow if file.flow is not None else str(file.flow_file))
        sub_flows = {name: _flow_of(file, path, source) for name, source in file.flows.items()}
        cases += [
            Case(file=path.stem, main=main, sub_flows=sub_flows, dialogue=dialogue)
            for dialogue in file.dialogues
        ]
    return cases


def _flow_of(file: DialogueFile, path: Path, source: dict[str, Any] | str) -> Flow:
    if isinstance(source, dict):
        return read_flow(source)
    text = (path.parent / source).read_text(encoding="utf-8")
    for mark, value in file.replace.items():
        text = text.replace(mark, value)
    return read_flow(json.loads(text))
