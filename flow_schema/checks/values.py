"""Values with rules of their own: patterns, paths, JSON Schemas, timezones, days, addresses, requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import jmespath
import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from flow_schema.checks.subject import Subject
from flow_schema.expression_functions.dates import zone
from flow_schema.expression_values import FormulaFaultError
from flow_schema.fields import Role
from flow_schema.findings import Finding, finding
from flow_schema.nodes.action import Redirect, SendEmail
from flow_schema.nodes.message import CardButton, Media
from flow_schema.nodes.request import HttpRequest
from flow_schema.references import FieldUse, pointer

_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_REQUEST_SCHEMES: Final = frozenset({"http", "https"})
_PAGE_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})


def check_values(subject: Subject) -> Iterator[Finding]:
    """Everything whose own parser can say whether it is right."""
    for node_id, use in subject.uses:
        match use.role:
            case Role.PATTERN:
                yield from bad_pattern(use.value, use.path, node_id)
            case Role.JMESPATH:
                yield from _path(use, node_id)
            case Role.JSON_SCHEMA:
                yield from _json_schema(use, node_id)
            case Role.TIMEZONE:
                yield from _timezone(use, node_id)
            case Role.TEMPLATE:
                yield from _address(use, node_id)
            case _:
                pass
    yield from _requests(subject)
    yield from _closed_dates(subject)


def bad_pattern(pattern: str, path: str, node_id: str | None) -> Iterator[Finding]:
    """A finding if RE2 refuses the pattern."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        words = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        yield finding(
            "bad-pattern",
            f"the pattern `{pattern[:80]}` can't be read: {words}",
            "Correct it; RE2 knows no look-ahead, look-behind and back references.",
            path=path,
            node_id=node_id,
        )


def _path(use: FieldUse, node_id: str | None) -> Iterator[Finding]:
    try:
        jmespath.compile(use.value)
    except (jmespath.exceptions.JMESPathError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        yield finding(
            "bad-path",
            f"the path `{use.value[:80]}` is not JMESPath: {reason}",
            "Write it like `data.items[0].name`; `@` is everything, keys with other characters stand in "
            'double quotes: `"content-type"`.',
            path=use.path,
            node_id=node_id,
        )


def _json_schema(use: FieldUse, node_id: str | None) -> Iterator[Finding]:
    reason = None
    try:
        Draft202012Validator.check_schema(use.value)
    except SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path)
        reason = error.message[:200] + (f" (at `{place}`)" if place else "")
    except RecursionError:
        reason = "it is nested too deeply"
    if reason is None and use.value.get("type") != "object":
        reason = 'its `type` must be "object"'
    if reason is None and _has_foreign_reference(use.value):
        reason = "it refers to another document; only `#/...` references are followed"
    if reason is not None:
        yield finding(
            "bad-json-schema",
            f"the JSON Schema can't be used: {reason}",
            'Start from {"type": "object", "properties": {...}, "required": [...]}.',
            path=use.path,
            node_id=node_id,
        )


def _has_foreign_reference(schema: Any) -> bool:
    pending = [schema]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            reference = item.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#"):
                return True
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False


def _timezone(use: FieldUse, node_id: str | None) -> Iterator[Finding]:
    try:
        zone(use.value)
    except FormulaFaultError as error:
        yield finding("bad-timezone", error.reason, "Write an IANA name.", path=use.path, node_id=node_id)


def _address(use: FieldUse, node_id: str | None) -> Iterator[Finding]:
    """Addresses whose beginning is written out must begin in a way that is safe to open."""
    text = str(use.value)
    field = use.path.rsplit("/", 1)[-1]
    match use.owner:
        case HttpRequest() if field == "url":
            allowed, relative = _REQUEST_SCHEMES, False
        case Media() | CardButton() | Redirect():
            allowed, relative = _PAGE_SCHEMES, True
        case SendEmail() if "{{" not in text and not re.fullmatch(
            r"[^@\s]+@[^@\s]+|.*<[^@\s]+@[^@\s]+>", text
        ):
            yield finding(
                "bad-address",
                f"`{text[:80]}` is not an e-mail address",
                "Write `name@example.org`, or a formula that gives an address.",
                path=use.path,
                node_id=node_id,
            )
            return
        case _:
            return
    fixed = text.partition("{{")[0]
    scheme = _SCHEME.match(fixed)
    if scheme is not None:
        fits = scheme[1].lower() in allowed
    else:
        fits = relative or (not fixed.strip() and "{{" in text)
    if not fits:
        yield finding(
            "bad-address",
            f"`{text[:80]}` is not an address that can be used here",
            f"Begin it with {' or '.join(f'`{name}:`' for name in sorted(allowed, reverse=True))}.",
            path=use.path,
            node_id=node_id,
        )


def _requests(subject: Subject) -> Iterator[Finding]:
    for node_id, use in subject.uses:
        if isinstance(use.owner, HttpRequest) and use.path.endswith("/url"):
            yield from _request(use.owner, use.path.removesuffix("/url"), node_id)


def _request(request: HttpRequest, path: str, node_id: str | None) -> Iterator[Finding]:
    for name, value in request.headers.items():
        if not _HEADER_NAME.fullmatch(name) or "\n" in value or "\r" in value:
            yield finding(
                "bad-header",
                f"the header `{name[:80]}` has no valid name, or a line break in its value",
                "Names are letters, digits and hyphens; values are one line.",
                path=path + pointer("headers", name),
                node_id=node_id,
            )
    body = request.body
    formula = isinstance(body, str) and body.strip().startswith("{{") and body.strip().endswith("}}")
    problem = None
    match request.body_type:
        case "none" if body is not None:
            problem = "there is content, but `body_type` is `none`, so it would not be sent"
        case "form" if not isinstance(body, dict) and not formula:
            problem = "a form is an object of names and values"
        case "text" if not isinstance(body, str):
            problem = "the content of `text` is a text"
    if problem is not None:
        yield finding(
            "bad-body",
            problem,
            "Change `body_type` or `body`.",
            path=f"{path}/body",
            node_id=node_id,
        )


def _closed_dates(subject: Subject) -> Iterator[Finding]:
    for index, schedule in enumerate(subject.flow.settings.schedules):
        for place, day in enumerate(schedule.closed_dates):
            try:
                date.fromisoformat(day)
            except ValueError:
                yield finding(
                    "bad-date",
                    f"there is no day {day}",
                    "Write a day as `YYYY-MM-DD`.",
                    path=f"/settings/schedules/{index}/closed_dates/{place}",
                )
