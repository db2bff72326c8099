"""`message`: the bot says something and goes on."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from flow_schema.fields import Identifier, Model, NodeCommon, Position, TemplateString, Text, misuse, one_of
from flow_schema.nodes.exits import NEXT, Exit, ExitRule


class Media(Model):
    """An image, video, audio, file or embedded page beside the text."""

    kind: Literal["image", "video", "audio", "file", "embed"] = Field(
        title="Kind", description="How the widget shows it."
    )
    url: TemplateString = Field(
        title="Address", description="The `https:` address; may hold `{{ formulas }}`.", min_length=1
    )
    alt: Text | None = Field(
        default=None, title="Alternative text", description="What it shows, for people who can't see it."
    )
    name: Text | None = Field(default=None, title="Name", description="Caption, or the file's name.")
    height: int | None = Field(
        default=None, title="Height", description="Height in pixels of an embedded page.", ge=40, le=2_000
    )


class CardButton(Model):
    """A button of a card: opens `url`, or says `reply` in the visitor's name; exactly one."""

    label: Text = Field(title="Label", description="The button's text.")
    url: TemplateString | None = Field(
        default=None, title="Address", description="The page it opens.", min_length=1
    )
    reply: Text | None = Field(
        default=None, title="Reply", description="What is sent as the visitor's message."
    )

    @model_validator(mode="after")
    def _does_one_thing(self) -> CardButton:
        problem = one_of("a button", url=self.url is not None, reply=self.reply is not None)
        if problem is not None:
            raise problem
        return self


class Card(Model):
    """A card of a carousel."""

    title: Text = Field(title="Title", description="The card's heading.")
    text: Text | None = Field(default=None, title="Text", description="A few lines under the title.")
    image_url: TemplateString | None = Field(default=None, title="Image", description="The image's address.")
    buttons: list[CardButton] = Field(
        default_factory=list, title="Buttons", description="At most five.", max_length=5
    )


class MessageData(NodeCommon):
    """What the bot says: a text, media and cards, in this order; at least one of them."""

    text: Text | None = Field(
        default=None, title="Text", description="Markdown; may hold `{{ formulas }}` and be translated."
    )
    media: list[Media] = Field(
        default_factory=list, title="Media", description="Shown after the text, one by one.", max_length=10
    )
    cards: list[Card] = Field(
        default_factory=list, title="Cards", description="Shown as a carousel.", max_length=20
    )
    typing_seconds: float = Field(
        default=0,
        title="Typing pause",
        description="Seconds for which the widget shows that the bot is typing before the message appears.",
        ge=0,
        le=10,
    )

    @model_validator(mode="after")
    def _says_something(self) -> MessageData:
        if self.text is None and not self.media and not self.cards:
            raise misuse("a message needs a text, media or cards", "Give it one of them, or delete the node.")
        return self


class MessageNode(Model):
    """Says something and takes `next`."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "next",
            "Always, as soon as everything is said.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["message"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: MessageData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        return [NEXT]

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return False
