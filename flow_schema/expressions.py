"""The one expression language of flows: formulas, conditions and `{{ }}` texts.

A formula is Python's operators over variables and documented functions: `total * 1.21`, `plan == "pro" and
seats > 5`, `order.lines[0].name`. A text holds formulas between double braces. Evaluation is bounded (length,
work, size of the result), deterministic (the time comes from the caller, timezones from a pinned table) and
closed: attributes read keys of objects and nothing else, and only the functions in `FUNCTIONS` can be called.

Empty values are part of every conversation, so they are ordinary here: a missing variable or key reads as
None, `None < 5` is False rather than an error, and None renders as nothing. Arithmetic on them is refused,
because a silent 0 would hide the mistake.

Everything raises `ExpressionError` and nothing else.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from simpleeval import InvalidExpression, SimpleEval

from flow_schema.expression_functions import FUNCTIONS, IMPLEMENTATIONS, FunctionDocument
from flow_schema.expression_functions.collections import is_empty
from flow_schema.expression_syntax import (
    LITERAL_NAMES,
    Formula,
    is_variable_name,
    pieces_of,
    read_formula,
    split_text,
)
from flow_schema.expression_values import (
    CHARS_PER_WORK,
    MAX_INTEGER,
    MAX_RENDERED_CHARS,
    MAX_RESULT_SIZE,
    MAX_TEXT_CHARS,
    MAX_VALUE_DEPTH,
    Context,
    ExpressionError,
    FormulaFaultError,
    admit,
    check_key,
    is_number,
    kind_of,
    same,
    settle,
    to_text,
)

__all__ = [
    "FUNCTIONS",
    "ExpressionError",
    "FunctionDocument",
    "Scope",
    "check_text",
    "evaluate",
    "evaluate_condition",
    "is_variable_name",
    "names_in_formula",
    "names_in_text",
    "parse",
    "paths_in_formula",
    "paths_in_text",
    "read_names",
    "render",
    "render_value",
]

Scope = Mapping[str, Any]
"""Variable names to JSON-like values: None, bool, int, float, str, list, dict. Dates are ISO 8601 text."""

_CACHED_TEXT_CHARS: Final = 4_000
_SAFETY_NET: Final = "the formula can't be computed with these values"


def parse(formula: str) -> None:
    """Check a formula's syntax, constructs, functions and their number of values. Raises ExpressionError."""
    read_formula(formula)


def check_text(text: str) -> None:
    """Check that every `{{` of a text is closed and holds a valid formula. Raises ExpressionError."""
    _split(text)


def names_in_formula(formula: str) -> set[str]:
    """The variables that a formula reads (`secrets` for `secrets.KEY`). Raises ExpressionError."""
    return {path[0] for path in read_formula(formula).paths}


def paths_in_formula(formula: str) -> set[tuple[str, ...]]:
    """The variables with the keys written after them: `("secrets", "KEY")` for `secrets.KEY`."""
    return set(read_formula(formula).paths)


def names_in_text(text: str) -> set[str]:
    """The variables that the formulas of a text read. Raises ExpressionError."""
    return {path[0] for path in paths_in_text(text)}


def paths_in_text(text: str) -> set[tuple[str, ...]]:
    """As `paths_in_formula`, over all formulas of a text."""
    return {path for part in _split(text) if isinstance(part, Formula) for path in part.paths}


def read_names(text: str, *, bare: bool = False) -> tuple[set[tuple[str, ...]], list[ExpressionError]]:
    """What `paths_in_text` gives (`bare`: `paths_in_formula`) for all that can be read, and all faults."""
    found: set[tuple[str, ...]] = set()
    faults: list[ExpressionError] = []
    try:
        parts = (read_formula(text),) if bare else _split(text)
    except ExpressionError as fault:
        parts = () if bare or len(text) > MAX_TEXT_CHARS else tuple(pieces_of(text, faults))
        faults = faults or [fault]
    for part in parts:
        if isinstance(part, Formula):
            found.update(part.paths)
    return found, faults


def evaluate(formula: str, names: Scope, *, now: datetime, timezone: str = "UTC") -> Any:
    """Compute a formula. The result is JSON-like and shares nothing with `names`.

    `now` is the workflow's time (a naive one counts as UTC); `timezone` an IANA name for the date functions.
    A missing variable reads as None. Raises ExpressionError.
    """
    return _compute(read_formula(formula), names, Context(now, timezone))


