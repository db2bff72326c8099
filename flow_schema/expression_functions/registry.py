"""How a function of the expression language is declared, and how its values are read.

A declaration holds everything there is to know about a function: its signature, its description, an example
with its result (which the tests evaluate) and how each argument is converted before the function sees it.
The rules of conversion are the same everywhere: an empty value counts as empty text, an empty list or an
empty object; a number counts as text where text is asked for; anything else is refused with the name of the
function.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flow_schema.expression_values import Context, FormulaFaultError, is_number, kind_of, to_text

Converter = Callable[[Context, Any], Any]


@dataclass(frozen=True, slots=True)
class FunctionDocument:
    """What a designer reads about a function; `result` is the JSON value that `example` evaluates to."""

    name: str
    group: str
    signature: str
    description: str
    example: str
    result: Any


@dataclass(frozen=True, slots=True)
class Implementation:
    """A function ready to be called with values; `most` is None where any number of values may be given."""

    name: str
    least: int
    most: int | None
    function: Callable[..., Any]
    takes: tuple[Converter, ...]
    wants_context: bool

    def call(self, context: Context, values: list[Any]) -> Any:
        """Charge for the values, convert them and call. Raises FormulaFaultError."""
        for value in values:
            context.charge_value(value)
        converters = self.takes
        last = len(converters) - 1
        try:
            converted = [converters[min(index, last)](context, value) for index, value in enumerate(values)]
            if self.wants_context:
                return self.function(context, *converted)
            return self.function(*converted)
        except FormulaFaultError as fault:
            raise FormulaFaultError(f"{self.name}: {fault.reason}") from None


class FunctionGroup:
    """The functions of one file, filled by the `define` decorator."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.documents: dict[str, FunctionDocument] = {}
        self.implementations: dict[str, Implementation] = {}

    def define(
        self,
        signature: str,
        description: str,
        *,
        example: str,
        result: Any,
        takes: tuple[Converter, ...] = (),
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare the decorated function under the name in `signature`.

        `takes` has one converter a parameter; the last one also converts the values of a `*` parameter.
        A first parameter named `context` receives the evaluation's context and is not counted.
        """
        name = signature.partition("(")[0]

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            parameters = list(inspect.signature(function).parameters.values())
            wants_context = bool(parameters) and parameters[0].name == "context"
            if wants_context:
                parameters = parameters[1:]
            variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
            positional = [
                parameter for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL
            ]
            least = sum(1 for parameter in positional if parameter.default is parameter.empty)
            most = None if variadic else len(positional)
            self.documents[name] = FunctionDocument(name, self.title, signature, description, example, result)
            self.implementations[name] = Implementation(name, least, most, function, takes, wants_context)
            return function

        return register


def anything(context: Context, value: Any) -> Any:
    """Any value, unchanged."""
    return value


def text(context: Context, value: Any) -> str:
    """Text; numbers and yes/no are written out, an empty value is empty text."""
    if value is None or isinstance(value, str) or is_number(value):
        return to_text(value)
    raise FormulaFaultError(
        f"needs text, not a value of the kind {kind_of(value)}; text(value) makes text of it"
    )


def number(context: Context, value: Any) -> int | float:
    """A number; text is not read as one, so that nothing is guessed."""
    if is_number(value):
        result: int | float = value
        return result
    if value is None:
        raise FormulaFaultError("needs a number, but the value is empty; default(value, 0) gives one")
    advice = "; number(value) reads one from text" if isinstance(value, str) else ""
    raise FormulaFaultError(f"needs a number, not a value of the kind {kind_of(value)}{advice}")


def integer(context: Context, value: Any) -> int:
    """A whole number; 3.0 counts as one."""
    found = number(context, value)
    if isinstance(found, float):
        if not found.is_integer():
            raise FormulaFaultError("needs a whole number; round(value) makes one")
        found = int(found)
    if not -(10**9) <= found <= 10**9:
        raise FormulaFaultError("the number is too large here")
    return int(found)


def items(context: Context, value: Any) -> list[Any]:
    """A list; an empty value is an empty list."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise FormulaFaultError(f"needs a list, not a value of the kind {kind_of(value)}")


def record(context: Context, value: Any) -> dict[str, Any]:
    """An object; an empty value is an object without keys."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise FormulaFaultError(f"needs an object, not a value of the kind {kind_of(value)}")


def combine(
    groups: list[FunctionGroup],
) -> tuple[Mapping[str, FunctionDocument], Mapping[str, Implementation]]:
    """One table of all groups; a name may be declared once."""
    documents: dict[str, FunctionDocument] = {}
    implementations: dict[str, Implementation] = {}
    for group in groups:
        twice = documents.keys() & group.documents.keys()
        if twice:
            raise RuntimeError(f"functions declared twice: {sorted(twice)}")
        documents |= group.documents
        implementations |= group.implementations
    return documents, implementations
