"""From a document to a `Flow`, or to everything that is wrong with the document. Never raises.

The document may come from anywhere: it is bounded in size and depth, and refused when a key stands twice
(JSON readers disagree on which one counts) or a text could not be stored, before pydantic looks at it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flow_schema.findings import Finding, finding
from flow_schema.flow import Flow
from flow_schema.partial import Rest, readable_rest
from flow_schema.references import pointer
from flow_schema.upgrade import UnknownSchemaVersionError
from flow_schema.view_state import without_view_state
from flow_schema.wording import advice, plain_words, without_branches

MAX_FLOW_BYTES: Final = 5_000_000
MAX_DEPTH: Final = 100
MAX_VALUES: Final = 1_000_000
MAX_FINDINGS: Final = 1_000

_KINDS: Final = {
    "missing": ("missing-field", "`{last}` is missing", "Add the field."),
    "extra_forbidden": (
        "unknown-field",
        "`{last}` is not a field of the flow language here",
        "Remove it, or correct its name.",
    ),
    "union_tag_not_found": (
        "missing-field",
        "{discriminator} is missing, which says what kind of thing this is",
        "Add it.",
    ),
    "union_tag_invalid": (
        "unknown-kind",
        "`{tag}` is not a known value of {discriminator}; known are {expected_tags}",
        "Use one of them.",
    ),
}


class _RepeatedKeys(dict[str, Any]):
    """An object in whose text a key stood twice."""

    repeated: tuple[str, ...] = ()


class _NotJsonError(ValueError):
    """A word such as NaN that JSON does not have."""


def read_document(data: bytes | str | dict[str, Any]) -> tuple[Flow | None, list[Finding], Rest | None]:
    """Read a flow from JSON, as bytes or text, or from a decoded document.

    Returns the flow, brought to the current schema version, and no findings; or None, every finding, at most
    `MAX_FINDINGS`, and what of the flow can be judged nevertheless. View state of editors is left out.
    """
    document, findings = _parsed(data)
    if findings:
        return None, findings, None
    findings = _inspect(document)
    if findings:
        return None, findings, None
    if not isinstance(document, dict):
        problem = _invalid("the document is not an object", "A flow is a JSON object with `nodes`.")
        return None, [problem], None
    document = without_view_state(document)
    try:
        return Flow.model_validate(document), [], None
    except UnknownSchemaVersionError as error:
        return None, [_version(error)], None
    except ValidationError as error:
        return None, _explained(error, document), readable_rest(document, error)
    except RecursionError:
        return None, [_too_deep("")], None


def _parsed(data: bytes | str | dict[str, Any]) -> tuple[Any, list[Finding]]:
    if not isinstance(data, bytes | str):
        return data, []
    if len(data) > MAX_FLOW_BYTES:
        problem = f"the document is larger than {MAX_FLOW_BYTES:,} bytes"
        return None, [finding("too-large", problem, "Split the flow into several that run one another.")]
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refused), []
    except UnicodeDecodeError as error:
        return None, [_not_json(f"byte {error.start} is not UTF-8")]
    except json.JSONDecodeError as error:
        return None, [_not_json(f"{error.msg} at line {error.lineno}, column {error.colno}")]
    except RecursionError:
        return None, [_too_deep("")]
    except ValueError as error:
        return None, [_not_json(str(error)[:200])]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    marked = _RepeatedKeys(found)
    marked.repeated = tuple(sorted({name for name in names if names.count(name) > 1})[:20])
    return marked


def _refused(word: str) -> None:
    raise _NotJsonError(f"{word} is not a JSON value")


def _inspect(document: Any) -> list[Finding]:
    """Depth, size, repeated keys and texts that can't be stored, in one pass without recursion."""
    findings: list[Finding] = []
    pending: list[tuple[Any, str, int]] = [(document, "", 1)]
    count = 0
    while pending and len(findings) < MAX_FINDINGS:
        value, path, depth = pending.pop()
        count += 1
        if count > MAX_VALUES:
            problem = f"the document holds more than {MAX_VALUES:,} values"
            return [finding("too-large", problem, "Split the flow into several that run one another.")]
        if isinstance(value, str):
            if _unstorable(value):
                findings.append(_bad_text(path))
            continue
        if isinstance(value, float) and not math.isfinite(value):
            findings.append(_invalid(f"{value} is not a JSON value", "Use a finite number.", path))
            continue
        if not isinstance(value, dict | list):
            continue
        if depth > MAX_DEPTH:
            return [_too_deep(path)]
        if isinstance(value, list):
            pending.extend((item, f"{path}/{index}", depth + 1) for index, item in enumerate(value))
            continue
        if isinstance(value, _RepeatedKeys):
            findings.extend(
                finding(
                    "duplicate-key",
                    f"the key `{name[:80]}` stands twice in one object",
                    "Remove one of the two.",
                    path=path + pointer(name),
                )
                for name in value.repeated
            )
        for name, item in value.items():
            if not isinstance(name, str):
                findings.append(_invalid(f"the key {name!r:.80} is not a text", "Use texts as keys.", path))
            elif _unstorable(name):
                findings.append(_bad_text(path))
            else:
                pending.append((item, path + pointer(name), depth + 1))
    return findings


