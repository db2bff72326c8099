"""Formulas that nobody would write, to show that none hangs, grows, escapes or answers in two ways.

The generators build formulas from the grammar, from pieces of Python that must not work, and by damaging
both. `deadline` is a guard against hanging, not a measurement. Arithmetic and logic are compared with Python
itself.
"""

import ast
import copy
import json
import math
import operator
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from flow_schema.expression_functions import IMPLEMENTATIONS
from flow_schema.expressions import (
    FUNCTIONS,
    ExpressionError,
    check_text,
    evaluate,
    names_in_formula,
    parse,
    render,
    render_value,
)

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
SAFETY_NET = "the formula can't be computed with these values"
RESULT_BOUND = 100_000
GUARD = settings(
    max_examples=400, deadline=2_000, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

NAMES = ("name", "count", "price", "flag", "empty", "items", "order", "day", "missing")
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**31), 10**31)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["2026-11-22", "2026-03-29T01:30:00+01:00", "12,5", "x" * 5_000, '{"a": [1]}']),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4)
    ),
    max_leaves=12,
)
scopes = st.dictionaries(st.sampled_from(NAMES), json_values)

texts = st.text(alphabet="ab1 .,-+*{}[]()\\d$^|é\"'", max_size=12).map(
    lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
)
leaves = (
    st.sampled_from(NAMES)
    | texts
    | st.integers(-5, 10**6).map(str)
    | st.floats(0, 1e6, allow_nan=False).map(repr)
    | st.sampled_from(["true", "false", "null", "[]", "{}", "0", "'2026-11-22'", "10 ** 29", "'a' * 99999"])
)


