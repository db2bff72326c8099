"""No text makes reading fail in another way than by having no meaning: an exception would leave the
conversation stuck."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from flow_schema.nodes.input import InputField
from workflows.interpreter.reading.agreement import declines, leans
from workflows.interpreter.reading.options import (
    Candidate,
    match_exact,
    match_place,
    match_similar,
    match_words,
)
from workflows.interpreter.reading.selections import all_or_none, parts_of
from workflows.interpreter.reading.values import Invalid, read_value

FIELDS = [
    {"kind": "text"},
    {"kind": "number", "min": -5, "max": 100},
    {"kind": "email"},
    {"kind": "phone"},
    {"kind": "url"},
    {"kind": "date", "latest": "2026-11-30"},
    {"kind": "time", "earliest": "09:00"},
    {"kind": "date_range", "earliest": "2020-01-01"},
    {"kind": "rating"},
    {"kind": "consent", "statement": "Todo"},
]
WORDS = [
    "el",
    "la",
    "de",
    "del",
    "al",
    "a",
    "y",
    "o",
    "no",
    "sí",
    "si",
    "mañana",
    "hoy",
    "lunes",
    "viernes",
    "pasado",
    "próximo",
    "que",
    "viene",
    "dentro",
    "en",
    "hace",
    "días",
    "meses",
    "años",
    "0",
    "1",
    "2",
    "24",
    "31",
    "99",
    "2026",
    "0000",
    "9999",
    "24/12",
    "31-02-26",
    "29.2.2027",
    "1.2.3",
    "1,5",
    ".",
    ",",
    "-",
    "+",
    "/",
    "%",
    "€",
    "⭐",
    "👍",
    "de",
    "diciembre",
    "enero",
    "december",
    "past",
    "half",
    "to",
    "las",
    "tarde",
    "noche",
    "am",
    "pm",
    "media",
    "menos",
    "cuarto",
    "mil",
    "veinte",
    "cien",
    "millones",
    "hundred",
    "and",
    "two",
    "primero",
    "última",
    "opción",
    "nº",
    "#",
    "²",
    "٣",
    "𝟛",
    "Ⅷ",
    "½",
    "é",
    "ñ",
    "ß",
    "İ",
    "\u200f",
    "️",
    "todas",
    "ninguna",
    "?",
    "!",
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=6).map("".join),
    st.text(max_size=60),
)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: str(field["kind"]))
@given(text=TEXTS, language=st.sampled_from(["es", "en", "en-US", "pt"]))
def test_a_field_takes_it_or_says_why_not(field: dict[str, Any], text: str, language: str) -> None:
    kind: Any = TypeAdapter(InputField).validate_python(field)
    try:
        read_value(kind, text, [], language, date(2026, 11, 23), lambda formula: formula)
    except Invalid as complaint:
        assert complaint.phrase


@given(text=TEXTS, labels=st.lists(TEXTS, min_size=1, max_size=5), numbers=st.booleans())
def test_an_answer_means_options_that_there_are(text: str, labels: list[str], numbers: bool) -> None:
    options = [Candidate(f"o{place}", (label,)) for place, label in enumerate(labels)]
    known = {option.id for option in options}
    for found in (
        match_exact(text, options),
        match_place(text, options),
        match_similar(text, options, 0.82),
        match_words(text, options),
    ):
        assert found is None or found in known
    assert set(all_or_none(text, options) or ()) <= known
    for part in parts_of(text, options, numbers=numbers):
        assert part.text
        assert part.option is None or part.option in known
    assert leans(text) in (True, False, None)
    assert declines(text) in (True, False)
