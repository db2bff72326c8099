"""Reads what a visitor enters into an input field: each kind gives a value or a complaint."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import email_validator
import phonenumbers
import re2

from flow_schema.nodes.input import (
    ConsentField,
    DateField,
    DateRangeField,
    EmailField,
    FileField,
    InputField,
    NumberField,
    PhoneField,
    RatingField,
    SignatureField,
    TextField,
    TimeField,
    UrlField,
)
from workflows.interpreter.reading.agreement import read_yes_or_no
from workflows.interpreter.reading.dates import parse_date, parse_range, show_date
from workflows.interpreter.reading.numbers import parse_number, parse_rating
from workflows.interpreter.reading.times import parse_time
from workflows.interpreter.rules import as_text


class Invalid(Exception):
    """The answer can't be taken; `phrase` and its values say why."""

    def __init__(self, phrase: str, **values: object) -> None:
        super().__init__(phrase)
        self.phrase = phrase
        self.values = values


Evaluate = Callable[[str], Any]


def read_value(
    field: InputField,
    answer: Any,
    files: list[dict[str, Any]],
    language: str,
    today: date,
    evaluate: Evaluate,
) -> Any:
    """The value to save for an answer (text, or what the field's control gave). Raises `Invalid`.

    `evaluate` computes the formulas of limits.
    """
    match field:
        case TextField():
            return _text(field, answer)
        case NumberField():
            return _number(field, answer, language)
        case EmailField():
            return _email(answer)
        case PhoneField():
            return _phone(field, answer)
        case UrlField():
            return _url(answer)
        case DateField():
            return _date(field, answer, language, today, evaluate)
        case TimeField():
            return _time(field, answer)
        case DateRangeField():
            return _date_range(field, answer, language, today, evaluate)
        case RatingField():
            return read_rating(field, answer)
        case FileField():
            return _files(field, files)
        case SignatureField():
            return _signature(files)
        case ConsentField():
            return _consent(field, answer)


def _text(field: TextField, answer: Any) -> str:
    if not isinstance(answer, str | int | float) or isinstance(answer, bool):
        raise Invalid("text")
    text = as_text(answer).strip()
    if not text and field.min_length > 0:
        raise Invalid("text")
    if len(text) < field.min_length:
        raise Invalid("text_short", count=field.min_length)
    if len(text) > field.max_length:
        raise Invalid("text_long", count=field.max_length)
    if field.pattern and re2.fullmatch(field.pattern, text) is None:
        raise Invalid("text_pattern")
    return text


def _number(field: NumberField, answer: Any, language: str) -> int | float:
    if isinstance(answer, str):
        value = parse_number(answer, language)
    elif isinstance(answer, int | float) and not isinstance(answer, bool):
        value = float(answer)
    else:
        value = None
    if value is None or not math.isfinite(value) or abs(value) > 1e15:
        raise Invalid("number")
    if field.integer and not value.is_integer():
        raise Invalid("integer")
    if field.min is not None and value < field.min:
        raise Invalid("number_min", limit=as_text(field.min))
    if field.max is not None and value > field.max:
        raise Invalid("number_max", limit=as_text(field.max))
    return int(value) if value.is_integer() else value


_SAID_EMAIL = re.compile(
    r"(?i)(?:<|mail\s|correo\s|\bis\s|\bes\s|:\s?)([^\s<>(),;:\"']+@[^\s<>(),;:\"']+)>?$"
)
"""`Ana <ana@example.org>`, `my e-mail is ana@example.org`; but not `ana b@example.org`, a slip."""