def _calls(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def call(name: str) -> st.SearchStrategy[str]:
        implementation = IMPLEMENTATIONS[name]
        most = implementation.most if implementation.most is not None else implementation.least + 2
        return st.lists(children, min_size=implementation.least, max_size=most).map(
            lambda values: f"{name}({', '.join(values)})"
        )

    return st.sampled_from(sorted(FUNCTIONS)).flatmap(call)


def _compounds(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = [
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "**",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "in",
        "not in",
        "and",
        "or",
    ]
    return st.one_of(
        st.tuples(children, st.sampled_from(signs), children).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(children, children, children).map(
            lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"
        ),
        st.tuples(st.sampled_from(["-", "+", "not "]), children).map(lambda parts: f"({parts[0]}{parts[1]})"),
        st.tuples(children, children).map(lambda parts: f"({parts[0]})[{parts[1]}]"),
        st.tuples(children, children, children).map(lambda parts: f"({parts[0]})[{parts[1]}:{parts[2]}]"),
        st.tuples(children, st.sampled_from(["a", "status", "x1"])).map(
            lambda parts: f"({parts[0]}).{parts[1]}"
        ),
        st.lists(children, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(texts, children).map(lambda parts: f"{{{parts[0]}: {parts[1]}}}"),
        _calls(children),
    )


formulas = st.recursive(leaves, _compounds, max_leaves=12)
fragments = st.sampled_from(
    [
        "__class__",
        "._",
        "()",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "{{",
        "}}",
        "'",
        '"',
        "\\",
        "lambda: ",
        " for x in ",
        ":=",
        "**",
        "*",
        ",",
        "f'",
        "b'",
        "#",
        ";",
        "\n",
        "=",
        "==",
        ".",
        "..",
        "\x00",
        "\xa0",
        "é",
        "if ",
        " else ",
        "getattr(",
        ".format(",
        "%",
        "__import__",
        "import ",
        "@",
        "!",
        "~",
        "1_",
        "0x",
        "1e",
        "j",
        "None",
        "is ",
        "await ",
        "yield ",
        "\ud800",
        "\\u12",
        "'''",
    ]
)


@st.composite
def damaged(draw: st.DrawFn, source: st.SearchStrategy[str]) -> str:
    text = draw(source)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 3))
        text = text[:place] + draw(fragments | st.text(max_size=3)) + text[place + cut :]
    return text


def size_of(value: Any) -> int:
    """Characters of texts and keys, and entries of lists and objects."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return len(value) + sum(map(size_of, value))
    if isinstance(value, dict):
        return sum(len(key) + 1 + size_of(child) for key, child in value.items())
    return 0


def outcome(action: Callable[[], Any]) -> tuple[str, Any]:
    """The result as JSON text, or the reason of the refusal; every other error fails the test."""
    try:
        found = action()
    except ExpressionError as error:
        refused = error
    else:
        return "value", json.dumps(found, allow_nan=False)
    assert refused.reason != SAFETY_NET, f"an error of Python's own came out of {refused.expression!r}"
    assert str(refused).encode()
    return "refused", (refused.reason, refused.position)


def check_formula(formula: str, names: dict[str, Any]) -> None:
    before = copy.deepcopy(names)
    first = outcome(lambda: evaluate(formula, names, now=NOW, timezone="Europe/Madrid"))
    again = outcome(lambda: evaluate(formula, copy.deepcopy(names), now=NOW, timezone="Europe/Madrid"))
    assert first == again
    assert names == before
    kind, content = first
    if kind == "value":
        parse(formula)
        assert names_in_formula(formula) <= words_of(formula)
        assert size_of(json.loads(content)) <= RESULT_BOUND


def words_of(formula: str) -> set[str]:
    composed = unicodedata.normalize("NFC", formula)
    return set("".join(c if ("a" + c).isidentifier() else " " for c in composed).split())


@GUARD
@given(formulas, scopes)
@example("sort([[1], null])", {})
@example("[name] * 99999", {"name": "x" * 5_000})
@example("unique([{'a': [order]}, order])", {"order": {"": {"b": -0.0}}})
def test_random_formulas_are_safe(formula: str, names: dict[str, Any]) -> None:
    check_formula(formula, names)


@GUARD
@given(damaged(formulas), scopes)
@example("\uf900name", {})
@example("µ + e\u0301", {})
def test_damaged_formulas_are_safe(formula: str, names: dict[str, Any]) -> None:
    check_formula(formula, names)


@GUARD
@given(st.text(max_size=60) | st.lists(fragments, max_size=25).map("".join), scopes)
@example("(" * 2_000, {})
@example("[" * 2_000, {})
@example("-" * 2_000, {})
@example("not " * 499 + "x", {})
@example("x" + ".a" * 999, {})
@example("1" + "if 1 else 1" * 150, {})
@example("'" + "\\" * 1_999, {})
@example("{'a':" * 390 + "1" + "}" * 40, {})
def test_random_characters_are_safe(formula: str, names: dict[str, Any]) -> None:
    check_formula(formula, names)


@GUARD
@given(
    st.lists(
        formulas.map(lambda formula: "{{ " + formula + " }}") | st.text(max_size=10) | fragments, max_size=5
    ),
    scopes,
)
def test_random_texts_are_safe(parts: list[str], names: dict[str, Any]) -> None:
    text = "".join(parts)
    first = outcome(lambda: render(text, names, now=NOW, max_chars=5_000))
    assert first == outcome(lambda: render(text, copy.deepcopy(names), now=NOW, max_chars=5_000))
    value = {"key": [text, {"deep": text}], "number": 5}
    filled = outcome(lambda: render_value(value, names, now=NOW, max_chars=5_000))
    assert filled == outcome(lambda: render_value(value, copy.deepcopy(names), now=NOW, max_chars=5_000))
    if first[0] == "value":
        check_text(text)
        assert len(json.loads(first[1])) <= 5_000


class Trap:
    """A value that must never be touched: reading any attribute that Python lets us watch is recorded."""

    touched: list[str]

    def __init__(self) -> None:
        object.__setattr__(self, "touched", [])

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":  # isinstance asks for it
            return Trap
        object.__getattribute__(self, "touched").append(name)
        return object.__getattribute__(self, name)

    def __call__(self, *values: Any) -> Any:
        raise AssertionError("a formula called a value")


@GUARD
@given(formulas | damaged(formulas))
def test_no_formula_reaches_an_attribute(formula: str) -> None:
    trap = Trap()
    names = dict.fromkeys([*NAMES, "x1"], trap)
    result = outcome(lambda: evaluate(formula, names, now=NOW))
    outcome(lambda: render("{{ " + formula + " }}", names, now=NOW))
    assert object.__getattribute__(trap, "touched") == []
    if result[0] == "value":
        assert "Trap" not in result[1]


python_leaves = (
    st.integers(0, 99).map(str) | st.floats(0, 99, allow_nan=False).map(repr) | st.sampled_from("abc")
)


def _python_compounds(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = ["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
    return st.one_of(
        st.tuples(children, st.sampled_from(signs), children).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(children, st.sampled_from(signs), children, st.sampled_from(signs), children).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(children, st.sampled_from(["0", "1", "2", "3"])).map(
            lambda parts: f"({parts[0]} ** {parts[1]})"
        ),
        st.tuples(st.sampled_from(["-", "not "]), children).map(lambda parts: f"({parts[0]}{parts[1]})"),
        st.tuples(children, children, children).map(
            lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"
        ),
        st.lists(children, min_size=1, max_size=3).map(lambda parts: f"({parts[0]} in [{', '.join(parts)}])"),
    )


class _StrictEquality(ast.NodeTransformer):
    """Python's comparisons, but yes/no equals no number: each side is compared together with its kind."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        signs = ast.Constant(" ".join(type(sign).__name__ for sign in node.ops))
        sides = [ast.Lambda(nothing, side) for side in (node.left, *node.comparators)]
        return ast.Call(ast.Name("compare", ast.Load()), [signs, *sides], [])


def _compare(signs: str, first: Callable[[], Any], *others: Callable[[], Any]) -> Any:
    left, answer = first(), True
    for sign, compute in zip(signs.split(), others, strict=True):
        if answer:
            right = compute()
            match sign:
                case "Eq":
                    answer = _kinded(left) == _kinded(right)
                case "NotEq":
                    answer = _kinded(left) != _kinded(right)
                case "In":
                    answer = _kinded(left) in [_kinded(entry) for entry in right]
                case _:
                    answer = getattr(operator, sign.lower().replace("te", "e"))(left, right)
            left = right
    return answer


def _kinded(value: Any) -> tuple[bool, Any]:
    return isinstance(value, bool), value


@settings(GUARD, max_examples=800)
@example("(1 == (2 > 1))")
@given(st.recursive(python_leaves, _python_compounds, max_leaves=10))
def test_arithmetic_and_logic_agree_with_python(formula: str) -> None:
    names = {"a": 7, "b": -2.5, "c": True}
    tree = ast.fix_missing_locations(_StrictEquality().visit(ast.parse(formula, mode="eval")))
    code = compile(tree, "formula", "eval")
    try:
        expected = eval(code, {"__builtins__": {}, "compare": _compare, **names})
    except (ZeroDivisionError, OverflowError):
        assert outcome(lambda: evaluate(formula, names, now=NOW))[0] == "refused"
        return
    assume(abs(expected) < 1e29 and not isinstance(expected, complex) and math.isfinite(expected))
    kind, content = outcome(lambda: evaluate(formula, names, now=NOW))
    if kind == "refused":
        assert "too large" in content[0] or "finite" in content[0]  # a part of it was, and came down again
        return
    assert content == json.dumps(expected)
