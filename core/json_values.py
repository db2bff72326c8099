"""JSON that comes from elsewhere, made fit for PostgreSQL and for messages between processes.

PostgreSQL's jsonb refuses NUL characters, UTF-8 has no lone surrogates, and JSON has no infinities: a value
with one of them would be accepted here and break whoever stores it later.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import NoReturn

from pydantic import JsonValue

DEEPEST = 100
"""Levels of nesting that are taken; more is nobody's data."""


def dump_json(value: JsonValue) -> bytes:
    """Write JSON as UTF-8, always the same bytes for the same value. Raises ValueError for infinities."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace")


def read_json(text: str) -> JsonValue:
    """Read one JSON value, cleaned. Raises ValueError for anything else, also for too deep nesting."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise ValueError("a number has too many digits") from None
        raise
    return clean_json(value)


def clean_json(value: JsonValue, change: Callable[[str], str] | None = None) -> JsonValue:
    """Return a copy whose texts hold no NUL and no lone surrogate, each passed through `change` if given.

    Raises ValueError beyond 100 levels and for numbers that JSON can't hold.
    """
    return _clean(value, change or _same, 0)


def clean_text(text: str) -> str:
    """Replace what PostgreSQL or UTF-8 can't hold by the replacement character."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _clean(value: JsonValue, change: Callable[[str], str], depth: int) -> JsonValue:
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    if isinstance(value, str):
        return change(clean_text(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    if isinstance(value, dict):
        return {change(clean_text(key)): _clean(item, change, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, change, depth + 1) for item in value]
    return value


def _same(text: str) -> str:
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
