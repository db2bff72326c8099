"""Every error as a problem document (RFC 9457), in answers and in the OpenAPI description."""

from __future__ import annotations

import re
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from core.errors import (
    PROBLEM_TYPE_PREFIX,
    AuthenticationError,
    ConfigurationError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RequestError,
    TooLargeError,
    UnprocessableError,
    UnsupportedMediaError,
    VersaError,
)
from core.logging import get_logger
from flow_schema.wording import plain_words, without_branches

PROBLEM_MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 50
_TOKEN_IN_PATH = re.compile(r"(/callbacks/)[^/]+")
_log = get_logger(__name__)


class ProblemError(BaseModel):
    """One thing that is wrong with a request's content."""

    model_config = ConfigDict(extra="allow")

    detail: str = Field(title="Detail", description="What is wrong, in a sentence.")
    pointer: str | None = Field(
        default=None, title="Pointer", description="Where: a JSON pointer into the body, or the parameter."
    )
    code: str | None = Field(default=None, title="Code", description="Stable name of the kind of error.")


class Problem(BaseModel):
    """An error, as RFC 9457 describes it. `type` is stable; decide by it, show `title` and `detail`."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": PROBLEM_TYPE_PREFIX + "not-found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no such bot.",
                "instance": "/api/v1/widget/nobody/config",
                "request_id": "0199f0a1c2d34e5f8a9b0c1d2e3f4a5b",
            }
        },
    )

    type: str = Field(title="Type", description="Stable URI of the kind of problem.")
    title: str = Field(title="Title", description="The kind of problem in words.")
    status: int = Field(title="Status", description="The HTTP status.", ge=400, le=599)
    detail: str = Field(title="Detail", description="This case, in a sentence.")
    instance: str | None = Field(default=None, title="Instance", description="The path that was asked for.")
    request_id: str | None = Field(
        default=None, title="Request", description="The request's id, to quote to the operators."
    )
    errors: list[ProblemError] | None = Field(
        default=None, title="Errors", description="What is wrong with the content, one by one."
    )
    retry_after: int | None = Field(
        default=None, title="Retry after", description="Seconds until the same request may succeed."
    )


_STATUS_TEXT = {
    400: "The request is malformed: not UTF-8, not JSON, nested too deeply, or of a wrong shape.",
    401: "No valid credentials.",
    403: "The credentials don't allow this.",
    404: "There is no such thing, for this caller.",
    409: "The request contradicts the present state.",
    410: "It was here and will not come back.",
    413: "The body, text or file is over a limit.",
    415: "The content's type isn't accepted.",
    416: "The file has no such part.",
    422: "Understood, and wrong; `errors` says what.",
    429: "Too many requests; `Retry-After` says when to try again.",
    503: "A part of the platform is down or starting; the same request may succeed in a moment.",
}


_OF_STATUS: dict[int, type[VersaError]] = {
    kind.status: kind
    for kind in (
        AuthenticationError, PermissionDeniedError, TooLargeError, UnsupportedMediaError, UnprocessableError
    )
}  # fmt: skip


def documented(*statuses: int, **also: Any) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route: problems for these statuses, and what `also` adds (`s202=...`)."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {
            "description": _STATUS_TEXT[status],
            "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted(statuses)
    }
    for name, response in also.items():
        responses[int(name.removeprefix("s"))] = response
    return responses


def problem_bytes(
    error: VersaError, path: str | None, request_id: str | None
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to an error."""
    document = error.problem(path)
    if request_id is not None:
        document["request_id"] = request_id
    headers = {"Content-Type": PROBLEM_MEDIA_TYPE, "Cache-Control": "no-store", **error.headers()}
    return error.status, headers, orjson.dumps(document, default=str)


def problem_response(error: VersaError, request: Request) -> Response:
    """Return the answer to an error; the server's own faults are logged."""
    if error.status >= 500:
        _log.warning(
            "request failed", problem=error.slug, detail=error.detail, path=loggable(request.url.path)
        )
    status, headers, body = problem_bytes(error, request.url.path, request_id_of(request))
    return Response(body, status_code=status, headers=headers)


def loggable(path: str) -> str:
    """Return a path without the token that wakes a conversation; queries are not logged at all."""
    return _TOKEN_IN_PATH.sub(r"\1[redacted]", path)


def request_id_of(request: Request) -> str | None:
    """Return the request's id, as the middleware gave it."""
    value = request.scope.get("state", {}).get("request_id")
    return value if isinstance(value, str) else None


def framework_problem(error: HTTPException) -> VersaError:
    """Return the error of the tree for a refusal of the framework's own: unknown address, wrong method."""
    detail = str(error.detail)
    if error.status_code == 404:
        return NotFoundError("There is nothing at this address.")
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return MethodNotAllowedError(f"This address takes {allow or 'other methods'}.", allow=allow)
    if error.status_code >= 500:
        return VersaError(detail)
    return _OF_STATUS.get(error.status_code, RequestError)(detail)


def validation_problem(error: RequestValidationError) -> RequestError:
    """Return the problem for content that pydantic refused; unreadable JSON is 400, the rest 422."""
    findings: list[dict[str, Any]] = []
    for finding in error.errors()[:_MOST_ERRORS]:
        if finding["type"] == "json_invalid":
            return RequestError("The body is not JSON: " + str(finding.get("ctx", {}).get("error", "")) + ".")
        place: list[int | str] = list(finding["loc"])
        pointer = ".".join(str(part) for part in place)
        if place[:1] == ["body"]:
            inner = without_branches(place[1:], error.body, missing=finding["type"] == "missing")
            pointer = "/" + "/".join(_escape(str(part)) for part in inner)
        findings.append({"detail": plain_words(finding), "pointer": pointer, "code": finding["type"]})
    first = f" {findings[0]['pointer']}: {findings[0]['detail']}." if findings else ""
    return UnprocessableError(f"The request's content is not valid.{first}", errors=findings)


def install(app: FastAPI) -> None:
    """Make the application answer every error with a problem document."""

    async def on_versa_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, VersaError)
        if isinstance(error, ConfigurationError):
            _log.error("not configured", detail=error.detail)
        return problem_response(error, request)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(validation_problem(error), request)

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_response(framework_problem(error), request)

    app.add_exception_handler(VersaError, on_versa_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