def evaluate_condition(formula: str, names: Scope, *, now: datetime, timezone: str = "UTC") -> bool:
    """Whether a formula's result counts as yes: not None, False, 0, empty text, list or object."""
    return bool(evaluate(formula, names, now=now, timezone=timezone))


def render(
    text: str, names: Scope, *, now: datetime, timezone: str = "UTC", max_chars: int = MAX_RENDERED_CHARS
) -> str:
    """Fill the formulas of a text.

    None and missing variables give nothing, lists are joined by ", ", objects are JSON. Raises
    ExpressionError, also when the outcome would be longer than `max_chars`.
    """
    return _render(text, names, Context(now, timezone), max_chars)


def render_value(
    value: Any, names: Scope, *, now: datetime, timezone: str = "UTC", max_chars: int = MAX_RENDERED_CHARS
) -> Any:
    """Render every text inside lists and objects (not their keys).

    A text that is nothing but one `{{ formula }}` becomes the formula's value with its kind; other texts
    become text. `max_chars` bounds each text, the size limit of results the whole. Raises ExpressionError.
    """
    context = Context(now, timezone)

    def fill(item: Any, depth: int) -> Any:
        if depth > MAX_VALUE_DEPTH:
            raise FormulaFaultError(f"the value is nested more than {MAX_VALUE_DEPTH} levels deep")
        context.charge(1)
        if isinstance(item, str):
            parts = _split(item)
            if len(parts) == 1 and isinstance(parts[0], Formula):
                return _compute(parts[0], names, context)
            return _render(item, names, context, max_chars)
        if isinstance(item, list | tuple):
            return [fill(child, depth + 1) for child in item]
        if isinstance(item, dict):
            for key in item:
                check_key(key)
            return {key: fill(child, depth + 1) for key, child in item.items()}
        return item

    try:
        return settle(fill(value, 0))
    except FormulaFaultError as fault:
        raise ExpressionError("a value with texts", fault.reason) from None


def _split(text: str) -> tuple[str | Formula, ...]:
    if len(text) > MAX_TEXT_CHARS:
        raise ExpressionError(text[:120], f"the text is longer than {MAX_TEXT_CHARS:,} characters")
    return split_text(text) if len(text) <= _CACHED_TEXT_CHARS else split_text.__wrapped__(text)


def _render(text: str, names: Scope, context: Context, max_chars: int) -> str:
    out: list[str] = []
    size = 0
    for part in _split(text):
        shown = part if isinstance(part, str) else to_text(_compute(part, names, context))
        size += len(shown)
        if size > max_chars:
            problem = f"the text would be longer than {max_chars:,} characters"
            raise ExpressionError(text, f"{problem}; show less of it, as text[0:1000] does")
        out.append(shown)
    return "".join(out)


def _compute(formula: Formula, names: Scope, context: Context) -> Any:
    try:
        return settle(_Evaluator(formula, names, context).run(), MAX_RESULT_SIZE)
    except FormulaFaultError as fault:
        position = fault.position if fault.node is None else formula.position_of(fault.node)
        raise ExpressionError(formula.source, fault.reason, position) from None
    except (
        InvalidExpression,
        ArithmeticError,
        ValueError,
        TypeError,
        LookupError,
        RecursionError,
        MemoryError,
    ):
        raise ExpressionError(formula.source, _SAFETY_NET) from None


