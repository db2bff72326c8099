"""Response templates become texts when a flow is published."""

from __future__ import annotations

import pytest

from flow_schema.flow import Flow
from flow_schema.references import templates_used
from flow_schema.templates import TemplateError, resolve_templates
from flow_schema.validation import ValidationContext, validate
from tests.flow_schema.good_flow import good_flow, node


def flow() -> Flow:
    document = good_flow()
    node(document, "hello")["data"]["text"] = {"template": "hello"}
    node(document, "ask")["data"]["options"][0]["label"] = {"template": "order"}
    node(document, "read")["data"]["instructions"] = {"template": "rules"}
    document["settings"]["stuck_text"] = {"template": "goodbye"}
    return Flow.model_validate(document)


KNOWN: dict[str, str | dict[str, str]] = {
    "hello": {"es": "Hola {{ visitor.name }}", "en": "Hello {{ visitor.name }}"},
    "order": "Pedido",
    "rules": "Be kind.",
    "goodbye": {"es": "Adiós", "en": "Goodbye"},
    "unused": "x",
}


def test_every_reference_becomes_its_text_and_nothing_else_changes() -> None:
    before = flow()
    expected = good_flow()
    node(expected, "hello")["data"]["text"] = KNOWN["hello"]
    node(expected, "ask")["data"]["options"][0]["label"] = "Pedido"
    node(expected, "read")["data"]["instructions"] = "Be kind."
    node(expected, "bye")["data"]["action"]["text"] = KNOWN["goodbye"]
    expected["settings"]["stuck_text"] = KNOWN["goodbye"]
    assert resolve_templates(before, KNOWN) == Flow.model_validate(expected)
    assert templates_used(before) == {"hello", "order", "rules", "goodbye"}


def test_all_unknown_names_are_told() -> None:
    with pytest.raises(TemplateError) as error:
        resolve_templates(flow(), {"hello": "x", "rules": "y"})
    assert error.value.names == ["goodbye", "order"]


def test_a_text_that_is_too_long_for_its_place_is_refused() -> None:
    long = "x" * 8_001
    with pytest.raises(TemplateError, match="does not fit"):
        resolve_templates(flow(), {**KNOWN, "goodbye": long})
    assert resolve_templates(flow(), {**KNOWN, "rules": long})


def test_a_flow_without_references_is_left_alone() -> None:
    resolved = resolve_templates(flow(), KNOWN)
    assert resolve_templates(resolved, {}) is resolved


def test_findings_in_the_text_of_a_template_name_it() -> None:
    document = {
        "name": "x",
        "variables": [{"name": "topic"}],
        "nodes": [
            {"id": "start", "type": "start"},
            {"id": "a", "type": "message", "data": {"text": {"template": "one"}}},
            {"id": "b", "type": "action", "data": {"action": {"kind": "end", "text": {"template": "two"}}}},
        ],
        "edges": [{"id": "e", "source": "start", "target": "a"}, {"id": "f", "source": "a", "target": "b"}],
    }
    flow = Flow.model_validate(document)
    texts: dict[str, str | dict[str, str]] = {"one": "{{ topic }}", "two": {"es": "{{ 1 + }} {{ who }}"}}
    found = validate(flow, ValidationContext(templates=texts))
    assert [(item.code, item.path) for item in found] == [
        ("bad-expression", "/nodes/2/data/action/text"),
        ("unknown-variable", "/nodes/2/data/action/text"),
    ]
    assert all("response template `two`" in item.message for item in found)
    (unknown, _) = validate(flow, ValidationContext(templates={"two": "x"}))
    assert unknown.code == "unknown-template"
