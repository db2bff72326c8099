"""The contract between workflows and activities: names, inputs, outputs, queues, search attributes.

A workflow passes references (`EffectContext`, seq numbers, secret names), never transcripts or secret values.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from flow_schema.fields import ShortText
from flow_schema.nodes.ai import ClassLabel
from flow_schema.turns import (
    ConversationStatus,
    Message,
    TeamAction,
    UsDollars,
    Visit,
    VisitorInput,
    Waiting,
)

CONVERSATION_QUEUE = "conversations"
"""Conversation workflows and the activities that the platform itself does."""
EFFECTS_QUEUE = "effects"
"""Activities that wait for the outside world: models, HTTP, e-mail, scripts."""
CONVERSATION_WORKFLOW = "Conversation"
BENCH_ECHO_WORKFLOW = "BenchEcho"

SEARCH_ATTRIBUTES: tuple[tuple[str, str], ...] = (
    ("VersaOrganization", "Keyword"),
    ("VersaChatbot", "Keyword"),
    ("VersaFlowVersion", "Keyword"),
    ("VersaStatus", "Keyword"),
)
"""Name and Temporal type of the search attributes; none holds personal data."""

UPDATE_VISITOR = "visitor_message"
UPDATE_TEAM = "team_action"
UPDATE_CALLBACK = "callback"
QUERY_SNAPSHOT = "snapshot"
QUERY_TAIL = "tail"
UPDATE_ECHO = "echo"
SIGNAL_STOP = "stop"
"""Of the benchmark's bare workflow."""


def conversation_workflow_id(conversation_id: str) -> str:
    return f"conversation/{conversation_id}"


class Contract(BaseModel):
    """Configuration shared by the models here."""

    model_config = ConfigDict(extra="forbid", ser_json_timedelta="iso8601")


# --- what reaches the workflow ---------------------------------------------------------------------


class Mock(Contract):
    """What an `api_call` or `webhook` node gets in a test conversation instead of the world."""

    status: int = Field(default=200, title="Status", description="The HTTP status.", ge=100, le=599)
    body: JsonValue = Field(default=None, title="Body", description="The answer's body.")
    headers: dict[str, str] = Field(default_factory=dict, title="Headers", description="Its headers.")
    fail: bool = Field(default=False, title="Fail", description="Whether it fails as the network would.")


class ConversationStart(Contract):
    """The workflow's argument."""

    conversation_id: str
    organization_id: str
    chatbot_id: str
    flow_version_id: str
    content_hash: str
    mode: Literal["live", "test"] = "live"
    start_node: str | None = None
    mocks: dict[str, Mock] = Field(default_factory=dict)
    jump_waits: bool = False
    """Test conversations: timers fire at once."""
    session_id: str = ""
    user_identifier: str | None = None
    user_metadata: dict[str, JsonValue] = Field(default_factory=dict)
    continue_after_turns: int | None = None
    """Forces continue-as-new after so many turns; for tests."""


class VisitorMessage(Contract):
    """The argument of the update `visitor_message`; the update's id is `message_id`."""

    message_id: str
    input: VisitorInput
    files: list[dict[str, JsonValue]] = Field(default_factory=list)
    """For a `files` input: what the API knows of each file (`id`, `name`, `media_type`, `size`)."""
    request_id: str | None = None


class TeamMessage(Contract):
    """The argument of the update `team_action`; the update's id is `action_id`."""

    action_id: str
    action: TeamAction
    request_id: str | None = None


class CallbackMessage(Contract):
    """The argument of the update `callback`: somebody posted to a one-time address."""

    callback_id: str
    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)
    request_id: str | None = None


class CallbackReply(Contract):
    """Whether the callback was taken now, had been taken before with the same body, came too late, or does
    not fit the variables that it is meant for; then the conversation waits on."""

    outcome: Literal["received", "duplicate", "late", "unfit"]
    reason: str = ""
    """Why it does not fit."""


# --- activities ------------------------------------------------------------------------------------


class EffectContext(Contract):
    """For whom and where an effect happens."""

    organization_id: str
    chatbot_id: str
    conversation_id: str
    node_id: str
    visit: int
    call: int
    mode: Literal["live", "test"] = "live"
    language: str = "es"
    personal: list[str] = Field(default_factory=list)
    """Values to mask in logs."""

    @property
    def key(self) -> str:
        """The idempotency key: the same for every attempt, and for a manual retry."""
        return f"{self.conversation_id}:{self.visit}:{self.call}"


