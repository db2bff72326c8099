"""Loops in which nothing waits, and flows that run one another in circles.

A conversation may pass `max_steps_per_turn` nodes without waiting; then it is stuck. A circle in which
nothing waits gets there, unless something leaves it: a condition that reads what the circle sets (a counter;
any other decides the same each time), or a node whose outcome the world decides, such as a request that is
tried again until it succeeds. Circles left in such a way are a warning, all others without a wait are errors.

Circles are the strongly connected components of the graph whose edges are the exits that do not wait; they
are found by Tarjan's algorithm without recursion, in linear time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flow_schema.checks.subject import Subject
from flow_schema.findings import Finding, finding
from flow_schema.flow import MAX_FLOW_DEPTH, Flow
from flow_schema.nodes import ConditionNode, StartNode
from flow_schema.nodes.action import ActionNode, RunFlow
from flow_schema.nodes.exits import ERROR

MAX_LOOP_FINDINGS = 20


def check_loops(subject: Subject) -> Iterator[Finding]:
    """Loops inside the flow, then circles through other flows."""
    graph = _unhindered(subject, _Passing(subject))
    for circle in list(circles(graph))[:MAX_LOOP_FINDINGS]:
        yield from _judge(subject, graph, circle)
    yield from _recursion(subject)


def _judge(subject: Subject, graph: Mapping[str, list[str]], circle: list[str]) -> Iterator[Finding]:
    members = set(circle)
    counters = {node_id for node_id in circle if _ends(subject, node_id, members)}
    rest = {
        node_id: [target for target in graph[node_id] if target in members - counters]
        for node_id in circle
        if node_id not in counters
    }
    endless = list(circles(rest))
    for inner in endless:
        first = min(inner, key=subject.order.__getitem__)
        yield finding(
            "endless-loop",
            f"the loop {_listed(subject, inner)} never waits and nothing in it ends it; a conversation in it "
            f"passes {subject.flow.settings.max_steps_per_turn} steps and is stuck",
            "Put a question, an input or a wait into it; or a condition that leaves it and reads a variable "
            "that the loop sets.",
            path=subject.places[first],
            node_id=first,
        )
    if counters and not endless:
        first = min(counters, key=subject.order.__getitem__)
        yield finding(
            "counted-loop",
            f"the loop {_listed(subject, circle)} does not wait; it must be left within "
            f"{subject.flow.settings.max_steps_per_turn} steps",
            "Make sure that it ends in time: count the rounds in a condition, or put a wait into it.",
            path=subject.places[first],
            node_id=first,
        )


def _ends(subject: Subject, node_id: str, circle: set[str]) -> bool:
    """Whether a node can leave the circle by something that may be otherwise in the next round."""
    node, taken = subject.nodes[node_id], subject.leaving[node_id]
    leaves = any(
        taken[exit_id].target not in circle if exit_id in taken else exit_id != ERROR.id
        for exit_id in subject.exits[node_id]
    )
    if not leaves:
        return False
    if ERROR.id in subject.exits[node_id]:
        return True  # whether it fails is decided outside of the flow, each time anew
    changed = {name for member in circle for name in subject.written.get(member, ())}
    return isinstance(node, ConditionNode) and bool(changed & subject.read.get(node_id, set()))


def _listed(subject: Subject, circle: list[str]) -> str:
    shown = ", ".join(f"`{node_id}`" for node_id in sorted(circle, key=subject.order.__getitem__)[:6])
    return shown if len(circle) <= 6 else f"{shown} and {len(circle) - 6} more"


def _unhindered(subject: Subject, passing: _Passing) -> dict[str, list[str]]:
    """Where each node leads without waiting."""
    graph: dict[str, list[str]] = {}
    for node_id, node in subject.nodes.items():
        if _runs(node) is not None and not passing.through(node_id):
            graph[node_id] = []
            continue
        targets = [edge.target for name, edge in subject.leaving[node_id].items() if not node.waits(name)]
        graph[node_id] = targets + subject.jumps.get(node_id, [])
    return graph


def _runs(node: object) -> str | None:
    """The flow that a `run_flow` action runs."""
    if isinstance(node, ActionNode) and isinstance(node.data.action, RunFlow):
        return node.data.action.flow
    return None


class _Passing:
    """Whether a conversation can come through the flow that a node runs without waiting in it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._known: dict[str, bool] = {}

    def through(self, node_id: str) -> bool:
        name = _runs(self._subject.nodes[node_id])
        return name is not None and self._flow(name)

    def _flow(self, name: str) -> bool:
        if name in self._known:
            return self._known[name]
        self._known[name] = False  # a flow that runs itself is judged as recursion, not as a loop
        other = self._subject.other_flow(name)
        if isinstance(other, Flow) and len(self._known) <= MAX_FLOW_DEPTH * 10:
            self._known[name] = self._ends_at_once(other)
        return self._known[name]

    def _ends_at_once(self, flow: Flow) -> bool:
        subject = Subject(flow, self._subject.context)
        pending = [node.id for node in flow.nodes if isinstance(node, StartNode)][:1]
        seen = set(pending)
        while pending:
            node = subject.nodes[node_id := pending.pop()]
            name = _runs(node)
            if name is not None and not self._flow(name):
                continue
            free = [exit_id for exit_id in subject.exits[node_id] if not node.waits(exit_id)]
            jumps = subject.jumps.get(node_id, [])
            ends = not subject.exits[node_id] and not jumps
            if ends or any(exit_id not in subject.leaving[node_id] for exit_id in free):
                return True
            targets = [subject.leaving[node_id][exit_id].target for exit_id in free] + jumps
            for target in targets:
                if target not in seen:
                    seen.add(target)
                    pending.append(target)
        return False


