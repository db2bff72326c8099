"""A real HTTP server on this machine that answers well, badly, slowly and maliciously, and remembers all.

Runs in a thread of its own, on a free port. `requests` holds every request as it arrived.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request: header names in lower case, `target` is path and query as sent."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int] | None

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpPeer:
    """The server. `script` maps a path to answers given one after the other, the last one for ever."""

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    script: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def to(self, path: str) -> list[Received]:
        """The requests to a path."""
        return [request for request in self.requests if request.path == path]

    def answer(self, path: str, *answers: tuple[int, dict[str, str], bytes]) -> None:
        """Have a path give these answers in turn."""
        self.script[path] = list(answers)

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Send
    ) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        request = Received(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode(),
            headers={name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]},
            body=body,
            client=scope["client"],
        )
        self.requests.append(request)
        await self._route(request, send)

    async def _route(self, request: Received, send: Send) -> None:
        options = {name: values[-1] for name, values in parse_qs(request.query).items()}
        if answers := self.script.get(request.path):
            status, headers, content = answers.pop(0) if len(answers) > 1 else answers[0]
            await _reply(send, status, content, headers)
            return
        match request.path:
            case "/echo":
                seen = {
                    "method": request.method,
                    "query": request.query,
                    "headers": request.headers,
                    "body": request.body.decode("utf-8", "replace"),
                }
                await _reply(send, 200, json.dumps(seen).encode(), {"content-type": "application/json"})
            case "/redirect":
                status = int(options.get("status", "302"))
                await _reply(send, status, b"", {"location": unquote(options["to"])})
            case "/loop":
                await _reply(send, 302, b"", {"location": "/loop"})
            case "/slow":
                await asyncio.sleep(float(options.get("seconds", "5")))
                await _reply(send, 200, b"late", {})
            case "/drip":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for _ in range(100):
                    await send({"type": "http.response.body", "body": b".", "more_body": True})
                    await asyncio.sleep(0.1)
                await send({"type": "http.response.body", "body": b""})
            case "/large":
                await _reply(send, 200, b"x" * int(options["bytes"]), {"content-type": "text/plain"})
            case "/gzip":
                packed = gzip.compress(b"x" * int(options["bytes"]))
                await _reply(send, 200, packed, {"content-encoding": "gzip", "content-type": "text/plain"})
            case "/deflate":
                packer = zlib.compressobj(wbits=-15 if options.get("raw") else 15)
                packed = packer.compress(b"deflated") + packer.flush()
                await _reply(send, 200, packed, {"content-encoding": "deflate"})
            case "/half":
                await send(
                    {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]}
                )
                await send({"type": "http.response.body", "body": b"half", "more_body": True})
                raise ConnectionAbortedError
            case _:
                await _reply(send, 404, b"nothing here", {"content-type": "text/plain"})


async def _reply(send: Send, status: int, content: bytes, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def serve_http_peer() -> Iterator[HttpPeer]:
    """Run a peer for the length of the block."""
    peer = HttpPeer()
    config = uvicorn.Config(
        peer, host="127.0.0.1", port=0, log_level="critical", lifespan="off", loop="asyncio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the HTTP peer did not start")
        threading.Event().wait(0.01)
    peer.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