class LoadFlow(Contract):
    """Input of `load_flow`: the version to load, with every flow it runs."""

    organization_id: str
    chatbot_id: str
    flow_version_id: str
    content_hash: str
    sub_flows: dict[str, str] = Field(default_factory=dict)
    """Sub-flow name -> version id already pinned (after continue-as-new)."""


class LoadedFlow(Contract):
    """One flow: canonical JSON, zlib-compressed, base64."""

    version_id: str
    content_hash: str
    compressed: str


class FlowBundle(Contract):
    """Output of `load_flow`: `main` and each sub-flow by name, all pinned."""

    flows: dict[str, LoadedFlow]


class ConversationRecord(Contract):
    """The conversation's row in the read model, as of a flush."""

    organization_id: str
    chatbot_id: str
    conversation_id: str
    flow_version_id: str
    mode: Literal["live", "test"]
    session_id: str
    user_identifier: str | None
    user_metadata: dict[str, JsonValue]
    status: ConversationStatus
    language: str
    started_at: datetime
    last_activity: datetime
    """When the batch was made: a later batch is never overwritten by an earlier one."""
    ended_at: datetime | None = None
    satisfaction_rating: int | None = None
    feedback: str | None = None
    tags: list[str] = Field(default_factory=list)
    waiting: Waiting | None = None
    agent_id: str | None = None
    variables: dict[str, Any] = Field(default_factory=dict)
    """Personal values masked."""
    escalation: dict[str, JsonValue] | None = None
    last_seq: int = 0


class StoredReply(Contract):
    """What is needed to answer a repeated input after the workflow is gone."""

    message_id: str
    body_hash: str
    status: ConversationStatus
    last_seq: int
    first_seq: int
    """The reply's messages are `first_seq..last_seq` without those of visitors."""
    answered_by: str | None = None
    waiting: Waiting | None = None
    language: str = "es"
    seqs: list[int] = Field(default_factory=list)
    """Exactly the reply's messages."""


class Flush(Contract):
    """Input of `flush_transcript`: a batch of the outbox. Writing it twice changes nothing."""

    record: ConversationRecord
    messages: list[Message]
    visits: list[Visit]
    replies: list[StoredReply] = Field(default_factory=list)


class Flushed(Contract):
    """Output of `flush_transcript`."""

    messages: int
    visits: int


class HttpCall(Contract):
    """Input of `http_request`: a rendered request; secrets and the callback address still as marks.

    A mark is `marker` + `:NAME:` + `marker` inside any string of address, query, headers and body, and stands
    for the secret NAME, or for the callback address where NAME is `callback_url`.
    """

    context: EffectContext
    method: str
    url: str
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    body_type: Literal["none", "json", "form", "text"] = "none"
    body: JsonValue = None
    timeout_seconds: float = 15
    max_response_bytes: int = 524_288
    retry_on_status: list[int] = Field(default_factory=list)
    attempts: int = 3
    """On attempt number `attempts` a status in `retry_on_status` is returned, before that it is retried."""
    marker: str
    callback_id: str | None = None


class HttpResult(Contract):
    """Output of `http_request`. `body` is JSON where the answer is JSON, else its text; secrets redacted."""

    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    body: JsonValue = None
    milliseconds: int = 0
    attempts: int = 1


class PromptMessage(Contract):
    """A message given to a model beside the transcript."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: list[ToolCall] = Field(default_factory=list)
    tool_call_id: str | None = None


class ToolCall(Contract):
    """What the model wants done."""

    id: str
    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class ToolSpec(Contract):
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: dict[str, Any]


class ModelCall(Contract):
    """Input of `call_model`: one call. The transcript is read by the activity, up to `up_to`."""

    context: EffectContext
    model: str | None = None
    """Null: the installation's first usable model, or the built-in answerer."""
    fallback_models: list[str] = Field(default_factory=list)
    instructions: str = ""
    memory_messages: int = 0
    up_to: int = 0
    """The newest `seq` of the transcript to read."""
    messages: list[PromptMessage] = Field(default_factory=list)
    """Added after the transcript."""
    tools: list[ToolSpec] = Field(default_factory=list)
    response_schema: dict[str, Any] | None = None
    labels: list[ClassLabel] = Field(default_factory=list)
    """For classification: `parsed` is then `{"label": id or null, "confidence": 0..1}`."""
    temperature: float | None = None
    max_tokens: int | None = None
    stream: bool = False
    """Whether tokens are published under `context.key` while they come."""


