"""The API's description as the judge of its answers: a client that checks each one against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
from jsonschema import Draft202012Validator

Json = dict[str, Any]
METHODS = {"get", "post", "put", "delete", "patch"}


class Description:
    """An OpenAPI document whose objects may have no members but those that it describes."""

    def __init__(self, document: Json) -> None:
        self.document = _closed(document)

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Each path, method and operation."""
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                if method in METHODS:
                    yield path, method, operation

    def operation(self, method: str, path: str) -> Json | None:
        """The operation of a request, if it has one; fixed parts of a path go before parameters."""
        for template in sorted(self.document["paths"], key=lambda one: one.count("{")):
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            operation = self.document["paths"][template].get(method.lower())
            if operation is not None and re.fullmatch(pattern, path):
                return dict(operation)
        return None

    def check(self, method: str, path: str, answer: httpx2.Response) -> None:
        """Fail unless the answer's status and content are described, member by member."""
        operation = self.operation(method, path)
        if operation is None:
            assert answer.status_code in {404, 405}, (method, path, answer.status_code)
            return
        described = operation["responses"].get(str(answer.status_code))
        assert described is not None, (method, path, answer.status_code, answer.text[:300])
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        content = described.get("content", {})
        if "json" not in media_type:
            assert answer.status_code in {200, 204, 206, 304}, (method, path, answer.text[:300])
            return
        assert media_type in content, (method, path, media_type)
        self.fits(content[media_type]["schema"], answer.json())

    def fits(self, schema: Json, value: Any) -> None:
        """Fail unless a value fits a schema of the document."""
        whole = {**schema, "components": self.document["components"]}
        errors = sorted(Draft202012Validator(whole).iter_errors(value), key=lambda error: list(error.path))
        assert not errors, [(list(error.path), error.message[:300]) for error in errors[:5]]


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    closed = {name: _closed(item) for name, item in value.items() if name not in {"example", "examples"}}
    if isinstance(value.get("properties"), dict) and "type" in value and "additionalProperties" not in value:
        closed["additionalProperties"] = False
    return closed
