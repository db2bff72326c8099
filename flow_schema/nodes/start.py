"""`start`: where every conversation enters the flow, and what opens it."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from flow_schema.fields import Identifier, Model, NodeCommon, Position, ShortText
from flow_schema.nodes.exits import NEXT, Exit, ExitRule


class OpenTrigger(Model):
    """The visitor opens the chat."""

    kind: Literal["open"] = Field(title="Kind", description="The visitor opens the chat.")


class KeywordTrigger(Model):
    """The visitor's first message holds one of the keywords."""

    kind: Literal["keyword"] = Field(title="Kind", description="The first message holds a keyword.")
    keywords: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        title="Keywords",
        description="Compared without case, accents and punctuation.",
        min_length=1,
        max_length=100,
    )
    match: Literal["is", "contains"] = Field(
        default="contains",
        title="Match",
        description="Whether the message is the keyword or contains it, as whole words.",
    )


class PageTrigger(Model):
    """The visitor is on a page whose address fits; the widget opens the chat by itself."""

    kind: Literal["page"] = Field(title="Kind", description="The visitor is on a fitting page.")
    url_pattern: str = Field(
        title="Address pattern",
        description="The page's address; `*` stands for any run of characters.",
        min_length=1,
        max_length=500,
    )
    after_seconds: int = Field(
        default=0, title="After", description="Seconds on the page before the chat opens.", ge=0, le=3600
    )


class EventTrigger(Model):
    """The site sends an event."""

    kind: Literal["event"] = Field(title="Kind", description="The site sends an event.")
    name: ShortText = Field(title="Event", description="The event's name.", min_length=1)


class ChannelTrigger(Model):
    """A message arrives on a channel such as Slack or WhatsApp."""

    kind: Literal["channel"] = Field(title="Kind", description="A message arrives on a channel.")
    channel: ShortText = Field(
        title="Channel", description="The channel: `slack`, `discord`, `whatsapp`.", min_length=1
    )


Trigger = Annotated[
    OpenTrigger | KeywordTrigger | PageTrigger | EventTrigger | ChannelTrigger, Field(discriminator="kind")
]


class StartData(NodeCommon):
    """What opens a conversation. Without triggers, opening the chat does."""

    triggers: list[Trigger] = Field(
        default_factory=list,
        title="Triggers",
        description="What opens a conversation. An empty list means: the visitor opens the chat.",
        max_length=50,
    )


class StartNode(Model):
    """The entry of a flow; each flow has exactly one."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "next",
            "Always.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["start"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: StartData = Field(default_factory=StartData, title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        return [NEXT]

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return False
