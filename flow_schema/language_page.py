"""docs/flow-language.md: an introduction written by hand, and a reference made from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from flow_schema.findings import CODES
from flow_schema.json_schema import PLATFORM_NAMES, flow_schema_document
from flow_schema.nodes import NODE_KINDS

_INTRODUCTION: Final = r"""# The flow language

A flow is a conversation drawn as a graph, and one JSON document everywhere: stored, exported, edited, run.
`versaai flow validate FILE` checks one, `generated/flow.schema.json` is its JSON Schema with every field
explained, `generated/flow.d.ts` its TypeScript types. Formulas have [a page of their own](expressions.md).

Nodes and edges have the shape that React Flow gives them, so an editor can send what it holds: sizes,
selection, styles, `targetHandle`, `viewport` and whatever else only drawing needs is left out when a flow is
read. Any other unknown key is an error, and so is a value of another type than the schema says: `"3"` is no
number, `"yes"` is not true, and a duration is ISO 8601 (`PT30S`, `P3D`), not a number of seconds.

## A first flow

```json
{
  "schema_version": 1,
  "name": "Greeting",
  "language": "en",
  "variables": [{"name": "name", "type": "string"}],
  "nodes": [
    {"id": "start", "type": "start"},
    {"id": "ask", "type": "input",
     "data": {"text": "What is your name?", "field": {"kind": "text"}, "save_to": "name"}},
    {"id": "hello", "type": "message", "data": {"text": "Hello {{ name }}!"}},
    {"id": "end", "type": "action", "data": {"action": {"kind": "end"}}}
  ],
  "edges": [
    {"id": "e1", "source": "start", "target": "ask"},
    {"id": "e2", "source": "ask", "target": "hello"},
    {"id": "e3", "source": "hello", "target": "end"}
  ]
}
```

## Nodes, exits, edges

A conversation enters at the one `start` node. Every node has exits; an edge leaves one of them
(`sourceHandle`, `next` if it says nothing) and leads to a node. An exit has at most one edge. Nodes run one
after the other until one waits: for the visitor (`question`, `input`, `csat`, an agent that talks on), for a
call (`webhook`), for a person (`escalate`) or for time (`wait`). A turn passes at most
`settings.max_steps_per_turn` nodes, so a loop needs something in it that waits, a condition that
counts, or a request that is tried again until it succeeds.

An exit without an edge ends the flow: the conversation, or the flow that another one runs, which then
returns. Validation warns of it where that is hardly meant. Four kinds of exits are different:

| exit without an edge | what happens |
|---|---|
| `error` | the conversation is stuck: the visitor hears `settings.stuck_text`, an operator can go on |
| `option:<id>` | `next` is taken |
| `other` of a question | the question is asked again |
| `invalid` of an input | the value is asked for again |

A question with one way for each option:

```json
{"id": "plan", "type": "question",
 "data": {"text": {"en": "Which plan?", "es": "¿Qué plan?"},
          "options": [{"id": "free", "label": {"en": "Free", "es": "Gratis"}},
                      {"id": "pro", "label": "Pro", "synonyms": ["professional"]}],
          "save_to": "plan", "no_reply_after": "PT10M"}}
```

Its edges leave from `option:free`, `option:pro` and `no_reply`; one from `other` takes answers that fit no
option. A condition works alike, with `branch:<id>` and `else`:

```json
{"id": "size", "type": "condition",
 "data": {"branches": [
   {"id": "large", "test": {"kind": "expression", "formula": "seats > 50"}},
   {"id": "known", "test": {"kind": "rules", "match": "all", "rules": [
      {"type": "rule", "left": "email", "operator": "ends_with", "right": "@example.org"},
      {"type": "rule", "left": "plan", "operator": "in", "right": ["pro", "team"]}]}}]}}
```

## Texts, variables, secrets

A text is one string, or an object of language to string, or `{"template": "name"}` for a response template,
which publishing replaces by its text. Texts are Markdown and may hold formulas: `{{ order.total * 1.21 }}`.
With several `languages`, a visitor reads the exact language, else its base (`es` for `es-MX`), else the
flow's.

Variables are declared with a type, and values are coerced to it wherever they enter: answers, inputs of the
site, parts of HTTP answers, results of formulas.

| type | takes | holds |
|---|---|---|
| `string` | anything; lists and objects as they read | text |
| `number` | numbers, and texts such as `3.5`, `3,5`, `1.234,5` | number |
| `boolean` | true and false, 1 and 0, `yes`, `no`, `sí`, `true`, `false` | true or false |
| `date` | `2026-12-31`, `31/12/2026`, the day of a date with time | `2026-12-31` |
| `datetime` | `2026-12-31T18:30`, with an offset if need be; a day | `2026-12-31T18:30:00` |
| `list`, `object` | lists, objects, or their JSON as text | a copy |

An empty value (null) fits every type. A value that does not fit is refused with the reason: an answer is
asked for again, a step fails; a value that the site gives is left out.

Secrets never stand in a flow. `{{ secrets.NAME }}` reads one in the address, query, headers or body of a
request, and nowhere else; the value is put in when the request is sent.

A request that fills variables:

