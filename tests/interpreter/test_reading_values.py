"""What visitors type into fields, in Spanish and English: each answer with the value it means, or None."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import TypeAdapter

from flow_schema.nodes.input import InputField
from workflows.interpreter.reading.agreement import declines, leans, read_yes_or_no
from workflows.interpreter.reading.dates import parse_date, parse_range
from workflows.interpreter.reading.numbers import parse_number, parse_rating
from workflows.interpreter.reading.times import parse_time
from workflows.interpreter.reading.values import Invalid, read_value

MONDAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("text", "spanish", "english"),
    [
        ("1.234,56", 1234.56, 1234.56),
        ("1,234.56", 1234.56, 1234.56),
        ("1.234", 1234, 1.234),
        ("1,234", 1.234, 1234),
        ("1.234.567", 1234567, 1234567),
        ("1 234 567,8", 1234567.8, 1234567.8),
        ("1'234", 1234, 1234),
        ("0,5", 0.5, 0.5),
        (".5", 0.5, 0.5),
        ("-3", -3, -3),
        ("\u22123", -3, -3),
        ("٣", 3, 3),
        ("１２", 12, 12),
        ("12 €", 12, 12),
        ("$1,200.50", 1200.5, 1200.5),
        ("20 euros", 20, 20),
        ("unos 30", 30, 30),
        ("about 30", 30, 30),
        ("tengo 20 años", 20, 20),
        ("20 noches de hotel", 20, 20),
        ("30 m2", 30, 30),
        ("20 mil", 20000, 20000),
        ("veinte", 20, 20),
        ("veinte euros", 20, 20),
        ("treinta y uno", 31, 31),
        ("ciento veinte", 120, 120),
        ("dos mil trescientos", 2300, 2300),
        ("twenty-five", 25, 25),
        ("two hundred and five", 205, 205),
        ("fifty", 50, 50),
        *(
            (text, None, None)
            for text in (
                "12.34.56",
                "31.12.2026",
                "192.168.1.1",
                "1.2.3",
                "1,2,3",
                "1.2,3",
                "1,23.4",
                "12 34",
                "600 12 34 56",
                "1,234,56",
                "3/4",
                "16:30",
                "20-30",
                "20 o 30",
                "más de 20",
                "20 o más",
                "no 20",
                "calle 5",
                "2 de mayo",
                "un perro",
                "two and a half",
                "veinte treinta",
                "1e5",
                "mucho",
                "",
            )
        ),
    ],
)
def test_numbers(text: str, spanish: float | None, english: float | None) -> None:
    assert parse_number(text, "es") == spanish
    assert parse_number(text, "en") == english


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31/12/2026", "2026-12-31"),
        ("1-2-26", "2026-02-01"),
        ("3.1.2027", "2027-01-03"),
        ("2026-12-31T10:00:00Z", "2026-12-31"),
        ("24/12", "2026-12-24"),
        ("1/2", "2027-02-01"),
        ("24 de diciembre", "2026-12-24"),
        ("24 de enero", "2027-01-24"),
        ("el 24 de diciembre de 2026", "2026-12-24"),
        ("veinticuatro de diciembre", "2026-12-24"),
        ("primero de enero", "2027-01-01"),
        ("1º de enero de 2027", "2027-01-01"),
        ("jueves 31 de diciembre de 2026", "2026-12-31"),
        ("Thursday, December 31, 2026", "2026-12-31"),
        ("December 24", "2026-12-24"),
        ("Dec 24th, 2026", "2026-12-24"),
        ("the 24th of December", "2026-12-24"),
        ("29 de febrero", "2028-02-29"),
        ("el 24", "2026-11-24"),
        ("el día 20", "2026-12-20"),
        ("hoy", "2026-11-23"),
        ("Mañana.", "2026-11-24"),
        ("mañana por la tarde", "2026-11-24"),
        ("pasado mañana", "2026-11-25"),
        ("the day after tomorrow", "2026-11-25"),
        ("ayer", "2026-11-22"),
        ("lunes", "2026-11-30"),
        ("el viernes", "2026-11-27"),
        ("next Friday", "2026-11-27"),
        ("viernes pasado", "2026-11-20"),
        ("last Friday", "2026-11-20"),
        ("dentro de 3 días", "2026-11-26"),
        ("en una semana", "2026-11-30"),
        ("in two weeks", "2026-12-07"),
        ("hace un mes", "2026-10-23"),
        ("3 days ago", "2026-11-20"),
        ("31/02/2026", None),
        ("12/31/2026", None),
        ("viernes 31 de diciembre de 2026", None),
        ("4 de brumario de 2026", None),
        ("31 de noviembre", None),
        ("24", None),
        ("24.12", None),
        ("cuando sea", None),
    ],
)
def test_days(text: str, day: str | None) -> None:
    found = parse_date(text, "es", MONDAY)
    assert (found.isoformat() if found else None) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [("12/31/2026", "2026-12-31"), ("1/2/2026", "2026-01-02"), ("12/24", "2026-12-24"), ("31/12/2026", None)],
)
def test_days_of_american_english(text: str, day: str | None) -> None:
    found = parse_date(text, "en-US", MONDAY)
    assert (found.isoformat() if found else None) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("24/12", "2025-12-24"),
        ("3 de mayo", "2026-05-03"),
        ("viernes", "2026-11-20"),
    ],
)
def test_what_was_left_out_is_past_where_the_field_allows_no_later_day(text: str, day: str) -> None:
    assert parse_date(text, "es", MONDAY, latest=MONDAY) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("3/5/85", "1985-05-03"),
        ("3 de mayo del 85", "1985-05-03"),
        ("3/5/2085", "2085-05-03"),
        ("2031-01-02", "2031-01-02"),
        ("3/5/21", "2021-05-03"),
    ],
)
def test_a_year_of_two_digits_is_of_the_century_that_the_field_allows(text: str, day: str) -> None:
    assert parse_date(text, "es", MONDAY, latest=MONDAY) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("24/12/2026 - 26/12/2026", "2026-12-24 2026-12-26"),
        ("24/12/2026-26/12/2026", "2026-12-24 2026-12-26"),
        ("24-12-2026 al 26-12-2026", "2026-12-24 2026-12-26"),
        ("2026-12-24 2026-12-26", "2026-12-24 2026-12-26"),
        ("24/12/2026 y 26/12/2026", "2026-12-24 2026-12-26"),
        ("entre el 24/12/2026 y el 26/12/2026", "2026-12-24 2026-12-26"),
        ("24 al 26 de diciembre de 2026", "2026-12-24 2026-12-26"),
        ("del 24 al 26 de diciembre", "2026-12-24 2026-12-26"),
        ("24-26 de diciembre", "2026-12-24 2026-12-26"),
        ("from December 24 to 26, 2026", "2026-12-24 2026-12-26"),
        ("between Dec 30 and Jan 2", "2026-12-30 2027-01-02"),
        ("30 de diciembre al 2 de enero de 2027", "2026-12-30 2027-01-02"),
        ("24 de diciembre de 2026 al 3 de enero", "2026-12-24 2027-01-03"),
        ("del lunes al viernes", "2026-11-30 2026-12-04"),
        ("mañana y pasado mañana", "2026-11-24 2026-11-25"),
        ("desde mañana hasta el 31/12/2026", "2026-11-24 2026-12-31"),
        ("26/12/2026 al 24/12/2026", "2026-12-26 2026-12-24"),
        ("24/12/2026", None),
        ("24 y 26", None),
        ("siempre", None),
    ],
)
def test_pairs_of_days(text: str, days: str | None) -> None:
    found = parse_range(text, "es", MONDAY)
    assert (" ".join(day.isoformat() for day in found) if found else None) == days


@pytest.mark.parametrize(
    ("text", "time", "at_work"),
    [
        ("16:30", "16:30", "16:30"),
        ("16.30", "16:30", "16:30"),
        ("16h", "16:00", "16:00"),
        ("a las 16:30h", "16:30", "16:30"),
        ("4pm", "16:00", "16:00"),
        ("4:30 p.m.", "16:30", "16:30"),
        ("12 am", "00:00", "00:00"),
        ("las 10", "10:00", "10:00"),
        ("10 de la mañana", "10:00", "10:00"),
        ("a las 5 de la tarde", "17:00", "17:00"),
        ("5 in the afternoon", "17:00", "17:00"),
        ("8 de la noche", "20:00", "20:00"),
        ("12 de la noche", "00:00", "00:00"),
        ("12 de la mañana", "12:00", "12:00"),
        ("1 de la madrugada", "01:00", "01:00"),
        ("mediodía", "12:00", "12:00"),
        ("al mediodía", "12:00", "12:00"),
        ("noon", "12:00", "12:00"),
        ("5 y media", "05:30", "17:30"),
        ("las cinco y cuarto", "05:15", "17:15"),
        ("cinco menos cuarto", "04:45", "16:45"),
        ("half past five", "05:30", "17:30"),
        ("quarter to 5 pm", "16:45", "16:45"),
        ("5 o'clock", "05:00", "17:00"),
        ("at 5", "05:00", "17:00"),
        ("08:59", "08:59", "08:59"),
        ("16", None, None),
        ("24:00", None, None),
        ("13 pm", None, None),
        ("5 y pico", None, None),
        ("pronto", None, None),
    ],
)
def test_times(text: str, time: str | None, at_work: str | None) -> None:
    """Without limits, and between 09:00 and 18:00."""
    assert parse_time(text) == time
    assert parse_time(text, "09:00", "18:00") == at_work


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("4", 4),
        ("8.0", 8),
        ("4/5", 4),
        ("4 de 5", 4),
        ("4 out of 5", 4),
        ("4/10", None),
        ("un 4", 4),
        ("le doy un 4", 4),
        ("cuatro", 4),
        ("4 estrellas", 4),
        ("four stars", 4),
        ("⭐⭐⭐", 3),
        ("★★★☆☆", 3),
        ("3,5", None),
        ("bien", None),
    ],
)
def test_ratings(text: str, rating: int | None) -> None:
    assert parse_rating(text, 5) == rating


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        *(
            (text, True, True)
            for text in ("sí", "SI!", "Sí, acepto", "si claro", "si quiero", "claro que sí")
        ),
        *(
            (text, True, True)
            for text in ("por supuesto", "estoy de acuerdo", "okey", "vale", "perfecto", "sip")
        ),
        *((text, True, True) for text in ("yes please", "sure", "I agree", "of course", "no problem", "👍")),
        *((text, True, True) for text in ("sí, por favor", "acepto los términos y condiciones")),
        *((text, False, False) for text in ("no", "No, gracias.", "no gracias", "claro que no", "no acepto")),
        *((text, False, False) for text in ("nope", "I do not agree", "not now", "ahora no", "👎")),
        *((text, None, True) for text in ("sí, me llamo Ana", "sí quiero el grande")),
        *((text, None, False) for text in ("no me apetece", "no, otro día")),
        *((text, None, None) for text in ("no sé", "no lo sé", "no estoy segura", "I don't know", "¿sí?")),
        *((text, None, None) for text in ("si es gratis", "sí, pero no", "si o no", "no, sí", "tal vez", "")),
    ],
)
def test_a_yes_or_a_no(text: str, strict: bool | None, lenient: bool | None) -> None:
    """Strictly, as a consent needs it, and as it chooses between options."""
    assert read_yes_or_no(text) is strict
    assert leans(text) is lenient


@pytest.mark.parametrize(
    ("text", "skips"),
    [("no gracias", True), ("omitir", True), ("skip", True), ("0", False), ("1", False), ("sí", False)],
)
def test_what_need_not_be_answered_is_declined(text: str, skips: bool) -> None:
    assert declines(text) is skips


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ejemplo.es", "https://ejemplo.es"),
        ("mi web es www.ejemplo.es", "https://www.ejemplo.es"),
        ("Our site: https://example.com/a.", "https://example.com/a"),
        ("http://ejemplo.es/a b", None),
        ("www.a.es www.b.es", None),
        ("no tengo.", None),
        ("ftp://ejemplo.es", None),
    ],
)
def test_web_addresses(text: str, url: str | None) -> None:
    assert value_of({"kind": "url"}, text) == url


def value_of(field: dict[str, Any], answer: Any, files: list[dict[str, Any]] | None = None) -> Any:
    kind: Any = TypeAdapter(InputField).validate_python(field)
    try:
        return read_value(kind, answer, files or [], "es", MONDAY, lambda formula: formula)
    except Invalid:
        return None


def test_a_limit_that_is_no_day_does_not_count() -> None:
    assert value_of({"kind": "date", "latest": "2026-99-99"}, "hoy") == "2026-11-23"


def test_a_consent_is_nothing_less_than_a_yes() -> None:
    consent = {"kind": "consent", "statement": "Todo"}
    assert value_of(consent, "Sí, acepto") is True
    assert value_of(consent, "sí quiero el grande") is None
