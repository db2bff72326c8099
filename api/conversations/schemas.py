"""What the team sends and gets."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from api.fields import Incoming, Outgoing, TeamTranscriptMessage
from flow_schema.turns import (
    MAX_INPUT_TEXT,
    Agent,
    ConversationStatus,
    MessageId,
    TeamAction,
    Visit,
    Waiting,
)

_EXAMPLE_ID = "6a0f8c1e-90f1-4b9f-8c0e-2f6f3f0c7b1d"
DEFAULT_AGENT = Agent(id="team", name="Equipo")


class AgentMessage(Incoming):
    """What an agent writes to the visitor."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action_id": _EXAMPLE_ID,
                    "agent": {"id": "ana", "name": "Ana"},
                    "text": "Hola, soy Ana. ¿En qué te ayudo?",
                }
            ]
        }
    )

    action_id: MessageId | None = Field(
        default=None,
        title="Action",
        description="Made by the client, new for each message; repeating it has no second effect. The "
        "`Idempotency-Key` header may carry it instead.",
    )
    agent: Agent = Field(default=DEFAULT_AGENT, title="Agent", description="Who writes.")
    text: str = Field(default="", title="Text", description="Markdown.", max_length=MAX_INPUT_TEXT)
    files: list[Annotated[str, StringConstraints(max_length=64)]] = Field(
        default_factory=list, title="Files", description="Ids of the agent's uploads.", max_length=10
    )
    claim: bool = Field(
        default=True,
        title="Claim",
        description="Whether to take the conversation first, if nobody has it; else 409 `not-with-agent`.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> AgentMessage:
        if not self.text.strip() and not self.files:
            raise ValueError("give a text or files")
        return self


class ActionRequest(Incoming):
    """Something the team does to a conversation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action_id": _EXAMPLE_ID,
                    "action": {"kind": "claim", "agent": {"id": "ana", "name": "Ana"}},
                },
                {
                    "action_id": "0c7d5f70-7a9b-4d66-9d6e-3f5f6a0e2b11",
                    "action": {"kind": "jump", "node_id": "menu"},
                },
            ]
        }
    )

    action_id: MessageId | None = Field(
        default=None,
        title="Action",
        description="Made by the client, new for each action; repeating it has no second effect. The "
        "`Idempotency-Key` header may carry it instead.",
    )
    action: TeamAction = Field(
        title="Action",
        description="`claim`, `say`, `hand_back`, `close`; for operators `retry`, `skip`, `jump`, "
        "`set_variables`.",
    )


class ActionReply(Outgoing):
    """What an action led to."""

    action_id: str = Field(title="Action", description="The action's id.")
    status: ConversationStatus = Field(title="Status", description="After it.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message.")
    messages: list[TeamTranscriptMessage] = Field(title="Messages", description="What it led to.")
    agent: Agent | None = Field(default=None, title="Agent", description="Who has the conversation now.")


class NamedVisit(Visit):
    """One passage through a node, with the node's name."""

    node_label: str = Field(title="Name", description="The node's name, or its id.")
    node_kind: str | None = Field(default=None, title="Kind", description="The node's kind.")


class TeamTranscript(Outgoing):
    """A part of a conversation's transcript, the newest messages included."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    messages: list[TeamTranscriptMessage] = Field(title="Messages", description="In order of `seq`.")
    status: ConversationStatus = Field(title="Status", description="Where the conversation is.")
    waiting: Waiting | None = Field(default=None, title="Waiting", description="For what it waits now.")
    last_seq: int = Field(title="Last number", description="`seq` of the newest message.")
    has_more: bool = Field(title="More", description="Whether messages follow the last one here.")


class ConversationPath(Outgoing):
    """A conversation's way through its flow."""

    conversation_id: str = Field(title="Conversation", description="Its id.")
    visits: list[NamedVisit] = Field(title="Visits", description="In order of `number`.")
    has_more: bool = Field(title="More", description="Whether visits follow the last one here.")
