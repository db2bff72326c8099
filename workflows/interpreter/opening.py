"""What opened a conversation."""

from __future__ import annotations

from flow_schema.nodes import StartNode
from flow_schema.nodes.start import KeywordTrigger
from flow_schema.turns import StartInput, TriggerInfo
from workflows.interpreter.graph import FlowGraph
from workflows.interpreter.reading.letters import holds_words, plain


def trigger_of(start: StartInput, graph: FlowGraph) -> TriggerInfo:
    """The trigger that the client named; or the keyword of the start node that its first text holds."""
    node = graph.nodes.get(graph.start_id or "")
    if start.trigger.kind != "open" or not start.text or not isinstance(node, StartNode):
        return start.trigger
    for trigger in node.data.triggers:
        if isinstance(trigger, KeywordTrigger):
            for keyword in trigger.keywords:
                if _fires(keyword, start.text, trigger.match):
                    return TriggerInfo(kind="keyword", name=keyword)
    return start.trigger


def _fires(keyword: str, text: str, match: str) -> bool:
    word = plain(keyword)
    if not word:  # an emoji or a sign
        return keyword.strip() == text.strip() or (match == "contains" and keyword.strip() in text)
    return word == plain(text) or (match == "contains" and holds_words(plain(text), word))
