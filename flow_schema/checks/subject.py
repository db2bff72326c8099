"""The flow under validation with everything several checks need, worked out once."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from typing import Final

from flow_schema.fields import Role
from flow_schema.findings import FlowInterface, ValidationContext
from flow_schema.flow import Edge, Flow, VariableType
from flow_schema.nodes import Exit, Node, StartNode
from flow_schema.references import FieldUse, flow_uses, names_read

MAX_SUGGESTIONS: Final = 50


class Subject:
    """A flow and its context; every property is linear in the flow's size."""

    def __init__(self, flow: Flow, context: ValidationContext) -> None:
        self.flow = flow
        self.context = context
        self._suggestions_left = MAX_SUGGESTIONS

    @cached_property
    def uses(self) -> list[tuple[str | None, FieldUse]]:
        """Every marked field with its node's id."""
        return list(flow_uses(self.flow))

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """Nodes by id; of several with one id, the first."""
        found: dict[str, Node] = {}
        for node in self.flow.nodes:
            found.setdefault(node.id, node)
        return found

    @cached_property
    def places(self) -> dict[str, str]:
        """The JSON pointer of each node by its id."""
        found: dict[str, str] = {}
        for index, node in enumerate(self.flow.nodes):
            found.setdefault(node.id, f"/nodes/{index}")
        return found

    @cached_property
    def order(self) -> dict[str, int]:
        """The place of each node in the list of nodes."""
        return {node_id: place for place, node_id in enumerate(self.nodes)}

    @cached_property
    def types(self) -> dict[str, VariableType]:
        """The type of each declared variable."""
        return {variable.name: variable.type for variable in self.flow.variables}

    @cached_property
    def exits(self) -> dict[str, dict[str, Exit]]:
        """The exits of each node by the node's id and the exit's."""
        return {node_id: {way.id: way for way in node.exits()} for node_id, node in self.nodes.items()}

    @cached_property
    def leaving(self) -> dict[str, dict[str, Edge]]:
        """The edges that lead somewhere, by the node and the exit they leave from."""
        found: dict[str, dict[str, Edge]] = {node_id: {} for node_id in self.nodes}
        for edge in self.flow.edges:
            known = edge.target in self.nodes and edge.sourceHandle in self.exits.get(edge.source, {})
            if known:
                found[edge.source].setdefault(edge.sourceHandle, edge)
        return found

    @cached_property
    def jumps(self) -> dict[str, list[str]]:
        """Nodes that a node's own fields lead to, such as the target of a `go_to`."""
        found: dict[str, list[str]] = {}
        for node_id, use in self.uses:
            if use.role is Role.NODE and node_id is not None and use.value in self.nodes:
                found.setdefault(node_id, []).append(use.value)
        return found

    @cached_property
    def written(self) -> dict[str, set[str]]:
        """The variables that each node sets."""
        found: dict[str, set[str]] = {}
        for node_id, use in self.uses:
            if use.role is Role.VARIABLE_WRITE and node_id is not None:
                found.setdefault(node_id, set()).add(use.value)
        return found

    @cached_property
    def read(self) -> dict[str | None, set[str]]:
        """The names that each node's formulas and texts read; under None those of the settings."""
        found: dict[str | None, set[str]] = {}
        for node_id, use in self.uses:
            names = names_read(use)
            if names:
                found.setdefault(node_id, set()).update(names)
        return found

    @cached_property
    def reachable(self) -> set[str]:
        """The nodes that a conversation can come to."""
        settings = self.flow.settings
        found = {node.id for node in self.flow.nodes if isinstance(node, StartNode)}
        if settings.inactivity_target in self.nodes:
            found.add(str(settings.inactivity_target))
        pending = list(found)
        while pending:
            for target in self.followers(pending.pop()):
                if target not in found:
                    found.add(target)
                    pending.append(target)
        return found

    def followers(self, node_id: str) -> Iterator[str]:
        """The nodes that may come after a node."""
        yield from (edge.target for edge in self.leaving[node_id].values())
        yield from self.jumps.get(node_id, ())

    def other_flow(self, name: str) -> Flow | FlowInterface | None:
        """The flow of that name, if the context knows it; this one under its own name."""
        if name == self.context.slug:
            return self.flow
        return (self.context.flows or {}).get(name)

    def node_name(self, node_id: str) -> str:
        """How messages call a node."""
        label = self.nodes[node_id].data.label
        return f"`{node_id}` ({label})" if label else f"`{node_id}`"

    def suggestion(self, name: str, known: set[str] | frozenset[str]) -> str:
        """`; did you mean ...?` where a known name is close, else nothing. Bounded in work over a flow."""
        if self._suggestions_left <= 0:
            return ""
        self._suggestions_left -= 1
        close = get_close_matches(name, sorted(known), n=1, cutoff=0.7)
        return f"; did you mean `{close[0]}`?" if close else ""
