"""Requests made from the API's own description, so that a new route is tested without being listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from api.app import create_app
from api.permissions import ACCOUNT, BY_OPERATION
from core.settings import Settings

OVERRIDES: dict[str, dict[str, Any]] = {
    "put_sso_provider": {"issuer": "http://127.0.0.1:1", "client_id": "x", "domains": ["x.example"]}
}
"""Bodies that the description can't give: a provider that answers nothing at once."""


@dataclass(frozen=True)
class Operation:
    """An operation of the team: how it is asked for."""

    name: str
    method: str
    path: str
    parameters: tuple[str, ...]
    body: dict[str, Any] | None
    query: dict[str, Any]


def operations() -> list[Operation]:
    """Every operation that is not public."""
    document = create_app(Settings(secret_key=SecretStr("x" * 40))).openapi()
    schemas = document["components"]["schemas"]
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            if name not in BY_OPERATION and name not in ACCOUNT:
                continue
            parameters = operation.get("parameters", [])
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            body = OVERRIDES.get(name) or (_example(schema, schemas) if schema else None)
            found.append(
                Operation(
                    name,
                    method.upper(),
                    path.removeprefix("/api/v1"),
                    tuple(one["name"] for one in parameters if one["in"] == "path"),
                    body,
                    {
                        one["name"]: _example(one["schema"], schemas)
                        for one in parameters
                        if one["in"] == "query" and one.get("required")
                    },
                )
            )
    return found


def _example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """The first example of a schema, else the least that it takes."""
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _example(schema[choice][0], schemas)
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            return {name: _example(schema["properties"][name], schemas) for name in required}
        case "array":
            return [_example(schema["items"], schemas)] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return "x" * max(schema.get("minLength", 1), 8)
