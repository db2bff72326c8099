"""`ai`: a step done by a language model."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from flow_schema.fields import (
    FlowReference,
    Formula,
    Identifier,
    Instructions,
    JmesPath,
    JsonSchema,
    Model,
    ModelName,
    NodeCommon,
    Position,
    PositiveDuration,
    Text,
    WritesVariable,
    misuse,
    one_of,
)
from flow_schema.nodes.exits import ERROR, NEXT, NO_REPLY, Exit, ExitRule, tool_exit
from flow_schema.nodes.request import HttpRequest, RetryPolicy


class ReplyTask(Model):
    """Answers the visitor."""

    kind: Literal["reply"] = Field(title="Kind", description="Answers the visitor.")
    send: bool = Field(default=True, title="Send", description="Whether the answer is said to the visitor.")
    save_to: WritesVariable | None = Field(
        default=None, title="Save to", description="Variable for the answer's text."
    )


class ExtractedField(Model):
    """One value to find in the text."""

    variable: WritesVariable = Field(title="Variable", description="Where it is saved; null if not found.")
    description: str = Field(
        title="Description", description="Tells the model what to look for.", min_length=1, max_length=500
    )
    type: Literal["string", "number", "integer", "boolean", "date"] = Field(
        default="string", title="Type", description="The JSON type asked of the model."
    )
    choices: list[str] = Field(
        default_factory=list, title="Choices", description="If given, the only values allowed.", max_length=50
    )


class ExtractTask(Model):
    """Reads values out of a text: simple `fields`, or an object that fits a `json_schema`; exactly one.

    With `json_schema`, `save_to` is required.
    """

    kind: Literal["extract"] = Field(title="Kind", description="Reads values out of a text.")
    text: Formula = Field(
        default="last_message", title="Text", description="A formula that gives the text to read."
    )
    fields: list[ExtractedField] = Field(
        default_factory=list, title="Fields", description="Values to find.", max_length=30
    )
    json_schema: JsonSchema | None = Field(
        default=None, title="JSON Schema", description="Of an object, instead of fields."
    )
    save_to: WritesVariable | None = Field(
        default=None, title="Save to", description="Variable for the whole object."
    )

    @model_validator(mode="after")
    def _has_one_shape(self) -> ExtractTask:
        problem = one_of("extraction", fields=bool(self.fields), json_schema=self.json_schema is not None)
        if problem is not None:
            raise problem
        if self.json_schema is not None and self.save_to is None:
            raise misuse("extraction by `json_schema` needs `save_to`", "Name a variable in `save_to`.")
        return self


class ClassLabel(Model):
    """One class."""

    id: Identifier = Field(title="Id", description="What is saved.")
    description: str = Field(
        default="", title="Description", description="Tells the model what belongs here.", max_length=500
    )
    examples: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        default_factory=list, title="Examples", description="Phrases that belong here.", max_length=50
    )


class ClassifyTask(Model):
    """Puts a text into one of several classes and saves the class's id."""

    kind: Literal["classify"] = Field(title="Kind", description="Puts a text into a class.")
    text: Formula = Field(
        default="last_message", title="Text", description="A formula that gives the text to classify."
    )
    labels: list[ClassLabel] = Field(
        title="Classes", description="The classes to choose from.", min_length=2, max_length=50
    )
    save_to: WritesVariable = Field(
        title="Save to", description="Variable for the class's id; null if none fits."
    )


class ApiTool(Model):
    """A request the model may make; its arguments are `args` in the templates."""

    provides: ClassVar[frozenset[str]] = frozenset({"args"})

    kind: Literal["api"] = Field(title="Kind", description="An HTTP request.")
    id: Identifier = Field(title="Id", description="The tool's name for the model; unique in the node.")
    description: str = Field(
        title="Description", description="Tells the model when to use it.", min_length=1, max_length=1_000
    )
    parameters: JsonSchema = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        title="Parameters",
        description="JSON Schema of the arguments.",
    )
    request: HttpRequest = Field(title="Request", description="What is sent.")
    retry: RetryPolicy = Field(
        default_factory=RetryPolicy, title="Repetition", description="What happens on failure."
    )
    result_path: JmesPath = Field(
        default="@", title="Result", description="JMESPath of the part given to the model; `@` is all of it."
    )


class FlowTool(Model):
    """Another flow of the bot; arguments become its inputs, its outputs the result."""

    kind: Literal["flow"] = Field(title="Kind", description="Another flow of the bot.")
    id: Identifier = Field(title="Id", description="The tool's name for the model; unique in the node.")
    description: str = Field(
        title="Description", description="Tells the model when to use it.", min_length=1, max_length=1_000
    )
    parameters: JsonSchema = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        title="Parameters",
        description="JSON Schema of the arguments, named as the flow's input variables.",
    )
    flow: FlowReference = Field(title="Flow", description="The flow's name.")


