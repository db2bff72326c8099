"""Everything a flow refers to is found by the marks of its fields, whatever the node kind."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from flow_schema.fields import (
    FlowReference,
    Formula,
    Holds,
    Role,
    SecretTemplateValue,
    TemplateReference,
    Text,
    WritesVariable,
)
from flow_schema.flow import Flow
from flow_schema.references import (
    flow_uses,
    flows_used,
    pointer,
    secrets_used,
    templates_used,
    texts,
    uses,
    variables_read,
    variables_written,
)
from tests.flow_schema.good_flow import good_flow, node


def main() -> Flow:
    return Flow.model_validate(good_flow())


def test_what_the_good_flow_refers_to() -> None:
    flow = main()
    assert flows_used(flow) == {"survey"}
    assert secrets_used(flow) == {"API_KEY"}
    assert templates_used(flow) == {"goodbye"}
    assert variables_written(flow) == {"topic", "email", "order", "amount", "tags", "rating"}
    assert variables_read(flow) == {
        "topic", "email", "day", "order", "tags", "visitor", "last_message", "secrets", "args",
        "callback_url",
    }  # fmt: skip


def test_flows_are_found_in_tools_too() -> None:
    document = good_flow()
    node(document, "agent")["data"]["task"]["tools"].append(
        {"kind": "flow", "id": "ask", "description": "Asks", "flow": "other"}
    )
    assert flows_used(Flow.model_validate(document)) == {"survey", "other"}


def test_texts_are_those_of_people_and_of_models() -> None:
    found = {(node_id, use.path) for node_id, use in texts(main())}
    assert found == {
        ("hello", "/nodes/1/data/text"),
        ("ask", "/nodes/2/data/text"),
        ("ask", "/nodes/2/data/options/0/label"),
        ("ask", "/nodes/2/data/options/1/label"),
        ("mail", "/nodes/3/data/text"),
        ("read", "/nodes/6/data/instructions"),
        ("call", "/nodes/8/data/webhook/text"),
        ("rate", "/nodes/12/data/action/text"),
        ("bye", "/nodes/13/data/action/text"),
    }


def test_every_path_leads_to_the_value_in_the_document() -> None:
    flow = main()
    document = flow.model_dump(mode="json")
    count = 0
    for _, use in flow_uses(flow):
        value: Any = document
        for part in use.path.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
        expected = use.value.model_dump() if isinstance(use.value, BaseModel) else use.value
        assert value == expected
        count += 1
    assert count > 40


def test_secrets_are_allowed_in_requests_alone() -> None:
    allowed = {use.path for _, use in flow_uses(main()) if use.secrets_allowed}
    assert allowed
    assert all("/request/" in path for path in allowed)


class Inner(BaseModel):
    text: Text
    formula: Formula | None = None


class Other(BaseModel):
    flow: FlowReference


class NewKind(BaseModel):
    """Stands for a node kind that the walk has never seen."""

    plain: str = "not marked"
    one: Inner | Other | None = None
    many: list[Inner | Other] = []
    by_name: dict[str, Inner] = {}
    variables: dict[str, WritesVariable] = {}
    lists: list[list[WritesVariable]] = []
    body: SecretTemplateValue = None
    pairs: list[dict[str, Formula]] = []


def test_a_new_kind_is_walked_without_change() -> None:
    model = NewKind.model_validate(
        {
            "one": {"flow": "a"},
            "many": [{"text": {"es": "x"}}, {"flow": "b"}, {"text": {"template": "t"}, "formula": "1 + 1"}],
            "by_name": {"a/b~c": {"text": "y"}},
            "variables": {"k": "v"},
            "lists": [["p"], ["q", "r"]],
            "body": [1],
            "pairs": [{"f": "2"}],
        }
    )
    assert [(use.role, use.value, use.path, use.secrets_allowed) for use in uses(model)] == [
        (Role.FLOW, "a", "/one/flow", False),
        (Role.TEXT, {"es": "x"}, "/many/0/text", False),
        (Role.FLOW, "b", "/many/1/flow", False),
        (Role.TEXT, TemplateReference(template="t"), "/many/2/text", False),
        (Role.FORMULA, "1 + 1", "/many/2/formula", False),
        (Role.TEXT, "y", "/by_name/a~1b~0c/text", False),
        (Role.VARIABLE_WRITE, "v", "/variables/k", False),
        (Role.VARIABLE_WRITE, "p", "/lists/0/0", False),
        (Role.VARIABLE_WRITE, "q", "/lists/1/0", False),
        (Role.VARIABLE_WRITE, "r", "/lists/1/1", False),
        (Role.VALUE, [1], "/body", True),
        (Role.FORMULA, "2", "/pairs/0/f", False),
    ]
    owners = [type(use.owner).__name__ for use in uses(model)]
    assert owners[:2] == ["Other", "Inner"]
    assert next(iter(uses(model, "/here"))).path == "/here/one/flow"


class Ambiguous(BaseModel):
    field: Annotated[str, Holds(Role.FLOW)] | Annotated[list[str], Holds(Role.NODE)]


def test_marks_that_can_not_be_told_apart_are_an_error_of_the_schema() -> None:
    with pytest.raises(TypeError, match="can't be told apart"):
        list(uses(Ambiguous(field="a")))


def test_pointers_escape_as_the_standard_says() -> None:
    assert pointer("a/b", 0, "m~n", "") == "/a~1b/0/m~0n/"
    assert pointer() == ""
