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
    upgraded = dict(flow)
    upgraded["edges"] = [
        {("sourceHandle" if key == "source_handle" else key): value for key, value in edge.items()}
        for edge in flow.get("edges", [])
    ]
    upgraded["nodes"] = [
        {("parentId" if key == "parent" else key): value for key, value in node.items()}
        for node in flow.get("nodes", [])
    ]
    return upgraded


UPGRADES: dict[int, Upgrade] = {0: _from_0_to_1}


class UnknownSchemaVersion(ValueError):
    """The flow was made by a newer release, or its version is not a number."""


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """Returns `data` in the current version; the argument stays as it is.

    A flow without `schema_version` is taken as current. Raises `UnknownSchemaVersion`.
    """
    version = data.get("schema_version", CURRENT_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= CURRENT_VERSION:
        raise UnknownSchemaVersion(
            f"schema_version {version!r} is not known here (0 to {CURRENT_VERSION}); "
            "update VersaAI, or export the flow again with an older version"
        )
    while version < CURRENT_VERSION:
        data = UPGRADES[version](data)
        version += 1
        data = {**data, "schema_version": version}
    return data