class RouteTool(Model):
    """A way out of the node that the model may choose: the exit `tool:<id>`."""

    kind: Literal["route"] = Field(title="Kind", description="A way out of the node.")
    id: Identifier = Field(
        title="Id", description="The tool's name for the model; names the exit `tool:<id>`."
    )
    description: str = Field(
        title="Description", description="Tells the model when to take it.", min_length=1, max_length=1_000
    )
    parameters: JsonSchema = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        title="Parameters",
        description="JSON Schema of the arguments.",
    )
    save_to: WritesVariable | None = Field(
        default=None, title="Save to", description="Variable for the arguments."
    )


AiTool = Annotated[ApiTool | FlowTool | RouteTool, Field(discriminator="kind")]


class AgentTask(Model):
    """Lets the model work with tools until it has an answer, or talk on until it takes a route."""

    kind: Literal["agent"] = Field(title="Kind", description="Works with tools.")
    tools: list[AiTool] = Field(
        default_factory=list, title="Tools", description="What the model may use.", max_length=30
    )
    max_calls: int = Field(
        default=8, title="Most calls", description="Model calls in one turn; then `error`.", ge=1, le=50
    )
    converse: bool = Field(
        default=False,
        title="Talk on",
        description="Whether it goes on talking with the visitor until it takes a route; "
        "else its first answer takes `next`.",
    )
    max_turns: int = Field(
        default=20,
        title="Most turns",
        description="Visitor turns that it answers while talking on; the last answer takes `next`.",
        ge=1,
        le=500,
    )
    no_reply_after: PositiveDuration | None = Field(
        default=None,
        title="No reply after",
        description="Takes `no_reply` after this long without an answer.",
    )
    save_to: WritesVariable | None = Field(
        default=None, title="Save to", description="Variable for the last answer's text."
    )

    @model_validator(mode="after")
    def _tool_ids_differ(self) -> AgentTask:
        ids = [tool.id for tool in self.tools]
        if len(set(ids)) != len(ids):
            raise misuse("two tools have the same id", "Give each tool an id of its own.")
        return self


AiTask = Annotated[ReplyTask | ExtractTask | ClassifyTask | AgentTask, Field(discriminator="kind")]


class Memory(Model):
    """What the model sees of the conversation so far, beside its instructions."""

    messages: int = Field(
        default=20,
        title="Messages",
        description="At most so many of the newest messages, fewer if the model's window is small; 0: none.",
        ge=0,
        le=200,
    )


class AiData(NodeCommon):
    """A language model's step."""

    task: AiTask = Field(title="Task", description="What the model does.")
    instructions: Instructions | None = Field(
        default=None,
        title="Instructions",
        description="The system prompt, added to the bot's; may hold `{{ formulas }}`.",
    )
    prompt: Text | None = Field(
        default=None,
        title="Prompt",
        description="Given as the last user message; empty: the visitor's last message.",
    )
    model: ModelName | None = Field(
        default=None, title="Model", description="`provider/model`; empty: the bot's."
    )
    fallback_models: list[ModelName] = Field(
        default_factory=list,
        title="Fallbacks",
        description="Tried in order when the model fails.",
        max_length=5,
    )
    temperature: float | None = Field(
        default=None, title="Temperature", description="0 (steady) to 2; empty: the bot's.", ge=0, le=2
    )
    max_tokens: int | None = Field(
        default=None, title="Longest answer", description="Tokens; empty: the bot's.", ge=1, le=128_000
    )
    memory: Memory = Field(default_factory=Memory, title="Memory", description="What it sees of the dialog.")
    save_error_to: WritesVariable | None = Field(
        default=None,
        title="Save the error to",
        description="Variable for the message before `error` is taken.",
    )


class AiNode(Model):
    """Lets a language model answer, extract, classify or act."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "next",
            "The task is done; for an agent that talks on, when `max_turns` is reached.",
        ),
        ExitRule(
            "tool:<id>",
            "An agent chose this tool of the kind `route`.",
        ),
        ExitRule(
            "no_reply",
            "An agent that talks on waited for `no_reply_after`; the exit exists only if that is set.",
        ),
        ExitRule(
            "error",
            "The step fails for good. Without an edge the conversation is stuck and waits for an operator.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["ai"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: AiData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        exits = [NEXT, ERROR]
        task = self.data.task
        if isinstance(task, AgentTask):
            exits += [tool_exit(tool.id, tool.id) for tool in task.tools if isinstance(tool, RouteTool)]
            if task.no_reply_after is not None:
                exits.append(NO_REPLY)
        return exits

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return isinstance(self.data.task, AgentTask) and self.data.task.converse and exit_id != "error"
