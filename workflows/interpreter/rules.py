"""The comparisons of `condition` nodes, forgiving where people mean the same.

Texts compare without case, accents and surrounding space, as options and keywords do. A text that reads as a
number, a date or a yes or no compares as one with a number, a date or a yes or no; it is read as variables
read it. A time without an offset is one of the flow's timezone, as in formulas. An order between things that
have none is false, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from flow_schema.expression_values import to_text
from flow_schema.flow import VariableType
from flow_schema.nodes.condition import Operator
from flow_schema.variables import CoercionError, coerce
from workflows.interpreter.reading.letters import folded

Matches = Callable[[str, str], bool]


def holds(left: Any, operator: Operator, right: Any, matches: Matches, zone: tzinfo = UTC) -> bool:
    """Whether `left operator right`; `matches(text, pattern)` applies a regular expression, `zone` is that of
    times without an offset."""
    match operator:
        case "empty":
            return is_empty(left)
        case "not_empty":
            return not is_empty(left)
        case "is":
            return same(left, right, zone)
        case "is_not":
            return not same(left, right, zone)
        case "contains":
            return contains(left, right, zone)
        case "not_contains":
            return not contains(left, right, zone)
        case "starts_with":
            return fold(left).startswith(fold(right))
        case "ends_with":
            return fold(left).endswith(fold(right))
        case "matches":
            return left is not None and matches(as_text(left), as_text(right))
        case "greater":
            return order(left, right, zone) == 1
        case "greater_or_equal":
            return order(left, right, zone) in (0, 1)
        case "less":
            return order(left, right, zone) == -1
        case "less_or_equal":
            return order(left, right, zone) in (0, -1)
        case "between":
            limits = right if isinstance(right, list) else []
            return (
                len(limits) == 2
                and order(left, limits[0], zone) in (0, 1)
                and order(left, limits[1], zone) in (0, -1)
            )
        case "in":
            return any(same(left, entry, zone) for entry in _entries(right))
        case "not_in":
            return not any(same(left, entry, zone) for entry in _entries(right))


def is_empty(value: Any) -> bool:
    """None, blank text, empty list or object. Zero and false are not empty."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def as_text(value: Any) -> str:
    """The value as people write it: no `.0`, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return to_text(value) if isinstance(value, list | dict) else str(value)


def fold(value: Any) -> str:
    """Text for comparison: trimmed, without case, accents and repeated spaces."""
    return " ".join(folded(as_text(value)).split())


def number(value: Any) -> float | int | None:
    """The number a value is or reads as (`"12.5"`), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        text = value.strip()
        try:
            read = int(text) if text.lstrip("+-").isdigit() else float(text)
        except ValueError:
            return None
        return read if math.isfinite(read) and "_" not in text else None  # "nan" and "1_000" are words
    return None


def moment(value: Any, zone: tzinfo = UTC) -> datetime | None:
    """The time a text means, in ISO 8601 or day first (`31/12/2026`); a day is its midnight in `zone`."""
    if not isinstance(value, str) or len(value) < 8:
        return None
    written = _read(value, "datetime")
    if written is None:
        return None
    parsed = datetime.fromisoformat(written)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=zone)


def same(left: Any, right: Any, zone: tzinfo = UTC) -> bool:
    """Whether two values are the same to people."""
    if left is None or right is None:
        return is_empty(left) and is_empty(right)
    if isinstance(left, bool) or isinstance(right, bool):
        known, other = (left, right) if isinstance(left, bool) else (right, left)
        return _read(other, "boolean") is known
    left_number, right_number = number(left), number(right)
    if left_number is not None and right_number is not None:
        return left_number == right_number
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        return bool(left == right)
    left_moment, right_moment = moment(left, zone), moment(right, zone)
    if left_moment is not None and right_moment is not None:
        return left_moment == right_moment
    return fold(left) == fold(right)


def contains(left: Any, right: Any, zone: tzinfo = UTC) -> bool:
    """A text contains a text, a list an entry, an object a key."""
    if isinstance(left, list):
        return any(same(entry, right, zone) for entry in left)
    if isinstance(left, dict):
        return as_text(right) in left
    return not is_empty(left) and fold(right) in fold(left)


def order(left: Any, right: Any, zone: tzinfo = UTC) -> int | None:
    """-1, 0 or 1; None where the two have no order."""
    left_number, right_number = _quantity(left), _quantity(right)
    if left_number is not None and right_number is not None:
        return (left_number > right_number) - (left_number < right_number)
    left_moment, right_moment = moment(left, zone), moment(right, zone)
    if left_moment is not None and right_moment is not None:
        return (left_moment > right_moment) - (left_moment < right_moment)
    if isinstance(left, str) and isinstance(right, str) and left_number is None and right_number is None:
        return (fold(left) > fold(right)) - (fold(left) < fold(right))
    return None


def _quantity(value: Any) -> float | int | None:
    """As `number`, also of texts such as `9,5`, which order leaves no doubt about."""
    found = number(value)
    if found is None and isinstance(value, str) and moment(value) is None:
        found = _read(value, "number")
    return found


def _read(value: Any, kind: VariableType) -> Any:
    """The value as a variable of that type would hold it, or None."""
    try:
        return coerce(value, kind)
    except CoercionError:
        return None


def _entries(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [entry.strip() for entry in value.split(",")]
    return [] if value is None else [value]
