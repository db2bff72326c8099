"""`api_call`: an HTTP request whose answer fills variables."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from flow_schema.fields import Identifier, Model, NodeCommon, Position, WritesVariable
from flow_schema.nodes.exits import Exit, ExitRule
from flow_schema.nodes.request import HttpRequest, ResponseMapping, RetryPolicy


class ApiCallData(NodeCommon):
    """Sends a request, once in effect, and maps the answer into variables."""

    request: HttpRequest = Field(title="Request", description="What is sent.")
    retry: RetryPolicy = Field(
        default_factory=RetryPolicy, title="Repetition", description="What happens on failure."
    )
    success_status: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        default_factory=list,
        title="Success",
        description="Statuses that take `success`; empty: 200 to 299.",
        max_length=50,
    )
    mapping: list[ResponseMapping] = Field(
        default_factory=list, title="Save", description="Parts of the answer to keep.", max_length=50
    )
    save_error_to: WritesVariable | None = Field(
        default=None,
        title="Save the error to",
        description="Variable for `{status, message, body}` before `error` is taken.",
    )


class ApiCallNode(Model):
    """Calls an HTTP API."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "success",
            "The answer's status is one of `success_status`, or 200 to 299.",
        ),
        ExitRule(
            "error",
            "Any other status, no answer, or an answer that is too large. Without an edge the conversation "
            "is stuck and waits for an operator.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["api_call"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: ApiCallData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        return [Exit(id="success", label="Success"), Exit(id="error", label="Error", optional=True)]

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return False
