"""The graph: start, ids, edges, exits, groups, reachability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from flow_schema.checks.subject import Subject
from flow_schema.fields import Role
from flow_schema.findings import Finding, finding
from flow_schema.nodes import StartNode


def check_structure(subject: Subject) -> Iterator[Finding]:
    """Everything about how the flow is wired."""
    yield from _starts(subject)
    yield from _ids(subject)
    yield from _edges(subject)
    yield from _node_references(subject)
    yield from _groups(subject)
    yield from _reachability(subject)
    yield from _dangling(subject)


def _starts(subject: Subject) -> Iterator[Finding]:
    starts = [(index, node) for index, node in enumerate(subject.flow.nodes) if isinstance(node, StartNode)]
    if not starts:
        yield finding(
            "missing-start",
            "the flow has no `start` node, so no conversation can enter it",
            "Add one node of the kind `start` and connect its `next`.",
            path="/nodes",
        )
    for index, node in starts[1:]:
        yield finding(
            "several-starts",
            f"`{node.id}` is a second `start` node; the flow begins at `{starts[0][1].id}`",
            "Keep one `start`; several triggers can stand in its `triggers`.",
            path=f"/nodes/{index}",
            node_id=node.id,
        )


def _ids(subject: Subject) -> Iterator[Finding]:
    flow = subject.flow
    seen: set[str] = set()
    for index, node in enumerate(flow.nodes):
        if node.id in seen:
            yield _duplicate("node", node.id, f"/nodes/{index}/id", node_id=node.id)
        seen.add(node.id)
    for index, group in enumerate(flow.groups):
        if group.id in seen:
            yield _duplicate("group or node", group.id, f"/groups/{index}/id")
        seen.add(group.id)
    edges: set[str] = set()
    for index, edge in enumerate(flow.edges):
        if edge.id in edges:
            yield _duplicate("edge", edge.id, f"/edges/{index}/id", edge_id=edge.id)
        edges.add(edge.id)
    names: set[str] = set()
    for index, variable in enumerate(flow.variables):
        if variable.name in names:
            yield _duplicate("variable", variable.name, f"/variables/{index}/name")
        names.add(variable.name)
    yield from _ids_within(flow.settings, "/settings", None)
    for index, node in enumerate(flow.nodes):
        yield from _ids_within(node.data, f"/nodes/{index}/data", node.id)


def _ids_within(model: BaseModel, path: str, node_id: str | None) -> Iterator[Finding]:
    """Lists whose entries have ids: options, branches, tools, classes, schedules."""
    for name in type(model).model_fields:
        yield from _ids_in(getattr(model, name), f"{path}/{name}", node_id)


def _ids_in(value: Any, path: str, node_id: str | None) -> Iterator[Finding]:
    if isinstance(value, BaseModel):
        yield from _ids_within(value, path, node_id)
    elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
        seen: set[str] = set()
        for index, item in enumerate(value):
            if isinstance(item, BaseModel):
                yield from _ids_within(item, f"{path}/{index}", node_id)
            identity = getattr(item, "id", None)
            if identity is None:
                continue
            if identity in seen:
                what = path.rsplit("/", 1)[-1]
                yield _duplicate(f"entry of `{what}`", identity, f"{path}/{index}/id", node_id=node_id)
            seen.add(identity)


def _duplicate(
    what: str, name: str, path: str, *, node_id: str | None = None, edge_id: str | None = None
) -> Finding:
    return finding(
        "duplicate-id",
        f"another {what} is called `{name}` too",
        "Give it an id of its own, and correct what refers to it.",
        path=path,
        node_id=node_id,
        edge_id=edge_id,
    )


def _edges(subject: Subject) -> Iterator[Finding]:
    taken: Counter[tuple[str, str]] = Counter()
    known = set(subject.nodes)
    for index, edge in enumerate(subject.flow.edges):
        path = f"/edges/{index}"
        for end, node_id in (("source", edge.source), ("target", edge.target)):
            if node_id not in known:
                yield finding(
                    "unknown-node",
                    f"edge `{edge.id}` names `{node_id}` as its {end}, and there is no such node"
                    + subject.suggestion(node_id, known),
                    "Connect the edge to an existing node, or delete it.",
                    path=f"{path}/{end}",
                    edge_id=edge.id,
                )
        if edge.source not in known:
            continue
        if edge.sourceHandle not in subject.exits[edge.source]:
            names = ", ".join(f"`{name}`" for name in list(subject.exits[edge.source])[:12])
            offered = f"its exits are {names}" if names else "it has no exits"
            yield finding(
                "unknown-exit",
                f"edge `{edge.id}` leaves from `{edge.sourceHandle}` of "
                f"{subject.node_name(edge.source)}; {offered}",
                "Set `sourceHandle` to one of them, or delete the edge.",
                path=f"{path}/sourceHandle",
                node_id=edge.source,
                edge_id=edge.id,
            )
            continue
        dead = subject.exits[edge.source][edge.sourceHandle].dead
        if dead is not None:
            yield finding(
                "dead-exit",
                f"edge `{edge.id}` leaves from `{edge.sourceHandle}` of {subject.node_name(edge.source)}, "
                f"which is never taken: {dead}",
                "Set what the exit waits for, or delete the edge.",
                path=path,
                node_id=edge.source,
                edge_id=edge.id,
            )
        taken[edge.source, edge.sourceHandle] += 1
        if taken[edge.source, edge.sourceHandle] > 1:
            first = subject.leaving[edge.source].get(edge.sourceHandle)
            yield finding(
                "several-edges",
                f"exit `{edge.sourceHandle}` of {subject.node_name(edge.source)} has another edge already"
                + (f", to `{first.target}`" if first else ""),
                "Keep one edge an exit; to choose between ways, use a `condition`.",
                path=path,
                node_id=edge.source,
                edge_id=edge.id,
            )


def _node_references(subject: Subject) -> Iterator[Finding]:
    for node_id, use in subject.uses:
        if use.role is Role.NODE and use.value not in subject.nodes:
            yield finding(
                "unknown-node",
                f"`{use.value}` is not the id of a node" + subject.suggestion(use.value, set(subject.nodes)),
                "Name a node of this flow.",
                path=use.path,
                node_id=node_id,
            )


def _groups(subject: Subject) -> Iterator[Finding]:
    groups = {group.id for group in subject.flow.groups}
    for index, node in enumerate(subject.flow.nodes):
        if node.parentId is not None and node.parentId not in groups:
            yield finding(
                "unknown-group",
                f"{subject.node_name(node.id)} is drawn in the group `{node.parentId}`, which does not exist",
                "Add the group, or remove `parentId`.",
                path=f"/nodes/{index}/parentId",
                node_id=node.id,
            )


def _reachability(subject: Subject) -> Iterator[Finding]:
    if not subject.reachable:
        return
    for node_id, path in subject.places.items():
        if node_id not in subject.reachable:
            yield finding(
                "unreachable-node",
                f"nothing leads to {subject.node_name(node_id)}, so no conversation comes to it",
                "Connect an exit to it, or delete it.",
                path=path,
                node_id=node_id,
            )


def _dangling(subject: Subject) -> Iterator[Finding]:
    for node_id in subject.places:
        if node_id not in subject.reachable:
            continue
        taken = subject.leaving[node_id]
        for way in subject.exits[node_id].values():
            covered = way.id in taken or way.fallback in taken
            if covered or (way.optional and way.fallback is None):
                continue
            yield finding(
                "dangling-exit",
                f"exit `{way.id}` of {subject.node_name(node_id)} leads nowhere; the flow ends there",
                "Connect it, or end the flow there on purpose with an `end` action.",
                path=subject.places[node_id],
                node_id=node_id,
            )
