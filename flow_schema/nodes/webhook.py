"""`webhook`: tells another system, or waits for it to call back."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from flow_schema.fields import (
    Identifier,
    Model,
    NodeCommon,
    Position,
    PositiveDuration,
    Text,
    WritesVariable,
)
from flow_schema.nodes.exits import ERROR, Exit, ExitRule
from flow_schema.nodes.request import HttpRequest, ResponseMapping, RetryPolicy


class PostEvent(Model):
    """Posts an event and goes on: `sent`, or `error`."""

    kind: Literal["post"] = Field(title="Kind", description="Sends an event.")
    request: HttpRequest = Field(title="Request", description="Where and what.")
    retry: RetryPolicy = Field(
        default_factory=RetryPolicy, title="Repetition", description="What happens on failure."
    )


class AwaitCallback(Model):
    """Publishes a one-time address and waits until something posts to it.

    Inside `request` and `text` the address is `{{ callback_url }}`.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"callback_url"})

    kind: Literal["wait"] = Field(title="Kind", description="Waits for a call.")
    request: HttpRequest | None = Field(
        default=None,
        title="Request",
        description="Sent first, to hand `{{ callback_url }}` to the other system.",
    )
    retry: RetryPolicy = Field(
        default_factory=RetryPolicy, title="Repetition", description="What happens if that request fails."
    )
    text: Text | None = Field(
        default=None,
        title="Text",
        description="Said to the visitor before waiting; may hold `{{ callback_url }}`.",
    )
    save_url_to: WritesVariable | None = Field(
        default=None, title="Save the address to", description="Variable for the one-time address."
    )
    timeout: PositiveDuration = Field(
        default=timedelta(days=1), title="Timeout", description="Takes `timeout` after this long."
    )
    accept_reply: bool = Field(
        default=False,
        title="Visitor may interrupt",
        description="Whether a message of the visitor ends the wait through `reply`.",
    )
    mapping: list[ResponseMapping] = Field(
        default_factory=list,
        title="Save",
        description="Parts of the call's body, or headers, to keep.",
        max_length=50,
    )


WebhookAction = Annotated[PostEvent | AwaitCallback, Field(discriminator="kind")]


class WebhookData(NodeCommon):
    """Posts an event, or waits for a callback."""

    webhook: WebhookAction = Field(title="What to do", description="Post an event, or wait for a callback.")


class WebhookNode(Model):
    """Speaks with other systems."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "sent",
            "`post`: the event was taken.",
        ),
        ExitRule(
            "received",
            "`wait`: something called the one-time address.",
        ),
        ExitRule(
            "timeout",
            "`wait`: nothing called within `timeout`.",
        ),
        ExitRule(
            "reply",
            "`wait`: the visitor wrote something; the exit exists only with `accept_reply`.",
        ),
        ExitRule(
            "error",
            "The request fails for good. Without an edge the conversation is stuck.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["webhook"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: WebhookData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        match self.data.webhook:
            case PostEvent():
                return [Exit(id="sent", label="Sent"), ERROR]
            case AwaitCallback(accept_reply=accepts):
                exits = [Exit(id="received", label="Received"), Exit(id="timeout", label="Timeout"), ERROR]
                return [*exits, Exit(id="reply", label="Reply")] if accepts else exits

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return isinstance(self.data.webhook, AwaitCallback) and exit_id != "error"
