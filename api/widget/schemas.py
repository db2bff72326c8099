"""What chat clients send and get."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.fields import Incoming, Outgoing, TranscriptMessage
from flow_schema.nodes.start import Trigger
from flow_schema.turns import ConversationStatus, MessageId, VisitorInput, Waiting

_EXAMPLE_ID = "2f1c6a52-4c3e-4a7b-9d7e-0a9b7f6c5d4e"


class ChatRequest(Incoming):
    """One input of a visitor.

    The simplest conversation: send `{"message_id": ..., "input": {"type": "start"}}`, keep the answer's
    `token`, and send everything else with it. Repeating a request under the same `message_id` gives the same
    answer and has no second effect.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"message_id": _EXAMPLE_ID, "input": {"type": "start", "language": "es"}},
                {
                    "message_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                    "conversation_id": "018f5a3c-5b8e-8c11-9d2f-7b1e6a4c3d2f",
                    "input": {"type": "text", "text": "hola"},
                },
            ]
        }
    )

    message_id: MessageId | None = Field(
        default=None,
        title="Message",
        description="Made by the client, new for each message: a UUID, or 8 to 64 characters of "
        "`A-Z a-z 0-9 _ . : -`. The `Idempotency-Key` header may carry it instead.",
    )
    input: VisitorInput = Field(
        title="Input",
        description="`start` opens a conversation; `text`, `choice`, `value` and `files` answer; `event` "
        "tells of something on the site.",
    )
    conversation_id: str | None = Field(
        default=None,
        title="Conversation",
        description="From the first answer; may be left out, the token names it.",
        pattern=r"^[0-9a-fA-F-]{32,36}$",
    )
    token: str | None = Field(
        default=None,
        title="Token",
        description="The visitor token, where the `Authorization: Bearer` header can't carry it.",
        max_length=1000,
    )


class ChatReply(Outgoing):
    """The bot's answer to one input."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    message_id: str = Field(title="Message", description="The client's id of the input.")
    status: ConversationStatus = Field(title="Status", description="After the turn.")
    messages: list[TranscriptMessage] = Field(
        title="Messages", description="What was said in answer, in order; may be empty."
    )
    last_seq: int = Field(title="Last number", description="`seq` of the newest message so far.", ge=0)
    waiting: Waiting | None = Field(default=None, title="Waiting", description="For what it waits now.")
    language: str = Field(default="es", title="Language", description="The conversation's language.")
    answered_by: str | None = Field(
        default=None,
        title="Answered by",
        description="The id of a later input whose reply answers this one too (texts sent in a burst).",
    )
    token: str | None = Field(
        default=None,
        title="Token",
        description="The visitor token to use from now on: given when a conversation opens, and renewed "
        "when more than half of its life is over.",
    )


class ChatProcessing(Outgoing):
    """The bot takes longer: follow the events, or send the same request again after a while."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    message_id: str = Field(title="Message", description="The client's id of the input.")
    status: Literal["processing"] = Field(
        default="processing", title="Status", description="Still at work on the answer."
    )
    retry_after_ms: int = Field(
        title="Retry after", description="Milliseconds after which to send the same request again."
    )
    token: str | None = Field(default=None, title="Token", description="As in the reply.")


class WidgetLimits(Outgoing):
    """What a client may send."""

    max_text: int = Field(title="Text", description="Characters of a text.")
    max_upload_bytes: int = Field(title="File", description="Bytes of an uploaded file.")
    max_files: int = Field(title="Files", description="Files in one message.")
    max_pending: int = Field(
        title="Pending", description="Unanswered messages that a conversation takes at once."
    )


class WidgetConfig(Outgoing):
    """What a chat client needs to know before a conversation."""

    chatbot_id: str = Field(title="Bot", description="Its id.")
    slug: str = Field(title="Slug", description="Its name in addresses.")
    name: str = Field(title="Name", description="Shown to visitors.")
    description: str | None = Field(default=None, title="Description", description="A sentence about it.")
    language: str = Field(title="Language", description="The default language.")
    languages: list[str] = Field(title="Languages", description="All languages, the default first.")
    triggers: list[Trigger] = Field(
        title="Triggers", description="What opens a conversation; empty: the visitor opens the chat."
    )
    limits: WidgetLimits = Field(title="Limits", description="What may be sent.")


class WidgetStatus(Outgoing):
    """Whether a bot takes messages now."""

    status: Literal["online", "offline"] = Field(
        title="Status", description="`offline`: not published, switched off, or nobody answers at the moment."
    )
    accepting: bool = Field(
        title="Accepting", description="Whether a message sent now would be answered at once."
    )


class PublicBot(Outgoing):
    """A bot that anybody may talk to."""

    chatbot_id: str = Field(title="Bot", description="Its id.")
    slug: str = Field(title="Slug", description="Its name in addresses.")
    name: str = Field(title="Name", description="Shown to visitors.")
    description: str | None = Field(default=None, title="Description", description="A sentence about it.")
    languages: list[str] = Field(title="Languages", description="All languages, the default first.")


class PlatformLinks(Outgoing):
    """Where else to look."""

    temporal_ui: str = Field(title="Temporal UI", description="Address of the Temporal Web UI.")


class PublicBots(Outgoing):
    """The bots of this installation that can be talked to."""

    platform: str = Field(title="Platform", description="What the installation is called.")
    bots: list[PublicBot] = Field(title="Bots", description="By name.")
    links: PlatformLinks = Field(title="Links", description="Where else to look.")


class VisitorTranscript(Outgoing):
    """A part of a conversation's transcript, the newest messages included."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    messages: list[TranscriptMessage] = Field(title="Messages", description="In order of `seq`.")
    status: ConversationStatus = Field(title="Status", description="Where the conversation is.")
    waiting: Waiting | None = Field(default=None, title="Waiting", description="For what it waits now.")
    language: str = Field(title="Language", description="The conversation's language.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message.")
    has_more: bool = Field(title="More", description="Whether messages follow the last one here.")


class TokensEvent(Outgoing):
    """A piece of a text that is being written: `text` stands at `offset` of the text so far.

    A higher `attempt` begins the text anew. The message with the same `stream_id` is the truth and ends it.
    """

    stream_id: str = Field(title="Stream", description="Which text.")
    attempt: int = Field(title="Attempt", description="Counts from 1.")
    offset: int = Field(title="Offset", description="Characters before this piece.")
    text: str = Field(title="Text", description="The piece.")


class StatusEvent(Outgoing):
    """The conversation's state has changed."""

    status: ConversationStatus = Field(title="Status", description="Where it is.")
    waiting: Waiting | None = Field(default=None, title="Waiting", description="For what it waits.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message.")
