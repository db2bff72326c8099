"""HTTP requests as `api_call`, `webhook` and the tools of `ai` describe them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from flow_schema.fields import (
    Duration,
    DurationLimits,
    JmesPath,
    Model,
    SecretTemplateString,
    SecretTemplateValue,
    WritesVariable,
)


class HttpRequest(Model):
    """A request made from templates. `{{ secrets.NAME }}` may stand in address, query, headers and body."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = Field(
        default="GET", title="Method", description="The HTTP method."
    )
    url: SecretTemplateString = Field(
        title="Address", description="`https://...`; may hold `{{ formulas }}`.", min_length=1
    )
    query: dict[Annotated[str, StringConstraints(max_length=200)], SecretTemplateString] = Field(
        default_factory=dict, title="Query", description="Parameters added to the address.", max_length=50
    )
    headers: dict[Annotated[str, StringConstraints(max_length=200)], SecretTemplateString] = Field(
        default_factory=dict, title="Headers", description="Header names and values.", max_length=50
    )
    body_type: Literal["none", "json", "form", "text"] = Field(
        default="none",
        title="Body",
        description="How the body is sent. A request that has a body and does not say how sends a text as "
        "`text` and everything else as `json`.",
    )
    body: SecretTemplateValue = Field(
        default=None,
        title="Content",
        description="JSON for `json`, an object for `form`, a text for `text`; may hold `{{ formulas }}`.",
    )
    timeout: Annotated[
        Duration,
        Field(ge=timedelta(seconds=1), le=timedelta(minutes=5)),
        DurationLimits("PT1S", "PT5M"),
    ] = Field(default=timedelta(seconds=15), title="Timeout", description="For one attempt.")
    max_response_kilobytes: int = Field(
        default=512,
        title="Largest answer",
        description="Kilobytes; a larger answer is an error.",
        ge=1,
        le=1_024,
    )

    @model_validator(mode="before")
    @classmethod
    def _how_the_body_is_sent(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("body") is not None and "body_type" not in data:
            return {**data, "body_type": "text" if isinstance(data["body"], str) else "json"}
        return data


class RetryPolicy(Model):
    """When and how often a request is repeated, with the same `Idempotency-Key`."""

    attempts: int = Field(default=3, title="Attempts", description="Including the first.", ge=1, le=20)
    first_wait: Duration = Field(
        default=timedelta(seconds=1), title="First pause", description="Doubles with each repetition."
    )
    longest_wait: Duration = Field(
        default=timedelta(seconds=60), title="Longest pause", description="Upper bound of a pause."
    )
    on_status: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        default_factory=lambda: [408, 425, 429, 500, 502, 503, 504],
        title="On status",
        description="Answers that are tried again; network errors always are.",
        max_length=50,
    )


class ResponseMapping(Model):
    """Puts a part of an answer into a variable."""

    variable: WritesVariable = Field(title="Variable", description="Where it is saved.")
    path: JmesPath = Field(
        default="@",
        title="Path",
        description="A JMESPath expression over the source; `@` is all of it.",
    )
    source: Literal["body", "status", "headers"] = Field(
        default="body", title="Source", description="Which part of the answer; header names in lower case."
    )
