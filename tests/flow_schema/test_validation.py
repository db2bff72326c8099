"""Each finding of validation: one change to a good flow gives exactly that finding, at that place."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from flow_schema.checks.names import check_names
from flow_schema.checks.subject import Subject
from flow_schema.fields import Role
from flow_schema.flow import Flow
from flow_schema.references import FieldUse
from flow_schema.validation import (
    CODES,
    FlowInterface,
    ValidationContext,
    has_errors,
    read_flow,
    validate,
)
from tests.flow_schema.good_flow import edge, good_flow, node, survey

Change = Callable[[dict[str, Any]], None]


def load(document: dict[str, Any]) -> Flow:
    flow, findings = read_flow(document)
    assert flow is not None, findings
    return flow


def context(**changes: Any) -> ValidationContext:
    known: dict[str, Any] = {
        "slug": "main",
        "flows": {"survey": load(survey())},
        "secrets": {"API_KEY"},
        "templates": {"goodbye"},
        "collections": {"manuals"},
        "models": {"openai/*", "anthropic/claude-sonnet"},
        "is_usable_model": lambda model: "keyless" not in model,
    }
    return ValidationContext(**{**known, **changes})


def put(place: str, value: Any) -> Change:
    """Sets a value at `node.key.key...`; numbers are places in lists."""

    def change(flow: dict[str, Any]) -> None:
        name, *way = place.split(".")
        target: Any = flow if name == "flow" else node(flow, name)["data"]
        for key in way[:-1]:
            target = target[int(key)] if isinstance(target, list) else target[key]
        if isinstance(target, list):
            target[int(way[-1])] = value
        else:
            target[way[-1]] = value

    return change


def add(section: str, *items: dict[str, Any]) -> Change:
    return lambda flow: flow[section].extend(items)


def link(source: str, handle: str, target: str, edge_id: str = "x1") -> dict[str, Any]:
    return {"id": edge_id, "source": source, "sourceHandle": handle, "target": target}


def cut(edge_id: str) -> Change:
    return lambda flow: flow["edges"].remove(edge(flow, edge_id))


def aim(edge_id: str, target: str) -> Change:
    return lambda flow: edge(flow, edge_id).update(target=target)


def both(*changes: Change) -> Change:
    def change(flow: dict[str, Any]) -> None:
        for one in changes:
            one(flow)

    return change


def say(node_id: str, text: str = "42") -> dict[str, Any]:
    return {"id": node_id, "type": "message", "data": {"text": text}}


def action(node_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "action", "data": {"action": fields}}


def no_start(flow: dict[str, Any]) -> None:
    flow["nodes"] = [item for item in flow["nodes"] if item["id"] != "start"]
    flow["edges"] = [item for item in flow["edges"] if item["source"] != "start"]


COUNTER: list[dict[str, Any]] = [
    action("raise", kind="set_variables", assignments=[{"variable": "amount", "formula": "amount + 1"}]),
    {
        "id": "enough",
        "type": "condition",
        "data": {"branches": [{"id": "yes", "test": {"kind": "expression", "formula": "amount > 3"}}]},
    },
]
FIELD = "mail.field"
RULE = "check.branches.0.test.rules.0"
URL = "look.request.url"

CASES: list[tuple[str, str, Change, list[tuple[str, str | None]]]] = [
    # --- the graph
    ("no start", "missing-start", both(no_start, put("flow.settings.inactivity_target", None)), [("", None)]),
    (
        "two starts",
        "several-starts",
        both(add("nodes", {"id": "s2", "type": "start"}), add("edges", link("s2", "next", "bye"))),
        [("", "s2")],
    ),
    ("node id twice", "duplicate-id", add("nodes", say("hello")), [("/nodes/14/id", "hello")]),
    (
        "edge id twice",
        "duplicate-id",
        both(cut("e2"), add("edges", link("hello", "next", "ask", "e1"))),
        [("/edges/18/id", None)],
    ),
    ("group named like a node", "duplicate-id", add("groups", {"id": "ask"}), [("/groups/1/id", None)]),
    ("variable twice", "duplicate-id", add("variables", {"name": "topic"}), [("/variables/7/name", None)]),
    (
        "option twice",
        "duplicate-id",
        lambda flow: node(flow, "ask")["data"]["options"].append({"id": "order", "label": "3"}),
        [("/nodes/2/data/options/2/id", "ask")],
    ),
    (
        "branch twice",
        "duplicate-id",
        both(put("check.branches.1.id", "big"), cut("e9")),
        [("/nodes/5/data/branches/1/id", "check")],
    ),
    (
        "schedule twice",
        "duplicate-id",
        lambda flow: flow["settings"]["schedules"].append(flow["settings"]["schedules"][0]),
        [("/settings/schedules/1/id", None)],
    ),
    (
        "edge to nowhere",
        "unknown-node",
        add("edges", link("read", "error", "nobody")),
        [("/edges/19/target", None)],
    ),
    (
        "edge from nowhere",
        "unknown-node",
        add("edges", link("nobody", "next", "ask")),
        [("/edges/19/source", None)],
    ),
    (
        "go_to nowhere",
        "unknown-node",
        both(put("add.action", {"kind": "go_to", "target": "nobody"}), cut("e16")),
        [("/nodes/9/data/action/target", "add")],
    ),
    (
        "inactivity to nowhere",
        "unknown-node",
        put("flow.settings.inactivity_target", "nobody"),
        [("/settings/inactivity_target", None)],
    ),
    ("edge from no exit", "unknown-exit", add("edges", link("hello", "sent", "ask")), [("", "hello")]),
    ("edge of an end", "unknown-exit", add("edges", link("bye", "next", "ask")), [("", "bye")]),
    ("two edges", "several-edges", add("edges", link("hello", "next", "mail")), [("/edges/19", "hello")]),
    ("no such group", "unknown-group", put("flow.groups", []), [("/nodes/1/parentId", "hello")]),
    ("nothing leads there", "unreachable-node", add("nodes", say("alone")), [("/nodes/14", "alone")]),
    ("no way on", "dangling-exit", cut("e17"), [("/nodes/10", "sub")]),
    ("option without an edge", "dangling-exit", cut("e4"), [("/nodes/2", "ask")]),
    (
        "an answer that is not waited for",
        "dead-exit",
        add("edges", link("ask", "no_reply", "mail")),
        [("/edges/19", "ask")],
    ),
    # --- loops
    (
        "messages in a circle",
        "endless-loop",
        both(
            add("nodes", say("a"), say("b")),
            aim("e1", "a"),
            add("edges", link("a", "next", "b"), link("b", "next", "a", "x2")),
        ),
        [("", "a")],
    ),
    (
        "a message after itself",
        "endless-loop",
        aim("e2", "hello"),
        [("/nodes/1", "hello")],
    ),
    (
        "a circle through go_to",
        "endless-loop",
        both(add("nodes", action("back", kind="go_to", target="hello")), aim("e2", "back")),
        [("/nodes/1", "hello")],
    ),
    (
        "a wait of no length",
        "endless-loop",
        both(
            add("nodes", action("pause", kind="wait", duration="PT0S")),
            aim("e2", "pause"),
            add("edges", link("pause", "next", "hello")),
        ),
        [("/nodes/1", "hello")],
    ),
    (
        "an error that is tried again at once",
        "counted-loop",
        aim("e7", "look"),
        [("/nodes/4", "look")],
    ),
    (
        "an error that is told and tried again",
        "counted-loop",
        both(add("nodes", say("again")), aim("e7", "again"), add("edges", link("again", "next", "look"))),
        [("/nodes/4", "look")],
    ),
    (
        "a request whose success is asked for again, and whose error leads nowhere",
        "endless-loop",
        both(aim("e6", "look"), cut("e7")),
        [("/nodes/4", "look")],
    ),
    (
        "a callback whose request fails, again and again",
        "counted-loop",
        add("edges", link("call", "error", "call")),
        [("/nodes/8", "call")],
    ),
    (
        "a condition that decides the same each time",
        "endless-loop",
        both(
            add("nodes", COUNTER[1]),
            aim("e11", "enough"),
            add("edges", link("enough", "branch:yes", "add"), link("enough", "else", "enough", "x2")),
        ),
        [("", "enough")],
    ),
    (
        "a counter",
        "counted-loop",
        both(
            add("nodes", *COUNTER),
            aim("e11", "raise"),
            add(
                "edges",
                link("raise", "next", "enough"),
                link("enough", "branch:yes", "add", "x2"),
                link("enough", "else", "raise", "x3"),
            ),
        ),
        [("/nodes/15", "enough")],
    ),
    # --- names
    ("a formula cut short", "bad-expression", put("add.action.assignments.0.formula", "1 +"), [("", "add")]),
    (
        "braces left open",
        "bad-expression",
        put("hello.text.en", "Hi {{ topic"),
        [("/nodes/1/data/text/en", "hello")],
    ),
    (
        "a text with a call of nothing",
        "bad-expression",
        put("hello.text.en", "{{ nothing() }}"),
        [("", "hello")],
    ),
    (
        "several bad formulas in one text, and a name after them",
        "bad-expression",
        put("hello.text.en", "{{ 1 + }} {{ topic }} {{ nothing() }} {{ 'a }} {{ topic "),
        [("/nodes/1/data/text/en", "hello")] * 4,
    ),
    ("reading what is not there", "unknown-variable", put("hello.text.en", "{{ topik }}"), [("", "hello")]),
    (
        "reading it in a body",
        "unknown-variable",
        put("look.request.body.mail", "{{ x }}"),
        [("/nodes/4/data/request/body/mail", "look")],
    ),
    ("reading it in a rule", "unknown-variable", put(RULE + ".left", "orders.total"), [("", "check")]),
    (
        "reading it in the settings",
        "unknown-variable",
        put("flow.settings.stuck_text", "{{ x }}"),
        [("/settings/stuck_text", None)],
    ),
    (
        "setting what is not there",
        "unknown-target-variable",
        put("mail.save_to", "mial"),
        [("/nodes/3/data/save_to", "mail")],
    ),
    (
        "setting it from an answer",
        "unknown-target-variable",
        put("look.mapping.0.variable", "ordr"),
        [("", "look")],
    ),
    ("unused", "unused-variable", add("variables", {"name": "spare"}), [("/variables/7", None)]),
    (
        "a secret in a message",
        "misplaced-secret",
        put("hello.text.en", "{{ secrets.API_KEY }}"),
        [("", "hello")],
    ),
    (
        "a secret in a formula",
        "misplaced-secret",
        put("add.action.assignments.0.formula", "secrets.API_KEY"),
        [("", "add")],
    ),
    (
        "all secrets",
        "misplaced-secret",
        put("look.request.headers.Authorization", "{{ json(secrets) }}"),
        [("", "look")],
    ),
    (
        "no such secret",
        "unknown-secret",
        put("look.request.headers.Authorization", "{{ secrets.KEY }}"),
        [("", "look")],
    ),
    ("callback_url elsewhere", "misplaced-name", put("hello.text.en", "{{ callback_url }}"), [("", "hello")]),
    ("args elsewhere", "misplaced-name", put("look.request.body.mail", "{{ args.x }}"), [("", "look")]),
    (
        "args in the callback's request",
        "misplaced-name",
        put("call.webhook.request.body.x", "{{ args.x }}"),
        [("", "call")],
    ),
    # --- what lies outside
    (
        "no such flow",
        "unknown-flow",
        put("sub.action", {"kind": "run_flow", "flow": "surveys"}),
        [("", "sub")],
    ),
    (
        "no such input",
        "unknown-input",
        put("sub.action.inputs", {"whom": "email"}),
        [("/nodes/10/data/action/inputs/whom", "sub")],
    ),
    ("an output as input", "unknown-input", put("sub.action.inputs", {"score": "1"}), [("", "sub")]),
    ("no such output", "unknown-output", put("sub.action.outputs", {"who": "topic"}), [("", "sub")]),
    (
        "a tool's argument that its flow does not take",
        "unknown-input",
        put(
            "agent.task.tools.0",
            {
                "kind": "flow",
                "id": "find",
                "description": "Asks",
                "flow": "survey",
                "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
            },
        ),
        [("/nodes/7/data/task/tools/0/parameters/properties/x", "agent")],
    ),
    (
        "no such schedule",
        "unknown-schedule",
        put("check.branches.1.test.schedule", "nights"),
        [("", "check")],
    ),
    ("no such template", "unknown-template", put("bye.action.text.template", "good-bye"), [("", "bye")]),
    ("a model of nobody", "unknown-model", put("read.model", "gpt-4o"), [("", "read")]),
    ("no such model", "unknown-model", put("read.model", "anthropic/claude"), [("", "read")]),
    ("a model without a key", "unconfigured-model", put("read.model", "openai/keyless"), [("", "read")]),
    # --- values
    (
        "a look-ahead",
        "bad-pattern",
        put(FIELD, {"kind": "text", "pattern": "(?=a)"}),
        [("/nodes/3/data/field/pattern", "mail")],
    ),
    (
        "a bracket in a rule",
        "bad-pattern",
        put("check.branches.0.test.rules.1.rules.0.right", "[a"),
        [("", "check")],
    ),
    (
        "not JMESPath",
        "bad-path",
        put("look.mapping.0.path", "data..order"),
        [("/nodes/4/data/mapping/0/path", "look")],
    ),
    (
        "not a JSON Schema",
        "bad-json-schema",
        put("agent.task.tools.0.parameters", {"type": "objekt"}),
        [("", "agent")],
    ),
    (
        "a schema of a list",
        "bad-json-schema",
        put("agent.task.tools.0.parameters", {"type": "array"}),
        [("", "agent")],
    ),
    (
        "a schema elsewhere",
        "bad-json-schema",
        put(
            "agent.task.tools.0.parameters",
            {"type": "object", "properties": {"a": {"$ref": "http://x.org/a"}}},
        ),
        [("", "agent")],
    ),
    (
        "an extraction by a bad schema",
        "bad-json-schema",
        put("read.task", {"kind": "extract", "json_schema": {"type": 5}, "save_to": "order"}),
        [("/nodes/6/data/task/json_schema", "read")],
    ),
    (
        "no such timezone",
        "bad-timezone",
        put("flow.settings.timezone", "Europe/Madird"),
        [("/settings/timezone", None)],
    ),
    (
        "no such timezone of a schedule",
        "bad-timezone",
        put("flow.settings.schedules.0.timezone", "Mars/North"),
        [("/settings/schedules/0/timezone", None)],
    ),
    (
        "no such day",
        "bad-date",
        put("flow.settings.schedules.0.closed_dates", ["2026-02-30"]),
        [("/settings/schedules/0/closed_dates/0", None)],
    ),
    (
        "a script as an address",
        "bad-address",
        put("hello.media.0.url", "javascript:alert(1)"),
        [("", "hello")],
    ),
    (
        "a file as an address",
        "bad-address",
        put(URL, "file:///etc/passwd"),
        [("/nodes/4/data/request/url", "look")],
    ),
    ("an address without a scheme", "bad-address", put(URL, "api.example.org/x"), [("", "look")]),
    (
        "no e-mail address",
        "bad-address",
        put("add.action", {"kind": "send_email", "to": ["team"], "subject": "1", "body": "{{ tags }}"}),
        [("/nodes/9/data/action/to/0", "add")],
    ),
    (
        "a header with a line break",
        "bad-header",
        put("look.request.headers.X-A", "a\r\nb: c"),
        [("", "look")],
    ),
    (
        "a header with a blank",
        "bad-header",
        put("look.request.headers", {"X A": "{{ secrets.API_KEY }}"}),
        [("", "look")],
    ),
    ("content that is not sent", "bad-body", put("look.request.body_type", "none"), [("", "look")]),
    (
        "a form that is a list",
        "bad-body",
        both(put("look.request.body_type", "form"), put("look.request.body", [1])),
        [("", "look")],
    ),
    (
        "between one",
        "bad-comparison",
        put(RULE, {"left": "amount", "operator": "between", "right": [1]}),
        [("", "check")],
    ),
    (
        "in a number",
        "bad-comparison",
        put(RULE, {"left": "amount", "operator": "in", "right": 5}),
        [("", "check")],
    ),
    (
        "matches nothing",
        "bad-comparison",
        put(RULE, {"left": "topic", "operator": "matches"}),
        [("", "check")],
    ),
    (
        "greater than nothing",
        "bad-comparison",
        put(RULE, {"left": "amount", "operator": "greater"}),
        [("", "check")],
    ),
    (
        "empty with a value",
        "bad-comparison",
        put(RULE, {"left": "topic", "operator": "empty", "right": 1}),
        [("", "check")],
    ),
    (
        "more choices than options",
        "impossible-limits",
        both(
            put("ask.multiple", True),
            put("ask.min_choices", 3),
            put("ask.save_to", "tags"),
            lambda flow: flow.update(
                edges=[item for item in flow["edges"] if item["id"] not in ("e3", "e4")]
            ),
            add("edges", link("ask", "next", "check"), link("check", "branch:big", "mail", "x2")),
            cut("e8"),
            aim("e9", "agent"),
            aim("e10", "call"),
            aim("e6", "read"),
            aim("e15", "human"),
        ),
        [("/nodes/2/data/min_choices", "ask")],
    ),
    (
        "shortest above longest",
        "impossible-limits",
        put(FIELD, {"kind": "text", "min_length": 9, "max_length": 2}),
        [("/nodes/3/data/field", "mail")],
    ),
    (
        "smallest above largest",
        "impossible-limits",
        put(FIELD, {"kind": "number", "min": 9, "max": 2}),
        [("", "mail")],
    ),
    (
        "no whole number between",
        "impossible-limits",
        put(FIELD, {"kind": "number", "min": 1.2, "max": 1.8, "integer": True}),
        [("/nodes/3/data/field", "mail")],
    ),
    (
        "a day after the last",
        "impossible-limits",
        put(FIELD, {"kind": "date", "earliest": "'2026-12-31'", "latest": "date(2026, 12, 1)"}),
        [("/nodes/3/data/field", "mail")],
    ),
    (
        "a day before yesterday and after today",
        "impossible-limits",
        put(FIELD, {"kind": "date", "earliest": "today()", "latest": "add_days(today(), -2)"}),
        [("/nodes/3/data/field", "mail")],
    ),
    ("a country of nobody", "unknown-region", put(FIELD, {"kind": "phone", "region": "ZZ"}), [("", "mail")]),
    (
        "open for no time",
        "impossible-limits",
        put("flow.settings.schedules.0.hours.0.end", "09:00"),
        [("/settings/schedules/0/hours/0", None)],
    ),
    (
        "a default that is no number",
        "bad-default",
        put("flow.variables.2.default", "many"),
        [("/variables/2/default", None)],
    ),
    ("a file in a text", "type-mismatch", put(FIELD, {"kind": "file"}), [("/nodes/3/data/save_to", "mail")]),
    ("a number in a list", "type-mismatch", put("read.task.fields.0.variable", "tags"), [("", "read")]),
    ("a rating in an object", "type-mismatch", put("rate.action.save_to", "order"), [("", "rate")]),
    (
        "an option's id in a number",
        "bad-option-value",
        both(put("ask.save_to", "amount"), put("flow.variables.0.input", True)),
        [("/nodes/2/data/options/0", "ask"), ("/nodes/2/data/options/1", "ask")],
    ),
    (
        "an answer of any words in a number",
        "type-mismatch",
        both(
            put("ask.save_to", "amount"),
            put("ask.options.0.value", "1"),
            put("ask.options.1.value", "2,5"),
            put("flow.variables.0.input", True),
            add("edges", link("ask", "other", "mail")),
        ),
        [("/nodes/2/data/save_to", "ask")],
    ),
    # --- texts
    (
        "a message without words",
        "empty-text",
        both(put("hello.text", {"es": " ", "en": ""}), put("hello.media", [])),
        [("/nodes/1/data/text", "hello")],
    ),
    ("a question without words", "empty-text", put("ask.text", ""), [("/nodes/2/data/text", "ask")]),
    (
        "a label without words",
        "empty-text",
        put("ask.options.0.label", ""),
        [("/nodes/2/data/options/0/label", "ask")],
    ),
    (
        "two labels that are one",
        "duplicate-label",
        both(
            put("ask.options.0.label", {"es": "Un  pedido", "en": "Order"}),
            put("ask.options.1.label", {"es": "un pedido", "en": "Other"}),
        ),
        [("/nodes/2/data/options/1/label", "ask")],
    ),
    # --- languages
    (
        "a translation without words",
        "missing-texts",
        put("hello.text", {"es": "Hola", "en": " "}),
        [("/nodes/1/data/text", "hello")],
    ),
    (
        "a translation that is missing",
        "missing-texts",
        put("hello.text", {"es": "Hola"}),
        [("/nodes/1/data/text", "hello")],
    ),
    ("a text in one language alone", "missing-texts", put("hello.text", "Hola"), [("", "hello")]),
    ("the default language missing", "missing-texts", put("hello.text", {"en": "Hi"}), [("", "hello")]),
    ("one translation too many", "undeclared-language", put("hello.text.fr", "Salut"), [("", "hello")]),
    (
        "a language set that is not declared",
        "undeclared-language",
        put("add.action", {"kind": "set_language", "language": "fr"}),
        [("/nodes/9/data/action/language", "add")],
    ),
]


def test_the_good_flow_has_no_findings() -> None:
    assert validate(load(good_flow()), context()) == []
    assert validate(load(survey()), context()) == []


@pytest.mark.parametrize(
    ("code", "change", "places"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_one_change_gives_one_finding(
    code: str, change: Change, places: list[tuple[str, str | None]]
) -> None:
    document = good_flow()
    change(document)
    findings = validate(load(document), context())
    relevant = [item for item in findings if item.code == code]
    others = {item.code for item in findings} - {code}
    # What the change leaves behind by nature: nodes it cuts off and variables it no longer uses.
    assert others <= {"unreachable-node", "unused-variable", "dangling-exit"}, findings
    if code not in ("unreachable-node", "unused-variable", "dangling-exit"):
        assert not any(CODES[other][0] == "error" for other in others)
    assert len(relevant) == len(places), findings
    for item, (path, node_id) in zip(relevant, places, strict=True):
        assert item.severity == CODES[code][0]
        assert item.node_id == node_id
        if path:
            assert item.path == path
        assert item.message
        assert item.fix.endswith((".", "?"))
        if item.path:
            _resolve(document, item.path)


def _resolve(document: Any, path: str) -> Any:
    """The value at a JSON pointer, by the rules of RFC 6901."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for part in way:
        document = document[int(part)] if isinstance(document, list) else document[part]
    if isinstance(document, list):
        return document[int(last)]
    return document.get(last)


