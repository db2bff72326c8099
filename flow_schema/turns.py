"""What goes in and out of a running conversation: inputs, replies, messages, snapshots, errors.

Spoken by the API, the workflow and the chat clients. Everything here is plain JSON. Times are ISO 8601, UTC.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, StringConstraints

MAX_INPUT_TEXT = 8_000
MAX_PENDING = 5
MAX_VALUE_BYTES = 32_768


class Turn(BaseModel):
    """Configuration shared by the models here."""

    model_config = ConfigDict(extra="forbid", ser_json_timedelta="iso8601")


MessageId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{8,64}$")]
"""Made by the client, new for each message: a UUID. Repeating it repeats the question, never the effect."""


# --- what visitors send ---------------------------------------------------------------------------


class TriggerInfo(Turn):
    """What opened the conversation."""

    kind: Literal["open", "keyword", "page", "event", "channel"] = Field(
        default="open", title="Kind", description="Which kind of trigger of the start node."
    )
    name: str | None = Field(
        default=None, title="Name", description="The event's or the channel's name.", max_length=200
    )
    data: dict[str, JsonValue] = Field(
        default_factory=dict, title="Data", description="What came with it.", max_length=50
    )


class StartInput(Turn):
    """Opens the conversation; the reply holds the greeting."""

    type: Literal["start"] = Field(title="Type", description="Opens the conversation.")
    language: str | None = Field(
        default=None,
        title="Language",
        description="The visitor's language, if the flow has it.",
        max_length=35,
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
    )
    text: str | None = Field(
        default=None, title="Text", description="A first message, if any.", max_length=MAX_INPUT_TEXT
    )
    variables: dict[str, JsonValue] = Field(
        default_factory=dict,
        title="Variables",
        description="Values for variables that the flow declares as inputs.",
        max_length=100,
    )
    trigger: TriggerInfo = Field(
        default_factory=TriggerInfo, title="Trigger", description="What opened the conversation."
    )
    page: dict[str, str] = Field(
        default_factory=dict,
        title="Page",
        description="`url`, `title`, `referrer` of the page the visitor is on.",
        max_length=10,
    )


class TextInput(Turn):
    """The visitor wrote something."""

    type: Literal["text"] = Field(title="Type", description="Typed text.")
    text: str = Field(title="Text", description="What was typed.", min_length=1, max_length=MAX_INPUT_TEXT)


class ChoiceInput(Turn):
    """The visitor chose one or several options of the question asked last."""

    type: Literal["choice"] = Field(title="Type", description="Chosen options.")
    options: list[Annotated[str, StringConstraints(max_length=100)]] = Field(
        title="Options", description="Ids of the options.", max_length=100
    )
    prompt: int | None = Field(
        default=None,
        title="Prompt",
        description="`seq` of the question the options belong to; a button of an older question is refused.",
        ge=1,
    )


class ValueInput(Turn):
    """The visitor filled an input field, rated, agreed, or (null) skipped."""

    type: Literal["value"] = Field(title="Type", description="A value from a field.")
    value: JsonValue = Field(
        title="Value",
        description="A text, number or boolean; `{start, end}` for a date range; "
        "`{rating, comment}` for satisfaction; null to skip.",
    )


class FilesInput(Turn):
    """The visitor uploaded files, by the ids the upload gave."""

    type: Literal["files"] = Field(title="Type", description="Uploaded files.")
    files: list[Annotated[str, StringConstraints(max_length=64)]] = Field(
        title="Files", description="Ids of uploaded files.", min_length=1, max_length=10
    )


class EventInput(Turn):
    """The site tells the conversation something; kept as `page.events`, answered without messages."""

    type: Literal["event"] = Field(title="Type", description="An event of the site.")
    name: str = Field(title="Name", description="The event's name.", min_length=1, max_length=200)
    data: dict[str, JsonValue] = Field(
        default_factory=dict, title="Data", description="What came with it.", max_length=50
    )


VisitorInput = Annotated[
    StartInput | TextInput | ChoiceInput | ValueInput | FilesInput | EventInput, Field(discriminator="type")
]


# --- what stands in a transcript ------------------------------------------------------------------


class TextContent(Turn):
    """Markdown."""

    type: Literal["text"] = Field(default="text", title="Type", description="Markdown text.")
    text: str = Field(title="Text", description="Markdown.")


class MediaContent(Turn):
    """An image, video, audio, file or embedded page."""

    type: Literal["image", "video", "audio", "file", "embed"] = Field(
        title="Type", description="How it is shown."
    )
    url: str = Field(title="Address", description="Where it is.")
    alt: str | None = Field(
        default=None, title="Alternative text", description="For people who can't see it."
    )
    name: str | None = Field(default=None, title="Name", description="Caption or file name.")
    height: int | None = Field(default=None, title="Height", description="Pixels, for embedded pages.")


class CardButtonContent(Turn):
    """A button of a card."""

    label: str = Field(title="Label", description="The button's text.")
    url: str | None = Field(default=None, title="Address", description="The page it opens.")
    reply: str | None = Field(default=None, title="Reply", description="What is sent as the visitor's text.")


class CardContent(Turn):
    """A card."""

    title: str = Field(title="Title", description="Heading.")
    text: str | None = Field(default=None, title="Text", description="Lines under it.")
    image_url: str | None = Field(default=None, title="Image", description="Its address.")
    buttons: list[CardButtonContent] = Field(
        default_factory=list, title="Buttons", description="Its buttons."
    )


class CardsContent(Turn):
    """A carousel."""

    type: Literal["cards"] = Field(default="cards", title="Type", description="A carousel of cards.")
    cards: list[CardContent] = Field(title="Cards", description="In order.")


class ChoiceOption(Turn):
    """An option as the visitor sees it."""

    id: str = Field(title="Id", description="What a choice sends.")
    label: str = Field(title="Label", description="What is shown.")
    description: str | None = Field(default=None, title="Description", description="A line under it.")
    image_url: str | None = Field(default=None, title="Image", description="Its picture.")


class ChoicesContent(Turn):
    """A question with choices; answered by `choice` or `text`."""

    type: Literal["choices"] = Field(default="choices", title="Type", description="A question with options.")
    text: str = Field(title="Text", description="The question, Markdown.")
    options: list[ChoiceOption] = Field(title="Options", description="The choices.")
    display: Literal["buttons", "pictures", "cards", "list"] = Field(
        default="buttons", title="Shown as", description="How to show them."
    )
    multiple: bool = Field(default=False, title="Several", description="Whether several may be chosen.")
    min_choices: int = Field(default=1, title="At least", description="Fewest choices.")
    max_choices: int | None = Field(default=None, title="At most", description="Most choices.")
    searchable: bool = Field(default=False, title="Searchable", description="Whether to offer a search.")


class InputContent(Turn):
    """A request for a value; answered by `text`, `value` or `files`."""

    type: Literal["input"] = Field(default="input", title="Type", description="A request for a value.")
    text: str = Field(title="Text", description="The prompt, Markdown.")
    field: dict[str, JsonValue] = Field(
        title="Field", description="`kind` and limits as in the flow language, formulas resolved."
    )
    placeholder: str | None = Field(default=None, title="Placeholder", description="For the empty field.")
    required: bool = Field(default=True, title="Required", description="Whether it may not be skipped.")
    skip_label: str | None = Field(default=None, title="Skip", description="The skip button's text.")


class SatisfactionContent(Turn):
    """A request for a satisfaction rating; answered by `value` `{rating: 1..5, comment}`."""

    type: Literal["csat"] = Field(default="csat", title="Type", description="A satisfaction question.")
    text: str = Field(title="Text", description="The question.")
    ask_comment: bool = Field(default=True, title="Comment", description="Whether to offer a comment field.")


class RedirectContent(Turn):
    """Sends the browser to a page."""

    type: Literal["redirect"] = Field(default="redirect", title="Type", description="Opens a page.")
    url: str = Field(title="Address", description="The page.")
    new_tab: bool = Field(default=True, title="New tab", description="Whether beside the chat.")
    text: str | None = Field(default=None, title="Text", description="Said with the link.")


NoticeCode = Literal[
    "agent_joined",
    "agent_left",
    "waiting_for_agent",
    "agent_timeout",
    "closed",
    "inactive",
    "stuck",
    "resumed",
]


class NoticeContent(Turn):
    """Something that happened to the conversation, in words where there are any."""

    type: Literal["notice"] = Field(default="notice", title="Type", description="A system notice.")
    code: NoticeCode = Field(title="Code", description="What happened.")
    text: str = Field(default="", title="Text", description="In the conversation's language; may be empty.")


BotMessage = Annotated[
    TextContent
    | MediaContent
    | CardsContent
    | ChoicesContent
    | InputContent
    | SatisfactionContent
    | RedirectContent
    | NoticeContent,
    Field(discriminator="type"),
]
"""Everything a chat client must be able to show."""


class SelectionContent(Turn):
    """What a visitor chose."""

    type: Literal["selection"] = Field(default="selection", title="Type", description="Chosen options.")
    options: list[ChoiceOption] = Field(title="Options", description="The chosen options.")
    text: str = Field(title="Text", description="Their labels.")


class ValueContent(Turn):
    """What a visitor entered."""

    type: Literal["value"] = Field(default="value", title="Type", description="An entered value.")
    value: JsonValue = Field(title="Value", description="The value.")
    text: str = Field(title="Text", description="The value for reading.")


class FileInfo(Turn):
    """An uploaded file."""

    id: str = Field(title="Id", description="The upload's id.")
    name: str = Field(title="Name", description="The file's name.")
    media_type: str = Field(title="Media type", description="As sniffed from the content.")
    size: int = Field(title="Size", description="Bytes.", ge=0)


class FilesContent(Turn):
    """Files of a visitor or an agent."""

    type: Literal["files"] = Field(default="files", title="Type", description="Files.")
    files: list[FileInfo] = Field(title="Files", description="The files.")
    text: str = Field(default="", title="Text", description="Their names.")


class EventContent(Turn):
    """An event of the site."""

    type: Literal["event"] = Field(default="event", title="Type", description="An event of the site.")
    name: str = Field(title="Name", description="The event's name.")
    data: dict[str, JsonValue] = Field(default_factory=dict, title="Data", description="What came with it.")


Content = Annotated[
    TextContent
    | MediaContent
    | CardsContent
    | ChoicesContent
    | InputContent
    | SatisfactionContent
    | RedirectContent
    | NoticeContent
    | SelectionContent
    | ValueContent
    | FilesContent
    | EventContent,
    Field(discriminator="type"),
]


class Agent(Turn):
    """A member of the team, as visitors see them."""

    id: str = Field(title="Id", description="The agent's id.", min_length=1, max_length=64)
    name: str = Field(title="Name", description="The agent's name.", min_length=1, max_length=200)
    avatar_url: str | None = Field(default=None, title="Avatar", description="A picture.", max_length=500)


class MessageRole(StrEnum):
    """Who speaks; the values of the `messages.role` column."""

    USER = "user"
    ASSISTANT = "assistant"
    AGENT = "agent"
    SYSTEM = "system"


UsDollars = Annotated[Decimal, PlainSerializer(lambda amount: format(amount, "f"), return_type=str)]


class ModelUsage(Turn):
    """What calls of language models took."""

    calls: int = Field(default=1, title="Calls", description="Number of calls.", ge=0)
    model: str = Field(title="Model", description="The model that answered last.")
    input_tokens: int = Field(default=0, title="Input tokens", description="Tokens read.", ge=0)
    output_tokens: int = Field(default=0, title="Output tokens", description="Tokens written.", ge=0)
    cost_usd: UsDollars | None = Field(
        default=None,
        title="Cost",
        description="US dollars as an exact decimal text; null where a price is not known.",
    )
    milliseconds: int = Field(default=0, title="Time", description="Milliseconds in all.", ge=0)
    first_token_milliseconds: int | None = Field(
        default=None, title="First token", description="Milliseconds until the first token of the last call."
    )


class Message(Turn):
    """One entry of a transcript. `seq` counts from 1 without gaps."""

    seq: int = Field(title="Number", description="Its place in the conversation, from 1.", ge=1)
    role: MessageRole = Field(title="Role", description="Who speaks.")
    content: Content = Field(title="Content", description="What is said.")
    created_at: datetime = Field(title="Time", description="When, in UTC.")
    client_message_id: str | None = Field(
        default=None, title="Client's id", description="Of a visitor's or an agent's message."
    )
    reply_to: str | None = Field(
        default=None, title="Answers", description="The client's id of the message it answers."
    )
    node_id: str | None = Field(default=None, title="Node", description="The node that said it.")
    stream_id: str | None = Field(
        default=None, title="Stream", description="Under which its tokens were streamed, if they were."
    )
    agent: Agent | None = Field(default=None, title="Agent", description="The agent who said it.")
    typing_seconds: float = Field(default=0, title="Typing pause", description="To show before it appears.")
    usage: ModelUsage | None = Field(
        default=None, title="Usage", description="What the language model took, if one wrote it."
    )


# --- replies ---------------------------------------------------------------------------------------


class ConversationStatus(StrEnum):
    """Where a conversation is; the values of the `conversations.status` column."""

    ACTIVE = "active"
    WAITING = "waiting"
    """For a timer or a callback."""
    ESCALATED = "escalated"
    """With the team, or queued for it."""
    STUCK = "stuck"
    """A step failed for good; an operator must act."""
    ENDED = "ended"


class Waiting(Turn):
    """What a conversation waits for."""

    kind: Literal["visitor", "timer", "callback", "agent", "operator"] = Field(
        title="For", description="Whom or what."
    )
    node_id: str = Field(title="Node", description="The node that waits.")
    node_label: str = Field(default="", title="Name", description="The node's name, or its id.")
    since: datetime = Field(title="Since", description="When the wait began.")
    until: datetime | None = Field(default=None, title="Until", description="When it ends by itself.")
    prompt: int | None = Field(default=None, title="Prompt", description="`seq` of the message that asks.")
    accepts: list[Literal["text", "choice", "value", "files"]] = Field(
        default_factory=list, title="Accepts", description="Kinds of input that answer it."
    )
    reason: str = Field(default="", title="Reason", description="In words, for engineers and operators.")


class TurnReply(Turn):
    """The answer to one input. The same input gives the same reply, whenever and however often it is sent."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    message_id: str = Field(title="Message", description="The client's id of the input.")
    status: ConversationStatus = Field(title="Status", description="After the turn.")
    messages: list[Message] = Field(title="Messages", description="What was said in answer, in order.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message so far.", ge=0)
    waiting: Waiting | None = Field(default=None, title="Waiting", description="For what it waits now.")
    language: str = Field(default="es", title="Language", description="The conversation's language.")
    answered_by: str | None = Field(
        default=None,
        title="Answered by",
        description="The id of a later input whose reply answers this one too (texts sent in a burst).",
    )
    input_hash: str = Field(
        default="",
        title="Input's hash",
        description="`input_hash` of the input answered, to notice an id used for two different inputs.",
    )


