"""Small flows written by hand, and the messages sent to them."""

from __future__ import annotations

import itertools
from typing import Any

from flow_schema.effects import TeamMessage, VisitorMessage
from flow_schema.flow import Flow

AGENT = {"id": "agent-1", "name": "Marta"}


def chain(
    *nodes: tuple[str, str, dict[str, Any]],
    edges: list[tuple[str, str, str]] | None = None,
    variables: list[dict[str, Any]] | None = None,
    settings: dict[str, Any] | None = None,
    language: str = "es",
) -> Flow:
    """A flow of `(id, type, data)` after a start node. Without `edges`, each leads to the next by `next`."""
    if edges is None:
        edges = [(one[0], "next", two[0]) for one, two in itertools.pairwise(nodes)]
    edges = [("start", "next", nodes[0][0]), *edges]
    return Flow.model_validate(
        {
            "name": "Prueba",
            "language": language,
            "variables": variables or [],
            "settings": settings or {},
            "nodes": [
                {"id": "start", "type": "start"},
                *({"id": name, "type": kind, "data": data} for name, kind, data in nodes),
            ],
            "edges": [
                {"id": f"e{number}", "source": source, "sourceHandle": handle, "target": target}
                for number, (source, handle, target) in enumerate(edges)
            ],
        }
    )


def says(node_id: str, text: str) -> tuple[str, str, dict[str, Any]]:
    return node_id, "message", {"text": text}


def asks(node_id: str, save_to: str, **data: Any) -> tuple[str, str, dict[str, Any]]:
    return (
        node_id,
        "input",
        {"text": f"¿{save_to}?", "field": {"kind": "text"}, "save_to": save_to, **data},
    )


def chooses(node_id: str, *options: str, **data: Any) -> tuple[str, str, dict[str, Any]]:
    choices = [{"id": option, "label": option.capitalize()} for option in options]
    return node_id, "question", {"text": "¿Cuál?", "options": choices, **data}


def acts(node_id: str, kind: str, **data: Any) -> tuple[str, str, dict[str, Any]]:
    return node_id, "action", {"action": {"kind": kind, **data}}


def calls(node_id: str, **data: Any) -> tuple[str, str, dict[str, Any]]:
    request = {"url": "https://api.example/orders", "method": "POST"}
    retry = {"attempts": 2, "first_wait": "PT0S"}
    return node_id, "api_call", {"request": request, "retry": retry, **data}


def replies(node_id: str, **data: Any) -> tuple[str, str, dict[str, Any]]:
    return node_id, "ai", {"task": {"kind": "reply"}, **data}


ECHO = chain(
    asks("ask", "word"),
    says("echo", "{{ word }}"),
    edges=[("ask", "next", "echo"), ("echo", "next", "ask")],
    variables=[{"name": "word"}],
)
"""Repeats what it is told, for ever."""


def start(message_id: str = "start-000", **values: Any) -> VisitorMessage:
    return VisitorMessage.model_validate({"message_id": message_id, "input": {"type": "start", **values}})


def text(message_id: str, words: str) -> VisitorMessage:
    return VisitorMessage.model_validate({"message_id": message_id, "input": {"type": "text", "text": words}})


def choice(message_id: str, *options: str, prompt: int | None = None) -> VisitorMessage:
    return VisitorMessage.model_validate(
        {"message_id": message_id, "input": {"type": "choice", "options": list(options), "prompt": prompt}}
    )


def value(message_id: str, given: Any) -> VisitorMessage:
    return VisitorMessage.model_validate(
        {"message_id": message_id, "input": {"type": "value", "value": given}}
    )


def team(action_id: str, kind: str, **data: Any) -> TeamMessage:
    return TeamMessage.model_validate({"action_id": action_id, "action": {"kind": kind, **data}})


def said(messages: list[Any]) -> list[str]:
    """The words of messages, in order."""
    return [message.content.text for message in messages]
