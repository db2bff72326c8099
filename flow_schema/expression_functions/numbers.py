"""Functions on numbers. Rounding goes by decimal digits, halves away from zero, as people are taught."""

import math
from decimal import ROUND_HALF_UP, Decimal
from decimal import Context as DecimalContext
from typing import Any, Final

from flow_schema.expression_functions.registry import FunctionGroup, anything, integer, number, text
from flow_schema.expression_functions.texts import read_number
from flow_schema.expression_values import Context, FormulaFaultError, kind_of

GROUP: Final = FunctionGroup("Numbers")
_ARITHMETIC: Final = DecimalContext(prec=400, rounding=ROUND_HALF_UP)
_MAX_DECIMALS: Final = 15
_NO_FALLBACK: Final = object()
_SEPARATORS: Final = {"en": (",", "."), "es": (".", ",")}
_CURRENCY_SIGNS: Final = {
    "EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "BRL": "R$",
    "MXN": "$", "ARS": "$", "CLP": "$", "COP": "$",
}  # fmt: skip
_WITHOUT_CENTS: Final = frozenset({"JPY", "CLP", "KRW", "PYG"})


def language_of(value: str) -> str:
    """`es-MX` is `es`. A language without tables is written as English: a conversation in it must go on."""
    language = value.strip().lower().replace("_", "-").partition("-")[0]
    return language if language in _SEPARATORS else "en"


def known_language(value: str) -> str:
    """As `language_of`, for reading: raises FormulaFaultError for a language without tables, since a wrong
    guess would change the number."""
    if language_of(value) != value.strip().lower().replace("_", "-").partition("-")[0]:
        raise FormulaFaultError(f"numbers of the language {value!r} can't be read; write 'en' or 'es'")
    return language_of(value)


def _rounded(value: int | float, decimals: int) -> Decimal:
    if not 0 <= decimals <= _MAX_DECIMALS:
        raise FormulaFaultError(f"the number of decimals goes from 0 to {_MAX_DECIMALS}")
    exact = Decimal(int(value)) if isinstance(value, int) else Decimal(repr(value))
    return exact.quantize(Decimal(1).scaleb(-decimals, _ARITHMETIC), context=_ARITHMETIC)


def _numbers(context: Context, values: tuple[Any, ...]) -> list[int | float]:
    """One list or several numbers; empty entries of a list are left out."""
    if len(values) == 1 and (isinstance(values[0], list) or values[0] is None):
        return [number(context, entry) for entry in values[0] or [] if entry is not None]
    return [number(context, value) for value in values]


@GROUP.define(
    'number(value, fallback, language = "en")',
    "The number that a text says. What says none gives the fallback, or is an error without one. "
    'With "es", `1.234,5` is read.',
    example='number("12.50")',
    result=12.5,
    takes=(anything, anything, text),
)
def read(value: Any, fallback: Any = _NO_FALLBACK, language: str = "en") -> Any:
    found: int | float | None = None
    if isinstance(value, int | float):
        found = int(value) if isinstance(value, bool) else value
    elif isinstance(value, str):
        found = read_number(value, known_language(language))
    if found is not None:
        return found
    if fallback is not _NO_FALLBACK:
        return fallback
    shown = f"the text {value[:40]!r}" if isinstance(value, str) else f"a value of the kind {kind_of(value)}"
    raise FormulaFaultError(f"{shown} says no number; number(value, 0) gives 0 in that case")


@GROUP.define(
    "int(value)",
    "The whole part of a number, or of the number that a text says.",
    example='int("12.9")',
    result=12,
    takes=(anything,),
)
def whole(value: Any) -> int:
    found: int | float = read(value)
    return math.trunc(found)


@GROUP.define(
    "round(number, decimals = 0)",
    "Rounded, halves away from zero.",
    example="round(2.345, 2)",
    result=2.35,
    takes=(number, integer),
)
def rounded(value: int | float, decimals: int = 0) -> int | float:
    found = _rounded(value, decimals)
    return int(found) if decimals == 0 else float(found)


@GROUP.define(
    "floor(number)", "The next whole number below.", example="floor(-1.5)", result=-2, takes=(number,)
)
def floor(value: int | float) -> int:
    return math.floor(value)


@GROUP.define("ceil(number)", "The next whole number above.", example="ceil(1.2)", result=2, takes=(number,))
def ceil(value: int | float) -> int:
    return math.ceil(value)


@GROUP.define("abs(number)", "Without its sign.", example="abs(-3)", result=3, takes=(number,))
def absolute(value: int | float) -> int | float:
    return abs(value)


@GROUP.define(
    "min(numbers...)",
    "The smallest of several numbers or of a list; empty if there is none.",
    example="min(3, 1, 2)",
    result=1,
    takes=(anything,),
)
def smallest(context: Context, *values: Any) -> int | float | None:
    return min(_numbers(context, values), default=None)


@GROUP.define(
    "max(numbers...)",
    "The largest of several numbers or of a list; empty if there is none.",
    example="max([3, 1, 2])",
    result=3,
    takes=(anything,),
)
def largest(context: Context, *values: Any) -> int | float | None:
    return max(_numbers(context, values), default=None)


@GROUP.define(
    "sum(numbers...)",
    "The sum of several numbers or of a list.",
    example="sum([0.1, 0.2, 3])",
    result=3.3,
    takes=(anything,),
)
def total(context: Context, *values: Any) -> int | float:
    return add_up(_numbers(context, values))


def add_up(values: list[int | float]) -> int | float:
    """The sum, exact for whole numbers and correctly rounded for others, whatever their order."""
    if all(isinstance(value, int) for value in values):
        return sum(values)
    return math.fsum(values)


@GROUP.define(
    "average(numbers...)",
    "The mean of several numbers or of a list; empty if there is none.",
    example="average([1, 2, 6])",
    result=3.0,
    takes=(anything,),
)
def average(context: Context, *values: Any) -> float | None:
    found = _numbers(context, values)
    return add_up(found) / len(found) if found else None


@GROUP.define(
    'format_number(number, decimals = 0, language = "en")',
    "With thousands separated and so many decimals, in the notation of en or es; for other languages in that "
    "of en.",
    example='format_number(1234.5, 2, "es")',
    result="1.234,50",
    takes=(number, integer, text),
)
def format_number(value: int | float, decimals: int = 0, language: str = "en") -> str:
    thousands, point = _SEPARATORS[language_of(language)]
    shown = format(_rounded(value, decimals), ",f")
    if not any(character in "123456789" for character in shown):
        shown = shown.lstrip("-")
    return shown.replace(",", "\0").replace(".", point).replace("\0", thousands)


@GROUP.define(
    'format_currency(number, currency, language = "en")',
    "An amount of money; the currency by its three letters.",
    example='format_currency(1234.5, "EUR", "es")',
    result="1.234,50 €",
    takes=(number, text, text),
)
def format_currency(value: int | float, currency: str, language: str = "en") -> str:
    code = currency.strip().upper()
    if len(code) != 3 or not (code.isascii() and code.isalpha()):
        raise FormulaFaultError("write the currency by its three letters, like EUR")
    shown = format_number(value, 0 if code in _WITHOUT_CENTS else 2, language)
    sign = _CURRENCY_SIGNS.get(code)
    if language_of(language) == "es":
        return f"{shown} {sign or code}"
    if sign is None:
        return f"{code} {shown}"
    return f"-{sign}{shown[1:]}" if shown.startswith("-") else f"{sign}{shown}"
