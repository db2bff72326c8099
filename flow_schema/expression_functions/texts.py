"""Functions on text. Patterns run on RE2, whose time is linear in the text whatever the pattern says."""

import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote

import re2

from flow_schema.expression_functions.registry import FunctionGroup, anything, integer, items, text
from flow_schema.expression_values import (
    MAX_TEXT_CHARS,
    Context,
    FormulaFaultError,
    kind_of,
    to_text,
)


def _pattern_options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


GROUP: Final = FunctionGroup("Text")
MAX_PATTERN_CHARS: Final = 500
_PATTERN_WORK: Final = 4
_APOSTROPHES: Final = frozenset("'’")
"""They stand inside words: it's, O'clock."""
_EMAIL: Final = re2.compile(
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[\pL\pN](?:[\pL\pN-]*[\pL\pN])?(?:\.[\pL\pN](?:[\pL\pN-]*[\pL\pN])?)+$",
    _pattern_options(),
)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _pattern_options())


def _search(context: Context, subject: str, pattern: str) -> Any:
    """The first match of `pattern` in `subject`, or None. Raises FormulaFaultError for what RE2 refuses."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise FormulaFaultError(f"the pattern is longer than {MAX_PATTERN_CHARS} characters")
    context.charge(len(subject) * _PATTERN_WORK)
    try:
        compiled = _compiled(_encodable(pattern))
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        words = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise FormulaFaultError(f"the pattern can't be read: {words}") from None
    return compiled.search(_encodable(subject))


def _encodable(value: str) -> str:
    """The text with characters that UTF-8 can't say replaced by '?'."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _bounded(size: int) -> None:
    if size > MAX_TEXT_CHARS:
        raise FormulaFaultError(f"the text would be longer than {MAX_TEXT_CHARS:,} characters")


@GROUP.define(
    "text(value)",
    "Any value as text, as it would read in a message.",
    example="text(3.0)",
    result="3",
    takes=(anything,),
)
def written(value: Any) -> str:
    return to_text(value)


@GROUP.define("upper(text)", "In capital letters.", example='upper("añejo")', result="AÑEJO", takes=(text,))
def upper(value: str) -> str:
    return value.upper()


@GROUP.define("lower(text)", "In small letters.", example='lower("HOLA")', result="hola", takes=(text,))
def lower(value: str) -> str:
    return value.lower()


@GROUP.define(
    "capitalize(text)",
    "The first letter large, the rest as it is.",
    example='capitalize("buenos días")',
    result="Buenos días",
    takes=(text,),
)
def capitalize(value: str) -> str:
    return value[:1].upper() + value[1:]


@GROUP.define(
    "title(text)",
    "Each word, also after a hyphen, with a large first letter and small others.",
    example='title("ana-maría GARCÍA")',
    result="Ana-María García",
    takes=(text,),
)
def title(value: str) -> str:
    starts = [0]
    begins = False
    for place, character in enumerate(value):
        inside = character.isalnum() or character == "_" or bool(unicodedata.combining(character))
        if begins and inside:
            starts.append(place)
        if character not in _APOSTROPHES:
            begins = not inside
    words = [value[start:end] for start, end in pairwise([*starts, len(value)])]
    return "".join(word[:1].upper() + word[1:].lower() for word in words)


@GROUP.define(
    "trim(text)",
    "Without spaces and line ends around it.",
    example='trim("  hola ")',
    result="hola",
    takes=(text,),
)
def trim(value: str) -> str:
    return value.strip()