READING = {
    "too-large", "too-deep", "invalid-json", "duplicate-key", "invalid-text", "unsupported-version",
    "missing-field", "unknown-field", "unknown-kind", "invalid-value",
}  # fmt: skip
SEVERAL = {
    "setting-without-effect",
    "endless-recursion",
    "recursion",
    "flows-too-deep",
    "unknown-collection",
    "broken-caller",
}
"""Codes that need more than one flow, or a mark that no kind carries yet."""


def test_every_code_has_a_case() -> None:
    assert {case[1] for case in CASES} | READING | SEVERAL == set(CODES)


@pytest.mark.parametrize(
    "limits",
    [
        {"kind": "date", "earliest": "today()", "latest": "'2026-12-31'"},
        {"kind": "date", "earliest": "amount", "latest": "'1990-12-31'"},
        {"kind": "date", "earliest": "'2026-12-31'", "latest": "'2026-12-31'"},
        {"kind": "number", "min": 1.2, "max": 2, "integer": True},
        {"kind": "phone", "region": "MX"},
    ],
)
def test_limits_that_some_answer_satisfies_are_no_finding(limits: dict[str, Any]) -> None:
    document = good_flow()
    put(FIELD, limits)(document)
    assert [item.code for item in validate(load(document), context()) if item.severity == "error"] == []


