"""Random valid flows over all node kinds: loops with waits, sub-flows, exits with and without edges.

Times are chosen so that no two of them meet by accident: every duration is a multiple of 1,000 minutes plus
17 (waits) or 29 (inactivity), and schedules skip multiples of 1,000 minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from flow_schema.flow import Flow
from flow_schema.validation import ValidationContext, has_errors, validate

Draw = Callable[[st.SearchStrategy[Any]], Any]
WAITS = [f"PT{minutes}M" for minutes in (1_017, 3_017, 7_017)]
VARIABLES = [
    {"name": "word", "type": "string", "input": True, "output": True, "default": "nada"},
    {"name": "count", "type": "number", "default": 0},
    {"name": "yes", "type": "boolean"},
    {"name": "items", "type": "list", "default": ["uno", "dos"]},
    {"name": "thing", "type": "object"},
    {"name": "day", "type": "date"},
    {"name": "secret", "type": "string", "personal": True},
]
TEXTS = [
    "Hola",
    "Dices {{ word }}",
    "Van {{ count }}",
    "Cosas: {{ length(items) }}",
    "Reparto: {{ 10 / count }}",
    {"es": "Hola {{ word }}", "en": "Hello {{ word }}"},
]
"""One of them fails where `count` is zero."""
SUB_FLOWS = ("first", "second")


@dataclass(frozen=True)
class FlowSet:
    """A main flow and the flows it may run."""

    flows: dict[str, Flow]

    def __repr__(self) -> str:
        return "\n".join(
            f"{name}: {flow.model_dump_json(exclude_defaults=True)}" for name, flow in self.flows.items()
        )


@st.composite
def flow_sets(draw: Draw) -> FlowSet:
    """Valid flows: whatever the validator calls an error is not among them."""
    second = _flow(draw, "second", ())
    first = _flow(draw, "first", ("second",))
    main = _flow(draw, "main", SUB_FLOWS)
    flows = {"main": main, "first": first, "second": second}
    for name, flow in flows.items():
        others = {other: found for other, found in flows.items() if other != "main"}
        findings = validate(flow, ValidationContext(slug=name, flows=others, secrets=frozenset({"TOKEN"})))
        errors = [finding for finding in findings if finding.severity == "error"]
        assert not has_errors(findings), f"the generator made an invalid flow: {errors}"
    return FlowSet(flows)


def _flow(draw: Draw, name: str, sub_flows: tuple[str, ...]) -> Flow:
    size = draw(st.integers(5, 9) if name == "main" else st.integers(1, 3))
    ids = [f"n{number}" for number in range(size)]
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "start"}]
    for place, node_id in enumerate(ids):
        nodes.append({"id": node_id, **_node(draw, ids[place + 1 :], sub_flows)})
    flow = Flow.model_validate(
        {
            "name": name,
            "language": "es",
            "languages": ["es", "en"],
            "variables": VARIABLES,
            "settings": _settings(draw, ids) if name == "main" else {},
            "nodes": nodes,
            "edges": [],
        }
    )
    edges = [{"id": "e", "source": "start", "target": "n0"}]
    for place, node in enumerate(flow.nodes[1:]):
        for handle in node.exits():
            # Back only from where something has waited, so that no loop runs by itself.
            targets = ids if node.waits(handle.id) else ids[place + 1 :]
            if targets and draw(st.integers(0, 11)):
                edges.append(
                    {
                        "id": f"e{len(edges)}",
                        "source": node.id,
                        "sourceHandle": handle.id,
                        "target": draw(st.sampled_from(targets)),
                    }
                )
    return Flow.model_validate({**flow.model_dump(mode="json", exclude_defaults=True), "edges": edges})


def _settings(draw: Draw, ids: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if draw(st.booleans()):
        settings["inactivity_timeout"] = "PT5029M"
        if draw(st.booleans()):
            settings["inactivity_target"] = draw(st.sampled_from(ids))
            settings["inactivity_text"] = "¿Sigues ahí?"
    return settings


def _node(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> dict[str, Any]:
    kind, data = draw(st.sampled_from(_MAKERS))(draw, later, sub_flows)
    if draw(st.booleans()):
        data["label"] = "Un paso"
    return {"type": kind, "data": data}


Made = tuple[str, dict[str, Any]]


def _maybe(draw: Draw, data: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**data, **{name: value for name, value in values.items() if draw(st.booleans())}}


def _text(draw: Draw) -> Any:
    return draw(st.sampled_from(TEXTS))


def _message(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    card = {"title": "Tarjeta", "buttons": [{"label": "Sí", "reply": "uno"}]}
    image = {"kind": "image", "url": "https://example.org/{{ count }}.png"}
    return "message", _maybe(draw, {"text": _text(draw)}, cards=[card], media=[image])


def _question(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    data: dict[str, Any] = {"text": _text(draw), "retries": draw(st.integers(0, 1))}
    if draw(st.booleans()):
        data["options"] = [{"id": "a", "label": "Uno"}, {"id": "b", "label": "Dos", "synonyms": ["par"]}]
        data["multiple"] = draw(st.booleans())
    else:
        data["options_from"] = {"list": "items"}
    many = data.get("multiple", False)
    data["matching"] = {"fuzzy": True, "semantic": draw(st.booleans())}
    return "question", _maybe(
        draw, data, no_reply_after=draw(st.sampled_from(WAITS)), save_to="items" if many else "word"
    )


_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "text", "max_length": 20}, "word"),
    ({"kind": "text"}, "secret"),
    ({"kind": "number", "min": 0, "max": 9}, "count"),
    ({"kind": "email"}, "secret"),
    ({"kind": "date"}, "day"),
    ({"kind": "rating"}, "count"),
    ({"kind": "file"}, "items"),
    ({"kind": "consent", "statement": "Acepto {{ word }}"}, "yes"),
    ({"kind": "date_range"}, "thing"),
]


def _input(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    field, variable = draw(st.sampled_from(_FIELDS))
    data = {"text": _text(draw), "field": field, "save_to": variable, "retries": draw(st.integers(0, 1))}
    return "input", _maybe(draw, data, no_reply_after=draw(st.sampled_from(WAITS)), required=False)


_TESTS: list[dict[str, Any]] = [
    {"kind": "rules", "rules": [{"left": "count", "operator": "greater", "right": 3}]},
    {"kind": "rules", "match": "any", "rules": [{"left": "word", "operator": "matches", "right": "^u"}]},
    {"kind": "expression", "formula": "count < 2"},
    {"kind": "expression", "formula": "1 / count > 0"},
    {"kind": "split", "percent": 40},
    {"kind": "intent", "intent": "comprar", "examples": ["quiero comprar"]},
]


def _condition(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    tests = draw(st.lists(st.sampled_from(_TESTS), min_size=1, max_size=2))
    branches = [{"id": f"b{number}", "test": test} for number, test in enumerate(tests)]
    intents = {"method": draw(st.sampled_from(["similarity", "model"])), "save_to": "word"}
    return "condition", {"branches": branches, "intents": intents}


def _ai(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    tools: list[dict[str, Any]] = [
        {"kind": "api", "id": "look", "description": "Busca", "request": {"url": "https://api.example/{{ args.given }}"}},
        {"kind": "route", "id": "leave", "description": "Sale", "save_to": "thing"},
    ]  # fmt: skip
    if sub_flows:
        tools.append({"kind": "flow", "id": "run", "description": "Ejecuta", "flow": sub_flows[0]})
    tasks: list[dict[str, Any]] = [
        {"kind": "reply", "save_to": "word"},
        {"kind": "extract", "fields": [{"variable": "count", "description": "Cuántos", "type": "integer"}]},
        {"kind": "classify", "labels": [{"id": "si"}, {"id": "no"}], "save_to": "word"},
        {"kind": "agent", "tools": tools, "converse": True, "max_turns": 2},
        {"kind": "agent", "tools": tools, "max_calls": 3, "save_to": "word"},
    ]
    memory = {"messages": draw(st.sampled_from([0, 5]))}
    data = {"task": draw(st.sampled_from(tasks)), "memory": memory}
    return "ai", _maybe(draw, data, prompt=_text(draw))


_REQUEST = {
    "url": "https://api.example/{{ word }}",
    "method": "POST",
    "headers": {"Authorization": "Bearer {{ secrets.TOKEN }}"},
    "body_type": "json",
    "body": {"count": "{{ count }}", "word": "{{ word }}"},
}


def _retry(draw: Draw) -> dict[str, Any]:
    return {"attempts": draw(st.integers(1, 2)), "first_wait": "PT0S", "longest_wait": "PT0S"}


def _api_call(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    mapping = [{"variable": "count", "path": "value"}, {"variable": "word", "source": "status"}]
    data = {"request": _REQUEST, "retry": _retry(draw)}
    return "api_call", _maybe(draw, data, mapping=mapping, save_error_to="thing")


def _webhook(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    if draw(st.booleans()):
        return "webhook", {"webhook": {"kind": "post", "request": _REQUEST, "retry": _retry(draw)}}
    wait = {"kind": "wait", "timeout": draw(st.sampled_from(WAITS)), "accept_reply": draw(st.booleans())}
    wait["mapping"] = [{"variable": "thing", "path": "@"}]
    hand_out = {**_REQUEST, "body": {"url": "{{ callback_url }}"}}
    return "webhook", {"webhook": _maybe(draw, wait, request=hand_out, text="Llama a {{ callback_url }}")}


def _action(draw: Draw, later: list[str], sub_flows: tuple[str, ...]) -> Made:
    wait = draw(st.sampled_from(WAITS))
    actions: list[dict[str, Any]] = [
        {
            "kind": "set_variables",
            "assignments": [
                {"variable": "count", "formula": "count + 1"},
                {"variable": "items", "formula": "append(items, word)"},
            ],
        },
        {"kind": "set_variables", "assignments": [{"variable": "day", "value": "{{ word }}"}]},
        {"kind": "wait", "duration": wait, "interruptible": draw(st.booleans())},
        _maybe(draw, {"kind": "escalate", "reason": "Pide ayuda {{ word }}"}, timeout=wait, text="Espera"),
        {"kind": "hand_over", "text": "Te paso"},
        {"kind": "send_email", "to": ["a@example.org"], "subject": "Hola {{ word }}", "body": "Van {{ count }}"},
        {"kind": "tag", "add": ["{{ word }}", "fijo"], "remove": ["otro"]},
        {"kind": "set_language", "language": draw(st.sampled_from(["es", "en"]))},
        {"kind": "csat", "text": "¿Qué tal?", "save_to": "count", "no_reply_after": wait},
        {"kind": "script", "code": "return {value: 1}", "outputs": {"value": "count"}},
        {"kind": "redirect", "url": "https://example.org/{{ word }}"},
            ]  # fmt: skip
    if len(later) < 2:
        actions.append({"kind": "end", "text": "Fin", "whole_conversation": draw(st.booleans())})
    if later:
        actions.append({"kind": "go_to", "target": draw(st.sampled_from(later))})
    for flow in sub_flows:
        actions.append(
            {"kind": "run_flow", "flow": flow, "inputs": {"word": "word"}, "outputs": {"word": "word"}}
        )
    return "action", {"action": draw(st.sampled_from(actions))}


_MAKERS = [
    _message, _question, _input, _input, _condition, _ai, _ai, _api_call, _webhook, _action, _action, _action, _action,
]  # fmt: skip
