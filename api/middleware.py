"""What happens to every request before a route sees it, as plain ASGI, from the outside in.

`RequestIdentity` gives the request an id and the answer its common headers; `CrossOrigin` lets other sites'
pages read every answer, refusals included; `RequestGate` refuses bodies that are too large, not UTF-8 or
nested too deeply before anything parses them, and turns whatever escapes from below into a problem document.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import loggable, problem_bytes
from api.rate_limits import LIMIT_HEADERS
from core.errors import RequestError, TooLargeError, VersaError
from core.ids import uuid7
from core.logging import get_logger

_REQUEST_ID = re.compile(rb"^[A-Za-z0-9_.:-]{1,64}$")
_MOST_LEVELS = 100
_DRAINED_BYTES = 64 * 1024 * 1024
"""A refused body is read to its end up to this size, so that the sender reads the answer, not a reset."""
_log = get_logger(__name__)


@dataclass(frozen=True)
class BodyRule:
    """Requests whose path fits `pattern` may carry `limit` bytes; `streamed` ones are left to the route."""

    pattern: re.Pattern[str]
    limit: int
    streamed: bool = False


class RequestIdentity:
    """The outermost layer: gives the request its id, and every answer the headers that all have.

    They are the id and what is left of the limits that the request was counted against
    (`api.rate_limits.count`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given.decode() if _REQUEST_ID.match(given) else uuid7().hex
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    *state.get(LIMIT_HEADERS, ()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        finally:
            _log.debug(
                "request",
                method=scope["method"],
                path=loggable(scope["path"]),
                status=state.get("status", 0),
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )


class CrossOrigin(CORSMiddleware):
    """Lets other sites' pages call; outside of `RequestGate`, so that they can read its refusals too."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return what a browser asks for before a call; a refusal is a problem document."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        refused = bytes(answer.body).decode().removeprefix("Disallowed CORS ")
        error = RequestError(f"Pages of other sites may not call this: the {refused} is not allowed.")
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        _, headers, body = problem_bytes(error, None, request_id)
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return Response(body, status_code=400, headers={**kept, **headers})


class RequestGate:
    """Refuses what no route should see, and turns whatever escapes from below into a problem document."""

    def __init__(
        self, app: ASGIApp, *, rules: Sequence[BodyRule], default_limit: int, hosts: Sequence[str] = ("*",)
    ) -> None:
        self._app = app
        self._rules = tuple(rules)
        self._default = BodyRule(re.compile(""), default_limit)
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        state = scope["state"]
        try:
            self._check_host(headers)
            limited = await self._limited(scope, headers, receive)
            await self._app(scope, limited, send)
        except VersaError as error:
            if "status" in state:
                raise
            await _answer(error, scope, state["request_id"], send)
        except Exception:
            _log.exception("request crashed", method=scope["method"], path=loggable(scope["path"]))
            if "status" in state:
                raise
            crash = VersaError("Something went wrong on our side; it has been logged.")
            await _answer(crash, scope, state["request_id"], send)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        if "*" in self._hosts:
            return
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.startswith("[") else host.rpartition(":")[0] or host
        if name not in self._hosts and host not in self._hosts:
            raise RequestError("This server does not answer for that host name.")

    async def _limited(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return receive
        path: str = scope["path"]
        rule = next((rule for rule in self._rules if rule.pattern.search(path)), self._default)
        length = headers.get(b"content-length", b"")
        declared = int(length) if length.isdigit() else 0
        if declared > rule.limit:
            await _drain(receive)
            raise _too_large(rule.limit)
        if rule.streamed:
            return _counted(receive, rule.limit)
        body = await _read(receive, rule.limit)
        media_type = headers.get(b"content-type", b"application/json").lower()
        if b"json" in media_type:
            check_json(body)
        return _replayed(body, receive)


def check_json(body: bytes) -> None:
    """Raise RequestError unless the body is UTF-8 and nested at most 100 levels."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not UTF-8: a wrong byte at position {error.start}.") from None
    if b"\x00" in body:
        raise RequestError("The body holds a NUL byte.")
    if body.count(b"[") + body.count(b"{") > _MOST_LEVELS and _depth(body) > _MOST_LEVELS:
        raise RequestError(f"The body is nested deeper than {_MOST_LEVELS} levels.")


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


def _depth(body: bytes) -> int:
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        if bracket in b"[{":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > _MOST_LEVELS:
                    break
        else:
            depth -= 1
    return deepest


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("The connection was closed before the body was complete.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            if message.get("more_body"):
                await _drain(receive)
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else chunk


async def _drain(receive: Receive) -> None:
    size = 0
    while size <= _DRAINED_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _counted(receive: Receive, limit: int) -> Receive:
    size = 0

    async def count() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            if message.get("more_body"):
                await _drain(receive)
            raise _too_large(limit)
        return message

    return count


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body may hold at most {limit} bytes.", limit=limit)


async def _answer(error: VersaError, scope: Scope, request_id: str, send: Send) -> None:
    status, headers, body = problem_bytes(error, scope["path"], request_id)
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
