"""From the characters of a formula or a `{{ }}` text to a checked, cached tree.

Formulas are Python's operator expressions with a smaller grammar. A scanner of ours goes first: it knows
only strings, numbers and brackets, makes a backslash in a string mean itself unless it stands in one of the
escapes below (so that "\\d+" can be written as it is thought), and refuses what Python would warn about, so
that the outcome depends on no warning filter and no interpreter version. Python's parser reads the rest,
and one pass over the tree refuses every construct that is not listed in `_check_node`.
"""

import ast
import keyword
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from flow_schema.expression_functions import FUNCTIONS, IMPLEMENTATIONS
from flow_schema.expression_values import (
    MAX_FORMULA_CHARS,
    MAX_FORMULA_DEPTH,
    MAX_FORMULA_NODES,
    ExpressionError,
    FormulaFaultError,
)

LITERAL_NAMES: Final = {"true": True, "false": False, "null": None}
_MAX_BRACKETS: Final = 50
_ESCAPES: Final = frozenset("\\'\"nrt")
_NUMBER: Final = re.compile(r"(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_UNICODE_ESCAPE: Final = re.compile(r"u[0-9a-fA-F]{4}", re.ASCII)
_BRACKETS: Final = {")": "(", "]": "[", "}": "{"}
_OPERATORS: Final = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow,
    ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot,
)  # fmt: skip
_HINTS: Final = (
    ("&&", "write 'and' instead of '&&'"),
    ("||", "write 'or' instead of '||'"),
    ("=>", "write '>=' for 'greater or equal'"),
    ("=<", "write '<=' for 'less or equal'"),
    ("<>", "write '!=' for 'not equal'"),
    ("?", "write 'a if condition else b' for a choice"),
    ("{{", "write the formula without the braces '{{ }}'"),
)


@dataclass(frozen=True, slots=True)
class Formula:
    """A checked formula: its tree and the variables it reads, each as a path such as ("order", "status")."""

    source: str
    body: ast.expr
    paths: frozenset[tuple[str, ...]]
    python_text: str
    insertions: tuple[int, ...]

    def position_of(self, node: ast.AST) -> int | None:
        """The index in `source` of a node's first character."""
        offset = getattr(node, "col_offset", None)
        if offset is None:
            return None
        return _source_position(self.python_text, offset, self.insertions)


@lru_cache(maxsize=1024)
def read_formula(source: str) -> Formula:
    """Parse and check one formula. Raises ExpressionError; cached."""
    python_text = ""
    insertions: tuple[int, ...] = ()
    try:
        if len(source) > MAX_FORMULA_CHARS:
            raise FormulaFaultError(
                f"the formula is longer than {MAX_FORMULA_CHARS:,} characters; split it in two"
            )
        python_text, insertions = _scan(source)
        body = _parse(source, python_text, insertions)
        paths: set[tuple[str, ...]] = set()
        for count, node in enumerate(_walk(body), start=1):
            if count > MAX_FORMULA_NODES:
                raise FormulaFaultError(
                    f"the formula has more than {MAX_FORMULA_NODES:,} parts; split it in two"
                )
            _check_node(node)
        _collect_paths(body, paths)
    except FormulaFaultError as fault:
        position = fault.position
        if position is None and fault.node is not None:
            position = _source_position(python_text, getattr(fault.node, "col_offset", 0), insertions)
        raise ExpressionError(source, fault.reason, position) from None
    return Formula(source, body, frozenset(paths), python_text, insertions)


def _source_position(python_text: str, offset: int, insertions: tuple[int, ...]) -> int:
    """Map a byte offset in the bracketed Python text to an index in the formula as it was written."""
    column = len(python_text.encode()[:offset].decode(errors="ignore")) - 1
    return _original_position(column, insertions)


def _original_position(column: int, insertions: tuple[int, ...]) -> int:
    return max(0, column - sum(1 for place in insertions if place < column))


