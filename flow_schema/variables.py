"""Typed variables: every value is coerced to its variable's type where it enters a conversation.

Inputs of the site, answers of visitors, parts of HTTP answers and results of formulas all pass `coerce`, so
that a formula can rely on a number being a number. It is strict where guessing would change a meaning
(`1,234` is 1.234 in Spain and 1234 in England) and generous where only one meaning is left (`sí`, `3,5`,
`31/12/2026`). Pure and deterministic: no clock, no locale, no timezone of the machine.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from flow_schema.expression_values import MAX_INTEGER, MAX_VALUE_DEPTH, kind_of, to_text
from flow_schema.flow import Flow, VariableType

MAX_VARIABLE_BYTES: Final = 65_536
"""Size of one value as compact JSON in UTF-8."""

_TRUE: Final = frozenset({"true", "yes", "y", "sí", "si", "s", "verdadero", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "falso", "off", "0"})
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_GROUPED_POINT: Final = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+")
_GROUPED_COMMA: Final = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+")
_MANY_GROUPS: Final = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3}){2,}|(?:\.[0-9]{3}){2,})")
_AMBIGUOUS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_TIME: Final = r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
_ISO: Final = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?:[T ]{_TIME}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?"
)
_DAY_FIRST: Final = re.compile(rf"([0-9]{{1,2}})([/.-])([0-9]{{1,2}})\2([0-9]{{4}})(?:,? {_TIME})?")
_MAX_NUMBER_CHARS: Final = 60


class CoercionError(ValueError):
    """A value does not fit its variable; `str()` says why, in words for designers and operators."""


def coerce(value: Any, type: VariableType) -> Any:  # noqa: A002 (the word of the flow language)
    """Turn `value` into the JSON value that a variable of `type` holds.

    None fits every type, and an empty text counts as None where text is not wanted. Dates become
    `YYYY-MM-DD`; dates with times ISO 8601 with `T`, their offset kept if they have one. Objects and lists
    are copied. Raises CoercionError when no single meaning is left, and when the value is not JSON, is nested
    more than 64 levels deep or larger than `MAX_VARIABLE_BYTES`.
    """
    plain = _plain(value, 0)
    if plain is None or (type != "string" and isinstance(plain, str) and not plain.strip()):
        return None
    coerced = _CONVERSIONS[type](plain)
    size = _size(coerced)
    if size > MAX_VARIABLE_BYTES:
        raise CoercionError(
            f"the value has {size:,} bytes as JSON; a variable holds at most {MAX_VARIABLE_BYTES:,}"
        )
    return coerced


def initial_values(flow: Flow, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Every variable of `flow` with its value at the start: the given input, else its default.

    Inputs that the flow does not declare as inputs are left out, so that a page can't set what is not meant
    for it. Raises CoercionError, which names the variable, for a value that does not fit.
    """
    values: dict[str, Any] = {}
    for variable in flow.variables:
        given = variable.input and variable.name in inputs
        value = inputs[variable.name] if given else variable.default
        try:
            values[variable.name] = coerce(value, variable.type)
        except CoercionError as error:
            raise CoercionError(f"`{variable.name}`: {error}") from None
    return values


def _plain(value: Any, depth: int) -> Any:
    """A copy of `value` made of JSON's own types."""
    if value is None or isinstance(value, bool | str):
        return value if not isinstance(value, str) else _text(value)
    if isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise CoercionError("the number is too large; numbers go up to 10 ** 30")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CoercionError("the value is not a finite number")
        return float(value)
    if depth >= MAX_VALUE_DEPTH:
        raise CoercionError(f"the value is nested more than {MAX_VALUE_DEPTH} levels deep")
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise CoercionError("an object's keys must be text")
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    raise CoercionError(
        f"a variable can't hold a value of the kind {value.__class__.__name__!r}, only text, numbers, "
        "true or false, lists and objects"
    )


