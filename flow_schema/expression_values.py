"""Values, limits and faults of the expression language.

A value is what JSON can say: None, yes/no, whole and decimal numbers, text, lists and objects (dicts with
text keys). Dates are ISO 8601 text. Everything here is counted rather than timed, so that a formula that is
refused for its size is refused on every machine and in every replay.

Faults: `FormulaFaultError` is raised inside an evaluation and carries the reason alone; the public
functions of `flow_schema.expressions` turn it into `ExpressionError`, which adds the formula.
"""

import ast
import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

MAX_FORMULA_CHARS: Final = 2_000
MAX_FORMULA_NODES: Final = 1_000
MAX_FORMULA_DEPTH: Final = 100
MAX_TEXT_CHARS: Final = 100_000
MAX_RENDERED_CHARS: Final = 20_000
"""What a text may become once its formulas are filled: it is read by people, and travels in every history."""
MAX_RESULT_SIZE: Final = 100_000
MAX_VALUE_DEPTH: Final = 64
MAX_INTEGER: Final = 10**30
MAX_WORK: Final = 1_000_000
CHARS_PER_WORK: Final = 4

_PLAIN_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


class FormulaFaultError(Exception):
    """What is wrong, before it is known which formula it is wrong in."""

    def __init__(self, reason: str, *, node: ast.AST | None = None, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node
        self.position = position


class ExpressionError(ValueError):
    """A formula or a `{{ }}` text that can't be read or computed.

    `expression` is the formula (or the whole text, when its braces are the problem), `reason` a sentence that
    a flow designer can act on, `position` the index of the offending character in `expression`, if known.
    """

    def __init__(self, expression: str, reason: str, position: int | None = None) -> None:
        super().__init__(expression, reason, position)
        self.expression = expression
        self.reason = reason
        self.position = position

    def __str__(self) -> str:
        shown = self.expression if len(self.expression) <= 120 else self.expression[:117] + "..."
        place = "" if self.position is None else f", at character {self.position + 1}"
        return f"{self.reason} (formula: {shown}{place})".encode("utf-8", "replace").decode("utf-8")


@dataclass(slots=True)
class Context:
    """What an evaluation knows besides its variables: time, timezone and the work it may do."""

    now: datetime
    timezone: str
    work_left: int = field(default=MAX_WORK)

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            self.now = self.now.replace(tzinfo=UTC)

    def charge(self, work: int) -> None:
        """Take `work` units (about one list element or 4 characters each) off what is left.

        Raises FormulaFaultError when nothing is left.
        """
        self.work_left -= work
        if self.work_left < 0:
            raise FormulaFaultError("the formula does too much work; use shorter lists and texts")

    def charge_value(self, value: Any) -> None:
        """Charge for reading all of `value`, and refuse what is not JSON or is nested too deeply."""
        if type(value) is str:
            self.charge(1 + len(value) // CHARS_PER_WORK)
            return
        pending: list[tuple[Any, int]] = [(value, 0)]
        while pending:
            item, depth = pending.pop()
            self.charge(1)
            kind = type(item)
            if kind is str:
                self.charge(len(item) // CHARS_PER_WORK)
            elif kind is list or kind is dict:
                if depth >= MAX_VALUE_DEPTH:
                    raise FormulaFaultError(f"the value is nested more than {MAX_VALUE_DEPTH} levels deep")
                self.charge(len(item))
                if kind is dict:
                    for key in item:
                        check_key(key)
                    pending.extend((child, depth + 1) for child in item.values())
                else:
                    pending.extend((child, depth + 1) for child in item)
            else:
                admit(item)


def check_key(key: object) -> None:
    """Objects have text keys alone, as in JSON."""
    if type(key) is not str:
        raise FormulaFaultError("an object's keys must be text")


def admit(value: Any) -> Any:
    """Return `value` if formulas may hold it, without looking inside lists and objects.

    Subclasses (an enum of text, a tuple) become the plain kind. Raises FormulaFaultError for anything that is
    not JSON and for what is too large.
    """
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is str:
        if len(value) > MAX_TEXT_CHARS:
            raise FormulaFaultError(f"the text would be longer than {MAX_TEXT_CHARS:,} characters")
        return value
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise FormulaFaultError("the number is too large; numbers go up to 10 ** 30")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise FormulaFaultError("the result is not a finite number")
        return value
    if kind is list or kind is dict:
        if len(value) > MAX_RESULT_SIZE:
            raise FormulaFaultError(f"the {kind_of(value)} would have more than {MAX_RESULT_SIZE:,} entries")
        return value
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return admit(str.__str__(value))
    if isinstance(value, int):
        return admit(int.__int__(value))
    if isinstance(value, float):
        return admit(float.__float__(value))
    if isinstance(value, list | tuple):
        return admit(list(value))
    if isinstance(value, dict):
        return admit(dict(value))
    raise FormulaFaultError(
        f"a variable holds a value of the kind {type(value).__name__!r}; formulas know text, numbers, "
        "yes/no, lists and objects"
    )


def settle(value: Any, size_limit: int = MAX_RESULT_SIZE) -> Any:
    """Return a copy of `value` that shares nothing with the variables it came from.

    Raises FormulaFaultError when characters and entries together exceed `size_limit`, so that variables that
    feed on themselves can't grow without bound, or when it is nested too deeply.
    """
    left = size_limit

    def copy(raw: Any, depth: int) -> Any:
        nonlocal left
        item: Any = admit(raw)
        left -= 1 if type(item) is not str else len(item)
        if isinstance(item, list | dict):
            left -= len(item)
            if depth >= MAX_VALUE_DEPTH:
                raise FormulaFaultError(f"the result is nested more than {MAX_VALUE_DEPTH} levels deep")
            if left < 0:
                raise _too_large(size_limit)
            if isinstance(item, list):
                return [copy(child, depth + 1) for child in item]
            for key in item:
                check_key(key)
                left -= len(key)
            return {key: copy(child, depth + 1) for key, child in item.items()}
        if left < 0:
            raise _too_large(size_limit)
        return item

    if type(value) in _PLAIN_SCALARS and type(value) is not str:
        return admit(value)
    return copy(value, 0)


def _too_large(size_limit: int) -> FormulaFaultError:
    return FormulaFaultError(f"the result is larger than {size_limit:,} characters and entries")


def kind_of(value: Any) -> str:
    """The name of a value's kind in the words that messages and documentation use."""
    if value is None:
        return "empty value"
    match value:
        case bool():
            return "yes/no value"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"


def is_number(value: Any) -> bool:
    """Whether arithmetic is allowed on `value`; yes/no counts as 1 and 0, as in Python."""
    return type(value) is int or type(value) is float or type(value) is bool


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same kinds all the way down.

    `1` and `1.0` are one number; `1` and `true`, which Python takes for equal, are not the same. The caller
    has charged for both values, so their depth is bounded; the work is in proportion to the smaller.
    """
    if left != right:
        return False
    pending: list[tuple[Any, Any]] = [(left, right)]
    while pending:
        one, other = pending.pop()
        if (type(one) is bool) is not (type(other) is bool):
            return False
        if isinstance(one, list):
            pending.extend(zip(one, other, strict=True))
        elif isinstance(one, dict):
            pending.extend((value, other[key]) for key, value in one.items())
    return True


def number_text(value: int | float) -> str:
    """A number as a reader expects it: at most 15 significant digits, no exponent, no trailing `.0`."""
    if isinstance(value, int):
        return str(value)
    rounded = float(f"{value:.15g}")
    shown = format(Decimal(repr(rounded)), "f")
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def to_text(value: Any) -> str:
    """How a value reads inside a text: empty for None, `true`/`false`, lists joined by ", ", objects as JSON.

    The caller has charged for `value`, so its depth is known to be bounded.
    """
    if value is None:
        return ""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case str():
            return value
        case list():
            return ", ".join(to_text(item) for item in value)
        case _:
            return to_json(value)


def to_json(value: Any) -> str:
    """Compact JSON with the keys in their own order and letters unescaped."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