def _scan(source: str) -> tuple[str, tuple[int, ...]]:
    """Return the text for Python's parser, in brackets, and the columns at which a backslash was added."""
    out: list[str] = []
    insertions: list[int] = []
    brackets: list[str] = []
    index = 0
    length = len(source)
    written = 0
    while index < length:
        character = source[index]
        piece = character
        after = index + 1
        if character in "\"'":
            piece, after, doubled = _scan_string(source, index)
            insertions.extend(written + place for place in doubled)
        elif character.isspace():
            piece = " "
        elif character in "([{":
            brackets.append(character)
            if len(brackets) > _MAX_BRACKETS:
                raise FormulaFaultError("the formula is nested too deeply", position=index)
        elif character in ")]}":
            if not brackets or brackets.pop() != _BRACKETS[character]:
                raise FormulaFaultError(
                    f"there is a {character!r} without its opening bracket", position=index
                )
        elif character in "“”„‘’«»`":
            raise FormulaFaultError(
                "put text between straight quotes, like \"this\" or 'this'", position=index
            )
        elif character in "#;\\!" and not source.startswith("!=", index):
            hint = "; write 'not' for the opposite" if character == "!" else ""
            raise FormulaFaultError(f"unexpected {character!r}{hint}", position=index)
        elif character.isdecimal() or (character == "." and source[index + 1 : index + 2].isdecimal()):
            piece, after = _scan_number(source, index)
        elif character.isidentifier():
            while after < length and _is_name_character(source[after]):
                after += 1
            piece = unicodedata.normalize("NFC", source[index:after])
            if unicodedata.normalize("NFKC", piece) != piece:
                raise FormulaFaultError(f"write the name {piece!r} with ordinary letters", position=index)
            if after < length and source[after] in "\"'" and not keyword.iskeyword(piece):
                raise FormulaFaultError(f"unexpected {piece!r} in front of a quote", position=index)
        elif not (" " <= character <= "~"):
            raise FormulaFaultError(f"unexpected character {character!r}", position=index)
        out.append(piece)
        written += len(piece)
        index = after
    if brackets:
        raise FormulaFaultError(f"a {brackets[-1]!r} is never closed")
    if not any(piece != " " for piece in out):
        raise FormulaFaultError("the formula is empty")
    return "(" + "".join(out) + ")", tuple(insertions)


def _is_name_character(character: str) -> bool:
    return ("a" + character).isidentifier()


def _scan_string(source: str, start: int) -> tuple[str, int, list[int]]:
    quote = source[start]
    if source.startswith(quote * 3, start):
        raise FormulaFaultError(
            "put text between single quotes or double quotes, not three of them", position=start
        )
    out = [quote]
    doubled: list[int] = []
    index = start + 1
    while index < len(source):
        character = source[index]
        if character == quote:
            out.append(quote)
            return "".join(out), index + 1, doubled
        if character == "\\" and index + 1 < len(source):
            follower = source[index + 1]
            if _UNICODE_ESCAPE.match(source, index + 1):
                if 0xD800 <= int(source[index + 2 : index + 6], 16) <= 0xDFFF:
                    raise FormulaFaultError(
                        "write the character itself instead of this '\\u'", position=index
                    )
            elif follower not in _ESCAPES:
                doubled.append(sum(map(len, out)))
                out.append("\\")
            out.append(character)
            if follower in _ESCAPES:
                out.append(follower)
                index += 1
        elif character in "\n\r\f\0" or "\ud800" <= character <= "\udfff":
            if character not in "\n\r":
                raise FormulaFaultError("the text holds a character that can't be used", position=index)
            out.append("\\n")
            doubled.append(sum(map(len, out)) - 1)
        else:
            out.append(character)
        index += 1
    raise FormulaFaultError("a text is never closed; its last quote is missing", position=start)


def _scan_number(source: str, start: int) -> tuple[str, int]:
    found = _NUMBER.match(source, start)
    if found is None:
        raise FormulaFaultError("write numbers with the digits 0 to 9", position=start)
    after = found.end()
    if after < len(source) and (_is_name_character(source[after]) or source[after] == "."):
        raise FormulaFaultError(
            f"the number {found.group()!r} runs into what follows; put a space", position=start
        )
    return found.group(), after


def _parse(source: str, python_text: str, insertions: tuple[int, ...]) -> ast.expr:
    try:
        return ast.parse(python_text, mode="eval").body
    except SyntaxError as error:
        column = None if not error.offset else _original_position(error.offset - 2, insertions)
        raise FormulaFaultError(_syntax_reason(source), position=_within(column, source)) from None
    except (RecursionError, MemoryError):
        raise FormulaFaultError("the formula is nested too deeply") from None
    except ValueError:
        raise FormulaFaultError("the formula holds a number or character that can't be read") from None


