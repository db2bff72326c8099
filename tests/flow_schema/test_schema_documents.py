"""The JSON Schema explains every field, agrees with the models, and its TypeScript compiles."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flow_schema.export import flow_typescript, turns_typescript
from flow_schema.flow import RESERVED_NAMES, Flow
from flow_schema.json_schema import PLATFORM_NAMES, flow_schema_document, turns_schema_document
from flow_schema.nodes import NODE_KINDS
from flow_schema.turns import ConversationStatus, Message, MessageRole, TextContent, TurnReply
from flow_schema.typescript import Declarations, UnsupportedSchemaError
from flow_schema.validation import read_flow, validate
from tests.flow_schema.good_flow import good_flow, node, survey

FLOW = flow_schema_document()
TURNS = turns_schema_document()


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, item in schema.get("properties", {}).items():
            if isinstance(item, dict):
                yield f"{path}/{name}", item
        for key, value in schema.items():
            if key != "default":
                yield from properties(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from properties(value, f"{path}/{index}")


@pytest.mark.parametrize("document", [FLOW, TURNS], ids=["flow", "turns"])
def test_every_field_has_a_title_and_a_description(document: dict[str, Any]) -> None:
    found = dict(properties(document))
    assert len(found) > 80
    assert [
        path for path, item in found.items() if not item.get("title") or not item.get("description")
    ] == []
    for path, item in found.items():
        assert item["title"][0].isupper(), path
        assert item["description"].endswith((".", "?", "`")), (path, item["description"])


def test_every_object_is_described_and_closed() -> None:
    for name, schema in FLOW["$defs"].items():
        if name != "JsonValue":
            assert schema.get("description"), name
            assert schema["additionalProperties"] is False, name


def test_every_field_that_may_be_left_out_says_its_default() -> None:
    for name, schema in [("Flow", FLOW), *FLOW["$defs"].items()]:
        for key, item in schema.get("properties", {}).items():
            assert key in schema.get("required", ()) or "default" in item, (name, key)


def test_defaults_are_what_the_models_use() -> None:
    document = good_flow()
    explicit = json.loads(json.dumps(document))
    for item in explicit["nodes"]:
        for key, schema in FLOW["$defs"][NODE_KINDS[item["type"]].__name__]["properties"].items():
            if "default" in schema and key not in item:
                item[key] = schema["default"]
        data = FLOW["$defs"][NODE_KINDS[item["type"]].__name__]["properties"]["data"]["$ref"].rsplit("/", 1)[
            -1
        ]
        for key, schema in FLOW["$defs"][data]["properties"].items():
            if "default" in schema and key not in item["data"]:
                item["data"][key] = schema["default"]
    assert Flow.model_validate(explicit) == Flow.model_validate(document)


def test_limits_are_there() -> None:
    definitions = FLOW["$defs"]
    assert definitions["HttpRequest"]["properties"]["timeout"]["x-maximum"] == "PT5M"
    assert definitions["QuestionData"]["properties"]["retries"]["maximum"] == 20
    assert FLOW["properties"]["nodes"]["maxItems"] == 2_000
    for path, item in properties(FLOW):
        alternatives = [item, *item.get("anyOf", ())]
        for one in alternatives:
            if one.get("format") == "duration":
                assert {"x-minimum", "x-maximum"} <= one.keys(), path
            if one.get("type") == "array":
                assert "maxItems" in one, path


def test_marks_reach_the_schema() -> None:
    holds = set(re.findall(r'"x-holds": "([a-z-]+)"', json.dumps(FLOW)))
    assert holds >= {
        "text", "template", "value", "formula", "variable-write", "flow", "node", "schedule",
        "model-instructions", "model", "pattern", "jmespath", "json-schema", "timezone",
    }  # fmt: skip
    assert FLOW["$defs"]["HttpRequest"]["properties"]["url"]["x-secrets"] is True
    assert "x-secrets" not in FLOW["$defs"]["Redirect"]["properties"]["url"]


def test_exits_stand_in_the_schema_and_are_the_ones_that_nodes_have() -> None:
    for kind, model in NODE_KINDS.items():
        definition = FLOW["$defs"][model.__name__]
        names = [entry["exit"] for entry in definition["x-exits"]]
        assert names, kind
        assert all(f"`{name}`" in definition["description"] for name in names)
    for item in Flow.model_validate(good_flow()).nodes:
        allowed = [
            re.compile(re.escape(rule.name).replace("<id>", ".+"))
            for rule in NODE_KINDS[item.type].exit_rules
        ]
        for way in item.exits():
            assert any(form.fullmatch(way.id) for form in allowed), (item.id, way.id)


def test_the_platform_s_names_are_explained() -> None:
    assert set(PLATFORM_NAMES) == RESERVED_NAMES
    for name in PLATFORM_NAMES:
        assert f"`{name}`" in FLOW["description"]


VALIDATOR = Draft202012Validator(FLOW)


@pytest.mark.parametrize("document", [FLOW, TURNS], ids=["flow", "turns"])
def test_the_documents_are_json_schemas(document: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(document)
    text = json.dumps(document)
    for reference in re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text):
        assert reference in document["$defs"]


@pytest.mark.parametrize("document", [good_flow(), survey()])
def test_good_flows_fit_the_schema(document: dict[str, Any]) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("node_id", "key", "value"),
    [
        ("hello", "text", 5),
        ("hello", "text", {"spanish": "Hola"}),
        ("hello", "text", {}),
        ("hello", "surprise", 1),
        ("ask", "retries", 99),
        ("ask", "options", [{"id": "a b", "label": "x"}]),
        ("mail", "field", {"kind": "mail"}),
        ("mail", "save_to", "1st"),
    ],
)
def test_what_the_models_refuse_the_schema_refuses(node_id: str, key: str, value: Any) -> None:
    document = good_flow()
    node(document, node_id)["data"][key] = value
    assert list(VALIDATOR.iter_errors(document))
    with pytest.raises(ValueError, match="validation error"):
        Flow.model_validate(document)


def test_replies_fit_the_schema_of_what_is_received() -> None:
    reply = TurnReply(
        conversation_id="c",
        message_id="m",
        status=ConversationStatus.ACTIVE,
        last_seq=1,
        messages=[
            Message(
                seq=1,
                role=MessageRole.ASSISTANT,
                content=TextContent(text="Hola"),
                created_at="2026-11-22T10:00:00Z",  # type: ignore[arg-type]
            )
        ],
    )
    validator = Draft202012Validator({**TURNS, "$ref": "#/$defs/TurnReply"})
    received = reply.model_dump(mode="json")
    assert list(validator.iter_errors(received)) == []
    del received["messages"][0]["content"]["type"]
    assert list(validator.iter_errors(received))


def test_typescript_has_no_any_and_names_the_unions() -> None:
    for text in (flow_typescript(), turns_typescript()):
        code = re.sub(r'/\*.*?\*/|//[^\n]*|"[^"\n]*"', "", text, flags=re.DOTALL)
        assert not re.search(r"\bany\b|\bunknown\b", code)
    assert "export type Node =" in flow_typescript()
    assert "action: Action;" in flow_typescript()
    assert "field: InputField;" in flow_typescript()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer64"},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "patternProperties": {"a": {}, "b": {}}},
    ],
)
def test_typescript_refuses_what_it_does_not_know(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedSchemaError):
        Declarations({"$defs": {"X": schema}}).render("")


def test_typescript_of_small_schemas() -> None:
    definitions = {
        "A-b": {"type": "object", "properties": {"x-y": {"type": "integer"}, "z": {}}, "required": ["z"]},
        "C": {"anyOf": [{"$ref": "#/$defs/A-b"}, {"type": "null"}], "description": "One */ line."},
        "D": {"type": "array", "items": {"enum": ["a", 1]}},
        "E": {"type": "object", "additionalProperties": {"type": "boolean"}},
    }
    text = Declarations({"$defs": definitions}).render("// x\n")
    assert 'export interface Ab {\n  "x-y"?: number;\n  z: JsonValue;\n}' in text
    assert "/** One *\\/ line. */\nexport type C = Ab | null;" in text
    assert 'export type D = ("a" | 1)[];' in text
    assert "export type E = { [key: string]: boolean };" in text


USE = """
import type { Flow, Node, Text } from "./flow";
import type { BotMessage, VisitorInput } from "./turns";
const hello: Node = { id: "a", type: "message", data: { text: { es: "Hola" } } };
export const flow: Flow = { name: "x", nodes: [hello] };
export const table: { [K in Node["type"]]: (node: Extract<Node, { type: K }>) => unknown } = {
  start: (node) => node.data?.triggers, message: (node) => node.data.text, ai: (node) => node.data.task.kind,
  question: (node) => node.data.options, input: (node) => node.data.field.kind,
  condition: (node) => node.data.branches, api_call: (node) => node.data.request.url,
  webhook: (node) => node.data.webhook.kind, action: (node) => node.data.action.kind,
};
export function shown(message: BotMessage): string {
  return message.type === "choices" ? message.options.map((option) => option.label).join() : message.type;
}
export const sent: VisitorInput = { type: "text", text: "hi" };
export const text: Text = { template: "x" };
// @ts-expect-error the data is missing
export const wrong: Node = { id: "a", type: "message" };
// @ts-expect-error there is no such kind
export const unknown: Node["type"] = "nothing";
"""


def test_the_compiler_accepts_the_types(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    local = [root / part / "node_modules" / ".bin" / "tsc" for part in ("dashboard", "widget", ".")]
    tsc = next((str(path) for path in local if path.exists()), shutil.which("tsc"))
    if tsc is None:
        pytest.skip("no TypeScript compiler is installed")
    (tmp_path / "flow.d.ts").write_text(flow_typescript())
    (tmp_path / "turns.d.ts").write_text(turns_typescript())
    (tmp_path / "use.ts").write_text(USE)
    options = [
        "--strict",
        "--noEmit",
        "--exactOptionalPropertyTypes",
        "--target",
        "es2022",
        "--module",
        "es2022",
    ]
    files = ["use.ts", "flow.d.ts", "turns.d.ts"]
    done = subprocess.run(
        [tsc, *options, "--moduleResolution", "bundler", *files], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_examples_of_the_page_are_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "flow-language.md").read_text(encoding="utf-8")
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)]
    assert len(examples) == 5
    for example in examples:
        if "nodes" in example:
            flow, findings = read_flow(example)
            assert findings == []
            assert flow is not None
            assert validate(flow) == []
        else:
            NODE_KINDS[example["type"]].model_validate(example)
