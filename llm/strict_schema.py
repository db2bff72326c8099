"""JSON Schemas in the dialect that constrained decoding understands.

Vendors accept a subset: every object closed, every property required, few keywords. An optional property is
therefore sent as required but nullable, and `drop_nulls` takes those nulls out of the answer again, so that
the answer can be validated against the schema as its author wrote it.
"""

from __future__ import annotations

from typing import Any

_KEPT = frozenset({"type", "enum", "const", "description", "title", "$ref"})
Schema = dict[str, Any]


def strict_schema(schema: Schema) -> Schema | None:
    """Return the strict form of a schema; None if it has none (open objects, `oneOf` and the like)."""
    if schema.get("type") != "object":
        return None
    try:
        return _strict(schema)
    except _InexpressibleError:
        return None


class _InexpressibleError(Exception):
    pass


def _strict(schema: Any) -> Schema:
    if not isinstance(schema, dict) or {"oneOf", "allOf", "not", "if", "patternProperties"} & schema.keys():
        raise _InexpressibleError
    result: Schema = {key: value for key, value in schema.items() if key in _KEPT}
    if "anyOf" in schema:
        result["anyOf"] = [_strict(branch) for branch in schema["anyOf"]]
    if "$defs" in schema:
        result["$defs"] = {name: _strict(value) for name, value in schema["$defs"].items()}
    kinds = schema.get("type")
    if not result.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
        raise _InexpressibleError
    if kinds == "array" or (isinstance(kinds, list) and "array" in kinds):
        result["items"] = _strict(schema.get("items"))
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        properties = schema.get("properties")
        if not properties or isinstance(schema.get("additionalProperties"), dict):
            raise _InexpressibleError
        required = set(schema.get("required", []))
        result["properties"] = {
            name: _strict(value) if name in required else _nullable(_strict(value))
            for name, value in properties.items()
        }
        result["required"] = list(properties)
        result["additionalProperties"] = False
    return result


def _nullable(schema: Schema) -> Schema:
    kinds = schema.get("type")
    if isinstance(kinds, str) and "enum" not in schema and "const" not in schema:
        return schema if kinds == "null" else {**schema, "type": [kinds, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def drop_nulls(value: Any, schema: Any) -> Any:
    """Remove from an answer the nulls that stand for absent optional properties, at every depth."""
    if isinstance(value, list) and isinstance(schema, dict):
        return [drop_nulls(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict) or not isinstance(schema, dict):
        return value
    required = set(schema.get("required", []))
    properties = schema.get("properties", {})
    return {
        name: drop_nulls(item, properties.get(name, {}))
        for name, item in value.items()
        if item is not None or name in required or _admits_null(properties.get(name))
    }


def _admits_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    kinds = schema.get("type")
    if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        return True
    return any(_admits_null(branch) for branch in schema.get("anyOf", []) if isinstance(branch, dict))
