"""The JSON Schemas of the flow language and of the turns, explained well enough to write flows by them alone.

Pydantic gives most of them. Added here: what a schema can't express by itself (how edges, exits, formulas and
templates work), each kind's exits, the defaults that are made by functions, and the titles that pydantic
leaves out where a field is called like its type.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import to_jsonable_python
from pydantic_core.core_schema import DataclassField, ModelField, TypedDictField

from flow_schema.fields import Model
from flow_schema.flow import Flow
from flow_schema.nodes import NODE_KINDS
from flow_schema.turns import (
    BotMessage,
    ConversationSnapshot,
    ConversationStatus,
    Message,
    Refusal,
    TeamAction,
    TeamReply,
    TurnReply,
    VisitorInput,
)

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

PLATFORM_NAMES: Final[dict[str, str]] = {
    "conversation": "`id`, `started_at`, `turns`, `mode` (`live` or `test`) and `tags` of the conversation",
    "visitor": "`id` and whatever the site says about the visitor, such as `visitor.name`",
    "page": "`url`, `title`, `referrer` of the page, `trigger` (`kind`, `name`, `data` of what opened the "
    "conversation) and `events` that the site sent",
    "channel": "where the conversation takes place, such as `web`",
    "language": "the conversation's language, such as `es`",
    "last_message": "the visitor's last message as text",
    "last_reply": "the bot's last text",
    "secrets": "`secrets.NAME`, only in requests (`x-secrets`); never shown or stored",
    "args": "a model's arguments, only in the request of a tool",
    "callback_url": "the one-time address, only in a `webhook` that waits",
}
"""The names that formulas may read without declaring them, and what they hold."""

FLOW_EXPLANATION: Final = """\
A conversation drawn as a graph. A flow is one JSON object; unknown keys are errors. What \
React Flow keeps for drawing (`measured`, `selected`, `style`, `targetHandle`, `viewport` and the like) is \
left out when a flow is read, though it is not listed here.

Walking. A conversation enters at the one node of the kind `start` and follows edges. An edge leaves node \
`source` through its exit `sourceHandle` (default `next`) and leads to node `target`; each exit has at most \
one edge. `x-exits` of each node kind lists its exits: reserved names, or `option:<id>`, `branch:<id>`, \
`tool:<id>` with the id of an entry of that node. A node runs without pause into the next one until a node \
waits for the visitor, a person, a call or a timer; at most `settings.max_steps_per_turn` nodes a turn. A \
loop therefore needs something in it that waits.

Ends. An exit without an edge ends the conversation (inside a flow that another flow runs: returns), and \
validation warns unless that is ordinary; an `end` action says it on purpose. Exceptions stand in `x-exits`: \
an `error` without an edge parks the conversation until an operator acts, an option without an edge takes \
`next`, `other` and `invalid` without an edge ask again.

Texts (`x-holds: text`) are Markdown: one string, or an object of language to string such as \
`{"es": "Hola", "en": "Hello"}`, or `{"template": "name"}` for a response template of the organization. \
`languages` declares the languages. Any text, and every field with `x-holds` `template` or `value`, may hold \
formulas between double braces: `Hola {{ name }}`. In a `value`, a string that is nothing but one \
`{{ formula }}` becomes the formula's value with its type.

Formulas (`x-holds: formula`, and inside `{{ }}`) use Python's operators over variables and a fixed set of \
functions: `price * 1.21`, `plan == "pro" and seats > 5`, `order.lines[0].name`, `length(cart) > 0`, \
`name if name else "you"`. Keys of objects are read by a dot or by brackets; what is missing is null. There \
are no methods and no loops; the `script` action runs JavaScript.