def test_a_text_whose_formula_is_bad_still_reads_its_other_names() -> None:
    document = good_flow()
    document["variables"].append({"name": "spare"})
    node(document, "hello")["data"]["text"]["en"] = "{{ 1 + }} {{ spare }} {{ nobody }}"
    found = validate(load(document), context())
    assert [item.code for item in found] == ["bad-expression", "unknown-variable"]


def test_a_flow_is_judged_with_those_that_run_it() -> None:
    """The other side of unknown-input and unknown-output: the flow changes, its callers do not."""
    document = survey()
    callers = {"main": load(good_flow()), "idle": runner()}
    assert validate(load(document), context(slug="survey", flows=callers)) == []
    for variable in document["variables"]:
        variable["name"] += "_new"
    text = json.dumps(document)
    for variable in survey()["variables"]:
        text = re.sub(rf"\b{variable['name']}\b", variable["name"] + "_new", text)
    changed = load(json.loads(text))
    found = validate(changed, context(slug="survey", flows=callers))
    assert {item.code for item in found} == {"broken-caller"}
    assert len(found) == 2
    assert all("`main`" in item.message and "`sub`" in item.message for item in found)
    assert validate(changed, context(slug="other", flows=callers)) == []


def test_edges_name_themselves() -> None:
    document = good_flow()
    document["edges"].append(link("hello", "sent", "ask", "wrong"))
    assert [item.edge_id for item in validate(load(document), context())] == ["wrong"]


