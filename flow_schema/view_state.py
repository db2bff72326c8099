"""What React Flow keeps in its nodes and edges for drawing, which is no part of a flow.

`toObject()` of an editor, saved as it is, carries sizes, selections and the viewport. They say nothing of the
conversation and change with every click, so reading a flow leaves them out instead of refusing them, and two
saves of one flow have the same content hash.
"""

from __future__ import annotations

from typing import Any, Final

_ELEMENT: Final = frozenset(
    {
        "ariaLabel", "ariaRole", "className", "deletable", "domAttributes", "focusable", "hidden",
        "selectable", "selected", "style", "zIndex",
    }
)  # fmt: skip
_IGNORED: Final = {
    "nodes": _ELEMENT
    | {
        "connectable", "dragHandle", "draggable", "dragging", "expandParent", "extent", "handles", "height",
        "initialHeight", "initialWidth", "measured", "origin", "positionAbsolute", "resizing",
        "sourcePosition", "targetPosition", "width",
    },
    "edges": _ELEMENT
    | {
        "animated", "interactionWidth", "labelBgBorderRadius", "labelBgPadding", "labelBgStyle",
        "labelShowBg", "labelStyle", "markerEnd", "markerStart", "pathOptions", "reconnectable",
        "sourceX", "sourceY", "targetHandle", "targetX", "targetY", "type",
    },
}  # fmt: skip
"""A node has one place to arrive at, so an edge's `targetHandle` says nothing either."""
_IGNORED_OF_FLOW: Final = frozenset({"$schema", "viewport"})


def without_view_state(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what only the drawing needs; the argument stays as it is."""
    found = {key: value for key, value in document.items() if key not in _IGNORED_OF_FLOW}
    for section, ignored in _IGNORED.items():
        items = found.get(section)
        if isinstance(items, list):
            found[section] = [
                {key: value for key, value in item.items() if key not in ignored}
                if isinstance(item, dict)
                else item
                for item in items
            ]
    return found
