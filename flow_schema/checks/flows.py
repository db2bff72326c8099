"""Flows that run one another: whether the other flow exists, and takes and gives what is passed on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from flow_schema.checks.subject import Subject
from flow_schema.fields import Role
from flow_schema.findings import Finding, FlowInterface, finding
from flow_schema.flow import Flow
from flow_schema.nodes.action import RunFlow
from flow_schema.nodes.ai import FlowTool
from flow_schema.references import FieldUse, flow_uses, pointer


def check_flows(subject: Subject) -> Iterator[Finding]:
    """The flows that this one runs, then those that run this one."""
    for node_id, use in subject.uses:
        if use.role is Role.FLOW:
            yield from _run(subject, node_id, use)
    yield from _callers(subject)


def _run(subject: Subject, node_id: str | None, use: FieldUse) -> Iterator[Finding]:
    if subject.context.flows is None and use.value != subject.context.slug:
        return
    other = subject.other_flow(use.value)
    if other is None:
        yield finding(
            "unknown-flow",
            f"the bot has no flow `{use.value}`"
            + subject.suggestion(use.value, frozenset(subject.context.flows or ())),
            "Create the flow, or name another.",
            path=use.path,
            node_id=node_id,
        )
        return
    interface = FlowInterface.of(other) if isinstance(other, Flow) else other
    for kind, name, path in _mismatches(use, interface):
        known = interface.inputs if kind == "input" else interface.outputs
        yield finding(
            f"unknown-{kind}",
            f"the flow `{use.value}` declares no {kind} `{name}`" + subject.suggestion(name, known),
            f"Mark the variable as {kind} in `{use.value}`, or name another.",
            path=path,
            node_id=node_id,
        )


def _mismatches(
    use: FieldUse, interface: FlowInterface
) -> Iterator[tuple[Literal["input", "output"], str, str]]:
    """The inputs and outputs that a use of a flow names and the flow does not have, with their places."""
    match use.owner:
        case RunFlow(inputs=inputs, outputs=outputs):
            given, taken, section = sorted(inputs), sorted(outputs), pointer("inputs")
        case FlowTool(parameters=parameters):
            properties = parameters.get("properties")
            given, taken = sorted(properties) if isinstance(properties, dict) else [], []
            section = pointer("parameters", "properties")
        case _:
            return
    place = use.path.rsplit("/", 1)[0]
    for name in given:
        if name not in interface.inputs:
            yield "input", name, place + section + pointer(name)
    for name in taken:
        if name not in interface.outputs:
            yield "output", name, place + pointer("outputs", name)


def _callers(subject: Subject) -> Iterator[Finding]:
    """What the bot's other flows give to this one and read from it, which it does not declare (any more).

    A warning, since one of the two has to be published first when both change.
    """
    slug = subject.context.slug
    interface = FlowInterface.of(subject.flow)
    for caller, flow in sorted((subject.context.flows or {}).items()):
        if not isinstance(flow, Flow) or caller == slug:
            continue
        for node_id, use in flow_uses(flow):
            if use.role is not Role.FLOW or use.value != slug:
                continue
            for kind, name, _ in _mismatches(use, interface):
                what = f"gives it the input `{name}`" if kind == "input" else f"reads its output `{name}`"
                yield finding(
                    "broken-caller",
                    f"the flow `{caller}` {what} at its node `{node_id}`, and this flow declares no such "
                    f"{kind}; conversations that come there are stuck",
                    f"Keep the variable and mark it as {kind}, or change and publish `{caller}` too.",
                    path="/variables",
                )
