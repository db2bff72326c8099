"""Secrets of a call: put in where a mark stands for them, taken out of whatever comes back.

The workflow sends `MARKER:NAME:MARKER` in the place of a secret, where MARKER is unguessable and new for each
call, so that no visitor can write a mark. Values exist here alone, for as long as the call takes.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from urllib.parse import quote, quote_plus

from pydantic import JsonValue

from core.json_values import clean_json
from flow_schema.effects import HttpCall

CALLBACK = "callback_url"
HIDDEN = "***"
_SHORTEST = 4
"""Values shorter than this are too common in ordinary text to be taken out."""
_WESTERN = ("latin-1", "cp1252")
"""What servers take texts for that say nothing of their encoding."""
_NUMBER = re.compile(r"[0-9.eE+-]+")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_NAME = r"([A-Za-z_][A-Za-z0-9_]*)"


class Marks:
    """Finds and replaces the marks of one call."""

    def __init__(self, marker: str) -> None:
        escaped = re.escape(marker)
        self._plain = re.compile(f"{escaped}:{_NAME}:{escaped}")
        quoted = re.escape(quote(marker, safe=""))
        self._in_url = re.compile(f"(?:{escaped}|{quoted})(?::|%3A){_NAME}(?::|%3A)(?:{escaped}|{quoted})")

    def names(self, call: HttpCall) -> set[str]:
        """Return the names that the call's marks mention, `callback_url` among them."""
        found = set(self._in_url.findall(call.url))
        for part in (call.query, call.headers, call.body):
            found.update(name for text in _texts(part) for name in self._plain.findall(text))
        return found

    def fill(self, text: str, values: Mapping[str, str]) -> str:
        """Return a text with its marks replaced."""
        return self._plain.sub(lambda match: values[match.group(1)], text)

    def fill_json(self, value: JsonValue, values: Mapping[str, str]) -> JsonValue:
        """Return a JSON value with the marks in its texts and keys replaced."""
        return clean_json(value, lambda text: self.fill(text, values))

    def fill_url(self, url: str, values: Mapping[str, str]) -> str:
        """Return an address with its marks replaced.

        A value at the very beginning is taken as it is, since it is a whole address. Elsewhere it is
        percent-encoded, with slashes kept before the query.
        """

        def value(match: re.Match[str]) -> str:
            if match.start() == 0:
                return values[match.group(1)]
            in_query = "?" in url[: match.start()]
            return quote(values[match.group(1)], safe="" if in_query else "/:")

        return self._in_url.sub(value, url)

    def is_marked(self, text: str) -> bool:
        """Tell whether a text holds a mark."""
        return self._plain.search(text) is not None

    def is_marked_json(self, value: JsonValue) -> bool:
        """Tell whether any text or key of a JSON value holds a mark."""
        return any(self.is_marked(text) for text in _texts(value))


class Redaction:
    """Takes given values out of texts, in each form in which another server may echo them.

    As they are and read under a wrong encoding; within JSON, also within JSON that is a text of JSON;
    within HTML; percent-encoded; in Base64.
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
        self._forms = sorted(forms, key=len, reverse=True)
        """Searched one by one: a pattern of all forms of a long value would compile for seconds."""
        self._numbers = [form for form in self._forms if _NUMBER.fullmatch(form)]

    def text(self, text: str) -> str:
        """Return a text without the values."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def json(self, value: JsonValue) -> JsonValue:
        """Return a JSON value without the values: in texts, in keys, and in numbers that spell one."""
        return self._without_numbers(clean_json(value, self.text))

    def _without_numbers(self, value: JsonValue) -> JsonValue:
        if not self._numbers or value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, dict):
            return {key: self._without_numbers(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_numbers(item) for item in value]
        return HIDDEN if any(form in str(value) for form in self._numbers) else value


def _forms(value: str) -> set[str]:
    raws = [value.encode("utf-8", errors="replace")]
    spellings = {value}
    for encoding in _WESTERN:
        with suppress(UnicodeError):
            spellings.add(raws[0].decode(encoding))
        with suppress(UnicodeError):
            raws.append(value.encode(encoding))
    forms: set[str] = set()
    for spelling in spellings:
        forms |= _escaped(spelling)
    for raw in raws:
        forms |= _percent_encoded(raw) | _in_base64(raw)
    return {form for form in forms if len(form) >= _SHORTEST}


def _escaped(text: str) -> set[str]:
    """A text as it is, and within JSON and HTML, twice as well: services wrap what they were sent."""
    forms = {text}
    for _ in range(2):
        forms |= {written for form in forms for written in (*_in_json(form), *_in_html(form))}
    return forms


def _in_json(text: str) -> Iterable[str]:
    for ascii_only in (False, True):
        written = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for form in (written, _UNICODE_ESCAPE.sub(lambda found: "\\u" + found[1].upper(), written)):
            yield form
            yield form.replace("/", "\\/")


def _in_html(text: str) -> Iterable[str]:
    plain = html.escape(text, quote=False)
    yield plain
    for double, single in (("&quot;", "&#x27;"), ("&quot;", "&#39;"), ("&#34;", "&#39;"), ("&quot;", "'")):
        yield plain.replace('"', double).replace("'", single)


def _percent_encoded(raw: bytes) -> set[str]:
    forms = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    return forms | {_PERCENT.sub(lambda found: found.group().lower(), form) for form in forms}


def _in_base64(raw: bytes) -> set[str]:
    forms: set[str] = set()
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        padded = encoded.decode("ascii")
        for text in (padded, padded.rstrip("=")):
            forms.update({text, *_percent_encoded(text.encode())})
    return forms


def _texts(value: JsonValue | Mapping[str, str]) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
