"""What pydantic found wrong with a document, in words for people who don't know Python, and where.

Used for flows and for the requests of the API, so that both speak alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from flow_schema.fields import PATTERN_WORDS

_WORDS: Final = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field here",
    "string_type": "it should be text",
    "string_too_short": "it should have at least {min_length} characters",
    "string_too_long": "it should have at most {max_length} characters",
    "string_pattern_mismatch": "it should have the form `{pattern}`",
    "too_short": "it should have at least {min_length} entries, not {actual_length}",
    "too_long": "it should have at most {max_length} entries",
    "list_type": "it should be a list",
    "dict_type": "it should be an object",
    "model_type": "it should be an object",
    "model_attributes_type": "it should be an object",
    "int_type": "it should be a whole number",
    "int_parsing": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "float_type": "it should be a number",
    "float_parsing": "it should be a number",
    "finite_number": "it should be a finite number",
    "bool_type": "it should be true or false",
    "bool_parsing": "it should be true or false",
    "greater_than": "it should be more than {gt}",
    "greater_than_equal": "it should be at least {ge}",
    "less_than": "it should be less than {lt}",
    "less_than_equal": "it should be at most {le}",
    "literal_error": "it should be one of {expected}",
    "time_delta_type": "it should be a duration such as `PT30S`, `PT5M` or `P3D`",
    "time_delta_parsing": "it should be a duration such as `PT30S`, `PT5M` or `P3D`",
    "uuid_parsing": "it should be a UUID",
    "union_tag_not_found": "its field {discriminator} is missing",
    "union_tag_invalid": "`{tag}` is not a known value of {discriminator}; known are {expected_tags}",
}
_ADVICE: Final = {
    "string_too_short": "Write it.",
    "string_too_long": "Shorten it.",
    "too_short": "Add entries.",
    "too_long": "Remove entries.",
    "int_type": "Write a whole number without quotes, such as 3.",
    "int_from_float": "Round it.",
    "float_type": "Write a number without quotes, such as 2.5.",
    "bool_type": "Write true or false, without quotes.",
    "string_type": "Write a text in quotes.",
    "greater_than": "Choose a larger number.",
    "greater_than_equal": "Choose a larger value.",
    "less_than": "Choose a smaller number.",
    "less_than_equal": "Choose a smaller value.",
    "literal_error": "Use one of these values.",
    "list_type": "Put it into square brackets.",
    "text_form": 'Write a text, or one for each language: {"es": "Hola", "en": "Hello"}.',
}
"""What to do where the message does not say it by itself."""


def plain_words(detail: ErrorDetails) -> str:
    """What is wrong, without the place: `it should be a number`."""
    words = _WORDS.get(detail["type"])
    form = PATTERN_WORDS.get(str(detail.get("ctx", {}).get("pattern")))
    if detail["type"] == "string_pattern_mismatch" and form is not None:
        return f"it should be {form}"
    if words is not None:
        context = {name: str(value).replace("'", "`") for name, value in detail.get("ctx", {}).items()}
        try:
            return words.format_map(context)
        except KeyError:
            pass
    return detail["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def advice(detail: ErrorDetails) -> str:
    """What to do about it, as a sentence."""
    own = detail.get("ctx", {}).get("fix")
    return str(own) if own else _ADVICE.get(detail["type"], "Write it as the message says.")


def without_branches(location: Sequence[int | str], document: Any, *, missing: bool) -> list[int | str]:
    """The place of an error without the names of union branches that pydantic puts in between.

    `missing` says that the last part names a field that is not in the document.
    """
    parts: list[int | str] = []
    value = document
    for index, part in enumerate(location):
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (missing and index == len(location) - 1):
            continue
        parts.append(part)
    return parts