Variables are declared in `variables`; only then may a node set (`x-holds: variable-write`) or a formula \
read them. Values are coerced to the declared type. The platform provides these names:
"""

TURNS_EXPLANATION: Final = """\
What chat clients and the team's inbox exchange with a running conversation. A client sends a `VisitorInput` \
with a message id of its own making and gets a `TurnReply`; sending the same id again gives the same reply. \
`BotMessage` is everything a client must be able to show. Times are ISO 8601 in UTC.
"""


def flow_schema_document() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a flow document."""
    schema = Flow.model_json_schema(mode="validation")
    names = "".join(f"- `{name}`: {meaning}\n" for name, meaning in PLATFORM_NAMES.items())
    definitions = schema.pop("$defs")
    for kind in NODE_KINDS.values():
        definition = definitions[kind.__name__]
        definition["x-exits"] = [{"exit": rule.name, "taken": rule.taken} for rule in kind.exit_rules]
        listed = " ".join(f"`{rule.name}`: {rule.taken}" for rule in kind.exit_rules)
        definition["description"] = f"{definition['description']}\n\nExits. {listed}"
    document = {
        "$schema": DIALECT,
        "$id": "urn:versaai:flow:1",
        **schema,
        "description": FLOW_EXPLANATION + names,
        "$defs": definitions,
    }
    return _completed(document, {model.__name__: model for model in _subclasses(Model)})


def turns_schema_document() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of inputs, replies, messages and snapshots, each under `$defs`.

    What is sent may leave out fields with defaults; what is received holds all of them. Models that go both
    ways therefore come twice, the sent form with `Input` after its name.
    """
    adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        ("VisitorInput", "validation", TypeAdapter(VisitorInput)),
        ("TeamAction", "validation", TypeAdapter(TeamAction)),
        ("BotMessage", "serialization", TypeAdapter(BotMessage)),
    ]
    unions = {name for name, _, _ in adapters}
    for model in (TurnReply, Message, TeamReply, ConversationSnapshot, ConversationStatus, Refusal):
        adapters.append((model.__name__, "serialization", TypeAdapter(model)))
    places, rest = TypeAdapter.json_schemas(adapters, schema_generator=_EverythingPresent)
    definitions = rest["$defs"]
    for (name, _), schema in places.items():
        if name in unions:
            definitions[str(name)] = {"title": str(name), **schema}
    plain = json.dumps(definitions).replace('-Output"', '"').replace('-Input"', 'Input"')
    document = {
        "$schema": DIALECT,
        "$id": "urn:versaai:turns:1",
        "title": "Turns",
        "description": TURNS_EXPLANATION,
        "$defs": dict(sorted(json.loads(plain).items())),
    }
    return _completed(document, {})


class _EverythingPresent(GenerateJsonSchema):
    """What is received holds every field, also those that have defaults for those who make it."""

    def field_is_required(self, field: ModelField | DataclassField | TypedDictField, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _subclasses(child)


def _completed(document: dict[str, Any], models: dict[str, type[BaseModel]]) -> dict[str, Any]:
    """Adds titles, defaults and descriptions that pydantic leaves out, and closes maps with typed keys."""
    definitions = document["$defs"]
    for name, definition in [(document.get("title", ""), document), *definitions.items()]:
        fields = models[name].model_fields if name in models else {}
        for key, schema in definition.get("properties", {}).items():
            _complete_property(schema, fields.get(key), definitions)
    _close_maps(document)
    return document


def _complete_property(schema: dict[str, Any], field: FieldInfo | None, definitions: dict[str, Any]) -> None:
    target = definitions.get(str(schema.get("$ref", "")).rsplit("/", 1)[-1], {})
    for key in ("title", "description"):
        if key not in schema and key in target:
            schema[key] = target[key]
    if field is not None and field.default_factory is not None and "default" not in schema:
        value = field.get_default(call_default_factory=True, validated_data={})
        schema["default"] = to_jsonable_python(value, timedelta_mode="iso8601", exclude_none=True)


def _close_maps(schema: Any) -> None:
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for value in schema.values():
            _close_maps(value)
    elif isinstance(schema, list):
        for value in schema:
            _close_maps(value)
