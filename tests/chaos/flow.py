"""The flow that is disturbed, and what its visitor does: every kind of effect and of wait, twice.

`expected_texts` is the transcript as the flow's author reads it off the drawing, written down by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.peers.llm_peer import PeerAnswer, RecordedCall
from tests.peers.payment_server import reference_of
from tests.stack.drawing import draw

MODEL = "openai/gpt-4o-mini"
ROUNDS = 2
HOLD_SECONDS = 2
_RETRY = {"attempts": 15, "first_wait": "PT0.5S", "longest_wait": "PT3S"}


@dataclass(frozen=True)
class Visitor:
    """Who talks: the transcript depends on these two alone."""

    name: str
    method: str


def chaos_flow(payments: str) -> dict[str, Any]:
    """The flow, with calls to the payment service at an address."""

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"method": "POST", "url": f"{payments}{path}", "body_type": "json", "body": body}

    order = {"name": "{{ name }}", "round": "{{ rounds }}"}
    nodes: list[tuple[str, str, dict[str, Any]]] = [
        ("start", "start", {}),
        ("hi", "message", {"text": "Hola."}),
        ("name", "input", {"text": "¿Cómo te llamas?", "field": {"kind": "text"}, "save_to": "name"}),
        ("greet", "ai", {"task": {"kind": "reply"}, "model": MODEL, "prompt": "Greet {{ name }}"}),
        ("reserve", "api_call", {
            "request": post("/reservations", order), "retry": _RETRY,
            "mapping": [{"variable": "reference", "path": "reference"}],
        }),
        ("reserved", "message", {"text": "Reserva {{ reference }} de {{ name }}."}),
        ("how", "question", {
            "text": "¿Cómo pagas?", "save_to": "method",
            "options": [{"id": "card", "label": "Tarjeta"}, {"id": "transfer", "label": "Transferencia"}],
        }),
        ("hold", "action", {"action": {"kind": "wait", "duration": f"PT{HOLD_SECONDS}S"}}),
        ("held", "message", {"text": "Plaza guardada."}),
        ("pay", "webhook", {"webhook": {
            "kind": "wait", "timeout": "PT2H", "text": "Esperamos tu pago.", "retry": _RETRY,
            "request": post("/payments", {
                **order, "amount": "{{ 10 + rounds }}", "callback": "{{ callback_url }}",
            }),
            "mapping": [{"variable": "paid", "path": "amount"}],
        }}),
        ("paid", "message", {"text": "Pagado: {{ paid }}."}),
        ("capture", "webhook", {"webhook": {
            "kind": "post", "retry": _RETRY, "request": post("/captures", {**order, "by": "{{ method }}"}),
        }}),
        ("points", "ai", {"model": MODEL, "prompt": "Points of {{ name }}", "task": {
            "kind": "agent", "save_to": "answer", "tools": [{
                "kind": "api", "id": "add_points", "description": "Adds points.", "retry": _RETRY,
                "parameters": {"type": "object", "properties": {"who": {"type": "string"}}},
                "request": post("/points", {"who": "{{ args.who }}", "round": "{{ rounds }}"}),
            }],
        }}),
        ("count", "action", {"action": {
            "kind": "script", "code": "return variables.rounds + 1;", "save_to": "rounds",
        }}),
        ("again", "question", {
            "text": "¿Otra plaza?",
            "options": [{"id": "yes", "label": "Sí"}, {"id": "no", "label": "No"}],
        }),
        ("bye", "action", {"action": {"kind": "end", "text": "Adiós, {{ name }}: {{ rounds }} plazas."}}),
    ]  # fmt: skip
    arrows = (
        "start hi, hi name, name greet, greet reserve, reserve.success reserved, reserved how, "
        "how.option:card hold, how.option:transfer hold, hold held, held pay, pay.received paid, "
        "paid capture, capture.sent points, points count, count again, "
        "again.option:yes reserve, again.option:no bye"
    )
    variables: list[dict[str, Any]] = [
        *({"name": name} for name in ("name", "reference", "method", "paid", "answer")),
        {"name": "rounds", "type": "number", "default": 0},
    ]
    return draw("Reservas", nodes, arrows, variables)


def model_script(call: RecordedCall) -> PeerAnswer | None:
    """The model: greets, or calls its tool once and then says what came of it."""
    text = call.last_user_text
    if text.startswith("Greet "):
        return PeerAnswer(text=f"Encantado de saludarte, {text.removeprefix('Greet ')}.")
    if not text.startswith("Points of "):
        return None
    who = text.removeprefix("Points of ")
    if call.body["messages"][-1]["role"] == "tool":
        return PeerAnswer(text=f"Puntos sumados a {who}.")
    return PeerAnswer(tools=[("add_points", json.dumps({"who": who}))])


def visitor_inputs(visitor: Visitor) -> list[dict[str, Any]]:
    """What the visitor sends, in order; choices get the number of their question when they are sent."""
    rounds = [
        {"type": "choice", "options": [choice]}
        for number in range(ROUNDS)
        for choice in (visitor.method, "yes" if number < ROUNDS - 1 else "no")
    ]
    return [{"type": "start", "language": "es"}, {"type": "text", "text": visitor.name}, *rounds]


def expected_texts(visitor: Visitor) -> list[tuple[str, str]]:
    """The transcript: role and text, in order."""
    said: list[tuple[str, str]] = [
        ("assistant", "Hola."),
        ("assistant", "¿Cómo te llamas?"),
        ("user", visitor.name),
        ("assistant", f"Encantado de saludarte, {visitor.name}."),
    ]
    label = {"card": "Tarjeta", "transfer": "Transferencia"}[visitor.method]
    for number in range(ROUNDS):
        body = json.dumps({"name": visitor.name, "round": number})
        said += [
            ("assistant", f"Reserva reservations-{reference_of(body.encode())} de {visitor.name}."),
            ("assistant", "¿Cómo pagas?"),
            ("user", label),
            ("assistant", "Plaza guardada."),
            ("assistant", "Esperamos tu pago."),
            ("assistant", f"Pagado: {10 + number}."),
            ("assistant", f"Puntos sumados a {visitor.name}."),
            ("assistant", "¿Otra plaza?"),
            ("user", "Sí" if number < ROUNDS - 1 else "No"),
        ]
    return [*said, ("assistant", f"Adiós, {visitor.name}: {ROUNDS} plazas.")]


EXPECTED_CALLS = {"/reservations": ROUNDS, "/payments": ROUNDS, "/captures": ROUNDS, "/points": ROUNDS}
"""How many idempotency keys of a conversation the payment service must see at each path."""