def test_what_is_not_known_is_not_checked() -> None:
    document = good_flow()
    node(document, "sub")["data"]["action"]["flow"] = "other"
    node(document, "bye")["data"]["action"]["text"] = {"template": "other"}
    node(document, "look")["data"]["request"]["headers"]["A"] = "{{ secrets.OTHER }}"
    node(document, "read")["data"]["model"] = "other/model"
    assert validate(load(document)) == []
    assert {item.code for item in validate(load(document), context())} == {
        "unknown-flow", "unknown-template", "unknown-secret", "unknown-model",
    }  # fmt: skip


def test_an_interface_is_enough_to_check_inputs() -> None:
    flows = {"survey": FlowInterface(inputs=frozenset({"who"}), outputs=frozenset())}
    assert [item.code for item in validate(load(good_flow()), context(flows=flows))] == ["unknown-output"]


def test_suggestions_name_what_was_probably_meant() -> None:
    document = good_flow()
    node(document, "mail")["data"]["save_to"] = "emial"
    (item,) = [item for item in validate(load(document), context()) if item.code == "unknown-target-variable"]
    assert "did you mean `email`?" in item.message


def test_errors_come_first_and_block() -> None:
    document = good_flow()
    document["variables"].append({"name": "spare"})
    assert not has_errors(validate(load(document), context()))
    node(document, "mail")["data"]["save_to"] = "missing"
    findings = validate(load(document), context())
    assert [item.severity for item in findings] == sorted(item.severity for item in findings)
    assert has_errors(findings)


