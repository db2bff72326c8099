"""What callers and providers agree on: one request, one result, one stream of text."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls"]
Task = Literal["reply", "extraction", "classification"]


class _Contract(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ToolSpec(_Contract):
    """A tool that the model may ask for. The caller runs it: providers never do."""

    name: str = Field(title="Name", description="Unique in the request.", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = Field(default="", title="Description", description="When to use it.", max_length=4096)
    parameters: dict[str, Any] = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        title="Parameters",
        description="JSON Schema of the arguments; an object.",
    )


class ToolCall(_Contract):
    id: str = Field(title="Id", description="The provider's id, repeated by the result.", max_length=256)
    name: str = Field(title="Name", description="The tool that the model asks for.", max_length=256)
    arguments: dict[str, Any] = Field(
        default_factory=dict, title="Arguments", description="Parsed from JSON."
    )
    invalid_arguments: str | None = Field(
        default=None,
        title="Unreadable arguments",
        description="What the model wrote when it is not a JSON object (cut off, say). Never run such a "
        "call: answer it with an error, so that the model may try again.",
    )


class ChatMessage(_Contract):
    role: Role = Field(title="Role", description="Who speaks; `tool` is the result of a tool call.")
    content: str = Field(
        default="", title="Text", description="What is said; may be empty beside tool calls."
    )
    tool_calls: list[ToolCall] = Field(
        default_factory=list, title="Tool calls", description="Asked for by an assistant message."
    )
    tool_call_id: str | None = Field(
        default=None, title="Answered call", description="On tool messages: the call that this answers."
    )
    name: str | None = Field(
        default=None, title="Name", description="On tool messages: the tool.", max_length=64
    )


class Label(_Contract):
    """One class of a classification, or one intent."""

    name: str = Field(title="Name", description="Returned as the answer.", min_length=1, max_length=200)
    description: str = Field(
        default="", title="Description", description="What belongs here.", max_length=2000
    )
    examples: list[str] = Field(default_factory=list, title="Examples", description="Phrases of this class.")


class ModelRequest(_Contract):
    """One call of one model. Options that a model does not know are left out, never sent to fail."""

    model: str = Field(
        title="Model", description="`provider/model`, or a name of the catalogue.", min_length=1
    )
    messages: list[ChatMessage] = Field(title="Messages", description="The conversation, oldest first.")
    temperature: float | None = Field(
        default=None,
        title="Temperature",
        description="0 is the most predictable; None is the model's default.",
        ge=0,
        le=2,
    )
    max_tokens: int | None = Field(
        default=None, title="Longest answer", description="In tokens of visible text.", ge=1, le=1_000_000
    )
    tools: list[ToolSpec] = Field(
        default_factory=list, title="Tools", description="At most 128.", max_length=128
    )
    tool_choice: str = Field(
        default="auto",
        title="Tool choice",
        description="`auto`, `none`, `required`, or a tool's name. Models that refuse to be forced get "
        "`auto` and an instruction.",
    )
    response_schema: dict[str, Any] | None = Field(
        default=None, title="Answer schema", description="JSON Schema of the answer; None is free text."
    )
    stop: list[str] = Field(
        default_factory=list, title="Stop", description="Texts that end it.", max_length=4
    )
    timeout_seconds: float = Field(
        default=60.0, title="Time limit", description="For the whole call, in seconds.", gt=0, le=3600
    )
    user_hash: str | None = Field(
        default=None,
        title="End user",
        description="A hash for the provider's abuse checks; never a name.",
        max_length=64,
    )
    idempotency_key: str | None = Field(
        default=None, title="Idempotency key", description="Sent as a header of this name.", max_length=255
    )
    language: str | None = Field(
        default=None, title="Language", description="BCP 47 code of the conversation.", max_length=35
    )
    task: Task = Field(default="reply", title="Task", description="What the call is for.")
    subject: str | None = Field(
        default=None,
        title="Subject",
        description="The text to extract from or to classify, if that is the task.",
    )
    labels: list[Label] = Field(
        default_factory=list,
        title="Labels",
        description="Of a classification; read by the built-in answerer.",
    )
    passages: list[str] = Field(
        default_factory=list, title="Passages", description="Known facts; read by the built-in answerer."
    )


class Usage(_Contract):
    input_tokens: int = Field(
        default=0, title="Input", description="Tokens read, cached ones included.", ge=0
    )
    output_tokens: int = Field(default=0, title="Output", description="Tokens written.", ge=0)
    cached_tokens: int = Field(default=0, title="Cached", description="Input tokens read from a cache.", ge=0)
    estimated: bool = Field(
        default=False, title="Estimated", description="True when the provider did not count and we did."
    )


class FailedAttempt(_Contract):
    model: str = Field(title="Model", description="The model that was tried.")
    code: str = Field(title="Code", description="The error's stable code.")
    reason: str = Field(title="Reason", description="What went wrong; holds no secrets.")


class ModelResult(_Contract):
    model: str = Field(title="Model", description="`provider/model` that answered.")
    provider: str = Field(title="Provider", description="Name of the provider.")
    text: str = Field(title="Text", description="The visible answer.")
    tool_calls: list[ToolCall] = Field(default_factory=list, title="Tool calls", description="Asked for.")
    parsed: Any | None = Field(
        default=None,
        title="Parsed",
        description="The answer read as JSON if a schema was asked for; not validated.",
    )
    finish_reason: FinishReason = Field(title="Finish", description="`length`: cut at the longest answer.")
    usage: Usage = Field(title="Usage", description="Tokens.")
    cost_usd: str | None = Field(
        default=None,
        title="Cost",
        description="US dollars as a decimal text; None when the price is unknown.",
    )
    latency_ms: float = Field(title="Latency", description="Of the call, in milliseconds.", ge=0)
    time_to_first_token_ms: float | None = Field(
        default=None, title="First token", description="In milliseconds; only of streamed answers."
    )
    attempts: list[FailedAttempt] = Field(
        default_factory=list,
        title="Failed before",
        description="Models that failed before this one answered.",
    )


class StreamSink(Protocol):
    """Where text goes while it is written. The result is the truth; the stream is a preview of it."""

    async def text(self, delta: str) -> None:
        """Take the next piece of the visible answer."""

    async def reset(self, reason: str) -> None:
        """Forget all that came so far: the attempt failed and another may begin."""


class Provider(Protocol):
    """One vendor's models. Raises only `LlmError`s; retries nothing."""

    name: str

    async def complete(self, request: ModelRequest, *, on_text: StreamSink | None = None) -> ModelResult:
        """Answer; stream to `on_text` when given. `request.model` is the vendor's own name here."""

    async def close(self) -> None:
        """Release connections. The provider can't be used after."""