class ModelAnswer(Contract):
    """Output of `call_model`."""

    model: str
    text: str = ""
    tool_calls: list[ToolCall] = Field(default_factory=list)
    parsed: JsonValue = None
    finish_reason: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: UsDollars | None = None
    """Null where the price is not known."""
    milliseconds: int = 0
    first_token_milliseconds: int | None = None
    failed_models: list[str] = Field(default_factory=list)


class IntentExamples(Contract):
    """An intent and phrases for it."""

    name: ShortText
    description: str = ""
    examples: list[str] = Field(default_factory=list)


class RecognizeIntent(Contract):
    """Input of `recognize_intent`: by similarity to the examples (also used to match options by meaning)."""

    context: EffectContext
    text: str
    intents: Annotated[list[IntentExamples], Field(min_length=1)]
    threshold: float


class RecognizedIntent(Contract):
    """Output of `recognize_intent`."""

    intent: str | None
    confidence: float


class EmailMessage(Contract):
    """Input of `send_email`. Message-ID is made from `context.key`, so repeats can be recognized."""

    context: EffectContext
    to: list[str]
    cc: list[str] = Field(default_factory=list)
    reply_to: str | None = None
    subject: str
    body: str
    """Markdown."""


class EmailSent(Contract):
    """Output of `send_email`."""

    message_id: str
    accepted: list[str]


class ScriptRun(Contract):
    """Input of `run_script`."""

    context: EffectContext
    code: str
    variables: dict[str, JsonValue]
    timeout_seconds: float
    memory_megabytes: int


class ScriptResult(Contract):
    """Output of `run_script`."""

    value: JsonValue
    milliseconds: int = 0


class OpenCallback(Contract):
    """Input of `open_callback`: makes the one-time token and stores its hash."""

    context: EffectContext
    callback_id: str
    expires_at: datetime
    reveal: bool
    """Whether the address is needed in the workflow; else it stays a mark and never reaches history."""


class OpenedCallback(Contract):
    """Output of `open_callback`."""

    callback_id: str
    url: str | None = None


PromptMessage.model_rebuild()

LOAD_FLOW = "load_flow"
FLUSH_TRANSCRIPT = "flush_transcript"
HTTP_REQUEST = "http_request"
CALL_MODEL = "call_model"
RECOGNIZE_INTENT = "recognize_intent"
SEND_EMAIL = "send_email"
RUN_SCRIPT = "run_script"
OPEN_CALLBACK = "open_callback"

ACTIVITIES: dict[str, tuple[type[Contract], type[Contract], str]] = {
    LOAD_FLOW: (LoadFlow, FlowBundle, CONVERSATION_QUEUE),
    FLUSH_TRANSCRIPT: (Flush, Flushed, CONVERSATION_QUEUE),
    HTTP_REQUEST: (HttpCall, HttpResult, EFFECTS_QUEUE),
    CALL_MODEL: (ModelCall, ModelAnswer, EFFECTS_QUEUE),
    RECOGNIZE_INTENT: (RecognizeIntent, RecognizedIntent, CONVERSATION_QUEUE),
    SEND_EMAIL: (EmailMessage, EmailSent, EFFECTS_QUEUE),
    RUN_SCRIPT: (ScriptRun, ScriptResult, EFFECTS_QUEUE),
    OPEN_CALLBACK: (OpenCallback, OpenedCallback, CONVERSATION_QUEUE),
}
"""Activity name -> input model, output model, queue."""


class FailureType:
    """`type` of the ApplicationErrors that activities raise."""

    RETRY = "try-again"
    """Passing; Temporal repeats it."""
    BAD_REQUEST = "bad-request"
    """The flow's own fault (address, template, secret, script): never repeated."""
    FORBIDDEN_ADDRESS = "forbidden-address"
    REFUSED = "refused"
    """The other side said no for good."""
