"""One slip in a document does not hide what else is wrong with it, and makes up nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flow_schema.validation import ValidationContext, read_flow
from tests.flow_schema.good_flow import edge, good_flow, node

Found = list[tuple[str, str | None, str]]
BAD_FORMULA = ("bad-expression", "add", "/nodes/9/data/action/assignments/0/formula")


def judged(document: dict[str, Any], context: ValidationContext | None = None) -> Found:
    flow, findings = read_flow(document, context)
    assert flow is None
    return [(item.code, item.node_id, item.path) for item in findings]


def a_wrong_value(flow: dict[str, Any]) -> None:
    node(flow, "mail")["data"]["retries"] = 99


def an_unknown_field(flow: dict[str, Any]) -> None:
    node(flow, "add")["data"]["colour"] = "red"


def an_unknown_kind(flow: dict[str, Any]) -> None:
    node(flow, "ask")["type"] = "qestion"


def a_bad_id(flow: dict[str, Any]) -> None:
    node(flow, "ask")["id"] = "¿?"


def an_edge_without_a_target(flow: dict[str, Any]) -> None:
    del edge(flow, "e1")["target"]


def a_variable_of_no_type(flow: dict[str, Any]) -> None:
    flow["variables"][2]["type"] = "money"


def a_variable_without_a_name(flow: dict[str, Any]) -> None:
    del flow["variables"][0]["name"]


def a_bad_setting(flow: dict[str, Any]) -> None:
    flow["settings"]["schedules"][0]["hours"] = []


def bad_settings(flow: dict[str, Any]) -> None:
    flow["settings"] = 5


def no_name(flow: dict[str, Any]) -> None:
    del flow["name"]


def a_bad_group(flow: dict[str, Any]) -> None:
    flow["groups"][0]["width"] = -1


SLIPS = [
    a_wrong_value, an_unknown_field, an_unknown_kind, a_bad_id, an_edge_without_a_target,
    a_variable_of_no_type, a_variable_without_a_name, a_bad_setting, bad_settings, no_name, a_bad_group,
]  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_alone_is_the_one_finding(slip: Callable[[dict[str, Any]], None]) -> None:
    document = good_flow()
    slip(document)
    assert len(judged(document)) == 1


@pytest.mark.parametrize("slip", SLIPS)
def test_a_bad_formula_is_found_beside_a_slip(slip: Callable[[dict[str, Any]], None]) -> None:
    document = good_flow()
    slip(document)
    node(document, "add")["data"]["action"]["assignments"][0]["formula"] = "1 +"
    found = judged(document)
    assert len(found) == 2
    assert found[1] == BAD_FORMULA


def test_places_are_those_of_the_document() -> None:
    document = good_flow()
    del edge(document, "e1")["target"]
    document["edges"].append({"id": "far", "source": "hello", "sourceHandle": "sent", "target": "ask"})
    place = len(document["edges"]) - 1
    found = judged(document)
    assert found[1:] == [("unknown-exit", "hello", f"/edges/{place}/sourceHandle")]


def test_the_rest_is_judged_in_its_surroundings() -> None:
    document = good_flow()
    an_unknown_kind(document)
    found = judged(document, ValidationContext(slug="main", flows={}, secrets=set()))
    assert [code for code, _, _ in found] == ["unknown-kind", "unknown-secret", "unknown-flow"]


def test_nothing_is_left_of_what_is_no_flow() -> None:
    assert [code for code, _, _ in judged({"name": "x"})] == ["missing-field"]
    assert [code for code, _, _ in judged({"name": "x", "nodes": 5})] == ["invalid-value"]
