"""Which option a typed answer means."""

from __future__ import annotations

import pytest

from workflows.interpreter.reading.options import (
    Candidate,
    match_exact,
    match_place,
    match_similar,
    match_words,
)
from workflows.interpreter.reading.selections import all_or_none, parts_of

ANSWERS = ["Sí", "No", "Tal vez mañana"]
PLANS = ["🚀 Básico", "💎 Profesional", "**Empresa**", "Otro (especificar)"]
ROOMS = ["1 habitación", "2 habitaciones", "De 3 a 5"]
WORDS = ["Una persona", "Dos personas", "Cuatro personas"]
COURSES = ["Turista", "Primera clase"]
SIGNS = ["C++", "C#", "👍", "👎"]


def candidates(labels: list[str]) -> list[Candidate]:
    return [Candidate(f"o{place}", (label,)) for place, label in enumerate(labels, start=1)]


def find(text: str, labels: list[str]) -> str | None:
    options = candidates(labels)
    found = match_exact(text, options) or match_place(text, options)
    found = found or match_similar(text, options, 0.82) or match_words(text, options)
    return labels[int(found[1:]) - 1] if found else None


@pytest.mark.parametrize(
    ("labels", "text", "label"),
    [
        *(
            (ANSWERS, text, "Sí")
            for text in ("sí", "SI", "sí, por favor", "si claro", "claro", "Sí, eso es.")
        ),
        *((ANSWERS, text, "No") for text in ("no", "no gracias", "No, gracias.", "no me apetece", "nop")),
        *((ANSWERS, text, "Tal vez mañana") for text in ("tal ves manana", "talvez mañana", "mañana")),
        *((ANSWERS, text, None) for text in ("si o no", "no sé", "no estoy seguro", "si es gratis", "ambas")),
        *(
            (ANSWERS, text, "No")
            for text in ("la segunda", "el segundo", "segunda opción", "opción 2", "la 2")
        ),
        *((ANSWERS, text, "No") for text in ("nº 2", "n.º 2", "#2", "2)", "dos", "٢", "option two", "2nd")),
        *((ANSWERS, text, "No") for text in ("the second one", "número dos", "la 2ª", "penúltima")),
        *((ANSWERS, text, "Sí") for text in ("primera", "1", "uno", "the first one", "quiero la primera")),
        *((ANSWERS, text, "Tal vez mañana") for text in ("la última", "last", "tercero", "3")),
        *((ANSWERS, text, None) for text in ("4", "0", "la cuarta", "dos o tres")),
        *((PLANS, text, "🚀 Básico") for text in ("básico", "el básico", "🚀 basico", "quiero el basico")),
        *((PLANS, text, "💎 Profesional") for text in ("Profecional", "Quiero el plan profesional", "2")),
        *((PLANS, text, "**Empresa**") for text in ("empresa", "empresa, por favor")),
        *((PLANS, text, "Otro (especificar)") for text in ("otro", "Otro, por favor")),
        *(
            (PLANS, text, None)
            for text in ("no quiero el profesional", "básico o profesional", "🎉", "gratis")
        ),
        (PLANS, "no, el profesional", "💎 Profesional"),
        (ROOMS, "2", "2 habitaciones"),
        (ROOMS, "dos", "2 habitaciones"),
        (ROOMS, "3", None),
        (ROOMS, "la tercera", "De 3 a 5"),
        (ROOMS, "3 habitaciones", None),
        (WORDS, "2", "Dos personas"),
        (WORDS, "4", "Cuatro personas"),
        (WORDS, "somos dos personas", "Dos personas"),
        (COURSES, "primera", "Primera clase"),
        (COURSES, "la segunda", "Primera clase"),
        (SIGNS, "c++", "C++"),
        (SIGNS, "C#", "C#"),
        (SIGNS, "c", None),
        (SIGNS, "👎", "👎"),
        (["نعم", "لا"], "\u200fنعم", "نعم"),
        (["\u200fنعم", "لا"], "نَعَم", "\u200fنعم"),
        (["1️⃣ Ventas", "2️⃣ Soporte"], "2", "2️⃣ Soporte"),
        (["1. Ventas", "2. Soporte"], "soporte", "2. Soporte"),
        (["Wi-Fi", "Cable"], "wifi", "Wi-Fi"),
        (["Recibí el pedido", "No recibí el pedido"], "no recibi el pedido", "No recibí el pedido"),
        (["No recibí el pedido", "Otra cosa"], "recibí el pedido", None),
        (["Plan", "Plan pro"], "quiero el plan pro", "Plan pro"),
        (["Plan 1"], "plan 2", None),
        (["XL", "L"], "XL, por favor", "XL"),
        (["XL", "L"], "la L", "L"),
        (["Sí, quiero factura", "No"], "sí", "Sí, quiero factura"),
    ],
)
def test_one_option(labels: list[str], text: str, label: str | None) -> None:
    assert find(text, labels) == label


FOOD = ["Arroz", "Pan y leche", "Té", "Pan"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("arroz", ["Arroz"]),
        ("arroz + té", ["Arroz", "Té"]),
        ("arroz té", ["Arroz", "Té"]),
        ("té/arroz", ["Té", "Arroz"]),
        ("arroz, pan y leche", ["Arroz", "Pan y leche"]),
        ("pan y arroz", ["Pan", "Arroz"]),
        ("quiero arroz y también té, por favor", ["Arroz", "Té"]),
        ("1 3", ["Arroz", "Té"]),
        ("1, 3", ["Arroz", "Té"]),
        ("1 y 3", ["Arroz", "Té"]),
        ("la primera y la última", ["Arroz", "Pan"]),
        ("arrozz y té", ["Arroz", "Té"]),
        ("rice and tea", None),
        ("arroz y agua", None),
        ("arroz sin sal", None),
        ("arroz o té", None),
        ("no quiero arroz", None),
        ("1 9", None),
        ("todas", FOOD),
        ("las cuatro", FOOD),
        ("all of them", FOOD),
        ("todas menos té", None),
        ("ninguna", []),
        ("none", []),
        ("no, gracias", []),
    ],
)
def test_several_options(text: str, labels: list[str] | None) -> None:
    options = candidates(FOOD)
    found = all_or_none(text, options)
    if found is None:
        found = []
        for part in parts_of(text, options, numbers=True):
            option = part.option or match_exact(part.text, options) or match_place(part.text, options)
            option = option or match_similar(part.text, options, 0.82) or match_words(part.text, options)
            if option is None:
                assert labels is None
                return
            found.append(option)
    assert [FOOD[int(option[1:]) - 1] for option in found] == labels
