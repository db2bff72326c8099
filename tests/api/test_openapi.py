"""The API's description is complete: whoever generates a client from it needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.permissions import PUBLIC
from core.settings import Settings

METHODS = {"get", "post", "put", "delete", "patch"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(secret_key=SecretStr("x" * 40))).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in METHODS:
                yield path, method, operation


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names = []
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert len(operation["description"]) > 5, (path, method)
        assert operation["tags"], (path, method)
        names.append(operation["operationId"])
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (path, method, parameter["name"])
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)


def test_every_error_is_a_documented_problem(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            assert answer["description"], (path, method, status)
            assert answer["description"] != "Successful Response", (path, method, status)
            if int(status) >= 400 and not path.startswith("/health"):
                assert answer["content"] == PROBLEM, (path, method, status)
        if path.startswith("/health"):
            continue
        documented = set(operation["responses"])
        assert "503" in documented, (path, method)
        if operation["operationId"] not in PUBLIC:
            assert "401" in documented, (path, method)
            assert operation["security"], (path, method)
        if "{" in path:
            assert "404" in documented or method == "put", (path, method)
        if operation.get("requestBody"):
            assert {"413", "415"} <= documented, (path, method)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    for reference in walk(document):
        assert reference.startswith("#/components/schemas/"), reference
        assert reference.rsplit("/", 1)[-1] in schemas, reference
    assert {"Problem", "TokensEvent", "StatusEvent", "TranscriptMessage"} <= schemas.keys()


def test_models_describe_their_members(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for member, about in schema.get("properties", {}).items():
            assert about.get("description") or "$ref" in about, (name, member)


def test_chat_shows_examples(document: dict[str, Any]) -> None:
    request = document["components"]["schemas"]["ChatRequest"]
    assert [example["input"]["type"] for example in request["examples"]] == ["start", "text"]
