"""What validation takes and answers."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from api.chatbots.schemas import EXAMPLE_FLOW, SLUG_PATTERN
from api.fields import Incoming, Outgoing
from flow_schema.findings import Finding


class FlowToValidate(Incoming):
    """A flow to judge."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"flow": EXAMPLE_FLOW}]})

    flow: dict[str, Any] = Field(title="Flow", description="The flow's JSON, in the flow language.")
    chatbot_id: str | None = Field(
        default=None,
        title="Bot",
        description="Id or slug: also checks the names of its other flows.",
        max_length=100,
    )
    flow_name: str = Field(
        default="main",
        title="Flow's name",
        description="Under which it would be published.",
        pattern=SLUG_PATTERN,
    )


class ValidationReport(Outgoing):
    """Everything that is wrong with a flow."""

    valid: bool = Field(title="Valid", description="Whether it could be published: no finding is an error.")
    content_hash: str | None = Field(
        default=None, title="Content hash", description="Of the flow, if it could be read."
    )
    findings: list[Finding] = Field(title="Findings", description="Errors first, then warnings.")