def _within(column: int | None, source: str) -> int | None:
    return None if column is None else max(0, min(column, len(source) - 1))


def _syntax_reason(source: str) -> str:
    for sign, hint in _HINTS:
        if sign in source:
            return f"the formula can't be read: {hint}"
    for key in re.findall(r"\.\s*([a-z]+)\b", source):
        if keyword.iskeyword(key):
            return f"the formula can't be read: write [{key!r}] to read the key {key!r}"
    if re.search(r"(?<![=!<>])=(?!=)", source):
        return "the formula can't be read: write '==' to compare"
    return "the formula can't be read; check its operators, quotes and brackets"


def _walk(root: ast.expr) -> Iterator[ast.AST]:
    """Every node of the tree, with the depth checked on the way."""
    pending: list[tuple[ast.AST, int]] = [(root, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_FORMULA_DEPTH:
            raise FormulaFaultError("the formula is nested too deeply")
        yield node
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr_context):
                pending.append((child, depth + 1))


def _check_node(node: ast.AST) -> None:
    match node:
        case ast.Constant(value=str() | bool() | int() | float() | None):
            pass
        case ast.Name(id=name) if name.startswith("_"):
            raise FormulaFaultError("names can't begin with '_'", node=node)
        case ast.Attribute(attr=key) if key.startswith("_"):
            raise FormulaFaultError(f"write [{key!r}] to read a key that begins with '_'", node=node)
        case ast.Call():
            _check_call(node)
        case ast.Compare():
            for operator, right in zip(node.ops, node.comparators, strict=True):
                if isinstance(operator, ast.Is | ast.IsNot) and not _is_none(right):
                    raise FormulaFaultError(
                        "write '==' or '!=' to compare; 'is' goes with None alone", node=node
                    )
        case ast.Dict(keys=keys) if None in keys:
            raise FormulaFaultError("write merge(a, b) to join two objects", node=node)
        case ast.Slice(step=ast.expr()):
            raise FormulaFaultError("write [first:last], without a step", node=node.step)
        case ast.Tuple() | ast.Set():
            raise FormulaFaultError("write lists in square brackets, like [1, 2]", node=node)
        case ast.BinOp() | ast.UnaryOp() if not isinstance(node.op, _OPERATORS):
            raise FormulaFaultError("this operator is not part of formulas", node=node)
        case (
            ast.Name() | ast.Attribute() | ast.BinOp() | ast.UnaryOp() | ast.BoolOp() | ast.IfExp()
            | ast.Subscript() | ast.Slice() | ast.List() | ast.Dict()
        ):  # fmt: skip
            pass
        case ast.operator() | ast.unaryop() | ast.boolop() | ast.cmpop():
            pass
        case _:
            raise FormulaFaultError(
                f"'{_construct(node)}' is not part of formulas; use values, operators and the documented "
                f"functions",
                node=node if isinstance(node, ast.expr) else None,
            )


def _construct(node: ast.AST) -> str:
    words = {
        ast.Lambda: "lambda", ast.NamedExpr: ":=", ast.Starred: "*", ast.Await: "await",
        ast.Yield: "yield", ast.YieldFrom: "yield", ast.ListComp: "for", ast.SetComp: "for",
        ast.DictComp: "for", ast.GeneratorExp: "for", ast.comprehension: "for", ast.Constant: "...",
    }  # fmt: skip
    return words.get(type(node), type(node).__name__)


def _is_none(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=None) | ast.Name(id="null"):
            return True
        case _:
            return False


def _check_call(node: ast.Call) -> None:
    if isinstance(node.func, ast.Attribute):
        name = node.func.attr
        advice = f"; write {name}(...)" if name in FUNCTIONS else ""
        raise FormulaFaultError(f"'.{name}()' is not part of formulas{advice}", node=node)
    if not isinstance(node.func, ast.Name):
        raise FormulaFaultError("only the documented functions can be called, by their names", node=node)
    name = node.func.id
    if name not in FUNCTIONS:
        raise FormulaFaultError(f"there is no function {name!r}{_suggestion(name)}", node=node)
    if node.keywords:
        raise FormulaFaultError(
            f"write the values of {name} in order, without names: {FUNCTIONS[name].signature}", node=node
        )
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        raise FormulaFaultError("'*' can't be written in front of a value", node=node)
    least, most = IMPLEMENTATIONS[name].least, IMPLEMENTATIONS[name].most
    if len(node.args) < least or (most is not None and len(node.args) > most):
        raise FormulaFaultError(f"{name} takes other values: {FUNCTIONS[name].signature}", node=node)


def _suggestion(name: str) -> str:
    """The documented name with the longest beginning in common, if it is long enough to be meant."""
    wanted = name.lower()
    if wanted in FUNCTIONS:
        return f"; did you mean {wanted!r}?"
    flat = wanted.replace("_", "")
    for known in FUNCTIONS:
        if known.replace("_", "") == flat:
            return f"; did you mean {known!r}?"
    near = [
        known
        for known in FUNCTIONS
        if len(wanted) >= 3 and (known.startswith(wanted) or wanted.startswith(known))
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def _collect_paths(node: ast.AST, paths: set[tuple[str, ...]]) -> None:
    keys: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute | ast.Subscript):
        if isinstance(inner, ast.Attribute):
            keys.append(inner.attr)
        elif isinstance(inner.slice, ast.Constant) and isinstance(inner.slice.value, str):
            keys.append(inner.slice.value)
        else:
            keys.clear()
            _collect_paths(inner.slice, paths)
        inner = inner.value
    if isinstance(inner, ast.Name):
        if inner.id not in LITERAL_NAMES:
            paths.add((inner.id, *reversed(keys)))
        return
    children = inner.args if isinstance(inner, ast.Call) else list(ast.iter_child_nodes(inner))
    for child in children:
        _collect_paths(child, paths)


def is_variable_name(text: str) -> bool:
    """Whether formulas can read a variable of this name: a letter first, then letters, digits and `_`."""
    return (
        text.isidentifier()
        and not text.startswith("_")
        and not keyword.iskeyword(text)
        and text not in LITERAL_NAMES
        and unicodedata.normalize("NFKC", text) == text
    )


@lru_cache(maxsize=1024)
def split_text(text: str) -> tuple[str | Formula, ...]:
    """Split a text into its literal parts and its checked formulas. Raises ExpressionError.

    `\\{{` stands for two literal braces; a `}}` that closes nothing is literal too, since bodies in
    JSON end so.
    """
    return tuple(pieces_of(text))


def pieces_of(text: str, faults: list[ExpressionError] | None = None) -> Iterator[str | Formula]:
    """As `split_text`, one after the other. With `faults`, what can't be read goes there and is left out."""
    literal: list[str] = []
    index = 0
    while True:
        start = text.find("{{", index)
        if start < 0:
            break
        if start > 0 and text[start - 1] == "\\":
            literal.append(text[index : start - 1] + "{{")
            index = start + 2
            continue
        literal.append(text[index:start])
        if any(literal):
            yield "".join(literal)
        literal = []
        try:
            end = _formula_end(text, start + 2)
            index = end + 2
            yield read_formula(text[start + 2 : end])
        except ExpressionError as fault:
            if faults is None:
                raise
            faults.append(fault)
            if index <= start:
                closing = text.find("}}", start)
                index = len(text) if closing < 0 else closing + 2
    literal.append(text[index:])
    if any(literal):
        yield "".join(literal)


def _formula_end(text: str, start: int) -> int:
    """The index of the `}}` that closes a formula; braces in its texts and objects don't count."""
    depth = 0
    index = start
    while index < len(text):
        character = text[index]
        if character in "\"'":
            closing = _string_end(text, index)
            if closing is None:
                raise ExpressionError(
                    text, "a text between '{{' and '}}' is never closed by its quote", index
                )
            index = closing
        elif character == "{":
            depth += 1
        elif character == "}":
            if depth == 0:
                if text.startswith("}}", index):
                    return index
                raise ExpressionError(text, "a formula is closed by two braces: '}}'", index)
            depth -= 1
        index += 1
    raise ExpressionError(
        text, "a '{{' is never closed by '}}'; write '\\{{' for two literal braces", start - 2
    )


def _string_end(text: str, start: int) -> int | None:
    index = start + 1
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == text[start]:
            return index
        index += 1
    return None
