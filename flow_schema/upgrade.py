"""Brings flows of older schema versions to the current one, so that every flow ever published keeps loading.

Each entry of `UPGRADES` turns a flow of one version into the next; they are applied in a chain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CURRENT_VERSION = 1

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def _from_0_to_1(flow: dict[str, Any]) -> dict[str, Any]:
    """Drafts from before versions were numbered named an edge's exit `source_handle` and a group `parent`."""
    return {
        **flow,
        "edges": _renamed(flow.get("edges", []), "source_handle", "sourceHandle"),
        "nodes": _renamed(flow.get("nodes", []), "parent", "parentId"),
    }


def _renamed(items: Any, old: str, new: str) -> Any:
    """The objects of a list with one key renamed; what is no object is left for validation to refuse."""
    if not isinstance(items, list):
        return items
    return [
        {(new if key == old else key): value for key, value in item.items()}
        if isinstance(item, dict)
        else item
        for item in items
    ]


UPGRADES: dict[int, Upgrade] = {0: _from_0_to_1}


class UnknownSchemaVersionError(ValueError):
    """The flow was made by a newer release, or its version is not a number."""


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """Returns `data` in the current version; the argument stays as it is.

    A flow without `schema_version` is taken as current. Raises `UnknownSchemaVersionError`.
    """
    version = data.get("schema_version", CURRENT_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= CURRENT_VERSION:
        raise UnknownSchemaVersionError(
            f"schema_version {version!r} is not known here (0 to {CURRENT_VERSION}); "
            "update VersaAI, or export the flow again with an older version"
        )
    while version < CURRENT_VERSION:
        data = UPGRADES[version](data)
        version += 1
        data = {**data, "schema_version": version}
    return data