def _email(answer: Any) -> str:
    if not isinstance(answer, str):
        raise Invalid("email")
    text = answer.strip().removeprefix("mailto:").rstrip(".,;")
    if found := _SAID_EMAIL.search(text):
        text = found[1].rstrip(".!?")
    try:
        return email_validator.validate_email(text, check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        raise Invalid("email") from None


def _phone(field: PhoneField, answer: Any) -> str:
    text = as_text(answer).strip() if isinstance(answer, str | int) else ""
    if text.startswith("00"):  # how most countries dial abroad, whatever the region of the field does
        text = f"+{text[2:]}"
    try:
        number = phonenumbers.parse(text, field.region)
    except phonenumbers.NumberParseException:
        raise Invalid("phone") from None
    if not phonenumbers.is_valid_number(number):
        raise Invalid("phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _url(answer: Any) -> str:
    text = answer.strip() if isinstance(answer, str) else ""
    *sentence, last = text.split() or [""]
    if sentence and "." in last.strip(".,;") and not any(re.search(r"[./]\w", word) for word in sentence):
        text = last.strip("<>()\"'").rstrip(
            ".,;!?)"
        )  # `mi web es www.ejemplo.es`; but not `http://x.es/a b`, a slip
    if text and "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise Invalid("url") from None
    named = "." in host.strip(".") and not re.search(r"\s", text)
    if parts.scheme not in ("http", "https") or not named or len(text) > 2_000:
        raise Invalid("url")
    return text


def _date(field: DateField, answer: Any, language: str, today: date, evaluate: Evaluate) -> str:
    earliest, latest = _limits(field, evaluate)
    parsed = None
    if isinstance(answer, str):
        parsed = parse_date(answer, language, today, date.fromisoformat(latest) if latest else None)
    if parsed is None:
        raise Invalid("date")
    return _limited(parsed, earliest, latest, language)


def _limits(field: DateField | DateRangeField, evaluate: Evaluate) -> tuple[str | None, str | None]:
    """The first and the last day allowed, `YYYY-MM-DD`."""
    return _day_of(field.earliest, evaluate), _day_of(field.latest, evaluate)


def _day_of(formula: str | None, evaluate: Evaluate) -> str | None:
    value = evaluate(formula) if formula else None
    try:
        return date.fromisoformat(value[:10]).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def _limited(value: date, earliest: str | None, latest: str | None, language: str) -> str:
    if earliest and value.isoformat() < earliest:
        raise Invalid("date_min", limit=show_date(earliest, language))
    if latest and value.isoformat() > latest:
        raise Invalid("date_max", limit=show_date(latest, language))
    return value.isoformat()


def _date_range(
    field: DateRangeField, answer: Any, language: str, today: date, evaluate: Evaluate
) -> dict[str, str]:
    days = None
    match answer:
        case str():
            days = parse_range(answer, language, today)
        case {"start": str(first), "end": str(last)}:
            start, end = parse_date(first, language, today), parse_date(last, language, today)
            days = (start, end) if start is not None and end is not None else None
        case _:
            pass
    if days is None:
        raise Invalid("date_range")
    start, end = days
    if end < start:
        raise Invalid("range_order")
    if field.max_days is not None and (end - start).days + 1 > field.max_days:
        raise Invalid("range_days", count=field.max_days)
    earliest, latest = _limits(field, evaluate)
    return {
        "start": _limited(start, earliest, latest, language),
        "end": _limited(end, earliest, latest, language),
    }


def _time(field: TimeField, answer: Any) -> str:
    value = parse_time(answer, field.earliest, field.latest) if isinstance(answer, str) else None
    if value is None:
        raise Invalid("time")
    if field.earliest and value < field.earliest:
        raise Invalid("time_min", limit=field.earliest)
    if field.latest and value > field.latest:
        raise Invalid("time_max", limit=field.latest)
    return value


def read_rating(field: RatingField, answer: Any) -> int:
    """A whole number from 1 to the highest, from a text, a number or `{rating}`. Raises `Invalid`."""
    value = answer.get("rating") if isinstance(answer, dict) else answer
    if isinstance(value, str):
        value = parse_rating(value, field.max)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= field.max:
        raise Invalid("rating", count=field.max)
    return value


def _files(field: FileField, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    files = list({str(file.get("id")): file for file in files}.values())
    if not files:
        raise Invalid("file")
    if len(files) > field.max_files:
        raise Invalid("file_count", count=field.max_files)
    for file in files:
        media_type = str(file.get("media_type", ""))
        if field.accept and not any(accepts(pattern, media_type) for pattern in field.accept):
            raise Invalid("file_type", name=file.get("name", ""))
        if int(file.get("size", 0)) > field.max_megabytes * 1_000_000:
            raise Invalid("file_size", name=file.get("name", ""), count=as_text(field.max_megabytes))
    return [saved_file(file) for file in files]


def accepts(pattern: str, media_type: str) -> bool:
    """Whether `image/*`, `*/*` or `application/pdf` admits a media type."""
    kind, _, sub = pattern.strip().lower().partition("/")
    given, _, given_sub = media_type.lower().partition("/")
    return kind in ("*", given) and sub in ("*", given_sub)


def saved_file(file: dict[str, Any]) -> dict[str, Any]:
    """What a variable keeps of an uploaded file: `{id, name, type, size}`."""
    return {
        "id": file.get("id"),
        "name": file.get("name"),
        "type": file.get("media_type"),
        "size": file.get("size"),
    }


def _signature(files: list[dict[str, Any]]) -> dict[str, Any]:
    files = list({str(file.get("id")): file for file in files}.values())
    if len(files) != 1 or not str(files[0].get("media_type", "")).startswith("image/"):
        raise Invalid("signature")
    return saved_file(files[0])


def _consent(field: ConsentField, answer: Any) -> bool:
    agreed = read_yes_or_no(answer)
    if agreed is None or (not agreed and field.must_accept):
        raise Invalid("consent")
    return agreed