def runner(*names: str, wait: bool = False) -> Flow:
    """A flow that runs others one after the other, with a question before or not."""
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "start"}]
    if wait:
        nodes.append(action("pause", kind="wait", duration="PT1M"))
    nodes += [action(f"run-{index}", kind="run_flow", flow=name) for index, name in enumerate(names)]
    nodes.append(action("end", kind="end"))
    edges = [
        link(first["id"], "next", second["id"], f"e{index}")
        for index, (first, second) in enumerate(pairwise(nodes))
    ]
    return load({"name": "r", "nodes": nodes, "edges": edges})


@pytest.mark.parametrize(
    ("flows", "codes"),
    [
        ({"main": runner("main")}, ["endless-recursion"]),
        ({"main": runner("main", wait=True)}, ["recursion"]),
        ({"main": runner("a"), "a": runner("b"), "b": runner("main")}, ["endless-recursion"]),
        ({"main": runner("a"), "a": runner("b", wait=True), "b": runner("main")}, ["recursion"]),
        ({"main": runner("a"), "a": runner("b"), "b": runner("a")}, []),
        ({"main": runner("a", "a"), "a": runner("b"), "b": runner()}, []),
        ({f"f{n}": runner(f"f{n + 1}") for n in range(19)} | {"f19": runner()}, []),
        ({f"f{n}": runner(f"f{n + 1}") for n in range(20)} | {"f20": runner()}, ["flows-too-deep"]),
    ],
)
def test_flows_that_run_one_another(flows: dict[str, Flow], codes: list[str]) -> None:
    name, flow = next(iter(flows.items()))
    found = validate(
        flow, context(slug=name, flows={key: flow for key, flow in flows.items() if key != name})
    )
    assert [item.code for item in found] == codes