def _recursion(subject: Subject) -> Iterator[Finding]:
    """Flows that run one another in circles, or too many levels deep, seen from this flow."""
    root = subject.context.slug or ""
    calls = _calls(subject, root)
    for circle in circles({name: list(targets) for name, targets in calls.items()}):
        if root not in circle:
            continue
        members = set(circle)
        at_once = {
            name: [target for target, free in calls[name].items() if free and target in members]
            for name in circle
        }
        endless = any(root in inner for inner in circles(at_once))
        node_id = next(node_id for node_id in subject.nodes if _runs(subject.nodes[node_id]) in members)
        names = ", ".join(f"`{name}`" for name in sorted(circle))
        yield finding(
            "endless-recursion" if endless else "recursion",
            f"flows run one another in a circle ({names})"
            + (
                " in which nothing waits; the conversation is stuck at once"
                if endless
                else f"; beyond {MAX_FLOW_DEPTH} flows inside one another a conversation is stuck"
            ),
            "Let the flow return instead of running itself again, or go back with `go_to`.",
            path=f"{subject.places[node_id]}/data/action/flow",
            node_id=node_id,
        )
        return
    depth = _depth(root, calls)
    if depth > MAX_FLOW_DEPTH:
        yield finding(
            "flows-too-deep",
            f"flows run one another {depth} levels deep; conversations allow {MAX_FLOW_DEPTH}",
            "Join some of them into one flow.",
            path="/nodes",
        )


def _calls(subject: Subject, root: str) -> dict[str, dict[str, bool]]:
    """Which flow runs which, from `root` on; the value says whether it can come there without waiting."""
    calls: dict[str, dict[str, bool]] = {}
    pending: list[tuple[str, Flow]] = [(root, subject.flow)]
    while pending:
        name, flow = pending.pop()
        if name in calls:
            continue
        inner = subject if flow is subject.flow else Subject(flow, subject.context)
        targets = _targets(inner)
        calls[name] = targets
        for target in targets:
            other = subject.other_flow(target)
            if isinstance(other, Flow):
                pending.append((target, other))
            elif target not in calls:
                calls[target] = {}
    return calls


def _targets(subject: Subject) -> dict[str, bool]:
    """The flows that a flow's reachable nodes run."""
    found: dict[str, bool] = {}
    at_once = _reached_at_once(subject)
    for node_id in subject.reachable:
        name = _runs(subject.nodes[node_id])
        if name is not None:
            found[name] = found.get(name, False) or node_id in at_once
    return found


def _reached_at_once(subject: Subject) -> set[str]:
    graph = _unhindered(subject, _Passing(subject))
    pending = [node.id for node in subject.flow.nodes if isinstance(node, StartNode)]
    found = set(pending)
    while pending:
        for target in graph[pending.pop()]:
            if target not in found:
                found.add(target)
                pending.append(target)
    return found


def _depth(root: str, calls: Mapping[str, Mapping[str, bool]]) -> int:
    """The longest chain of flows from `root`; circles among the others count once."""
    order: dict[str, int] = {}
    for component in components({name: list(targets) for name, targets in calls.items()}):
        below = [order[target] for name in component for target in calls[name] if target not in component]
        for name in component:
            order[name] = len(component) + max(below, default=0)
    return order.get(root, 0)


def circles(graph: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """The components that hold a circle: several nodes, or one that leads to itself."""
    for component in components(graph):
        if len(component) > 1 or component[0] in graph[component[0]]:
            yield component


def components(graph: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Strongly connected components, those that are led to first; targets outside of `graph` are ignored."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in graph:
        if root in number:
            continue
        work: list[tuple[str, Iterator[str]]] = [(root, iter(graph[root]))]
        number[root] = lowest[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in graph:
                    continue
                if target not in number:
                    number[target] = lowest[target] = len(number)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(graph[target])))
                    break
                if target in on_stack:
                    lowest[node] = min(lowest[node], number[target])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    yield component
