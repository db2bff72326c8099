"""TypeScript declarations from the JSON Schemas: interfaces, literal unions, documentation; never `any`.

Covers what the schemas of this package use, and raises on anything else rather than guessing.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Final

JSON_VALUE: Final = (
    "/** Any JSON value. */\n"
    "export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };\n"
)
_RANGES: Final = (
    ("minimum", "maximum", ""),
    ("exclusiveMinimum", "exclusiveMaximum", " (exclusive)"),
    ("x-minimum", "x-maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " entries"),
    ("minProperties", "maxProperties", " entries"),
)
_FORMS: Final = {"pattern": "pattern", "format": "format", "x-holds": "holds"}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_WIDTH: Final = 110


class UnsupportedSchemaError(ValueError):
    """A schema uses something that has no translation here."""


class Declarations:
    """Translates one document; `unions` are names for unions that stand inside fields."""

    def __init__(self, document: Mapping[str, Any], unions: Mapping[str, str] | None = None) -> None:
        self._document = document
        self._definitions: Mapping[str, Any] = document["$defs"]
        self._names = {name: name.replace("-", "") for name in self._definitions}
        self._unions: dict[frozenset[str], str] = {}
        for name, place in (unions or {}).items():
            members = self._members(self._resolve(place))
            self._unions[frozenset(members)] = name

    def render(self, header: str) -> str:
        """The text of a `.d.ts` module."""
        parts = [header, JSON_VALUE]
        for members, name in self._unions.items():
            parts.append(f"export type {name} ={_spaced(_joined(sorted(members), ' | '))};\n")
        if self._document.get("properties"):
            parts.append(self._declaration(str(self._document["title"]), self._document))
        for name, schema in self._definitions.items():
            if name != "JsonValue":
                parts.append(self._declaration(self._names[name], schema))
        return "\n".join(parts)

    def _declaration(self, name: str, schema: Mapping[str, Any]) -> str:
        comment = _comment([str(schema.get("description", ""))], "")
        if schema.get("type") == "object" and "properties" in schema:
            return f"{comment}export interface {name} {self._interface(schema, '')}\n"
        return f"{comment}export type {name} ={_spaced(self._type(schema, '', whole=True))};\n"

    def _interface(self, schema: Mapping[str, Any], indent: str) -> str:
        inner = indent + "  "
        required = set(schema.get("required", ()))
        lines = ["{"]
        for key, item in schema["properties"].items():
            lines.append(_comment(_documentation(item), inner).rstrip("\n"))
            name = key if _IDENTIFIER.fullmatch(key) else json.dumps(key)
            mark = "" if key in required else "?"
            lines.append(f"{inner}{name}{mark}: {self._type(item, inner)};")
        if schema.get("additionalProperties") not in (False, None):
            raise UnsupportedSchemaError("properties beside additional properties")
        lines.append(indent + "}")
        return "\n".join(line for line in lines if line)

    def _type(self, schema: Mapping[str, Any], indent: str, *, whole: bool = False) -> str:
        """The type of a schema; `whole` means that it is a union's own declaration."""
        if "$ref" in schema:
            return self._referred(schema["$ref"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._union(schema[key], indent, whole=whole)
        if "allOf" in schema:
            if len(schema["allOf"]) != 1:
                raise UnsupportedSchemaError("allOf of several schemas")
            return self._type(schema["allOf"][0], indent)
        if "const" in schema:
            return json.dumps(schema["const"], ensure_ascii=False)
        if "enum" in schema:
            return _joined([json.dumps(value, ensure_ascii=False) for value in schema["enum"]], " | ")
        return self._plain(schema, indent)

    def _plain(self, schema: Mapping[str, Any], indent: str) -> str:
        match schema.get("type"):
            case "string":
                return "string"
            case "integer" | "number":
                return "number"
            case "boolean":
                return "boolean"
            case "null":
                return "null"
            case "array":
                item = self._type(schema.get("items", {}), indent)
                return f"({item})[]" if " | " in item or "\n" in item else f"{item}[]"
            case "object" if "properties" in schema:
                return self._interface(schema, indent)
            case "object":
                return f"{{ [key: string]: {self._map_value(schema, indent)} }}"
            case None:
                return "JsonValue"
            case other:
                raise UnsupportedSchemaError(f"type {other!r}")

    def _map_value(self, schema: Mapping[str, Any], indent: str) -> str:
        patterns = list(schema.get("patternProperties", {}).values())
        if len(patterns) > 1:
            raise UnsupportedSchemaError("several patternProperties")
        if patterns:
            return self._type(patterns[0], indent)
        values = schema.get("additionalProperties", True)
        return "JsonValue" if isinstance(values, bool) else self._type(values, indent)

    def _union(self, alternatives: Iterable[Mapping[str, Any]], indent: str, *, whole: bool) -> str:
        types = list(dict.fromkeys(self._type(item, indent) for item in alternatives))
        name = self._unions.get(frozenset(types))
        if name is not None and not whole:
            return name
        return _joined(types, " | ")

    def _members(self, schema: Mapping[str, Any]) -> list[str]:
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return [self._type(item, "") for item in schema[key]]
        raise UnsupportedSchemaError("a named union that is no union")

    def _referred(self, reference: str) -> str:
        name: str = self._names[reference.removeprefix("#/$defs/")]
        return name

    def _resolve(self, place: str) -> Mapping[str, Any]:
        """The schema at a place such as `ActionData/properties/action`, relative to `$defs`, or from `#`."""
        value: Any = self._document if place.startswith("#/") else self._definitions
        for part in place.removeprefix("#/").split("/"):
            value = value[int(part)] if isinstance(value, list) else value[part]
        found: Mapping[str, Any] = value
        return found


def _documentation(schema: Mapping[str, Any]) -> list[str]:
    """A field's description, limits and default, as paragraphs."""
    title = str(schema.get("title", ""))
    text = str(schema.get("description", ""))
    lines = [f"{title}. {text}" if title and text else title or text]
    alternatives = [item for item in schema.get("anyOf", [schema]) if item.get("type") != "null"]
    limits = {**(alternatives[0] if len(alternatives) == 1 else {}), **schema}
    found = [_range(limits.get(low), limits.get(high), unit) for low, high, unit in _RANGES]
    found += [f"{words} `{limits[key]}`" for key, words in _FORMS.items() if key in limits]
    if any(found):
        lines.append("Limits: " + "; ".join(part for part in found if part) + ".")
    if schema.get("default") is not None and "const" not in schema:
        lines.append(f"Default: {json.dumps(schema['default'], ensure_ascii=False)}")
    return lines


def _range(low: object, high: object, unit: str) -> str:
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f"at least {low}{unit}" if high is None else f"at most {high}{unit}"
    return f"{low} to {high}{unit}"


def _comment(paragraphs: list[str], indent: str) -> str:
    lines = [
        line
        for text in paragraphs
        if text
        for paragraph in text.rstrip().replace("*/", "*\\/").split("\n")
        for line in textwrap.wrap(paragraph, _WIDTH - len(indent) - 3, break_long_words=False) or [""]
    ]
    if not lines:
        return ""
    if len(lines) == 1 and len(indent) + len(lines[0]) + 7 <= _WIDTH:
        return f"{indent}/** {lines[0]} */\n"
    body = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{body}{indent} */\n"


def _joined(types: list[str], sign: str) -> str:
    line = sign.join(types)
    if len(line) <= 90 or "\n" in line:
        return line
    return "\n" + "\n".join(f"  | {item}" for item in types)


def _spaced(text: str) -> str:
    return text if text.startswith("\n") else f" {text}"
