"""Typed values found in free text by pattern: what can be read without a model.

Deterministic and modest: each function returns the first value that is certain by its form, or None.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Final

from llm.similarity import fold

_EMAIL = re.compile(
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)
_PHONE = re.compile(r"(?<![\w.,/-])\+?\(?\d[\d\s().-]{5,18}\d(?![\w/])")
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")
_NUMBER = re.compile(
    r"(?<![\w.,-])-?\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?(?!\d)|(?<![\w.,])-?\d+(?:[.,]\d+)?"
)
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DAY_FIRST = re.compile(r"\b(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\b")
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "enero january", "febrero february", "marzo march", "abril april", "mayo may", "junio june",
            "julio july", "agosto august", "septiembre setiembre september", "octubre october",
            "noviembre november", "diciembre december",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_WORDED_DATE = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:de\s+|of\s+)?({'|'.join(_MONTHS)})\s*,?\s+(?:de\s+|del\s+)?(\d{{4}})\b"
)
_MONTH_FIRST = re.compile(rf"\b({'|'.join(_MONTHS)})\s+(\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s+(\d{{4}})\b")
_NAME = re.compile(
    r"\b(?:me\s+llamo|mi\s+nombre\s+(?:completo\s+)?es|soy|my\s+name(?:\s+is|'s)|i\s+am|i'm|this\s+is|"
    r"meu\s+nome\s+é|je\s+m'appelle)\s+",
    re.IGNORECASE,
)
_NAME_WORD = re.compile(r"[^\W\d_][\w'-]*", re.UNICODE)
_PARTICLES: Final = frozenset({"de", "del", "la", "las", "los", "y", "da", "dos", "van", "von", "der", "di"})
_NOT_NAMES: Final = frozenset(
    {"un", "una", "el", "la", "a", "an", "the", "de", "from", "not", "no", "interested"}
)
_YES: Final = frozenset({"si", "claro", "acepto", "vale", "yes", "yeah", "sure", "true", "verdadero", "ok"})
_NO: Final = frozenset({"no", "nunca", "never", "false", "falso", "nope"})


def find_email(text: str) -> str | None:
    match = _EMAIL.search(text)
    return match.group() if match else None


def find_phone(text: str) -> str | None:
    """Return a phone number of 7 to 15 digits, as `+` and digits; dates and e-mails are skipped."""
    blanked = _DAY_FIRST.sub(" ", _ISO_DATE.sub(" ", _EMAIL.sub(" ", text)))
    for match in _PHONE.finditer(blanked):
        digits = re.sub(r"\D", "", match.group())
        if 7 <= len(digits) <= 15:
            return ("+" if match.group().lstrip().startswith("+") else "") + digits
    return None


def find_url(text: str) -> str | None:
    match = _URL.search(text)
    return match.group() if match else None


def find_number(text: str, *, whole: bool = False) -> float | int | None:
    """Return the first number, with `.` or `,` for decimals and thousands; `whole` skips fractions."""
    for match in _NUMBER.finditer(text):
        value = _read_number(match.group())
        if not whole:
            return value
        if float(value).is_integer():
            return int(value)
    return None


def _read_number(written: str) -> float | int:
    last = max(written.rfind("."), written.rfind(","))
    if last < 0:
        return int(written)
    separators = {character for character in written if character in ".,"}
    fraction = written[last + 1 :]
    grouped = len(fraction) == 3 and len(separators) == 1 and written.lstrip("-")[0] != "0"
    whole = re.sub(r"[.,]", "", written if grouped else written[:last])
    return int(whole) if grouped else float(f"{whole}.{fraction}")


def find_date(text: str) -> str | None:
    """Return the first complete date as YYYY-MM-DD: ISO, day first, or with its month in words."""
    plain = fold(text)
    found: list[tuple[int, str]] = []
    for pattern, order in (
        (_ISO_DATE, (1, 2, 3)), (_DAY_FIRST, (3, 2, 1)), (_WORDED_DATE, (3, 2, 1)), (_MONTH_FIRST, (3, 1, 2)),
    ):  # fmt: skip
        for match in pattern.finditer(plain):
            year, month, day = (match.group(group) for group in order)
            try:
                value = date(int(year), _MONTHS.get(month) or int(month), int(day))
            except ValueError:
                continue
            found.append((match.start(), value.isoformat()))
            break
    return min(found)[1] if found else None


def find_name(text: str) -> str | None:
    """Return a person's name: up to five words after "me llamo", "soy", "my name is" and the like."""
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for match in _NAME.finditer(text):
        weak = fold(match.group()).split()[0] in ("soy", "i", "i'm", "this")
        words: list[str] = []
        for word in re.split(r"\s+", text[match.end() :].split("\n")[0]):
            bare = _NAME_WORD.match(word)
            if bare is None or bare.start() or fold(bare.group()) in ({"y", "and"} if words else _NOT_NAMES):
                break
            if not bare.group()[0].isupper() and fold(bare.group()) not in _PARTICLES and (weak or words):
                break
            words.append(bare.group())
            if bare.end() < len(word) or len(words) == 5:
                break
        while words and fold(words[-1]) in _PARTICLES:
            words.pop()
        if words:
            return " ".join(words)
    return None


def find_boolean(text: str) -> bool | None:
    """Return yes or no if the text says one of them and not both."""
    words = set(re.findall(r"\w+", fold(text)))
    yes, no = bool(words & _YES), bool(words & _NO)
    return yes if yes != no else None


_HINTS: Final = (
    ("email", ("email", "e-mail", "correo", "mail")),
    ("phone", ("phone", "telephone", "tel", "telefono", "movil", "celular", "mobile", "whatsapp")),
    ("date", ("date", "fecha", "dia", "day")),
    ("url", ("url", "web", "website", "enlace", "link")),
    ("name", ("name", "nombre", "apellido")),
)


def find_for_schema(text: str, name: str, schema: dict[str, Any]) -> Any | None:
    """Return the value for one property of a JSON Schema, told by its type, format and name."""
    kinds = schema.get("type")
    kind = next((item for item in kinds if item != "null"), None) if isinstance(kinds, list) else kinds
    if isinstance(options := schema.get("enum"), list):
        spoken = " ".join(re.findall(r"[\w-]+", fold(text)))
        matches = [
            option for option in options if isinstance(option, str) and f" {fold(option)} " in f" {spoken} "
        ]
        return matches[0] if len(matches) == 1 else None
    if kind in ("integer", "number"):
        return find_number(text, whole=kind == "integer")
    if kind == "boolean":
        return find_boolean(text)
    if kind != "string":
        return None
    hint = {"email": "email", "date": "date", "uri": "url"}.get(str(schema.get("format")))
    spoken = fold(f"{name} {schema.get('title', '')} {schema.get('description', '')}")
    parts = set(re.split(r"[^a-z-]+", spoken))
    hint = hint or next((key for key, names in _HINTS if parts & set(names)), None)
    match hint:
        case "email":
            return find_email(text)
        case "phone":
            return find_phone(text)
        case "date":
            return find_date(text)
        case "url":
            return find_url(text)
        case "name":
            return find_name(text)
        case _:
            return None
