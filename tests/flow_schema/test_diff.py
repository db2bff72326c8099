"""Differences between two versions, told node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import JsonValue

from flow_schema.diff import EdgeSummary, FieldChange, FlowDiff, NodeSummary, diff_flows
from flow_schema.flow import Flow
from tests.flow_schema.good_flow import edge, good_flow, node


def changed(change: Callable[[dict[str, Any]], object]) -> FlowDiff:
    document = good_flow()
    change(document)
    return diff_flows(Flow.model_validate(good_flow()), Flow.model_validate(document))


def only(found: FlowDiff, *names: str) -> None:
    """Nothing but these parts holds anything."""
    assert {name for name in FlowDiff.model_fields if getattr(found, name)} == set(names)


def test_equal_flows_do_not_differ() -> None:
    found = changed(lambda flow: flow["nodes"].reverse())
    assert found.is_empty
    assert not found.changes_behaviour


def test_nodes_that_come_and_go() -> None:
    def change(flow: dict[str, Any]) -> None:
        flow["nodes"].remove(node(flow, "hello"))
        flow["nodes"].append({"id": "new", "type": "message", "data": {"text": "x", "label": "Neu"}})
        edge(flow, "e1")["target"] = "new"
        edge(flow, "e2")["source"] = "new"

    found = changed(change)
    only(found, "nodes_added", "nodes_removed", "edges_added", "edges_removed")
    assert found.nodes_added == [NodeSummary(id="new", type="message", label="Neu")]
    assert found.nodes_removed == [NodeSummary(id="hello", type="message")]
    assert found.edges_added == [
        EdgeSummary(source="start", exit="next", target="new"),
        EdgeSummary(source="new", exit="next", target="ask"),
    ]
    assert found.edges_removed == [
        EdgeSummary(source="start", exit="next", target="hello"),
        EdgeSummary(source="hello", exit="next", target="ask"),
    ]


def test_changed_fields_carry_old_and_new() -> None:
    def change(flow: dict[str, Any]) -> None:
        data = node(flow, "hello")["data"]
        data["text"]["es"] = "Buenas"
        data["typing_seconds"] = 2
        data["media"] = []

    found = changed(change)
    only(found, "nodes_changed")
    (entry,) = found.nodes_changed
    assert (entry.id, entry.type) == ("hello", "message")
    media: dict[str, JsonValue] = {"kind": "image", "url": "https://example.org/{{ topic }}.png"}
    assert entry.changes == [
        FieldChange(path="/data/text/es", change="changed", old="Hola {{ visitor.name }}", new="Buenas"),
        FieldChange(path="/data/media/0", change="removed", old=media),
        FieldChange(path="/data/typing_seconds", change="changed", old=0, new=2),
    ]


def test_entries_with_ids_are_compared_by_id() -> None:
    def change(flow: dict[str, Any]) -> None:
        options = node(flow, "ask")["data"]["options"]
        options.insert(0, {"id": "extra", "label": "3"})
        options[2]["value"] = "human"

    (entry,) = changed(change).nodes_changed
    assert [(item.path, item.change) for item in entry.changes] == [
        ("/data/options/person/value", "added"),
        ("/data/options/extra", "added"),
    ]


def test_a_new_order_of_entries_is_a_change_of_the_list() -> None:
    (entry,) = changed(lambda flow: node(flow, "check")["data"]["branches"].reverse()).nodes_changed
    assert entry.changes == [
        FieldChange(path="/data/branches", change="changed", old=["big", "open"], new=["open", "big"])
    ]


def test_a_node_of_another_kind() -> None:
    def change(flow: dict[str, Any]) -> None:
        node(flow, "add").update(type="message", data={"text": "1"})

    (entry,) = changed(change).nodes_changed
    assert entry.type == "message"
    assert [(item.path, item.change) for item in entry.changes] == [
        ("/type", "changed"),
        ("/data/action", "removed"),
        ("/data/text", "added"),
        ("/data/media", "added"),
        ("/data/cards", "added"),
        ("/data/typing_seconds", "added"),
    ]


def test_moving_is_no_change_of_behaviour() -> None:
    def change(flow: dict[str, Any]) -> None:
        node(flow, "ask")["position"] = {"x": 10, "y": 20}
        node(flow, "hello").pop("parentId")

    found = changed(change)
    only(found, "nodes_moved")
    assert found.nodes_moved == ["hello", "ask"]
    assert not found.changes_behaviour


def test_moved_and_changed_is_both() -> None:
    def change(flow: dict[str, Any]) -> None:
        node(flow, "ask").update(position={"x": 10, "y": 20})
        node(flow, "ask")["data"]["retries"] = 2

    found = changed(change)
    only(found, "nodes_moved", "nodes_changed")
    assert found.changes_behaviour


def test_an_edge_with_a_new_id_is_the_same_edge() -> None:
    assert changed(lambda flow: edge(flow, "e1").update(id="other")).is_empty


def test_variables_settings_and_the_flow_itself() -> None:
    def change(flow: dict[str, Any]) -> None:
        flow["variables"][0]["personal"] = True
        flow["variables"].pop(5)
        flow["variables"].append({"name": "fresh"})
        flow["settings"]["timezone"] = "UTC"
        flow["settings"]["schedules"][0]["hours"][0]["end"] = "19:00"
        flow["name"] = "Orders"
        flow["languages"].append("fr")

    found = changed(change)
    assert found.variables_added == ["fresh"]
    assert found.variables_removed == ["day"]
    assert [item.name for item in found.variables_changed] == ["topic"]
    assert found.variables_changed[0].changes == [
        FieldChange(path="/personal", change="changed", old=False, new=True)
    ]
    assert found.settings == [
        FieldChange(path="/settings/timezone", change="changed", old="Europe/Madrid", new="UTC"),
        FieldChange(
            path="/settings/schedules/office/hours/0/end", change="changed", old="18:00", new="19:00"
        ),
    ]
    assert found.flow == [
        FieldChange(path="/name", change="changed", old="Pedidos", new="Orders"),
        FieldChange(path="/languages/2", change="added", new="fr"),
    ]


def test_going_back_swaps_old_and_new() -> None:
    document = good_flow()
    node(document, "hello")["data"]["text"]["es"] = "Buenas"
    old, new = Flow.model_validate(good_flow()), Flow.model_validate(document)
    (there,) = diff_flows(old, new).nodes_changed[0].changes
    (back,) = diff_flows(new, old).nodes_changed[0].changes
    assert (there.old, there.new) == (back.new, back.old)
