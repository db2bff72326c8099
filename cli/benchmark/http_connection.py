"""One kept-alive HTTP/1.1 connection, as lean as Python allows: the load must not be the bottleneck."""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import urlsplit

import orjson


class ConnectionBrokenError(Exception):
    """The server closed the connection before its answer was complete."""


class HttpConnection(asyncio.Protocol):
    """Sends JSON and reads JSON, one request at a time. Answers need a Content-Length."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body_at = -1
        self._length = 0

    @classmethod
    async def open(cls, url: str) -> HttpConnection:
        """Connect to `url` (`http://host:port`). Raises OSError."""
        address = urlsplit(url)
        connection = cls(address.hostname or "", address.port or 80)
        await connection._connect()
        return connection

    async def _connect(self) -> None:
        self._received.clear()
        self._body_at = -1
        await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)

    async def post(self, path: str, body: object, token: str | None = None) -> tuple[int, bytes]:
        """Return status and body of the answer.

        A connection that the server closed while it was idle is opened anew; one that breaks under a
        request raises ConnectionBrokenError.
        """
        data = orjson.dumps(body)
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
            f"{authorization}Content-Length: {len(data)}\r\n\r\n"
        )
        if self._transport is None or self._transport.is_closing():
            await self._connect()
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode("ascii") + data)
        return await self._answer

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Collect the answer until it is complete."""
        received = self._received
        received += data
        if self._body_at < 0:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(received[:end]).lower()
            at = head.find(b"\r\ncontent-length:")
            if at < 0:
                self._fail("an answer without a Content-Length")
                return
            stop = head.find(b"\r\n", at + 2)
            self._length = int(head[at + 17 : stop if stop >= 0 else None])
            self._body_at = end + 4
        if len(received) < self._body_at + self._length:
            return
        status = int(received[9:12])
        body = bytes(received[self._body_at : self._body_at + self._length])
        del received[: self._body_at + self._length]
        self._body_at = -1
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that waits, if one does."""
        self._fail(str(error or "the server closed the connection"))

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionBrokenError(reason))
