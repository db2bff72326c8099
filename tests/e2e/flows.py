"""Flows that the browser tests talk to, beside the demo bots."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.stack.drawing import draw

MODEL = "openai/gpt-4o-mini"
Node = tuple[str, str, dict[str, Any]]


def writer() -> dict[str, Any]:
    """Answers each text with a model's, for ever."""
    nodes: list[Node] = [
        ("start", "start", {}),
        ("ask", "input", {"text": "Pregúntame algo.", "field": {"kind": "text"}, "save_to": "asked"}),
        ("answer", "ai", {"task": {"kind": "reply"}, "model": MODEL}),
    ]
    return draw("Escritora", nodes, "start ask, ask answer, answer ask", [{"name": "asked"}])


def every_input() -> dict[str, Any]:
    """Asks for a value of every kind, one after the other, and at the end says them all."""
    fields: dict[str, dict[str, Any]] = {
        "text": {"kind": "text"},
        "number": {"kind": "number", "min": 1, "max": 99, "integer": True},
        "email": {"kind": "email"},
        "phone": {"kind": "phone"},
        "url": {"kind": "url"},
        "date": {"kind": "date"},
        "time": {"kind": "time"},
        "range": {"kind": "date_range"},
        "rating": {"kind": "rating"},
        "file": {"kind": "file", "accept": ["text/plain"]},
        "signature": {"kind": "signature"},
        "consent": {"kind": "consent", "statement": "Acepto las condiciones."},
    }
    options = [{"id": name.lower(), "label": name} for name in ("Madera", "Metal", "Vidrio", "Corcho")]
    nodes: list[Node] = [("start", "start", {})]
    nodes += [
        (name, "input", {
            "text": f"¿{name}?", "field": field, "save_to": name,
            "required": name != "phone", "skip_label": "Omitir",
        })
        for name, field in fields.items()
    ]  # fmt: skip
    nodes += [
        ("several", "question", {
            "text": "¿Qué materiales?", "options": options, "multiple": True, "min_choices": 2,
            "save_to": "several",
        }),
        ("search", "question", {
            "text": "¿Cuál sobre todo?", "options": options, "searchable": True, "display": "list",
            "save_to": "search",
        }),
        ("pictures", "question", {
            "text": "¿Con qué aspecto?", "display": "pictures", "save_to": "pictures",
            "options": [{**option, "image_url": "https://example.invalid/p.png"} for option in options[:2]],
        }),
        ("cards", "message", {"cards": [
            {"title": "Silla", "text": "De madera.", "buttons": [{"label": "La quiero", "reply": "silla"}]},
            {"title": "Mesa", "text": "De vidrio.", "buttons": [{"label": "La prefiero", "reply": "mesa"}]},
        ]}),
        ("card", "input", {"text": "Elige una tarjeta.", "field": {"kind": "text"}, "save_to": "card"}),
        ("stars", "action", {"action": {"kind": "csat", "text": "¿Qué tal?", "save_to": "stars"}}),
        ("bye", "action", {"action": {"kind": "end", "text": "Gracias por todo."}}),
    ]  # fmt: skip
    names = [name for name, _, _ in nodes]
    arrows = [f"{before} {after}" for before, after in pairwise(names)]  # an option without an edge: `next`
    kinds = {"number": "number", "rating": "number", "stars": "number", "range": "object", "file": "list",
             "signature": "object", "consent": "boolean", "several": "list"}  # fmt: skip
    saved = [*fields, "several", "search", "pictures", "card", "stars"]
    variables = [{"name": name, "type": kinds.get(name, "string")} for name in saved]
    return draw("Todo", nodes, ", ".join(arrows), variables)


def skips() -> dict[str, Any]:
    """Asks for what may be skipped, for a consent that may be refused, and for a day."""
    nodes: list[Node] = [
        ("start", "start", {}),
        ("phone", "input", {
            "text": "¿Un teléfono?", "field": {"kind": "phone"}, "save_to": "phone",
            "required": False, "skip_label": "Mejor por correo",
        }),
        ("consent", "input", {
            "text": "¿Aceptas?", "field": {"kind": "consent", "statement": "Acepto.", "must_accept": False},
            "save_to": "consent",
        }),
        ("day", "input", {"text": "¿Cuándo?", "field": {"kind": "date"}, "save_to": "day"}),
        ("end", "message", {"text": "Hecho."}),
    ]  # fmt: skip
    variables = [{"name": "phone"}, {"name": "consent", "type": "boolean"}, {"name": "day", "type": "date"}]
    return draw("Omisiones", nodes, "start phone, phone consent, consent day, day end", variables)


def waits(refusing: str) -> dict[str, Any]:
    """Waits for whatever the visitor chooses; `refusing` is an address whose answer is an error."""
    nodes: list[Node] = [
        ("start", "start", {"label": "Inicio"}),
        ("what", "question", {"label": "Qué esperar", "text": "¿Qué esperamos?", "options": [
            {"id": word, "label": word} for word in ("timer", "callback", "agent", "stuck")
        ]}),
        ("pause", "action", {"label": "Tres días de espera", "action": {"kind": "wait", "duration": "P3D"}}),
        ("bank", "webhook", {
            "label": "Confirmación del banco", "webhook": {"kind": "wait", "timeout": "P2D"},
        }),
        ("human", "action", {"label": "Pasar a una persona", "action": {"kind": "escalate"}}),
        ("order", "api_call", {
            "label": "Consultar pedido", "retry": {"attempts": 1},
            "request": {"method": "GET", "url": refusing},
        }),
        ("end", "message", {"text": "Fin."}),
    ]  # fmt: skip
    arrows = (
        "start what, what.option:timer pause, what.option:callback bank, what.option:agent human, "
        "what.option:stuck order, pause end, bank.received end, human.resolved end, order.success end"
    )
    secret = {"name": "dni", "default": "12345678Z", "personal": True}
    return draw("Esperas", nodes, arrows, [{"name": "topic", "default": "mesas"}, secret])
