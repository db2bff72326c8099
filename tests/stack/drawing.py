"""Flows drawn in few words: nodes as (id, kind, data), edges as arrows between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def draw(
    name: str,
    nodes: Sequence[tuple[str, str, dict[str, Any]]],
    arrows: str,
    variables: Sequence[dict[str, Any]] = (),
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A flow in Spanish. `arrows` is `from to, from.exit to, ...`; the exit is `next` unless named."""
    edges = []
    for number, arrow in enumerate(arrows.split(",")):
        begin, target = arrow.split()
        source, _, handle = begin.partition(".")
        edges.append(
            {"id": f"e{number}", "source": source, "sourceHandle": handle or "next", "target": target}
        )
    return {
        "schema_version": 1,
        "name": name,
        "language": "es",
        "variables": list(variables),
        "settings": settings or {},
        "nodes": [
            {"id": node, "type": kind, "position": {"x": 0, "y": 120 * number}, "data": data}
            for number, (node, kind, data) in enumerate(nodes)
        ],
        "edges": edges,
    }