def input_hash(value: BaseModel) -> str:
    """SHA-256 of the input's canonical JSON, 32 hexadecimal digits: equal inputs give equal hashes."""
    data = json.dumps(value.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(data.encode()).hexdigest()[:32]


# --- what the team does ----------------------------------------------------------------------------


class Claim(Turn):
    """An agent takes the conversation, escalated or not."""

    kind: Literal["claim"] = Field(title="Kind", description="Takes the conversation.")
    agent: Agent = Field(title="Agent", description="Who.")


class Say(Turn):
    """An agent writes to the visitor."""

    kind: Literal["say"] = Field(title="Kind", description="Writes to the visitor.")
    agent: Agent = Field(title="Agent", description="Who.")
    text: str = Field(default="", title="Text", description="Markdown.", max_length=MAX_INPUT_TEXT)
    files: list[FileInfo] = Field(default_factory=list, title="Files", description="Attached.", max_length=10)


class HandBack(Turn):
    """An agent gives the conversation back to the bot."""

    kind: Literal["hand_back"] = Field(title="Kind", description="Gives it back to the bot.")
    agent: Agent = Field(title="Agent", description="Who.")
    variables: dict[str, JsonValue] = Field(
        default_factory=dict, title="Variables", description="Values the bot goes on with.", max_length=100
    )


class Close(Turn):
    """The team ends the conversation."""

    kind: Literal["close"] = Field(title="Kind", description="Ends the conversation.")
    agent: Agent | None = Field(default=None, title="Agent", description="Who.")
    reason: str = Field(default="", title="Reason", description="Kept with the conversation.", max_length=500)


class Retry(Turn):
    """Tries a stuck step again, with the same idempotency keys."""

    kind: Literal["retry"] = Field(title="Kind", description="Tries the stuck step again.")


class Skip(Turn):
    """Leaves a stuck or waiting step through one of its exits."""

    kind: Literal["skip"] = Field(title="Kind", description="Leaves the step.")
    exit: str = Field(default="next", title="Exit", description="Through which exit.", max_length=80)


class Jump(Turn):
    """Continues at another node."""

    kind: Literal["jump"] = Field(title="Kind", description="Continues elsewhere.")
    node_id: str = Field(title="Node", description="The node's id in the main flow.", max_length=64)


class SetConversationVariables(Turn):
    """Sets variables of the running conversation."""

    kind: Literal["set_variables"] = Field(title="Kind", description="Sets variables.")
    variables: dict[str, JsonValue] = Field(title="Variables", description="By name.", max_length=100)


TeamAction = Annotated[
    Claim | Say | HandBack | Close | Retry | Skip | Jump | SetConversationVariables,
    Field(discriminator="kind"),
]


class TeamReply(Turn):
    """The answer to a team's action."""

    action_id: str = Field(title="Action", description="The action's id.")
    status: ConversationStatus = Field(title="Status", description="After it.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message.")
    messages: list[Message] = Field(default_factory=list, title="Messages", description="What it led to.")
    agent: Agent | None = Field(default=None, title="Agent", description="Who has the conversation now.")
    action_hash: str = Field(
        default="",
        title="Action's hash",
        description="`input_hash` of the action, to notice an id used for two different actions.",
    )


# --- snapshots -------------------------------------------------------------------------------------


class Visit(Turn):
    """One passage through a node."""

    number: int = Field(title="Number", description="Counts from 1, never restarts.", ge=1)
    node_id: str = Field(title="Node", description="Which.")
    flow: str = Field(default="main", title="Flow", description="`main`, or a sub-flow's name.")
    entered_at: datetime = Field(title="Entered", description="When.")
    left_at: datetime | None = Field(default=None, title="Left", description="When; null: it is there.")
    exit: str | None = Field(default=None, title="Exit", description="Through which exit.")
    changes: dict[str, JsonValue] = Field(
        default_factory=dict, title="Changes", description="Variables it changed, personal ones masked."
    )
    error: str | None = Field(default=None, title="Error", description="What failed, if anything.")
    usage: ModelUsage | None = Field(
        default=None, title="Usage", description="What its language model calls took, if it made any."
    )


class ConversationSnapshot(Turn):
    """Where a conversation is and how it got there."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    organization_id: str = Field(title="Organization", description="Whose.")
    chatbot_id: str = Field(title="Bot", description="Which.")
    flow_version_id: str = Field(title="Version", description="The flow version it is pinned to.")
    mode: Literal["live", "test"] = Field(default="live", title="Mode", description="Live or a test.")
    status: ConversationStatus = Field(title="Status", description="Where it is.")
    language: str = Field(title="Language", description="Its language.")
    node_id: str | None = Field(default=None, title="Node", description="Where it stands.")
    waiting: Waiting | None = Field(default=None, title="Waiting", description="For what.")
    variables: dict[str, Any] = Field(
        title="Variables", description="Values of the main flow's variables; personal ones masked."
    )
    sub_flow: str | None = Field(
        default=None, title="Sub-flow", description="The flow that another one runs now, if any."
    )
    sub_flow_variables: dict[str, Any] = Field(
        default_factory=dict,
        title="Sub-flow's variables",
        description="Values of that flow's variables; personal ones masked.",
    )
    path: list[Visit] = Field(title="Path", description="The newest visits, oldest first.")
    agent: Agent | None = Field(default=None, title="Agent", description="Who has it.")
    tags: list[str] = Field(default_factory=list, title="Tags", description="Its tags.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message.")
    turns: int = Field(title="Turns", description="Inputs answered.")


class ConversationTail(Turn):
    """What a reader needs beside the tables, all of one moment."""

    snapshot: ConversationSnapshot = Field(title="Snapshot", description="Where the conversation is.")
    messages: list[Message] = Field(title="Messages", description="Not yet in the tables, in order.")


# --- refusals --------------------------------------------------------------------------------------


class Refusal(StrEnum):
    """Why a conversation refuses an input; the `type` of the workflow's ApplicationError."""

    CLOSED = "conversation-closed"
    TOO_LARGE = "message-too-large"
    WRONG_KIND = "wrong-kind"
    UNKNOWN_OPTION = "unknown-option"
    STALE_PROMPT = "stale-prompt"
    TOO_MANY_PENDING = "too-many-pending"
    ID_REUSED = "message-id-reused"
    NOT_YOURS = "claimed-by-another-agent"
    NOT_WITH_AGENT = "not-with-agent"
    NOT_STUCK = "not-stuck"
    UNKNOWN_NODE = "unknown-node"
    UNKNOWN_EXIT = "unknown-exit"
    BAD_VARIABLE = "bad-variable"
    CALLBACK_USED = "callback-used"
    ANSWERED_BEFORE = "answered-before"
    """It was answered so long ago that only the tables hold the reply."""
    DRAINING = "try-again"
    """Passing: the conversation is moving to a new run; the same input is accepted a moment later."""
