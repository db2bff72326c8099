"""Functions on lists, objects and empty values. None of them changes the list or object it is given."""

import json
import unicodedata
from typing import Any, Final

from flow_schema.expression_functions.numbers import add_up
from flow_schema.expression_functions.registry import (
    FunctionGroup,
    anything,
    integer,
    items,
    number,
    record,
    text,
)
from flow_schema.expression_values import (
    MAX_VALUE_DEPTH,
    Context,
    FormulaFaultError,
    is_number,
    kind_of,
    same,
    to_json,
    to_text,
)

LISTS: Final = FunctionGroup("Lists")
OBJECTS: Final = FunctionGroup("Objects and empty values")
MAX_RANGE: Final = 1_000


def _identity(value: Any) -> Any:
    """A hashable stand-in that is equal where the values are the same."""
    if isinstance(value, list):
        return ("list", tuple(_identity(entry) for entry in value))
    if isinstance(value, dict):
        return ("object", frozenset((key, _identity(entry)) for key, entry in value.items()))
    return ("yes/no", value) if isinstance(value, bool) else value


def _order(value: Any) -> tuple[int, Any, Any]:
    """Sorts numbers before text before nothing; text by its letters without accents and capitals."""
    if value is None:
        return (2, 0, 0)
    if is_number(value):
        return (0, value, 0)
    if isinstance(value, str):
        decomposed = unicodedata.normalize("NFKD", value.casefold())
        return (1, "".join(letter for letter in decomposed if not unicodedata.combining(letter)), value)
    raise FormulaFaultError(
        f'can\'t sort a value of the kind {kind_of(value)}; name a key, like sort(list, "price")'
    )