def _text(value: str) -> str:
    """Plain text that can be stored: no half surrogates and no NUL, which PostgreSQL refuses in JSON."""
    if "\x00" in value:
        raise CoercionError("the text holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CoercionError("the text is not valid Unicode") from None
    return str(value)


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


def _to_number(value: Any) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise _unfit(value, "a number")
    text = value.strip().replace("\u00a0", "").replace("\u2212", "-")
    if len(text) > _MAX_NUMBER_CHARS:
        raise CoercionError(f"a text of {len(text):,} characters is not a number")
    if _AMBIGUOUS.fullmatch(text):
        thousands, decimals = text.replace(",", ""), text.replace(",", ".")
        raise CoercionError(f"`{text}` may mean {thousands} or {decimals}; write it without the comma")
    if _GROUPED_POINT.fullmatch(text):
        text = text.replace(",", "")
    elif _GROUPED_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _MANY_GROUPS.fullmatch(text):
        text = text.replace(",", "").replace(".", "")
    elif _NUMBER.fullmatch(text):
        text = text.replace(",", ".")
    else:
        raise CoercionError(f"`{_short(value)}` is not a number")
    number: int | float = int(text) if text.lstrip("+-").isdecimal() else float(text)
    checked: int | float = _plain(number, 0)
    return checked


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().casefold()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise CoercionError(f"`{_short(value)}` is neither yes nor no")
    raise _unfit(value, "yes or no")


def _to_date(value: Any) -> str:
    day, _ = _read_moment(value, "a date such as 2026-12-31")
    return day.isoformat()


def _to_datetime(value: Any) -> str:
    day, time = _read_moment(value, "a date and time such as 2026-12-31T18:30")
    return f"{day.isoformat()}T{time or '00:00:00'}"


def _read_moment(value: Any, wanted: str) -> tuple[date, str | None]:
    """The day as written, and the time with its offset, or None if there is none."""
    if not isinstance(value, str):
        raise _unfit(value, wanted)
    text = value.strip()
    if found := _ISO.fullmatch(text):
        year, month, day, *clock, offset = found.groups()
    elif found := _DAY_FIRST.fullmatch(text):
        day, _, month, year, *clock = found.groups()
        offset = None
    else:
        raise CoercionError(f"`{_short(value)}` is not {wanted}")
    hour, minute, second, fraction = clock
    try:
        micro = int((fraction or "0").ljust(6, "0")[:6])
        moment = datetime(  # noqa: DTZ001 (the clock as written; its offset is kept beside it)
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro
        )
        written = None if hour is None else moment.time().isoformat() + _offset(offset)
    except ValueError:
        raise CoercionError(f"`{_short(value)}` names a day or time that does not exist") from None
    return moment.date(), written


def _offset(written: str | None) -> str:
    if written is None:
        return ""
    if written == "Z":
        return "+00:00"
    digits = written[1:].replace(":", "")
    if int(digits[:2]) > 23 or int(digits[2:]) > 59:
        raise ValueError(written)
    return f"{written[0]}{digits[:2]}:{digits[2:]}"


def _to_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    parsed = _from_json_text(value, "[")
    if isinstance(parsed, list):
        return parsed
    raise _unfit(value, "a list")


def _to_object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    parsed = _from_json_text(value, "{")
    if isinstance(parsed, dict):
        return parsed
    raise _unfit(value, "an object")


def _from_json_text(value: Any, opening: str) -> Any:
    if not isinstance(value, str) or not value.lstrip().startswith(opening):
        return None
    if len(value) > MAX_VARIABLE_BYTES:
        raise CoercionError(f"the text is longer than {MAX_VARIABLE_BYTES:,} characters")
    try:
        return _plain(json.loads(value), 0)
    except CoercionError:
        raise
    except (ValueError, RecursionError):
        return None


def _unfit(value: Any, wanted: str) -> CoercionError:
    shown = f"`{_short(value)}`" if isinstance(value, str) else f"a value of the kind {kind_of(value)}"
    return CoercionError(f"{shown} is not {wanted}")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


_CONVERSIONS: Final[dict[VariableType, Callable[[Any], Any]]] = {
    "string": to_text,
    "number": _to_number,
    "boolean": _to_boolean,
    "date": _to_date,
    "datetime": _to_datetime,
    "list": _to_list,
    "object": _to_object,
}
