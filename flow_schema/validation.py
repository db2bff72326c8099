"""Static checks of a whole flow: `read_flow` turns a document into a flow, `validate` judges the flow.

Both return findings instead of raising, all of them rather than the first, each with a code, the node, the
field and what to do. Errors block publishing; warnings do not. The codes are listed in `findings.CODES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flow_schema.checks.content import check_content
from flow_schema.checks.flows import check_flows
from flow_schema.checks.limits import check_limits
from flow_schema.checks.loops import check_loops
from flow_schema.checks.names import check_names
from flow_schema.checks.structure import check_structure
from flow_schema.checks.subject import Subject
from flow_schema.checks.texts import check_texts
from flow_schema.checks.values import check_values
from flow_schema.findings import CODES, Finding, FlowInterface, Severity, ValidationContext
from flow_schema.flow import Flow
from flow_schema.reading import MAX_FINDINGS, read_document
from flow_schema.templates import TemplateError, resolve_known_templates

__all__ = [
    "CODES",
    "Finding",
    "FlowInterface",
    "Severity",
    "ValidationContext",
    "has_errors",
    "read_flow",
    "validate",
]

_CHECKS = (
    check_structure,
    check_loops,
    check_names,
    check_flows,
    check_values,
    check_limits,
    check_content,
    check_texts,
)

_OF_TEXTS = frozenset(
    {"bad-expression", "unknown-variable", "misplaced-secret", "misplaced-name", "unknown-secret"}
)
"""Codes of what a single text says; others may stand at a text and speak of several."""


def read_flow(
    data: bytes | str | dict[str, Any], context: ValidationContext | None = None
) -> tuple[Flow | None, list[Finding]]:
    """Read a flow from JSON, as bytes or text, or from a decoded document.

    Returns the flow, brought to the current schema version, and no findings: `validate` judges it. Or None
    and every finding, at most `MAX_FINDINGS`: what can't be read, then what is wrong with the rest, judged
    in `context`.
    """
    flow, findings, rest = read_document(data)
    if rest is not None:
        places = {item.path for item in findings}
        findings += [item for item in rest.trusted(validate(rest.flow, context)) if item.path not in places]
    return flow, findings[:MAX_FINDINGS]


def validate(flow: Flow, context: ValidationContext | None = None) -> list[Finding]:
    """Everything that is wrong with a flow: errors first, then warnings, each in the order of the flow.

    Without a context, whatever lies outside of the flow (secrets, other flows, templates, collections,
    models) is not checked. Takes time linear in the size of the flow.
    """
    context = context or ValidationContext()
    templates: dict[str, str] = {}
    if isinstance(context.templates, Mapping):
        with suppress(TemplateError):  # publishing refuses it in its own words
            flow, templates = resolve_known_templates(flow, context.templates)
    subject = Subject(flow, context)
    found = [item for check in _CHECKS for item in check(subject)]
    if templates:
        found = [_in_template(item, templates) for item in found]
    order = {node_id: place for place, node_id in enumerate(subject.nodes)}
    return sorted(found, key=lambda item: (item.severity != "error", order.get(item.node_id or "", -1)))


def _in_template(item: Finding, templates: Mapping[str, str]) -> Finding:
    """A finding about the text of a response template says so, at the place that refers to it."""
    for path in (item.path, item.path.rpartition("/")[0]):
        name = templates.get(path)
        if name is not None and item.code in _OF_TEXTS:
            return item.model_copy(
                update={
                    "path": path,
                    "message": f"in the response template `{name}`: {item.message}",
                    "fix": f"{item.fix} Change the template, or write the text here.",
                }
            )
    return item


def has_errors(findings: list[Finding]) -> bool:
    """Whether any finding blocks publishing."""
    return any(item.severity == "error" for item in findings)
