"""Structured extraction and classification: the request, the reading, the repair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llm.answer import read_json
from llm.classification import NO_LABEL, classification_request, read_classification
from llm.credentials import ProviderCredentials
from llm.errors import InvalidRequest, MalformedOutput
from llm.extraction import extraction_request, read_extraction, repair_request
from llm.fallbacks import complete_with_fallbacks
from llm.protocol import ChatMessage, Label, ModelResult, Usage
from llm.registry import ProviderRegistry
from llm.strict_schema import drop_nulls, strict_schema
from tests.peers.llm_peer import PeerAnswer, RecordedCall, create_llm_peer, serve_llm_peer

BOOKING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "people": {"type": "integer", "minimum": 1, "maximum": 20},
        "email": {"type": "string", "format": "email"},
        "room": {"type": "string", "enum": ["single", "double"]},
    },
    "required": ["name", "people"],
    "additionalProperties": False,
}
LABELS = [
    Label(name="Order status", description="Where a parcel is", examples=["where is my order"]),
    Label(name="refund", examples=["I want my money back"]),
]


def answered(text: str, parsed: Any = None) -> ModelResult:
    return ModelResult(
        model="p/m", provider="p", text=text, parsed=parsed, finish_reason="stop", usage=Usage(), latency_ms=1
    )


def test_valid_fields_come_back_without_the_nulls_of_absent_ones() -> None:
    answer = answered('{"name": "Ana", "people": 2, "email": null, "room": null}')
    assert read_extraction(answer, BOOKING) == {"name": "Ana", "people": 2}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"name": "Ana", "people": 0}', "people"),
        ('{"name": "Ana"}', "people"),
        ('{"name": null, "people": 2}', "name"),
        ('{"name": "Ana", "people": 2, "room": "suite"}', "room"),
        ('{"name": "Ana", "people": 2, "extra": 1}', "extra"),
        ("[1]", "not a JSON object"),
        ("I could not find anything.", "not a JSON object"),
        ("", "not a JSON object"),
    ],
)
def test_invalid_answers_say_what_is_wrong(text: str, where: str) -> None:
    with pytest.raises(MalformedOutput, match=where) as caught:
        read_extraction(answered(text), BOOKING)
    assert caught.value.raw == text


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '```json\n{"a": 1}\n```',
        'Here you are:\n```\n{"a": 1}\n```\nAnything else?',
        'The answer is {"a": 1}. Bye {',
        '  {"a": 1}\n',
    ],
)
def test_json_is_found_in_its_wrappings(text: str) -> None:
    assert read_json(text) == {"a": 1}


@given(st.text(alphabet='{}[]":,1a \n`', max_size=60))
def test_reading_json_never_fails(text: str) -> None:
    read_json(text)


def test_json_of_any_depth_is_only_not_read() -> None:
    assert read_json("[" * 50_000) is None


def test_a_schema_that_is_none_is_refused() -> None:
    for schema in ({"type": "string"}, {"type": "object", "properties": {"a": {"type": "nonsense"}}}):
        with pytest.raises(InvalidRequest):
            extraction_request("x", schema, model="m")


def test_history_leaves_out_tools_and_instructions() -> None:
    history = [
        ChatMessage(role="system", content="secret"),
        ChatMessage(role="assistant", content="Your name?"),
    ]
    request = extraction_request("Ana", BOOKING, model="m", history=history, today="2026-11-22")
    assert [message.role for message in request.messages] == ["system", "assistant", "user"]
    assert "2026-11-22" in request.messages[0].content


kinds = st.sampled_from(["string", "integer", "number", "boolean"])
leaves = kinds.map(lambda kind: {"type": kind})
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        st.tuples(
            st.dictionaries(st.sampled_from("abcd"), inner, min_size=1), st.sets(st.sampled_from("abcd"))
        ).map(
            lambda pair: {
                "type": "object",
                "properties": pair[0],
                "required": sorted(pair[1] & pair[0].keys()),
                "additionalProperties": False,
            }
        ),
    ),
    max_leaves=8,
)


def smallest(schema: dict[str, Any], *, nulls: bool) -> Any:
    """The smallest value of a strict schema; with nulls wherever it allows them."""
    allowed = schema.get("type")
    if "anyOf" in schema:
        return None if nulls else smallest(schema["anyOf"][0], nulls=nulls)
    if isinstance(allowed, list):
        if nulls:
            return None
        return smallest({**schema, "type": allowed[0]}, nulls=nulls)
    if allowed == "object":
        return {name: smallest(value, nulls=nulls) for name, value in schema["properties"].items()}
    if allowed == "array":
        return [smallest(schema["items"], nulls=nulls)]
    return {"string": "", "integer": 0, "number": 0.5, "boolean": True}[str(allowed)]


@given(
    st.dictionaries(st.sampled_from("xyz"), trees, min_size=1), st.sets(st.sampled_from("xyz")), st.booleans()
)
def test_every_strict_answer_is_valid_by_the_authors_schema(
    properties: dict[str, Any], required: set[str], nulls: bool
) -> None:
    schema = {"type": "object", "properties": properties, "required": sorted(required & properties.keys())}
    strict = strict_schema(schema)
    assert strict is not None
    Draft202012Validator.check_schema(strict)
    value = smallest(strict, nulls=nulls)
    assert Draft202012Validator(strict).is_valid(value)
    assert Draft202012Validator(schema).is_valid(drop_nulls(value, schema))


def test_schemas_without_a_strict_form_have_none() -> None:
    assert strict_schema({"type": "object"}) is None
    assert strict_schema({"type": "object", "properties": {"a": {}}}) is None
    assert strict_schema({"type": "object", "properties": {"a": {"oneOf": []}}}) is None


def test_a_null_that_the_schema_wants_stays() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "string"}}}
    assert drop_nulls({"a": None, "b": None, "c": None}, schema) == {"a": None, "c": None}


@pytest.fixture(scope="module")
def repairing_peer() -> Iterator[tuple[str, list[RecordedCall]]]:
    def script(call: RecordedCall) -> PeerAnswer:
        repaired = any(message["role"] == "assistant" for message in call.body["messages"])
        return PeerAnswer(
            text='{"name": "Ana", "people": 3}' if repaired else '{"name": "Ana", "people": 99}'
        )

    app = create_llm_peer(script)
    with serve_llm_peer(app) as address:
        yield address, app.state.calls


@pytest.mark.parametrize("model", ["gpt-4o", "claude-opus-5-5"])
async def test_one_repair_mends_the_answer(
    repairing_peer: tuple[str, list[RecordedCall]], model: str
) -> None:
    address, calls = repairing_peer
    calls.clear()
    registry = ProviderRegistry(
        ProviderCredentials(
            openai_api_key="k",
            openai_base_url=f"{address}/v1",
            anthropic_api_key="k",
            anthropic_base_url=address,
        )
    )
    request = extraction_request("a table for 3, Ana", BOOKING, model=model, idempotency_key="v:1")
    first = await complete_with_fallbacks(registry, request)
    with pytest.raises(MalformedOutput) as caught:
        read_extraction(first, BOOKING)
    second = await complete_with_fallbacks(
        registry, repair_request(request, caught.value, idempotency_key="v:2")
    )
    assert read_extraction(second, BOOKING) == {"name": "Ana", "people": 3}
    assert [call.headers["idempotency-key"] for call in calls] == ["v:1", "v:2"]
    assert "99 is greater than the maximum of 20" in str(calls[1].body["messages"][-1])
    await registry.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"label": "refund", "confidence": 0.9}', ("refund", 0.9)),
        ('{"label": "order  STATUS", "confidence": 7}', ("Order status", 1.0)),
        ('{"label": "refund"}', ("refund", 0.5)),
        ('{"label": "refund", "confidence": true}', ("refund", 0.5)),
        (f'{{"label": "{NO_LABEL}", "confidence": 0.8}}', (None, 0.8)),
        ("Refund.", ("refund", 0.5)),
    ],
)
def test_labels_are_read(text: str, expected: tuple[str | None, float]) -> None:
    assert read_classification(answered(text), LABELS) == expected


@pytest.mark.parametrize(
    "text", ["", '{"label": "weather"}', '{"label": null}', "[]", "I think it is a refund"]
)
def test_an_answer_without_a_label_is_not_none_of_them(text: str) -> None:
    with pytest.raises(MalformedOutput):
        read_classification(answered(text), LABELS)


def test_a_classification_names_labels_descriptions_and_examples() -> None:
    request = classification_request("mi pedido", LABELS, model="m", language="es")
    system = request.messages[0].content
    assert all(part in system for part in ("Order status", "Where a parcel is", "I want my money back"))
    assert request.messages[-1].content == "mi pedido"
    assert request.response_schema is not None
    assert request.response_schema["properties"]["label"]["enum"] == ["Order status", "refund", NO_LABEL]
    with pytest.raises(ValueError, match="labels"):
        classification_request("x", [], model="m")
