"""What a variable of each type takes, what it makes of it, and what it refuses."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_schema.flow import Flow, VariableType
from flow_schema.variables import MAX_VARIABLE_BYTES, CoercionError, coerce, initial_values


class Colour(StrEnum):
    RED = "red"


TAKEN: list[tuple[VariableType, Any, Any]] = [
    ("string", "Ana", "Ana"),
    ("string", "", ""),
    ("string", "  ", "  "),
    ("string", 5, "5"),
    ("string", 5.0, "5"),
    ("string", 0.1, "0.1"),
    ("string", True, "true"),
    ("string", ["a", "b"], "a, b"),
    ("string", {"a": 1}, '{"a": 1}'),
    ("string", Colour.RED, "red"),
    ("number", 5, 5),
    ("number", 2.5, 2.5),
    ("number", "5", 5),
    ("number", " 5 ", 5),
    ("number", "-5", -5),
    ("number", "+5", 5),
    ("number", "\u22125", -5),
    ("number", "3.5", 3.5),
    ("number", "3,5", 3.5),
    ("number", ",5", 0.5),
    ("number", "0,125", 0.125),
    ("number", "1.234", 1.234),
    ("number", "1.234,5", 1234.5),
    ("number", "1,234.5", 1234.5),
    ("number", "1.234.567", 1234567),
    ("number", "1,234,567", 1234567),
    ("number", "1e3", 1000.0),
    ("number", "", None),
    ("boolean", True, True),
    ("boolean", False, False),
    ("boolean", 1, True),
    ("boolean", 0, False),
    ("boolean", 1.0, True),
    ("boolean", "sí", True),
    ("boolean", "SI", True),
    ("boolean", " yes ", True),
    ("boolean", "true", True),
    ("boolean", "1", True),
    ("boolean", "no", False),
    ("boolean", "False", False),
    ("boolean", "0", False),
    ("boolean", "", None),
    ("date", "2026-12-31", "2026-12-31"),
    ("date", "2024-02-29", "2024-02-29"),
    ("date", "31/12/2026", "2026-12-31"),
    ("date", "1/2/2026", "2026-02-01"),
    ("date", "01-02-2026", "2026-02-01"),
    ("date", "1.2.2026", "2026-02-01"),
    ("date", "2026-12-31T23:59:59+02:00", "2026-12-31"),
    ("date", " ", None),
    ("datetime", "2026-12-31T18:30", "2026-12-31T18:30:00"),
    ("datetime", "2026-12-31 18:30:15", "2026-12-31T18:30:15"),
    ("datetime", "2026-12-31T18:30:15Z", "2026-12-31T18:30:15+00:00"),
    ("datetime", "2026-12-31T18:30:15+0530", "2026-12-31T18:30:15+05:30"),
    ("datetime", "2026-12-31T18:30:15.25-03:00", "2026-12-31T18:30:15.250000-03:00"),
    ("datetime", "2026-12-31", "2026-12-31T00:00:00"),
    ("datetime", "31/12/2026 18:30", "2026-12-31T18:30:00"),
    ("list", [1, "a", None], [1, "a", None]),
    ("list", (1, 2), [1, 2]),
    ("list", "[1, 2]", [1, 2]),
    ("list", [], []),
    ("object", {"a": {"b": [1]}}, {"a": {"b": [1]}}),
    ("object", ' {"a": 1}', {"a": 1}),
]

REFUSED: list[tuple[VariableType, Any, str]] = [
    ("number", "1,234", "1234 or 1.234"),
    ("number", "-12,345", "-12345 or -12.345"),
    ("number", "five", "not a number"),
    ("number", "5 apples", "not a number"),
    ("number", "1.2.3", "not a number"),
    ("number", "1,23,456", "not a number"),
    ("number", "0x10", "not a number"),
    ("number", "٣", "not a number"),
    ("number", "nan", "not a number"),
    ("number", "inf", "not a number"),
    ("number", "1e999", "finite"),
    ("number", float("nan"), "finite"),
    ("number", float("inf"), "finite"),
    ("number", 10**31, "too large"),
    ("number", "9" * 40, "too large"),
    ("number", "9" * 61, "61 characters"),
    ("number", True, "not a number"),
    ("number", [1], "not a number"),
    ("boolean", "maybe", "neither yes nor no"),
    ("boolean", 2, "not yes or no"),
    ("boolean", [], "not yes or no"),
    ("date", "2026-02-30", "does not exist"),
    ("date", "2025-02-29", "does not exist"),
    ("date", "31/13/2026", "does not exist"),
    ("date", "0000-01-01", "does not exist"),
    ("date", "31/12/26", "not a date"),
    ("date", "31/12-2026", "not a date"),
    ("date", "2026-1-2", "not a date"),
    ("date", "tomorrow", "not a date"),
    ("date", 20261231, "not a date"),
    ("datetime", "2026-12-31T25:00", "does not exist"),
    ("datetime", "2026-12-31T10:00+99:00", "does not exist"),
    ("datetime", "10:30", "not a date and time"),
    ("list", "a, b", "not a list"),
    ("list", {"a": 1}, "not a list"),
    ("list", "[1", "not a list"),
    ("list", 5, "not a list"),
    ("object", [1], "not an object"),
    ("object", "{a}", "not an object"),
    ("object", {1: 2}, "keys must be text"),
    ("object", {"a": float("nan")}, "finite"),
    ("object", '{"a": NaN}', "finite"),
    ("object", {"a": {1, 2}}, "'set'"),
    ("string", b"bytes", "'bytes'"),
    ("string", "a\x00b", "NUL"),
    ("string", "\ud800", "Unicode"),
    ("object", {"\ud800": 1}, "Unicode"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), TAKEN)
def test_values_that_fit(kind: VariableType, value: Any, expected: Any) -> None:
    result = coerce(value, kind)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(("kind", "value", "reason"), REFUSED)
def test_values_that_do_not(kind: VariableType, value: Any, reason: str) -> None:
    with pytest.raises(CoercionError) as error:
        coerce(value, kind)
    assert reason in str(error.value)


TYPES: list[VariableType] = ["string", "number", "boolean", "date", "datetime", "list", "object"]


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_takes_nothing(kind: VariableType) -> None:
    assert coerce(None, kind) is None


def test_size_counts_bytes_as_json() -> None:
    fits = "a" * (MAX_VARIABLE_BYTES - 2)
    assert coerce(fits, "string") == fits
    with pytest.raises(CoercionError, match="65,537 bytes"):
        coerce(fits + "a", "string")
    with pytest.raises(CoercionError, match="bytes"):
        coerce("ñ" * (MAX_VARIABLE_BYTES // 2), "string")


def test_depth_is_bounded() -> None:
    value: Any = []
    for _ in range(63):
        value = [value]
    assert coerce(value, "list") == value
    with pytest.raises(CoercionError, match="64 levels"):
        coerce([value], "list")
    with pytest.raises(CoercionError, match="64 levels"):
        coerce("[" * 65 + "]" * 65, "list")
    with pytest.raises(CoercionError):
        coerce("[" * 30_000 + "]" * 30_000, "list")


def test_results_share_nothing_with_their_source() -> None:
    source = {"a": [1]}
    result = coerce(source, "object")
    source["a"].append(2)
    assert result == {"a": [1]}


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=15),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_LIKE, st.sampled_from(TYPES))
def test_a_coerced_value_is_json_and_stays_as_it_is(value: Any, kind: VariableType) -> None:
    try:
        result = coerce(value, kind)
    except CoercionError:
        return
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert coerce(result, kind) == result


@given(st.dates())
def test_days_survive_both_ways_of_writing(day: Any) -> None:
    assert coerce(day.isoformat(), "date") == day.isoformat()
    written = f"{day.day}/{day.month}/{day.year:04d}"
    assert coerce(written, "date") == day.isoformat()


@given(st.integers(min_value=-(10**15), max_value=10**15), st.integers(min_value=0, max_value=99))
def test_numbers_written_the_spanish_and_the_english_way(whole: int, cents: int) -> None:
    english = f"{whole:,}.{cents:02d}"
    spanish = english.translate(str.maketrans(",.", ".,"))
    expected = float(f"{whole}.{cents:02d}")
    assert coerce(english, "number") == expected
    assert coerce(spanish, "number") == expected


def flow(*variables: dict[str, Any]) -> Flow:
    return Flow.model_validate(
        {"name": "x", "variables": list(variables), "nodes": [{"id": "start", "type": "start"}]}
    )


def test_initial_values_are_inputs_then_defaults() -> None:
    declared = flow(
        {"name": "plan", "input": True, "default": "free"},
        {"name": "seats", "type": "number", "input": True, "default": "1"},
        {"name": "secretly", "default": "inside"},
        {"name": "nothing", "type": "list"},
    )
    assert initial_values(declared, {}) == {
        "plan": "free", "seats": 1, "secretly": "inside", "nothing": None,
    }  # fmt: skip
    given_values = {"plan": None, "seats": "12", "secretly": "from outside", "unknown": 1}
    assert initial_values(declared, given_values) == {
        "plan": None, "seats": 12, "secretly": "inside", "nothing": None,
    }  # fmt: skip


def test_initial_values_name_the_variable_that_does_not_fit() -> None:
    with pytest.raises(CoercionError, match="`seats`: `many` is not a number"):
        initial_values(flow({"name": "seats", "type": "number", "input": True}), {"seats": "many"})
