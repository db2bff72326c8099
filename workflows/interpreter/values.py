"""Reads what a visitor enters into an input field: each kind gives a value or a complaint."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, time
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
from workflows.interpreter.matching import normal
from workflows.interpreter.rules import as_text

YES = frozenset(
    {"si", "s", "yes", "y", "ok", "vale", "acepto", "de acuerdo", "claro", "i agree", "agree", "true", "1"}
)
NO = frozenset({"no", "n", "rechazo", "no acepto", "disagree", "i disagree", "false", "0"})


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
            return _limited(
                _date(answer, language, today, "date"), field.earliest, field.latest, language, evaluate
            )
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


_SPACES = re.compile(r"[\s\u00a0\u202f']")


def parse_number(text: str, language: str) -> float | None:
    """The number a person wrote. Where both marks stand, the last is the decimal one; a single mark before
    exactly three digits separates thousands if that is the language's custom (`1.234` in es, `1,234` in en).
    """
    cleaned = _SPACES.sub("", text).rstrip("€$£%").lstrip("€$£")
    if not re.fullmatch(r"[+-]?[\d.,]*\d[\d.,]*", cleaned):
        return None
    thousands, decimal = (",", ".") if language.split("-")[0] == "en" else (".", ",")
    if "." in cleaned and "," in cleaned:
        decimal = max(".", ",", key=cleaned.rfind)
        thousands = "," if decimal == "." else "."
    elif cleaned.count(".") + cleaned.count(",") > 1:
        thousands = "." if "." in cleaned else ","
        decimal = "," if thousands == "." else "."
    elif thousands in cleaned and not re.fullmatch(
        rf"[+-]?[1-9]\d{{0,2}}{re.escape(thousands)}\d{{3}}", cleaned
    ):
        thousands, decimal = decimal, thousands
    whole = cleaned.replace(thousands, "")
    if whole.count(decimal) > 1:
        return None
    try:
        return float(whole.replace(decimal, "."))
    except ValueError:
        return None


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


_MONTHS = {
    name: number
    for names in (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sep oct nov dic",
        "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
    )
    for number, name in enumerate(names.split(), start=1)
} | {"setiembre": 9, "sept": 9}
_DAY_THEN_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th|o)?\.? (?:de |of )?([a-z]+)\.?,? (?:de |del )?(\d{4})")
_MONTH_THEN_DAY = re.compile(r"([a-z]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")


def _in_words(cleaned: str) -> tuple[int, int, int] | None:
    """Year, month and day of `24 de diciembre de 2026`, `24 Dec 2026` or `December 24, 2026`."""
    if found := _DAY_THEN_MONTH.fullmatch(cleaned):
        day, month, year = found.groups()
    elif found := _MONTH_THEN_DAY.fullmatch(cleaned):
        month, day, year = found.groups()
    else:
        return None
    return (int(year), _MONTHS[month], int(day)) if month in _MONTHS else None


def parse_date(text: str, language: str, today: date) -> date | None:
    """The day a person wrote: ISO, `24/12/2026`, `24-12-26`, `12/24/2026` in American English, with the
    month's name in Spanish or English, or a word for today or tomorrow."""
    words = {"hoy": 0, "today": 0, "manana": 1, "tomorrow": 1, "pasado manana": 2}
    cleaned = normal(text)
    if cleaned in words:
        return date.fromordinal(today.toordinal() + words[cleaned])
    found = re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(T.*)?", text.strip())
    named = _in_words(cleaned)
    if found:
        year, month, day = (int(found[1]), int(found[2]), int(found[3]))
    elif named:
        year, month, day = named
    else:
        found = re.fullmatch(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d{2})", text.strip())
        if not found:
            return None
        day, month, year = int(found[1]), int(found[2]), int(found[3])
        american = language.lower() == "en-us" or (language.lower() == "en" and month > 12 >= day)
        if american:
            day, month = month, day
        year += 2000 if year < 100 else 0
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _date(answer: Any, language: str, today: date, complaint: str) -> date:
    parsed = parse_date(answer, language, today) if isinstance(answer, str) else None
    if parsed is None:
        raise Invalid(complaint)
    return parsed