@GROUP.define(
    "normalize(text)",
    "In small letters, without accents and with single spaces; for comparing what people type.",
    example='normalize("  Ángel   NÚÑEZ ")',
    result="angel nunez",
    takes=(text,),
)
def normalize(value: str) -> str:
    decomposed = unicodedata.normalize("NFKD", value.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(unicodedata.normalize("NFC", plain).split())


@GROUP.define(
    "length(value)",
    "Characters of a text, entries of a list or keys of an object; 0 for an empty value.",
    example='length("hola")',
    result=4,
    takes=(anything,),
)
def length(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, str | list | dict):
        return len(value)
    raise FormulaFaultError(f"needs text, a list or an object, not a value of the kind {kind_of(value)}")


@GROUP.define(
    "contains(value, part)",
    "Whether a text contains another, a list an entry, or an object a key. Capital letters count.",
    example='contains("buenos días", "día")',
    result=True,
    takes=(anything, anything),
)
def contains(value: Any, part: Any) -> bool:
    if value is None:
        return False
    if isinstance(value, list):
        return part in value
    if isinstance(value, dict):
        return isinstance(part, str) and part in value
    if part is None or isinstance(part, list | dict):
        return False
    return to_text(part) in to_text(value)


@GROUP.define(
    "starts_with(text, beginning)",
    "Whether a text begins with another.",
    example='starts_with("+34 600", "+34")',
    result=True,
    takes=(text, text),
)
def starts_with(value: str, beginning: str) -> bool:
    return value.startswith(beginning)


@GROUP.define(
    "ends_with(text, ending)",
    "Whether a text ends with another.",
    example='ends_with("photo.png", ".png")',
    result=True,
    takes=(text, text),
)
def ends_with(value: str, ending: str) -> bool:
    return value.endswith(ending)


@GROUP.define(
    "replace(text, old, new)",
    "Every `old` replaced by `new`.",
    example='replace("1-2-3", "-", ".")',
    result="1.2.3",
    takes=(text, text, text),
)
def replace(value: str, old: str, new: str) -> str:
    if not old:
        return value
    _bounded(len(value) + value.count(old) * (len(new) - len(old)))
    return value.replace(old, new)


@GROUP.define(
    'split(text, separator = " ")',
    "The parts between separators as a list; with a space, the words.",
    example='split("red, green,blue", ",")',
    result=["red", " green", "blue"],
    takes=(text, text),
)
def split(value: str, separator: str = " ") -> list[str]:
    return value.split() if not separator.strip() else value.split(separator)


@GROUP.define(
    'join(list, separator = ", ")',
    "The entries of a list as one text.",
    example='join(["a", "b"], " - ")',
    result="a - b",
    takes=(items, text),
)
def join(entries: list[Any], separator: str = ", ") -> str:
    written_entries = [to_text(entry) for entry in entries]
    _bounded(sum(map(len, written_entries)) + len(separator) * max(0, len(entries) - 1))
    return separator.join(written_entries)


@GROUP.define(
    "words(text)",
    "The words of a text as a list.",
    example='words("uno  dos")',
    result=["uno", "dos"],
    takes=(text,),
)
def words(value: str) -> list[str]:
    return value.split()


@GROUP.define(
    "slice(value, start, end = null)",
    "From position `start` (0 is the first) up to, not including, `end`; negative positions count from the "
    "end; `end` may be left out. For text and lists.",
    example='slice("ABC-123", 4, 6)',
    result="12",
    takes=(anything, integer, anything),
)
def cut(context: Context, value: Any, start: int, end: Any = None) -> Any:
    if value is None:
        return ""
    last = None if end is None else integer(context, end)
    if isinstance(value, list):
        return value[start:last]
    return text(context, value)[start:last]


@GROUP.define(
    "left(text, count)",
    "The first characters.",
    example='left("Madrid", 3)',
    result="Mad",
    takes=(text, integer),
)
def left(value: str, count: int) -> str:
    return value[: max(0, count)]


@GROUP.define(
    "right(text, count)",
    "The last characters.",
    example='right("ES-4471", 4)',
    result="4471",
    takes=(text, integer),
)
def right(value: str, count: int) -> str:
    return value[max(0, len(value) - max(0, count)) :]


@GROUP.define(
    'truncate(text, count, ending = "…")',
    "At most `count` characters, with the ending where something was cut.",
    example='truncate("a long story", 7)',
    result="a long…",
    takes=(text, integer, text),
)
def truncate(value: str, count: int, ending: str = "…") -> str:
    if len(value) <= count:
        return value
    return (value[: max(0, count - len(ending))] + ending)[: max(0, count)]


@GROUP.define(
    'pad_left(text, count, fill = " ")',
    "Filled up on the left to `count` characters.",
    example='pad_left(7, 3, "0")',
    result="007",
    takes=(text, integer, text),
)
def pad_left(value: str, count: int, fill: str = " ") -> str:
    return _padding(value, count, fill) + value


@GROUP.define(
    'pad_right(text, count, fill = " ")',
    "Filled up on the right to `count` characters.",
    example='pad_right("ab", 4, ".")',
    result="ab..",
    takes=(text, integer, text),
)
def pad_right(value: str, count: int, fill: str = " ") -> str:
    return value + _padding(value, count, fill)


def _padding(value: str, count: int, fill: str) -> str:
    _bounded(count)
    missing = count - len(value)
    return "" if missing <= 0 or not fill else (fill * (missing // len(fill) + 1))[:missing]


@GROUP.define(
    "matches(text, pattern)",
    "Whether a regular expression (RE2) is found in the text; `^` and `$` tie it to both ends, `(?i)` "
    "ignores capitals.",
    example=r'matches("ES-4471", "^[A-Z]{2}-\d+$")',
    result=True,
    takes=(text, text),
)
def matches(context: Context, value: str, pattern: str) -> bool:
    return _search(context, value, pattern) is not None


@GROUP.define(
    "extract(text, pattern, group = 0)",
    "What a regular expression (RE2) finds first, or one of its groups; empty if nothing is found.",
    example=r'extract("order 4471 please", "order (\d+)", 1)',
    result="4471",
    takes=(text, text, integer),
)
def extract(context: Context, value: str, pattern: str, group: int = 0) -> str | None:
    found = _search(context, value, pattern)
    if not 0 <= group <= _compiled(_encodable(pattern)).groups:
        raise FormulaFaultError(f"the pattern has no group {group}")
    return None if found is None else found.group(group)


@GROUP.define(
    "is_email(text)",
    "Whether the text has the form of an e-mail address.",
    example='is_email("ana@example.com")',
    result=True,
    takes=(text,),
)
def is_email(value: str) -> bool:
    return len(value) <= 254 and ".." not in value and _EMAIL.search(_encodable(value)) is not None


@GROUP.define(
    "is_number(value)",
    "Whether the value is a number or text that number() reads.",
    example='is_number("12.5")',
    result=True,
    takes=(anything,),
)
def is_number_like(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or (isinstance(value, str) and read_number(value) is not None)


@GROUP.define(
    "url_encode(text)",
    "For use inside an address.",
    example='url_encode("café & té")',
    result="caf%C3%A9%20%26%20t%C3%A9",
    takes=(text,),
)
def url_encode(value: str) -> str:
    _bounded(len(value) * 3)
    return quote(_encodable(value), safe="")


_PLAIN_NUMBER: Final = re2.compile(
    r"^[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?$"
)
_GROUPED: Final = {
    "en": re2.compile(r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,30})?$"),
    "es": re2.compile(r"^[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]{1,30})(?:,[0-9]{1,30})?$"),
}


def read_number(value: str, language: str = "en") -> int | float | None:
    """The number that a text says in a language's notation, or None. `1.234` is 1234 in es."""
    stripped = value.strip()
    if len(stripped) > 60:
        return None
    if _GROUPED[language].search(_encodable(stripped)):
        stripped = (
            stripped.replace(",", "") if language == "en" else stripped.replace(".", "").replace(",", ".")
        )
    if not _PLAIN_NUMBER.search(_encodable(stripped)):
        return None
    if stripped.lstrip("+-").isdecimal():
        return int(stripped)
    found = float(stripped)
    return found if abs(found) < 1e308 else None
