"""What changed between two versions of a flow, told node by node as a designer would tell it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from flow_schema.flow import Flow
from flow_schema.references import pointer


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldChange(_Part):
    """One field with its value before and after."""

    path: str = Field(
        title="Path",
        description="JSON pointer within the node, variable or flow; entries of lists that have ids are "
        "named by their id instead of their place.",
    )
    change: Literal["added", "removed", "changed"] = Field(title="Change", description="What happened.")
    old: JsonValue = Field(default=None, title="Before", description="The value before; null if added.")
    new: JsonValue = Field(default=None, title="After", description="The value after; null if removed.")


class NodeSummary(_Part):
    """A node that came or went."""

    id: str = Field(title="Id", description="The node's id.")
    type: str = Field(title="Kind", description="The node's kind.")
    label: str | None = Field(default=None, title="Name", description="The node's name.")


class NodeChange(NodeSummary):
    """A node that does something else than before."""

    changes: list[FieldChange] = Field(title="Changes", description="Field by field.")


class VariableChange(_Part):
    """A variable that is declared differently."""

    name: str = Field(title="Name", description="The variable's name.")
    changes: list[FieldChange] = Field(title="Changes", description="Field by field.")


class EdgeSummary(_Part):
    """An edge that came or went. An edge that leads elsewhere now is one that went and one that came."""

    source: str = Field(title="From", description="The node it leaves.")
    exit: str = Field(title="Exit", description="The exit it leaves from.")
    target: str = Field(title="To", description="The node it leads to.")


class FlowDiff(_Part):
    """All differences; two flows that behave alike and look alike have an empty one."""

    nodes_added: list[NodeSummary] = Field(default_factory=list, title="Added", description="New nodes.")
    nodes_removed: list[NodeSummary] = Field(default_factory=list, title="Removed", description="Gone nodes.")
    nodes_changed: list[NodeChange] = Field(
        default_factory=list, title="Changed", description="Nodes that do something else."
    )
    nodes_moved: list[str] = Field(
        default_factory=list,
        title="Moved",
        description="Ids of nodes drawn at another place or in another group; behaviour is the same.",
    )
    edges_added: list[EdgeSummary] = Field(default_factory=list, title="New edges", description="New edges.")
    edges_removed: list[EdgeSummary] = Field(
        default_factory=list, title="Gone edges", description="Gone edges."
    )
    variables_added: list[str] = Field(default_factory=list, title="New variables", description="Names.")
    variables_removed: list[str] = Field(default_factory=list, title="Gone variables", description="Names.")
    variables_changed: list[VariableChange] = Field(
        default_factory=list, title="Changed variables", description="Declared differently."
    )
    settings: list[FieldChange] = Field(
        default_factory=list, title="Settings", description="Changes below `/settings`."
    )
    flow: list[FieldChange] = Field(
        default_factory=list,
        title="Flow",
        description="Changes of name, description, languages and groups.",
    )

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not any(getattr(self, name) for name in type(self).model_fields)

    @property
    def changes_behaviour(self) -> bool:
        """Whether anything but the drawing changed."""
        return not self.model_copy(update={"nodes_moved": []}).is_empty


def diff_flows(old: Flow, new: Flow) -> FlowDiff:
    """The differences from `old` to `new`; nodes are the same if their ids are."""
    old_nodes = {node.id: node for node in old.nodes}
    new_nodes = {node.id: node for node in new.nodes}
    changed: list[NodeChange] = []
    moved: list[str] = []
    for node_id, node in new_nodes.items():
        before = old_nodes.get(node_id)
        if before is None or before == node:
            continue
        if (before.position, before.parentId) != (node.position, node.parentId):
            moved.append(node_id)
        left, right = (_dump(item, {"id", "position", "parentId"}) for item in (before, node))
        changes = list(_changes(left, right, ""))
        if changes:
            changed.append(NodeChange(id=node_id, type=node.type, label=node.data.label, changes=changes))
    old_edges = {(edge.source, edge.sourceHandle, edge.target): None for edge in old.edges}
    new_edges = {(edge.source, edge.sourceHandle, edge.target): None for edge in new.edges}
    old_variables = {variable.name: variable for variable in old.variables}
    new_variables = {variable.name: variable for variable in new.variables}
    apart = {"nodes", "edges", "variables", "settings", "schema_version"}
    return FlowDiff(
        nodes_added=[_summary(node) for node_id, node in new_nodes.items() if node_id not in old_nodes],
        nodes_removed=[_summary(node) for node_id, node in old_nodes.items() if node_id not in new_nodes],
        nodes_changed=changed,
        nodes_moved=moved,
        edges_added=[_edge(edge) for edge in new_edges if edge not in old_edges],
        edges_removed=[_edge(edge) for edge in old_edges if edge not in new_edges],
        variables_added=[name for name in new_variables if name not in old_variables],
        variables_removed=[name for name in old_variables if name not in new_variables],
        variables_changed=[
            VariableChange(name=name, changes=list(_changes(_dump(old_variables[name]), _dump(variable), "")))
            for name, variable in new_variables.items()
            if name in old_variables and old_variables[name] != variable
        ],
        settings=list(_changes(_dump(old.settings), _dump(new.settings), "/settings")),
        flow=list(_changes(_dump(old, apart), _dump(new, apart), "")),
    )


def _dump(model: BaseModel, without: set[str] | None = None) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude=without, exclude_none=True)


def _summary(node: Any) -> NodeSummary:
    return NodeSummary(id=node.id, type=node.type, label=node.data.label)


def _edge(edge: tuple[str, str, str]) -> EdgeSummary:
    return EdgeSummary(source=edge[0], exit=edge[1], target=edge[2])


def _changes(old: Any, new: Any, path: str) -> Iterator[FieldChange]:
    """Differences of two JSON values, as deep as both have the same shape."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _object_changes(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        old_ids, new_ids = _ids(old), _ids(new)
        if old_ids is not None and new_ids is not None:
            yield from _object_changes(
                dict(zip(old_ids, old, strict=True)), dict(zip(new_ids, new, strict=True)), path
            )
            kept = [name for name in old_ids if name in new_ids]
            if kept != [name for name in new_ids if name in old_ids]:
                yield FieldChange(path=path, change="changed", old=list(old_ids), new=list(new_ids))
        else:
            yield from _object_changes(dict(enumerate(old)), dict(enumerate(new)), path)
    elif old != new or type(old) is not type(new):
        yield FieldChange(path=path, change="changed", old=old, new=new)


def _object_changes(old: dict[Any, Any], new: dict[Any, Any], path: str) -> Iterator[FieldChange]:
    for key, value in old.items():
        place = path + pointer(key)
        if key not in new:
            yield FieldChange(path=place, change="removed", old=value)
        else:
            yield from _changes(value, new[key], place)
    for key, value in new.items():
        if key not in old:
            yield FieldChange(path=path + pointer(key), change="added", new=value)


def _ids(items: list[Any]) -> list[str] | None:
    """The ids of a list's entries, if each is an object with an id of its own."""
    found = [item.get("id") if isinstance(item, dict) else None for item in items]
    if not all(isinstance(identity, str) for identity in found) or len(set(found)) != len(found):
        return None
    return [str(identity) for identity in found]
