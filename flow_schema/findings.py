"""What validation says: findings, their codes, and what it may know of the world around a flow.

Codes are stable: editors, API clients and tests rely on them. `CODES` lists every one with its severity and
meaning, and is the table in docs/flow-language.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flow_schema.flow import Flow

Severity = Literal["error", "warning"]

CODES: dict[str, tuple[Severity, str]] = {
    "too-large": ("error", "The document is larger than the limit."),
    "too-deep": ("error", "The document is nested too deeply."),
    "invalid-json": ("error", "The document is not JSON."),
    "duplicate-key": ("error", "An object of the document has a key twice."),
    "invalid-text": ("error", "A text holds a character that can't be stored."),
    "unsupported-version": ("error", "The schema version is not known to this release."),
    "missing-field": ("error", "A required field is missing."),
    "unknown-field": ("error", "A field is not part of the flow language."),
    "unknown-kind": ("error", "The kind of a node, action, task or field is not known."),
    "invalid-value": ("error", "A value does not have the form or the limits of its field."),
    "missing-start": ("error", "The flow has no `start` node."),
    "several-starts": ("error", "The flow has more than one `start` node."),
    "duplicate-id": ("error", "Two things of one kind have the same id or name."),
    "unknown-node": ("error", "An edge or a field names a node that does not exist."),
    "unknown-exit": ("error", "An edge leaves from an exit that its node does not have."),
    "several-edges": ("error", "More than one edge leaves from one exit."),
    "unknown-group": ("error", "A node is drawn in a group that does not exist."),
    "unreachable-node": ("warning", "Nothing leads to the node."),
    "dangling-exit": ("warning", "An exit has no edge: the flow ends there."),
    "dead-exit": ("warning", "An edge leaves from an exit that is never taken."),
    "endless-loop": ("error", "A loop in which nothing waits and nothing counts."),
    "counted-loop": ("warning", "A loop in which nothing waits, left by a condition or an outcome."),
    "endless-recursion": ("error", "Flows run one another in a circle in which nothing waits."),
    "recursion": ("warning", "Flows run one another in a circle."),
    "flows-too-deep": ("error", "Flows run one another more levels deep than conversations allow."),
    "bad-expression": ("error", "A formula, or a text with formulas, can't be read."),
    "unknown-variable": ("error", "A formula or a text reads a name that is neither declared nor provided."),
    "unknown-target-variable": ("error", "A node sets a variable that is not declared."),
    "unused-variable": ("warning", "A variable is declared and never used."),
    "bad-default": ("error", "A variable's default does not fit its type."),
    "type-mismatch": ("warning", "A variable's type does not fit what is saved in it."),
    "misplaced-secret": ("error", "A secret is read outside of requests, or without its name."),
    "misplaced-name": ("error", "`args` or `callback_url` is read where it has no value."),
    "unknown-secret": ("error", "The organization has no secret of that name."),
    "unknown-flow": ("error", "The bot has no flow of that name."),
    "unknown-input": ("error", "A value is given to a variable that the other flow does not take as input."),
    "unknown-output": ("error", "A value is read that the other flow does not give as output."),
    "broken-caller": (
        "warning",
        "Another flow of the bot gives or reads values that this one does not declare.",
    ),
    "bad-option-value": ("error", "An option has a value that its variable can't hold."),
    "setting-without-effect": ("warning", "A flow that others run sets what only the main flow decides."),
    "unknown-schedule": ("error", "The flow's settings have no schedule of that id."),
    "unknown-template": ("error", "The organization has no response template of that name."),
    "unknown-collection": ("error", "The organization has no collection of that name."),
    "unknown-model": ("error", "The model is not written `provider/model`, or not available."),
    "unconfigured-model": ("warning", "The model's provider has no key here."),
    "bad-pattern": ("error", "A regular expression is not valid RE2."),
    "bad-path": ("error", "A JMESPath expression is not valid."),
    "bad-json-schema": ("error", "A JSON Schema is not valid, or not one of an object."),
    "bad-timezone": ("error", "There is no such timezone."),
    "bad-date": ("error", "There is no such day."),
    "bad-address": ("error", "A web or e-mail address has no usable form."),
    "bad-header": ("error", "An HTTP header has no valid name or value."),
    "bad-body": ("error", "A request's content does not fit the way it is sent."),
    "bad-comparison": ("error", "A comparison lacks the value its operator needs."),
    "impossible-limits": ("error", "No answer can satisfy the limits of a question, field or schedule."),
    "unknown-region": ("error", "No country with telephone numbers has these two letters."),
    "empty-text": ("warning", "A text that the visitor should read has no words."),
    "duplicate-label": ("warning", "Two options of a question read alike."),
    "missing-texts": ("warning", "Texts are missing in a declared language."),
    "undeclared-language": ("warning", "A language is used that the flow does not declare."),
}
"""Code -> its severity and what it means."""


class Finding(BaseModel):
    """One thing that is wrong with a flow, where it is, and what to do about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(title="Code", description="What kind of finding; stable.", max_length=40)
    severity: Severity = Field(title="Severity", description="Errors block publishing; warnings do not.")
    node_id: str | None = Field(default=None, title="Node", description="The node it concerns, if one.")
    edge_id: str | None = Field(default=None, title="Edge", description="The edge it concerns, if one.")
    path: str = Field(
        default="", title="Path", description="JSON pointer to the field in the flow; empty: the whole flow."
    )
    message: str = Field(title="Message", description="What is wrong.")
    fix: str = Field(title="Fix", description="What to do.")


def finding(
    code: str,
    message: str,
    fix: str,
    *,
    path: str = "",
    node_id: str | None = None,
    edge_id: str | None = None,
) -> Finding:
    """A finding with the severity of its code."""
    severity = CODES[code][0]
    return Finding(
        code=code, severity=severity, node_id=node_id, edge_id=edge_id, path=path, message=message, fix=fix
    )


@dataclass(frozen=True, slots=True)
class FlowInterface:
    """What one flow must know of another that it runs, where the other's graph is not at hand."""

    inputs: frozenset[str]
    outputs: frozenset[str]

    @classmethod
    def of(cls, flow: Flow) -> FlowInterface:
        """The declared inputs and outputs of `flow`."""
        return cls(
            frozenset(variable.name for variable in flow.variables if variable.input),
            frozenset(variable.name for variable in flow.variables if variable.output),
        )


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """What there is around a flow. None means: not known, so not checked."""

    slug: str | None = None
    """The name under which the bot's other flows run this one."""
    flows: Mapping[str, Flow | FlowInterface] | None = None
    """The bot's other flows by name; whole flows also let recursion be found."""
    secrets: Set[str] | None = None
    templates: Set[str] | Mapping[str, str | dict[str, str]] | None = None
    """Response templates by name; with their texts, these are judged where they stand."""
    collections: Set[str] | None = None
    models: Set[str] | None = None
    """Models as `provider/model`; `provider/*` allows every model of a provider."""
    is_usable_model: Callable[[str], bool] | None = None
    """Whether the provider of a model has its key."""
    platform_names: Set[str] = field(default_factory=frozenset)
    """Names that formulas may read beside those every release provides."""