def _arithmetic(sign: str, compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if not (is_number(left) and is_number(right)):
            raise _unfit(sign, left, right)
        try:
            return compute(left, right)
        except ZeroDivisionError:
            raise FormulaFaultError("division by zero") from None
        except OverflowError:
            raise FormulaFaultError("the result is not a finite number") from None

    return apply


def _unfit(sign: str, left: Any, right: Any) -> FormulaFaultError:
    kinds = f"{kind_of(left)} {sign} {kind_of(right)}"
    if left is None or right is None:
        return FormulaFaultError(
            f"can't compute {kinds}; default(value, 0) gives a number where a value is empty"
        )
    if "text" in (kind_of(left), kind_of(right)):
        advice = "text(value) makes text and number(value) makes a number"
        return FormulaFaultError(f"can't compute {kinds}; {advice}")
    return FormulaFaultError(f"can't compute {kinds}")


_add_numbers: Final = _arithmetic("+", operator.add)
_multiply_numbers: Final = _arithmetic("*", operator.mul)


def _add(left: Any, right: Any) -> Any:
    if type(left) is type(right) and type(left) in (str, list):
        if len(left) + len(right) > MAX_RESULT_SIZE:
            raise FormulaFaultError(f"the {kind_of(left)} would be longer than {MAX_RESULT_SIZE:,}")
        return left + right
    return _add_numbers(left, right)


def _multiply(left: Any, right: Any) -> Any:
    if type(left) is int and type(right) in (str, list):
        left, right = right, left
    if type(left) in (str, list) and type(right) is int:
        if len(left) * max(0, right) > MAX_RESULT_SIZE:
            raise FormulaFaultError(f"the {kind_of(left)} would be longer than {MAX_RESULT_SIZE:,}")
        return left * right if left else left
    return _multiply_numbers(left, right)


def _power(left: Any, right: Any) -> Any:
    """Powers whose size is known before they are computed."""
    if isinstance(left, int) and isinstance(right, int):
        if right >= 0 and abs(left) > 1 and int(left).bit_length() * right > 2 * MAX_INTEGER.bit_length():
            raise FormulaFaultError("the number is too large; numbers go up to 10 ** 30")
        if right >= 0:
            return left**right if abs(left) > 1 else left ** (right % 2 + 2 if right > 1 else right)
    if left < 0 and not float(right).is_integer():
        raise FormulaFaultError("the root of a negative number is not a number")
    return float(left) ** float(right)


def _negate(value: Any) -> Any:
    if not is_number(value):
        raise FormulaFaultError(f"can't compute - {kind_of(value)}")
    return -value


def _positive(value: Any) -> Any:
    if not is_number(value):
        raise FormulaFaultError(f"can't compute + {kind_of(value)}")
    return +value


def _ordering(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        if left is None or right is None:
            return False
        if (is_number(left) and is_number(right)) or (type(left) is str and type(right) is str):
            return compare(left, right)
        kinds = f"{kind_of(left)} {sign} {kind_of(right)}"
        raise FormulaFaultError(f"can't compare {kinds}; number(value) and text(value) make them alike")

    return apply


def _contained(left: Any, right: Any) -> bool:
    if right is None:
        return False
    if type(right) is str:
        if left is None:
            return False
        if type(left) is not str:
            raise FormulaFaultError(
                f"can't look for a value of the kind {kind_of(left)} in text; write text(value)"
            )
        return left in right
    if type(right) is dict:
        return type(left) is str and left in right
    if type(right) is list:
        return any(same(left, entry) for entry in right)
    raise FormulaFaultError(
        f"can't look into a value of the kind {kind_of(right)}; 'in' needs text, a list or an object"
    )


_OPERATORS: Final[dict[type, Callable[..., Any]]] = {
    ast.Add: _add,
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _multiply,
    ast.Div: _arithmetic("/", operator.truediv),
    ast.FloorDiv: _arithmetic("//", operator.floordiv),
    ast.Mod: _arithmetic("%", operator.mod),
    ast.Pow: _arithmetic("**", _power),
    ast.USub: _negate,
    ast.UAdd: _positive,
    ast.Not: operator.not_,
    ast.Eq: same,
    ast.NotEq: lambda left, right: not same(left, right),
    ast.Lt: _ordering("<", operator.lt),
    ast.LtE: _ordering("<=", operator.le),
    ast.Gt: _ordering(">", operator.gt),
    ast.GtE: _ordering(">=", operator.ge),
    ast.In: _contained,
    ast.NotIn: lambda left, right: not _contained(left, right),
    ast.Is: lambda left, right: left is None and right is None,
    ast.IsNot: lambda left, right: left is not None,
}


class _Evaluator(SimpleEval):  # type: ignore[misc]
    """Walks a checked tree once. Overrides every place where simpleeval would touch a Python attribute."""

    def __init__(self, formula: Formula, names: Scope, context: Context) -> None:
        self.formula = formula
        self.expr = formula.source
        self.names = names
        self.context = context
        self.operators = _OPERATORS
        self.functions: dict[str, Any] = {}
        self.nodes = None

    def run(self) -> Any:
        return self._eval(self.formula.body)

    def _eval(self, node: Any) -> Any:
        self.context.charge(1)
        try:
            value = admit(_HANDLERS[type(node)](self, node))
            if type(value) in (str, list):
                self.context.charge(len(value) // CHARS_PER_WORK)
        except FormulaFaultError as fault:
            if fault.node is None:
                fault.node = node
            raise
        return value

    def _eval_name(self, node: ast.Name) -> Any:
        if node.id in LITERAL_NAMES:
            return LITERAL_NAMES[node.id]
        return self.names.get(node.id)

    def _eval_call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)
        lazily = _LAZY.get(node.func.id)
        if lazily is not None:
            return lazily(self, node.args)
        values = [self._eval(argument) for argument in node.args]
        return IMPLEMENTATIONS[node.func.id].call(self.context, values)

    def _choose(self, arguments: list[ast.expr]) -> Any:
        return self._eval(arguments[1] if self._eval(arguments[0]) else arguments[2])

    def _default(self, arguments: list[ast.expr]) -> Any:
        value = None
        for argument in arguments:
            value = self._eval(argument)
            self.context.charge_value(value)
            if not is_empty(value):
                break
        return value

    def _eval_attribute(self, node: ast.Attribute) -> Any:
        container = self._eval(node.value)
        if container is None:
            return None
        if type(container) is dict:
            return container.get(node.attr)
        advice = f"; write {node.attr}(value)" if node.attr in FUNCTIONS else ""
        raise FormulaFaultError(
            f"'.{node.attr}' reads a key of an object, and this is a {kind_of(container)}{advice}"
        )

    def _eval_subscript(self, node: ast.Subscript) -> Any:
        container = self._eval(node.value)
        if isinstance(node.slice, ast.Slice):
            first, last = (self._bound(bound) for bound in (node.slice.lower, node.slice.upper))
            if container is None:
                return None
            if type(container) in (str, list):
                return container[first:last]
            raise FormulaFaultError(
                f"[first:last] needs text or a list, not a value of the kind {kind_of(container)}"
            )
        key = self._eval(node.slice)
        if container is None or key is None:
            return None
        if type(container) is dict:
            if type(key) is not str:
                raise FormulaFaultError(f"an object's keys are text, not a {kind_of(key)}; write text(value)")
            return container.get(key)
        if type(container) not in (str, list):
            raise FormulaFaultError(
                f"[ ] needs a list, an object or text, not a value of the kind {kind_of(container)}"
            )
        if type(key) is not int:
            raise FormulaFaultError(
                f"a position is a whole number, not a {kind_of(key)}; int(value) makes one"
            )
        return container[key] if -len(container) <= key < len(container) else None

    def _bound(self, node: ast.expr | None) -> int | None:
        value = None if node is None else self._eval(node)
        if value is not None and type(value) is not int:
            raise FormulaFaultError(
                f"a position is a whole number, not a {kind_of(value)}; int(value) makes one"
            )
        return value

    def _eval_compare(self, node: ast.Compare) -> Any:
        left = self._eval(node.left)
        answer: Any = True
        for sign, comparator in zip(node.ops, node.comparators, strict=True):
            if not answer:
                break
            right = self._eval(comparator)
            for side in (left, right):
                if type(side) in (list, dict):
                    self.context.charge_value(side)
            answer = self.operators[type(sign)](left, right)
            left = right
        return answer

    def _eval_list(self, node: ast.List) -> list[Any]:
        return [self._eval(entry) for entry in node.elts]

    def _eval_dict(self, node: ast.Dict) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            assert key_node is not None
            key = self._eval(key_node)
            check_key(key)
            found[key] = self._eval(value_node)
        return found


_LAZY: Final[dict[str, Callable[[_Evaluator, list[ast.expr]], Any]]] = {
    "choose": _Evaluator._choose,
    "default": _Evaluator._default,
}
"""Functions that compute only the values they need, so that the value left out may be one that fails."""

_HANDLERS: Final[dict[type, Callable[[_Evaluator, Any], Any]]] = {
    ast.Constant: lambda evaluator, node: node.value,
    ast.Name: _Evaluator._eval_name,
    ast.Attribute: _Evaluator._eval_attribute,
    ast.Subscript: _Evaluator._eval_subscript,
    ast.Call: _Evaluator._eval_call,
    ast.Compare: _Evaluator._eval_compare,
    ast.UnaryOp: _Evaluator._eval_unaryop,
    ast.BinOp: _Evaluator._eval_binop,
    ast.BoolOp: _Evaluator._eval_boolop,
    ast.IfExp: _Evaluator._eval_ifexp,
    ast.List: _Evaluator._eval_list,
    ast.Dict: _Evaluator._eval_dict,
}
