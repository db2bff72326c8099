"""A flow without any finding that uses every node kind; tests change one thing of it at a time."""

from __future__ import annotations

import copy
from typing import Any

_FLOW: dict[str, Any] = {
    "schema_version": 1,
    "name": "Pedidos",
    "language": "es",
    "languages": ["es", "en"],
    "variables": [
        {"name": "topic", "type": "string"},
        {"name": "email", "type": "string", "personal": True},
        {"name": "amount", "type": "number", "default": 0},
        {"name": "order", "type": "object"},
        {"name": "tags", "type": "list"},
        {"name": "day", "type": "date", "input": True},
        {"name": "rating", "type": "number", "output": True},
    ],
    "settings": {
        "timezone": "Europe/Madrid",
        "inactivity_timeout": "PT30M",
        "inactivity_target": "bye",
        "schedules": [
            {
                "id": "office",
                "hours": [{"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}],
                "closed_dates": ["2026-12-25"],
            }
        ],
    },
    "groups": [{"id": "frame", "title": "Inicio"}],
    "nodes": [
        {"id": "start", "type": "start"},
        {
            "id": "hello",
            "type": "message",
            "parentId": "frame",
            "data": {
                "text": {"es": "Hola {{ visitor.name }}", "en": "Hello {{ visitor.name }}"},
                "media": [{"kind": "image", "url": "https://example.org/{{ topic }}.png"}],
            },
        },
        {
            "id": "ask",
            "type": "question",
            "data": {
                "text": {"es": "¿Qué necesitas?", "en": "What do you need?"},
                "options": [
                    {"id": "order", "label": {"es": "Un pedido", "en": "An order"}},
                    {"id": "person", "label": {"es": "Una persona", "en": "A person"}},
                ],
                "save_to": "topic",
            },
        },
        {
            "id": "mail",
            "type": "input",
            "data": {
                "text": {"es": "¿Tu correo?", "en": "Your e-mail?"},
                "field": {"kind": "email"},
                "save_to": "email",
            },
        },
        {
            "id": "look",
            "type": "api_call",
            "data": {
                "request": {
                    "method": "POST",
                    "url": "https://api.example.org/orders?mail={{ url_encode(email) }}",
                    "headers": {"Authorization": "Bearer {{ secrets.API_KEY }}"},
                    "body_type": "json",
                    "body": {"mail": "{{ email }}", "day": "{{ day }}"},
                },
                "mapping": [{"variable": "order", "path": "data.order"}],
            },
        },
        {
            "id": "check",
            "type": "condition",
            "data": {
                "branches": [
                    {
                        "id": "big",
                        "test": {
                            "kind": "rules",
                            "rules": [
                                {"left": "order.total", "operator": "greater", "right": 100},
                                {
                                    "match": "any",
                                    "rules": [
                                        {"left": "topic", "operator": "matches", "right": "^ord"},
                                        {
                                            "left": "topic",
                                            "operator": "in",
                                            "right": ["order", "{{ topic }}"],
                                        },
                                    ],
                                },
                            ],
                        },
                    },
                    {"id": "open", "test": {"kind": "business_hours", "schedule": "office"}},
                ]
            },
        },
        {
            "id": "read",
            "type": "ai",
            "data": {
                "task": {
                    "kind": "extract",
                    "fields": [{"variable": "amount", "type": "number", "description": "The amount"}],
                },
                "model": "openai/gpt-4o-mini",
                "instructions": "Read carefully.",
            },
        },
        {
            "id": "agent",
            "type": "ai",
            "data": {
                "task": {
                    "kind": "agent",
                    "converse": True,
                    "tools": [
                        {
                            "kind": "api",
                            "id": "find",
                            "description": "Finds an order",
                            "parameters": {"type": "object", "properties": {"number": {"type": "string"}}},
                            "request": {"url": "https://api.example.org/orders/{{ args.number }}"},
                        },
                        {"kind": "route", "id": "human", "description": "Wants a person"},
                    ],
                }
            },
        },
        {
            "id": "call",
            "type": "webhook",
            "data": {
                "webhook": {
                    "kind": "wait",
                    "request": {
                        "method": "POST",
                        "url": "https://pay.example.org/start",
                        "body_type": "json",
                        "body": {"reply_to": "{{ callback_url }}"},
                    },
                    "text": {"es": "Paga aquí: {{ callback_url }}", "en": "Pay here: {{ callback_url }}"},
                }
            },
        },
        {
            "id": "add",
            "type": "action",
            "data": {
                "action": {
                    "kind": "set_variables",
                    "assignments": [{"variable": "tags", "formula": "append(tags, topic)"}],
                }
            },
        },
        {
            "id": "sub",
            "type": "action",
            "data": {
                "action": {
                    "kind": "run_flow",
                    "flow": "survey",
                    "inputs": {"who": "email"},
                    "outputs": {"score": "rating"},
                }
            },
        },
        {"id": "human", "type": "action", "data": {"action": {"kind": "escalate", "schedule": "office"}}},
        {
            "id": "rate",
            "type": "action",
            "data": {
                "action": {
                    "kind": "csat",
                    "text": {"es": "¿Qué tal?", "en": "How was it?"},
                    "save_to": "rating",
                    "no_reply_after": None,
                }
            },
        },
        {
            "id": "bye",
            "type": "action",
            "data": {"action": {"kind": "end", "text": {"template": "goodbye"}}},
        },
    ],
    "edges": [
        {"id": "e1", "source": "start", "target": "hello"},
        {"id": "e2", "source": "hello", "target": "ask"},
        {"id": "e3", "source": "ask", "sourceHandle": "option:order", "target": "mail"},
        {"id": "e4", "source": "ask", "sourceHandle": "option:person", "target": "agent"},
        {"id": "e5", "source": "mail", "target": "look"},
        {"id": "e6", "source": "look", "sourceHandle": "success", "target": "check"},
        {"id": "e7", "source": "look", "sourceHandle": "error", "target": "human"},
        {"id": "e8", "source": "check", "sourceHandle": "branch:big", "target": "read"},
        {"id": "e9", "source": "check", "sourceHandle": "branch:open", "target": "human"},
        {"id": "e10", "source": "check", "sourceHandle": "else", "target": "call"},
        {"id": "e11", "source": "read", "target": "add"},
        {"id": "e12", "source": "agent", "target": "ask"},
        {"id": "e13", "source": "agent", "sourceHandle": "tool:human", "target": "human"},
        {"id": "e14", "source": "call", "sourceHandle": "received", "target": "add"},
        {"id": "e15", "source": "call", "sourceHandle": "timeout", "target": "human"},
        {"id": "e16", "source": "add", "target": "sub"},
        {"id": "e17", "source": "sub", "target": "rate"},
        {"id": "e18", "source": "human", "sourceHandle": "resolved", "target": "rate"},
        {"id": "e19", "source": "rate", "target": "bye"},
    ],
}

_SURVEY: dict[str, Any] = {
    "name": "Survey",
    "language": "es",
    "variables": [
        {"name": "who", "type": "string", "input": True},
        {"name": "score", "type": "number", "output": True},
    ],
    "nodes": [
        {"id": "start", "type": "start"},
        {
            "id": "ask",
            "type": "input",
            "data": {"text": "¿Nota, {{ who }}?", "field": {"kind": "rating"}, "save_to": "score"},
        },
        {"id": "end", "type": "action", "data": {"action": {"kind": "end"}}},
    ],
    "edges": [
        {"id": "e1", "source": "start", "target": "ask"},
        {"id": "e2", "source": "ask", "target": "end"},
    ],
}


def good_flow() -> dict[str, Any]:
    """A fresh copy of the main flow, to be changed."""
    return copy.deepcopy(_FLOW)


def survey() -> dict[str, Any]:
    """A fresh copy of the flow that the main flow runs as `survey`."""
    return copy.deepcopy(_SURVEY)


def node(flow: dict[str, Any], node_id: str) -> dict[str, Any]:
    """The node of that id."""
    found: dict[str, Any] = next(item for item in flow["nodes"] if item["id"] == node_id)
    return found


def edge(flow: dict[str, Any], edge_id: str) -> dict[str, Any]:
    """The edge of that id."""
    found: dict[str, Any] = next(item for item in flow["edges"] if item["id"] == edge_id)
    return found
