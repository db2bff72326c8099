"""A flow made ready for walking: nodes by id, edges by exit."""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache

from flow_schema.effects import FlowBundle, LoadedFlow
from flow_schema.flow import Flow, Variable
from flow_schema.nodes import Node, StartNode


class FlowGraph:
    """One flow, indexed."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.nodes: dict[str, Node] = {node.id: node for node in flow.nodes}
        self.edges: dict[tuple[str, str], str] = {
            (edge.source, edge.sourceHandle): edge.target for edge in flow.edges
        }
        self.variables: dict[str, Variable] = {variable.name: variable for variable in flow.variables}
        self.personal = frozenset(variable.name for variable in flow.variables if variable.personal)
        self.start_id = next((node.id for node in flow.nodes if isinstance(node, StartNode)), None)

    def target(self, node_id: str, exit_id: str) -> str | None:
        """The node an exit leads to, or None without an edge."""
        return self.edges.get((node_id, exit_id))

    def label(self, node_id: str) -> str:
        """The node's name for people: its label, else its id."""
        node = self.nodes.get(node_id)
        return (node.data.label or node_id) if node is not None else node_id


@lru_cache(maxsize=256)
def _graph(compressed: str) -> FlowGraph:
    return FlowGraph(Flow.model_validate_json(zlib.decompress(base64.b64decode(compressed))))


def compress(canonical: bytes) -> str:
    """The inverse of what `graphs` reads."""
    return base64.b64encode(zlib.compress(canonical, 6)).decode()


def graphs(bundle: FlowBundle) -> dict[str, FlowGraph]:
    """The graphs of a bundle by flow name. Parsing is pure, so equal bytes share one graph."""
    return {name: _loaded(loaded) for name, loaded in bundle.flows.items()}


def _loaded(loaded: LoadedFlow) -> FlowGraph:
    return _graph(loaded.compressed)