```json
{"id": "order", "type": "api_call",
 "data": {"request": {"method": "GET",
                      "url": "https://api.example.org/orders/{{ url_encode(number) }}",
                      "headers": {"Authorization": "Bearer {{ secrets.SHOP_KEY }}"}},
          "mapping": [{"variable": "status", "path": "order.status"}]}}
```

## Other flows

`run_flow` runs another flow of the bot and returns. The other flow declares which of its variables are
inputs and outputs:

```json
{"id": "survey", "type": "action",
 "data": {"action": {"kind": "run_flow", "flow": "survey",
                     "inputs": {"customer": "name"}, "outputs": {"score": "rating"}}}}
```

Each flow has its own schedules, AI defaults and timezone; without a timezone it takes that of the flow that
runs it. Inactivity, debounce, the most steps of a turn and the texts when stuck or closed are the main
flow's.

## What visitors type

Answers are read in Spanish and English alike, whatever the conversation's language. The bot's own phrases,
such as the request to write a number, exist in these two; in other languages it says the English ones.
Numbers and days follow the visitor's region: `12/3/2026` is the third of December for a browser set to
`en-US`, the twelfth of March elsewhere.

| field | takes, beside the exact form |
|---|---|
| `number` | `1.234,5`, `20 euros`, `unos 30`, `ciento veinte`; not `12.34.56`, `20 o 30` |
| `date` | `24 de diciembre`, `24/12`, `el viernes`, `dentro de 3 días`, `Dec 24th` |
| `date_range` | `del 24 al 26 de diciembre`, `24/12/2026 y 26/12/2026`, `Monday to Friday` |
| `time` | `las 10`, `5 y media de la tarde`, `half past five`, `mediodía` |
| `rating` | `4/5`, `cuatro estrellas`, `⭐⭐⭐⭐` |
| `consent` | `Sí, acepto`, `por supuesto`, `of course`; every word must agree, so not `sí, pero…` |
| `url` | `mi web es www.ejemplo.es` |

A day without its year is the coming one, or the last one where `latest` allows none later. A time that does
not say its half of the day is the one within the limits. What has no single meaning is asked for again. How
answers find options stands under [Matching](#matching).
"""


def language_page() -> str:
    """The whole page in Markdown."""
    document = flow_schema_document()
    return "\n".join([_INTRODUCTION, *_exits(), *_names(), *_findings(), *_reference(document)])


def _exits() -> Iterator[str]:
    yield from ("## Kinds and their exits", "", "| kind | exit | taken when |", "|---|---|---|")
    for kind, model in NODE_KINDS.items():
        for index, rule in enumerate(model.exit_rules):
            yield f"| {f'`{kind}`' if index == 0 else ''} | `{rule.name}` | {_cell(rule.taken)} |"
    yield ""


def _names() -> Iterator[str]:
    yield from ("## Names the platform provides", "", "| name | holds |", "|---|---|")
    for name, meaning in PLATFORM_NAMES.items():
        yield f"| `{name}` | {_cell(meaning)} |"
    yield ""


def _findings() -> Iterator[str]:
    yield from (
        "## What validation finds",
        "",
        "Errors block publishing, warnings do not. Codes are stable.",
        "",
        "| code | severity | meaning |",
        "|---|---|---|",
    )
    for code, (severity, meaning) in CODES.items():
        yield f"| `{code}` | {severity} | {_cell(meaning)} |"
    yield ""


def _reference(document: dict[str, Any]) -> Iterator[str]:
    yield from ("## Reference", "", "Every object and its fields. A field without a default is required.", "")
    yield from _object("Flow", {**document, "description": "The whole document."})
    for name, schema in document["$defs"].items():
        if schema.get("type") == "object":
            yield from _object(name, schema)


def _object(name: str, schema: dict[str, Any]) -> Iterator[str]:
    description = str(schema.get("description", "")).split("\n\nExits.")[0]
    yield from (
        f"### {name}",
        "",
        description,
        "",
        "| field | type | default | meaning |",
        "|---|---|---|---|",
    )
    required = set(schema.get("required", ()))
    for key, item in schema.get("properties", {}).items():
        default = "" if key in required else f"`{_short(item.get('default'))}`"
        yield f"| `{key}` | {_type(item)} | {default} | {_cell(str(item['description']))} |"
    yield ""


def _type(schema: dict[str, Any]) -> str:
    """A field's type in a few words, with its limits."""
    if "x-holds" in schema and schema["x-holds"] in ("text", "model-instructions"):
        return "text"
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return "JSON" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(item) for item in schema[key]))
    if "const" in schema:
        return f"`{_short(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object":
        values: Any = schema.get("additionalProperties")
        for pattern in schema.get("patternProperties", {}).values():
            values = pattern
        return f"object of {_type(values)}" if isinstance(values, dict) else "object"
    words = str(schema.get("format", schema.get("x-holds", schema.get("type", "JSON"))))
    low = schema.get("minimum", schema.get("exclusiveMinimum", schema.get("x-minimum")))
    high = schema.get("maximum", schema.get("x-maximum"))
    if low is not None and high is not None:
        return f"{words}, {low} to {high}"
    return words


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