def _limited(value: date, earliest: str | None, latest: str | None, language: str, evaluate: Evaluate) -> str:
    low = evaluate(earliest) if earliest else None
    high = evaluate(latest) if latest else None
    if isinstance(low, str) and value.isoformat() < low[:10]:
        raise Invalid("date_min", limit=show_date(low[:10], language))
    if isinstance(high, str) and value.isoformat() > high[:10]:
        raise Invalid("date_max", limit=show_date(high[:10], language))
    return value.isoformat()


def show_date(iso: str, language: str) -> str:
    """A day for reading: `24/12/2026`, in English `2026-12-24`."""
    if language.split("-")[0] == "en" or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", iso):
        return iso
    return f"{iso[8:10]}/{iso[5:7]}/{iso[:4]}"


_BETWEEN_DAYS = re.compile(r"(?i)\s+(?:a|al|to|until|till|hasta el|hasta|-|–)\s+|\s*–\s*|\s*\.\.\s*")
_TWO_DAYS = re.compile(r"(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}[/.]\d{2,4})[\s,-]+(\d[\d/.-]*\d)")


def _date_range(
    field: DateRangeField, answer: Any, language: str, today: date, evaluate: Evaluate
) -> dict[str, str]:
    if isinstance(answer, str):
        text = re.sub(r"(?i)^(?:del|de|desde|from)(?: el)?\s+", "", answer.strip())
        parts = _BETWEEN_DAYS.split(text, maxsplit=1)
        if len(parts) == 1 and (pair := _TWO_DAYS.fullmatch(text)):
            parts = list(pair.groups())
        answer = {"start": parts[0], "end": parts[-1]} if len(parts) == 2 else None
    if not isinstance(answer, dict):
        raise Invalid("date_range")
    start = _date(answer.get("start"), language, today, "date_range")
    end = _date(answer.get("end"), language, today, "date_range")
    if end < start:
        raise Invalid("range_order")
    if field.max_days is not None and (end - start).days + 1 > field.max_days:
        raise Invalid("range_days", count=field.max_days)
    return {
        "start": _limited(start, field.earliest, field.latest, language, evaluate),
        "end": _limited(end, field.earliest, field.latest, language, evaluate),
    }


def _time(field: TimeField, answer: Any) -> str:
    text = normal(answer) if isinstance(answer, str) else ""
    found = re.fullmatch(
        r"(?:a las |at )?(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2})?\s*(am|pm|h|a\.?m|p\.?m)?", text
    )
    if not found or (found[2] is None and found[3] is None and not text.startswith(("a las", "at "))):
        raise Invalid("time")
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").replace(".", "")
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            raise Invalid("time")
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59:
        raise Invalid("time")
    value = time(hour, minute).strftime("%H:%M")
    if field.earliest and value < field.earliest:
        raise Invalid("time_min", limit=field.earliest)
    if field.latest and value > field.latest:
        raise Invalid("time_max", limit=field.latest)
    return value


def read_rating(field: RatingField, answer: Any) -> int:
    """A whole number from 1 to the highest, from a text, a number or `{rating}`. Raises `Invalid`."""
    value = answer.get("rating") if isinstance(answer, dict) else answer
    if isinstance(value, str) and re.fullmatch(r"\d{1,2}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= field.max:
        raise Invalid("rating", count=field.max)
    return value


def _files(field: FileField, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
    if len(files) != 1 or not str(files[0].get("media_type", "")).startswith("image/"):
        raise Invalid("file")
    return saved_file(files[0])


def _consent(field: ConsentField, answer: Any) -> bool:
    agreed = read_yes_or_no(answer)
    if agreed is None or (not agreed and field.must_accept):
        raise Invalid("consent")
    return agreed


def read_yes_or_no(answer: Any) -> bool | None:
    """True, false, or None where it is neither."""
    if isinstance(answer, bool):
        return answer
    word = normal(answer) if isinstance(answer, str) else ""
    return True if word in YES else False if word in NO else None
