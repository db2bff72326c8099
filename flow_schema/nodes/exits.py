"""Exits: the named places of a node at which edges begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pydantic import Field

from flow_schema.fields import Model


class Exit(Model):
    """One exit of a node; its id is the `sourceHandle` of the edge that leaves there."""

    id: str = Field(
        title="Exit",
        description="A reserved name (`next`, `error`, ...) or `option:<id>`, `branch:<id>`, `tool:<id>`.",
        max_length=80,
    )
    label: str = Field(title="Label", description="What the editor shows at the handle.", max_length=200)
    optional: bool = Field(
        default=False,
        title="Optional",
        description="Whether leaving it without an edge is ordinary and deserves no warning.",
    )
    fallback: str | None = Field(
        default=None,
        title="Fallback",
        description="The exit taken instead when this one has no edge.",
        max_length=80,
    )
    dead: str | None = Field(
        default=None,
        title="Never taken",
        description="Why no conversation leaves through it as the node is set.",
        max_length=200,
    )


@dataclass(frozen=True, slots=True)
class ExitRule:
    """One line of a kind's table of exits, for the schema and the documentation."""

    name: str
    """A reserved name, or a form such as `option:<id>`."""
    taken: str
    """When a conversation leaves through it, and what happens if it has no edge."""


NEXT = Exit(id="next", label="Next")
ERROR = Exit(id="error", label="Error", optional=True)
NO_REPLY = Exit(id="no_reply", label="No reply")
_NO_LIMIT = NO_REPLY.model_copy(update={"optional": True, "dead": "`no_reply_after` is empty"})


def no_reply_exit(after: timedelta | None) -> Exit:
    """The exit of a node that waits for an answer so long; without a limit it is never taken."""
    return _NO_LIMIT if after is None else NO_REPLY


def option_exit(option_id: str, label: str, *, optional: bool = False) -> Exit:
    return Exit(id=f"option:{option_id}", label=label[:200], optional=optional, fallback="next")


def branch_exit(branch_id: str, label: str) -> Exit:
    return Exit(id=f"branch:{branch_id}", label=label[:200])


def tool_exit(tool_id: str, label: str) -> Exit:
    return Exit(id=f"tool:{tool_id}", label=label[:200])