@pytest.mark.parametrize(("wait", "codes"), [(False, ["endless-loop"]), (True, [])])
def test_a_loop_through_a_flow_waits_if_that_flow_does(wait: bool, codes: list[str]) -> None:
    main = load(
        {
            "name": "m",
            "nodes": [{"id": "start", "type": "start"}, action("run", kind="run_flow", flow="a")],
            "edges": [link("start", "next", "run", "e1"), link("run", "next", "run", "e2")],
        }
    )
    found = validate(main, context(flows={"a": runner("b"), "b": runner(wait=wait)}))
    assert [item.code for item in found] == codes


def test_large_flows_take_time_in_proportion() -> None:
    """Four times the nodes take about four times the work, counted by calls and not by a clock."""
    small, large = _work(250), _work(1_000)
    assert large < small * 4 * 1.5


def _work(count: int) -> int:
    nodes = [{"id": "start", "type": "start"}] + [
        say(f"n{n}", f"{{{{ x{n} }}}} {{{{ amount }}}}") for n in range(count)
    ]
    edges = [
        link(first["id"], "next", second["id"], f"e{n}") for n, (first, second) in enumerate(pairwise(nodes))
    ]
    edges.append(link(nodes[-1]["id"], "next", nodes[1]["id"], "back"))
    flow = load(
        {"name": "x", "nodes": nodes, "edges": edges, "variables": [{"name": "amount", "type": "number"}]}
    )
    calls = 0

    def count_calls(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count_calls)
    try:
        validate(flow)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(("name", "codes"), [("manuals", []), ("manual", ["unknown-collection"])])
