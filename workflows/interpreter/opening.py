"""What opened a conversation."""

from __future__ import annotations

from flow_schema.nodes import StartNode
from flow_schema.nodes.start import KeywordTrigger
from flow_schema.turns import StartInput, TriggerInfo
from workflows.interpreter.graph import FlowGraph
from workflows.interpreter.matching import normal


def trigger_of(start: StartInput, graph: FlowGraph) -> TriggerInfo:
    """The trigger that the client named; or the keyword of the start node that its first text holds."""
    node = graph.nodes.get(graph.start_id or "")
    if start.trigger.kind != "open" or not start.text or not isinstance(node, StartNode):
        return start.trigger
    text = normal(start.text)
    for trigger in node.data.triggers:
        if isinstance(trigger, KeywordTrigger):
            for keyword in trigger.keywords:
                word = normal(keyword)
                if text == word or (trigger.match == "contains" and word in text):
                    return TriggerInfo(kind="keyword", name=keyword)
    return start.trigger
