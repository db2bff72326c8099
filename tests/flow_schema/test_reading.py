"""Documents of every kind become a flow or findings, never an exception."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from flow_schema.fields import PATTERN_WORDS
from flow_schema.flow import canonical_json, content_hash
from flow_schema.json_schema import flow_schema_document
from flow_schema.reading import MAX_DEPTH, MAX_FLOW_BYTES
from flow_schema.validation import CODES, ValidationContext, read_flow, validate
from tests.flow_schema.good_flow import edge, good_flow, node

KEYS = st.sampled_from([
    "id", "type", "data", "kind", "text", "action", "task", "nodes", "edges", "source", "target",
    "name", "field", "options", "variables", "settings", "schema_version", "template", "es", "test",
    "rules",
]) | st.text(max_size=8)  # fmt: skip
WORDS = st.sampled_from([
    "start", "message", "question", "input", "condition", "ai", "api_call", "webhook", "action", "wait",
    "{{x}}", "{{", "PT1S", "es", "rules", "group", "set_variables", "next", "option:a", "a",
    "javascript:",
])  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(st.characters(), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_object_is_judged(document: dict[str, Any]) -> None:
    flow, findings = read_flow(document)
    assert (flow is None) == bool(findings)
    assert all(item.code in CODES and item.severity == CODES[item.code][0] for item in findings)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | VALUES.map(json.dumps) | st.text(max_size=100))
def test_any_bytes_and_texts_are_judged(data: bytes | str) -> None:
    flow, findings = read_flow(data)
    assert (flow is None) == bool(findings)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in items:
        found += _places(item, (*path, key))
    return found


PLACES = _places(good_flow())


@settings(max_examples=400, deadline=None)
@example([(("nodes", 7, "data", "task", "tools", 0, "parameters", "type"), float("inf"))])
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES | st.just("delete")), min_size=1, max_size=4))
def test_a_damaged_flow_is_judged(damages: list[tuple[tuple[Any, ...], Any]]) -> None:
    document: Any = good_flow()
    for (*way, last), value in damages:
        target = document
        try:
            for key in way:
                target = target[key]
            if value == "delete":
                del target[last]
            else:
                target[last] = value
        except (KeyError, IndexError, TypeError):
            continue
    flow, findings = read_flow(document)
    assert (flow is None) == bool(findings)
    if flow is not None:
        for item in validate(flow, ValidationContext(flows={}, secrets=set(), templates=set())):
            assert item.code in CODES
        assert read_flow(canonical_json(flow))[0] == flow


def codes(data: Any) -> list[str]:
    flow, findings = read_flow(data)
    assert flow is None
    return [item.code for item in findings]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe{}", "invalid-json"),
        (b"", "invalid-json"),
        ("{", "invalid-json"),
        ('{"name": NaN}', "invalid-json"),
        ('{"name": -Infinity}', "invalid-json"),
        ('{"name": 1' + "0" * 5_000 + "}", "invalid-json"),
        ("[" * 1_000 + "]" * 1_000, "too-deep"),
        ("[" * 200_000, "too-deep"),
        ('{"a":' * 1_000 + "1" + "}" * 1_000, "too-deep"),
        ('{"name": "a", "name": "b"}', "duplicate-key"),
        ('{"name": "\\u0000"}', "invalid-text"),
        ('{"name": "\\ud800"}', "invalid-text"),
        ('{"\\ud800": 1}', "invalid-text"),
        ("[]", "invalid-value"),
        ("null", "invalid-value"),
        (b" " * (MAX_FLOW_BYTES + 1), "too-large"),
        ({1: 2}, "invalid-value"),
    ],
)
def test_what_is_no_flow_at_all(data: Any, code: str) -> None:
    assert codes(data) == [code]


def test_documents_that_hold_themselves_end() -> None:
    document: dict[str, Any] = {}
    document["a"] = document["b"] = document
    assert codes(document) == ["too-deep"]


def test_the_depth_is_bounded_where_it_says() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(levels - 3):
            value = [value]
        return {**good_flow(), "variables": [{"name": "deep", "type": "list", "default": value}]}

    assert "too-deep" not in [item.code for item in read_flow(nested(MAX_DEPTH))[1]]
    assert codes(nested(MAX_DEPTH + 1)) == ["too-deep"]


def test_a_repeated_key_is_shown_where_it_is() -> None:
    text = json.dumps(good_flow()).replace('"id": "hello"', '"id": "hello", "id": "hello"')
    (item,) = read_flow(text)[1]
    assert (item.code, item.path) == ("duplicate-key", "/nodes/1/id")


def test_all_findings_come_at_once_with_node_and_path() -> None:
    document = good_flow()
    node(document, "hello")["data"]["text"] = 5
    node(document, "ask")["data"]["optionz"] = []
    node(document, "mail")["data"].pop("save_to")
    node(document, "mail")["data"]["retries"] = 99
    node(document, "check")["data"]["branches"][0]["test"]["rules"][1]["rules"][0]["operator"] = "like"
    node(document, "rate")["type"] = "acton"
    node(document, "human")["data"]["action"]["kind"] = "escalade"
    edge(document, "e1")["target"] = "no way"
    document["surprise"] = 1
    found = {(item.code, item.node_id or item.edge_id, item.path) for item in read_flow(document)[1]}
    assert found == {
        ("invalid-value", "hello", "/nodes/1/data/text"),
        ("unknown-field", "ask", "/nodes/2/data/optionz"),
        ("missing-field", "mail", "/nodes/3/data/save_to"),
        ("invalid-value", "mail", "/nodes/3/data/retries"),
        ("invalid-value", "check", "/nodes/5/data/branches/0/test/rules/1/rules/0/operator"),
        ("unknown-kind", "human", "/nodes/11/data/action"),
        ("unknown-kind", "rate", "/nodes/12"),
        ("invalid-value", "e1", "/edges/0/target"),
        ("unknown-field", None, "/surprise"),
    }


@pytest.mark.parametrize(
    "text", [5, None, [], {}, {"es": 5}, {"spanish": "Hola"}, {"template": 5}, {"template": "a", "es": "b"}]
)
def test_a_text_of_the_wrong_form_is_one_finding(text: Any) -> None:
    document = good_flow()
    node(document, "ask")["data"]["text"] = text
    (item,) = read_flow(document)[1]
    assert item.node_id == "ask"
    assert item.path.startswith("/nodes/2/data/text")
    assert not re.search(r"constrained|function|Tag", item.message)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("mail.retries", "3"),
        ("mail.retries", 2.5),
        ("mail.retries", True),
        ("mail.required", "yes"),
        ("mail.required", 1),
        ("mail.no_reply_after", 30),
        ("mail.no_reply_after", "3 days"),
        ("mail.no_reply_after", "00:30:00"),
        ("mail.no_reply_after", "30"),
        ("mail.no_reply_after", "P"),
        ("mail.no_reply_after", "PT"),
        ("mail.no_reply_after", "-PT5M"),
        ("mail.no_reply_after", "PT٥M"),
        ("hello.typing_seconds", "1.5"),
        ("ask.multiple", "yes"),
        ("ask.searchable", 0),
    ],
)
def test_values_of_another_type_are_refused_by_the_server_and_the_schema(place: str, value: Any) -> None:
    name, field = place.split(".")
    document = good_flow()
    node(document, name)["data"][field] = value
    (item,) = read_flow(document)[1]
    assert (item.code, item.node_id, item.path.rsplit("/", 1)[-1]) == ("invalid-value", name, field)
    assert list(Draft202012Validator(flow_schema_document()).iter_errors(document))


@pytest.mark.parametrize("duration", ["PT30S", "P3D", "PT1.5S", "P1DT2H3M4S", "P2W", "P1Y35DT5S", "PT0.5S"])
def test_durations_are_iso_8601(duration: str) -> None:
    document = good_flow()
    document["settings"]["debounce"] = "PT0S"
    node(document, "look")["data"]["request"]["timeout"] = "PT20S"
    node(document, "mail")["data"]["no_reply_after"] = duration
    flow, findings = read_flow(document)
    assert (flow is None) == (duration == "PT0.5S"), findings  # at least one second
    assert not list(Draft202012Validator(flow_schema_document()).iter_errors(document))


@pytest.mark.parametrize("days", [1, 7, 365, 400, 3650])
def test_durations_that_were_stored_are_read_again(days: int) -> None:
    document = good_flow()
    node(document, "mail")["data"]["no_reply_after"] = f"P{days}DT1S" if days < 3650 else "P3650D"
    flow, _ = read_flow(document)
    assert flow is not None
    assert read_flow(canonical_json(flow))[0] == flow
    assert read_flow(flow.model_dump(mode="json"))[0] == flow


def test_what_react_flow_keeps_for_drawing_is_left_out() -> None:
    document = good_flow()
    for item in document["nodes"]:
        item |= {
            "width": 150, "height": 40.5, "measured": {"width": 150, "height": 40}, "selected": True,
            "dragging": False, "style": {"color": "red"}, "sourcePosition": "right",
        }  # fmt: skip
    for item in document["edges"]:
        item |= {"targetHandle": None, "type": "smoothstep", "animated": True, "markerEnd": {"type": "arrow"}}
    document |= {"viewport": {"x": 0, "y": 0, "zoom": 1}, "$schema": "flow.schema.json"}
    before = json.dumps(document)
    flow, findings = read_flow(document)
    assert findings == []
    assert flow is not None
    assert json.dumps(document) == before
    plain, _ = read_flow(good_flow())
    assert plain is not None
    assert content_hash(flow) == content_hash(plain)
    node(document, "ask")["wdth"] = 5
    assert codes(document) == ["unknown-field"]


@pytest.mark.parametrize(
    ("button", "words", "fix"),
    [
        ({}, "needs `url` or `reply`", "Set one of"),
        ({"url": "https://a.org", "reply": "hi"}, "only one of `url` and `reply`", "remove the rest"),
    ],
)
def test_a_choice_says_what_is_there_and_what_to_do(button: dict[str, str], words: str, fix: str) -> None:
    document = good_flow()
    node(document, "hello")["data"]["cards"] = [{"title": "1", "buttons": [{"label": "1", **button}]}]
    (item,) = read_flow(document)[1]
    assert words in item.message
    assert fix in item.fix


def test_every_pattern_has_words_for_people() -> None:
    text = json.dumps(flow_schema_document())
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\\\]|\\\\.)*")', text))
    patterns |= set(re.findall(r'"patternProperties": \{("(?:[^"\\\\]|\\\\.)*")', text))
    assert len(patterns) > 6
    assert {json.loads(pattern) for pattern in patterns} <= PATTERN_WORDS.keys()


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("nodes", 0, "id"), "no way", "letters, digits"),
        (("settings", "schedules", 0, "hours", 0, "start"), "9:00", "`HH:MM`"),
        (("settings", "schedules", 0, "closed_dates", 0), "25/12", "`YYYY-MM-DD`"),
        (("variables", 0, "name"), "mi país", "without accents"),
        (("language",), "Spanish", "`es`"),
    ],
)
def test_forms_are_told_in_words(place: tuple[str | int, ...], value: str, words: str) -> None:
    document: Any = good_flow()
    *way, last = place
    target = document
    for key in way:
        target = target[key]
    target[last] = value
    item = read_flow(document)[1][0]
    assert words in item.message
    assert not re.search(r"[\[\]^$]", item.message.replace("[0]", ""))
    assert "schema describes" not in item.fix


def test_versions() -> None:
    assert codes({**good_flow(), "schema_version": 2}) == ["unsupported-version"]
    assert codes({**good_flow(), "schema_version": "1"}) == ["unsupported-version"]
    old = {**good_flow(), "schema_version": 0}
    for item in old["edges"]:
        item["source_handle"] = item.pop("sourceHandle", "next")
    node(old, "hello")["parent"] = node(old, "hello").pop("parentId")
    flow, findings = read_flow(old)
    assert findings == []
    assert flow is not None
    expected, _ = read_flow(good_flow())
    assert expected is not None
    assert canonical_json(flow) == canonical_json(expected)


@pytest.mark.parametrize("field", ["nodes", "edges"])
def test_an_old_flow_with_the_wrong_shape_is_refused(field: str) -> None:
    for value in (5, None, [5], [None], {"a": 1}):
        assert codes({**good_flow(), "schema_version": 0, field: value})


def test_bytes_text_and_objects_give_the_same_flow() -> None:
    text = json.dumps(good_flow())
    flows = [
        read_flow(data)[0] for data in (text, text.encode(), b"\xef\xbb\xbf" + text.encode(), good_flow())
    ]
    assert flows[0] is not None
    assert all(flow == flows[0] for flow in flows)


def test_reading_leaves_the_document_as_it_was() -> None:
    document = {**good_flow(), "schema_version": 0}
    before = json.dumps(document)
    read_flow(document)
    assert json.dumps(document) == before