def _unstorable(text: str) -> bool:
    if "\x00" in text:
        return True
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _explained(error: ValidationError, document: dict[str, Any]) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    for detail in error.errors(include_url=False)[:MAX_FINDINGS]:
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, UnknownSchemaVersionError):
            return [_version(cause)]
        item = _explain(detail, document)
        found.setdefault((item.code, item.path), item)
    return list(found.values())


def _explain(detail: ErrorDetails, document: dict[str, Any]) -> Finding:
    parts, node_id, edge_id = _located(detail["loc"], document, missing=detail["type"] == "missing")
    last = _name(parts)
    context = {name: str(value).replace("'", "`") for name, value in detail.get("ctx", {}).items()}
    message = plain_words(detail)
    code, words, fix = _KINDS.get(detail["type"], ("invalid-value", "`{last}`: {message}", advice(detail)))
    words = words.format_map({"last": last[:80], "message": message, **context})
    return finding(code, words[:1_000], fix, path=pointer(*parts), node_id=node_id, edge_id=edge_id)


def _name(parts: list[int | str]) -> str:
    """The last part of a place as people say it: `text`, or `options[2]` for an entry of a list."""
    if not parts:
        return "flow"
    if len(parts) > 1 and isinstance(parts[-1], int):
        return f"{parts[-2]}[{parts[-1]}]"
    return str(parts[-1])


def _located(
    location: Sequence[int | str], document: Any, *, missing: bool
) -> tuple[list[int | str], str | None, str | None]:
    """The place of an error, and the node or edge it is in."""
    parts = without_branches(location, document, missing=missing)
    item = document.get(parts[0]) if parts else None
    identity = None
    if (
        isinstance(item, list)
        and len(parts) > 1
        and isinstance(parts[1], int)
        and isinstance(item[parts[1]], dict)
    ):
        identity = item[parts[1]].get("id")
    if not isinstance(identity, str):
        return parts, None, None
    return parts, identity if parts[0] == "nodes" else None, identity if parts[0] == "edges" else None


def _version(error: UnknownSchemaVersionError) -> Finding:
    return finding(
        "unsupported-version",
        str(error),
        "Set `schema_version` to the version the flow was written for.",
        path="/schema_version",
    )


def _not_json(reason: str) -> Finding:
    return finding("invalid-json", f"the document is not JSON: {reason}", "Correct the document.")


def _too_deep(path: str) -> Finding:
    return finding(
        "too-deep",
        f"the document is nested more than {MAX_DEPTH} levels deep",
        "Make it flatter.",
        path=path[:500],
    )


def _bad_text(path: str) -> Finding:
    return finding(
        "invalid-text",
        "a text holds a NUL character or half of a character pair",
        "Remove the character.",
        path=path,
    )


def _invalid(message: str, fix: str, path: str = "") -> Finding:
    return finding("invalid-value", message, fix, path=path)