def test_collections_are_checked_by_their_mark(name: str, codes: list[str]) -> None:
    subject = Subject(load(survey()), context())
    marked = FieldUse(Role.COLLECTION, name, "/nodes/1/data/collections/0", False, (subject.flow.nodes[1],))
    subject.uses = [*subject.uses, ("ask", marked)]
    found = list(check_names(subject))
    assert [item.code for item in found] == codes
    assert all("did you mean `manuals`?" in item.message for item in found)


def test_options_without_edges_are_covered_by_next() -> None:
    document = good_flow()
    document["edges"].remove(edge(document, "e3"))
    document["edges"].append(link("ask", "next", "mail"))
    assert validate(load(document), context()) == []


def test_settings_of_the_conversation_have_no_effect_in_a_flow_that_others_run() -> None:
    document = survey()
    document["settings"] = {
        "inactivity_timeout": "PT1H",
        "debounce": "PT2S",
        "max_steps_per_turn": 50,
        "stuck_text": "Oh",
        "timezone": "Asia/Tokyo",
        "ai": {"model": "openai/gpt-4o"},
    }
    flow = load(document)
    found = [
        item
        for item in validate(flow, context(slug="survey", flows={}))
        if item.code == "setting-without-effect"
    ]
    assert [item.path for item in found] == [
        "/settings/inactivity_timeout",
        "/settings/max_steps_per_turn",
        "/settings/debounce",
        "/settings/stuck_text",
    ]
    for slug in ("main", None):
        codes = {item.code for item in validate(flow, context(slug=slug, flows={}))}
        assert "setting-without-effect" not in codes