def _key_of(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else None


@LISTS.define("first(list)", "The first entry, or empty.", example="first([4, 5])", result=4, takes=(items,))
def first(entries: list[Any]) -> Any:
    return entries[0] if entries else None


@LISTS.define("last(list)", "The last entry, or empty.", example="last([4, 5])", result=5, takes=(items,))
def last(entries: list[Any]) -> Any:
    return entries[-1] if entries else None


@LISTS.define(
    "at(list, position, fallback = null)",
    "The entry at a position (0 is the first, -1 the last), else the fallback or empty.",
    example='at(["a", "b"], 1)',
    result="b",
    takes=(items, integer, anything),
)
def at(entries: list[Any], position: int, fallback: Any = None) -> Any:
    return entries[position] if -len(entries) <= position < len(entries) else fallback


@LISTS.define(
    "append(list, values...)",
    "The list with more entries at its end.",
    example="append([1], 2, 3)",
    result=[1, 2, 3],
    takes=(items, anything),
)
def append(entries: list[Any], *values: Any) -> list[Any]:
    return [*entries, *values]


@LISTS.define(
    "remove(list, value)",
    "The list without the entries that equal the value.",
    example="remove([1, 2, 1], 1)",
    result=[2],
    takes=(items, anything),
)
def remove(entries: list[Any], value: Any) -> list[Any]:
    return [entry for entry in entries if not same(entry, value)]


@LISTS.define(
    "count(list, value)",
    "How many entries equal the value.",
    example='count(["a", "b", "a"], "a")',
    result=2,
    takes=(items, anything),
)
def count(entries: list[Any], value: Any) -> int:
    return sum(1 for entry in entries if same(entry, value))


@LISTS.define(
    "index_of(value, part)",
    "The position of an entry in a list or of a text in another; -1 if it is not there.",
    example='index_of(["a", "b"], "b")',
    result=1,
    takes=(anything, anything),
)
def index_of(value: Any, part: Any) -> int:
    if isinstance(value, list):
        return next((place for place, entry in enumerate(value) if same(entry, part)), -1)
    if value is None or part is None or isinstance(value, dict) or isinstance(part, list | dict):
        return -1
    return to_text(value).find(to_text(part))


@LISTS.define(
    "unique(list)",
    "Each value once, in the order of its first appearance.",
    example="unique([2, 1, 2])",
    result=[2, 1],
    takes=(items,),
)
def unique(entries: list[Any]) -> list[Any]:
    seen: dict[Any, Any] = {}
    for entry in entries:
        seen.setdefault(_identity(entry), entry)
    return list(seen.values())


@LISTS.define(
    "reverse(value)",
    "A list or a text back to front.",
    example="reverse([1, 2])",
    result=[2, 1],
    takes=(anything,),
)
def reverse(value: Any) -> Any:
    if value is None:
        return []
    if isinstance(value, list | str):
        return value[::-1]
    raise FormulaFaultError(f"needs a list or text, not a value of the kind {kind_of(value)}")


@LISTS.define(
    "sort(list, key = null)",
    "In rising order: numbers, then text, then empty values; objects by one of their keys.",
    example='sort(["b", "Á", "a"])',
    result=["a", "Á", "b"],
    takes=(items, text),
)
def ordered(entries: list[Any], key: str | None = None) -> list[Any]:
    if not key:
        return sorted(entries, key=_order)
    return sorted(entries, key=lambda entry: _order(_key_of(entry, key)))


@LISTS.define(
    "flatten(list)",
    "The entries of the lists inside a list, one level deep.",
    example="flatten([[1, 2], 3])",
    result=[1, 2, 3],
    takes=(items,),
)
def flatten(entries: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for entry in entries:
        if isinstance(entry, list):
            flat.extend(entry)
        else:
            flat.append(entry)
    return flat


@LISTS.define(
    "range(first, end, step = 1)",
    f"Whole numbers from `first` up to, not including, `end`; at most {MAX_RANGE:,}.",
    example="range(1, 4)",
    result=[1, 2, 3],
    takes=(integer, integer, integer),
)
def numbers_between(begin: int, end: int, step: int = 1) -> list[int]:
    if step == 0:
        raise FormulaFaultError("the step can't be 0")
    found = range(begin, end, step)
    if len(found) > MAX_RANGE:
        raise FormulaFaultError(f"the list would have more than {MAX_RANGE:,} numbers")
    return list(found)


@LISTS.define(
    "map_key(list, key)",
    "One key of each object in a list.",
    example='map_key(order["lines"], "name")',
    result=["tea", "cup"],
    takes=(items, text),
)
def map_key(entries: list[Any], key: str) -> list[Any]:
    return [_key_of(entry, key) for entry in entries]


@LISTS.define(
    "filter_by(list, key, value)",
    "The objects whose key equals a value.",
    example='filter_by([{"id": 1}, {"id": 2}], "id", 2)',
    result=[{"id": 2}],
    takes=(items, text, anything),
)
def filter_by(entries: list[Any], key: str, value: Any) -> list[Any]:
    return [entry for entry in entries if isinstance(entry, dict) and same(entry.get(key), value)]


@LISTS.define(
    "sum_key(list, key)",
    "The sum of one key over the objects in a list; empty ones are left out.",
    example='sum_key(order["lines"], "price")',
    result=12.5,
    takes=(items, text),
)
def sum_key(context: Context, entries: list[Any], key: str) -> int | float:
    found = [_key_of(entry, key) for entry in entries]
    return add_up([number(context, value) for value in found if value is not None])


@OBJECTS.define(
    "get(value, path, fallback = null)",
    "What lies at a path of keys and positions, like `lines.0.name`; else the fallback or empty.",
    example='get(order, "lines.0.name")',
    result="tea",
    takes=(anything, text, anything),
)
def get(value: Any, path: str, fallback: Any = None) -> Any:
    found = value
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isascii() and step.isdecimal() and len(step) <= 6:
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return fallback
    return fallback if found is None else found


@OBJECTS.define(
    "keys(object)",
    "The keys, in their order.",
    example='keys({"b": 1, "a": 2})',
    result=["b", "a"],
    takes=(record,),
)
def keys(value: dict[str, Any]) -> list[str]:
    return list(value)


@OBJECTS.define(
    "values(object)",
    "The values, in the order of their keys.",
    example='values({"b": 1, "a": 2})',
    result=[1, 2],
    takes=(record,),
)
def values(value: dict[str, Any]) -> list[Any]:
    return list(value.values())


@OBJECTS.define(
    "merge(objects...)",
    "One object with the keys of all; later ones win.",
    example='merge({"a": 1}, {"a": 2, "b": 3})',
    result={"a": 2, "b": 3},
    takes=(record,),
)
def merge(*objects: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for entry in objects:
        merged.update(entry)
    return merged


@OBJECTS.define(
    "json(value)",
    "The value as JSON text.",
    example='json({"a": [1, null]})',
    result='{"a": [1, null]}',
    takes=(anything,),
)
def as_json(value: Any) -> str:
    return to_json(value)


@OBJECTS.define(
    "parse_json(text)",
    "The value that a JSON text says; an error if it is not JSON.",
    example="parse_json('{\"a\": [1, 2]}')",
    result={"a": [1, 2]},
    takes=(text,),
)
def parse_json(context: Context, value: str) -> Any:
    if not value.strip():
        return None
    context.charge(len(value))
    _check_json_depth(value)
    try:
        found = json.loads(value, parse_constant=_refuse_constant, parse_int=_read_integer)
        if "\\ud" in value.lower() or any("\ud800" <= character <= "\udfff" for character in value):
            found = json.loads(to_json(found).encode("utf-8", "replace"))
    except ValueError:
        raise FormulaFaultError("the text is not JSON") from None
    context.charge_value(found)
    return found


def _check_json_depth(value: str) -> None:
    depth = 0
    quoted = escaped = False
    for character in value:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            if depth > MAX_VALUE_DEPTH:
                raise FormulaFaultError(f"the JSON is nested more than {MAX_VALUE_DEPTH} levels deep")
        elif character in "]}":
            depth -= 1


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _read_integer(digits: str) -> int:
    if len(digits) > 31:
        raise ValueError(digits)
    return int(digits)


@OBJECTS.define(
    "default(value, others...)",
    "The first value that is not empty; 0 and no count as values. Those after it are not computed.",
    example='default(nickname, "friend")',
    result="friend",
    takes=(anything,),
)
def default(value: Any, *others: Any) -> Any:
    for candidate in (value, *others):
        if not is_empty(candidate):
            return candidate
    return (value, *others)[-1]


@OBJECTS.define(
    "is_empty(value)",
    "Whether the value is missing, a text without characters other than spaces, or a list or object "
    "without entries.",
    example='is_empty("  ")',
    result=True,
    takes=(anything,),
)
def is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | dict) and not value)


@OBJECTS.define(
    "choose(condition, when_true, when_false)",
    "One of two values; the same as `a if condition else b`, so the other one is not computed.",
    example='choose(2 > 1, "yes", "no")',
    result="yes",
    takes=(anything, anything, anything),
)
def choose(condition: Any, when_true: Any, when_false: Any) -> Any:
    return when_true if condition else when_false


@OBJECTS.define(
    "type_of(value)",
    "The kind of a value: empty, boolean, number, text, list or object.",
    example="type_of([1])",
    result="list",
    takes=(anything,),
)
def type_of(value: Any) -> str:
    return {"empty value": "empty", "yes/no value": "boolean"}.get(kind_of(value), kind_of(value))
