"""What pydantic found wrong with a document, in words for people who don't know Python, and where.

Used for flows and for the requests of the API, so that both speak alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

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


def plain_words(detail: ErrorDetails) -> str:
    """What is wrong, without the place: `it should be a number`."""
    words = _WORDS.get(detail["type"])
    if words is not None:
        context = {name: str(value).replace("'", "`") for name, value in detail.get("ctx", {}).items()}
        try:
            return words.format_map(context)
        except KeyError:
            pass
    return detail["msg"].removeprefix("Value error, ").replace("Input should", "it should")


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
