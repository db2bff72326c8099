"""HTTP calls to addresses that flows choose: checked, bounded in time and size, without shared state.

One connection pool a process. Names are resolved once and the checked address is the one connected to, while
Host header and TLS keep the name. Redirects are followed here, each hop checked anew. No cookies are kept
and no proxy of the environment is used, so that calls of different organizations can't meet.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import httpcore2
import httpx2

from core.addresses import AddressPolicy, ForbiddenAddressError, Resolver, resolve
from core.errors import RequestError, TooLargeError, UpstreamError, UpstreamTimeoutError
from core.settings import Settings

MOST_REDIRECTS = 5
LONGEST_URL = 8_192
USER_AGENT = "VersaAI"
_SCHEMES = frozenset({"http", "https"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOST = re.compile(rb"[A-Za-z0-9._:-]{1,255}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer",
     "expect", "proxy-authorization", "proxy-connection"}
)  # fmt: skip
_PORTS = {"http": 80, "https": 443}
_CREDENTIALS = frozenset({"authorization", "cookie"})
_OF_THE_BODY = frozenset({"content-type", "content-encoding", "content-language"})
_PIECE = 65_536


class InvalidCallError(RequestError):
    """The call can't be made as it is described: address, header or body."""

    slug = "invalid-call"
    title = "This call can't be made"


@dataclass(frozen=True)
class OutboundRequest:
    """A call to make. `url` is absolute; `body` is sent as it is.

    `confidential` names the headers (lower case) that hold secrets: they stay behind when a redirect leads to
    another origin. With `confidential_body`, such a redirect is refused if it would repeat the body.
    """

    method: str
    url: str
    query: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    confidential: frozenset[str] = frozenset()
    confidential_body: bool = False


@dataclass(frozen=True)
class OutboundResponse:
    """What came back. Header names are in lower case, repeated ones joined by commas; `body` is decoded."""

    status: int
    headers: dict[str, str]
    body: bytes
    milliseconds: int
    url: str = field(repr=False)

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty if none was given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def text(self) -> str:
        """The body as text, in the charset that the answer names, else UTF-8; or U+FFFD."""
        named = re.search(
            r"charset\s*=\s*[\"']?([\w.:-]+)", self.headers.get("content-type", ""), re.IGNORECASE
        )
        try:
            return self.body.decode(named.group(1) if named else "utf-8", errors="replace")
        except (LookupError, UnicodeError):
            return self.body.decode("utf-8", errors="replace")


class OutboundClient:
    """Makes calls. One a process; close it at the end."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        max_response_bytes: int,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._max_response_bytes = max_response_bytes
        self._client = httpx2.AsyncClient(
            transport=_GuardedTransport(policy, resolver, ssl_context),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"},
            follow_redirects=False,
            trust_env=False,
            timeout=None,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> OutboundClient:
        return cls(
            AddressPolicy.from_settings(settings), max_response_bytes=settings.outbound_max_response_bytes
        )

    async def send(
        self, request: OutboundRequest, *, timeout_seconds: float, max_bytes: int | None = None
    ) -> OutboundResponse:
        """Send and read the whole answer, whatever its status.

        `timeout_seconds` bounds everything together: name, connection, redirects, body. `max_bytes` bounds
        the decoded body, within the limit of the installation.

        Raises InvalidCallError, ForbiddenAddressError, TooLargeError (final), UpstreamTimeoutError and
        UpstreamError (passing: the network, or an answer that is not HTTP). No message holds more of the
        address than its host.
        """
        limit = min(max_bytes or self._max_response_bytes, self._max_response_bytes)
        started = time.monotonic()
        host = "the server"
        try:
            async with asyncio.timeout(timeout_seconds):
                url = read_url(request.url, request.query)
                host = url.host
                for _ in range(MOST_REDIRECTS + 1):
                    host = url.host
                    response = await self._client.send(self._build(request, url), stream=True)
                    try:
                        location = response.headers.get("location")
                        if response.status_code not in _REDIRECTS or location is None:
                            body = await _read_body(response, limit)
                            return OutboundResponse(
                                status=response.status_code,
                                headers=_join_headers(response.headers.multi_items()),
                                body=body,
                                milliseconds=round((time.monotonic() - started) * 1000),
                                url=str(url),
                            )
                    finally:
                        await response.aclose()
                    request, url = _redirected(request, url, response.status_code, location)
                raise UpstreamError(f"{host} redirects more than {MOST_REDIRECTS} times.")
        except (TimeoutError, httpx2.TimeoutException):
            raise UpstreamTimeoutError(f"{host} did not answer within {timeout_seconds:g} s.") from None
        except httpx2.TransportError as error:
            raise UpstreamError(f"{host} could not be reached: {_describe(error)}.") from None
        except OSError as error:
            raise UpstreamError(f"{host} could not be reached: {_describe(error)}.") from None

    def _build(self, request: OutboundRequest, url: httpx2.URL) -> httpx2.Request:
        headers = [
            (name.encode("ascii"), value.encode("utf-8")) for name, value in check_headers(request.headers)
        ]
        return self._client.build_request(
            request.method, url, headers=headers, content=request.body if request.body else None
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def read_url(text: str, query: Iterable[tuple[str, str]] = ()) -> httpx2.URL:
    """Read an absolute http(s) address and add parameters to it. Raises InvalidCallError."""
    if len(text) > LONGEST_URL:
        raise InvalidCallError(f"The address is longer than {LONGEST_URL} characters.")
    try:
        url = httpx2.URL(text.strip())
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise InvalidCallError("The address can't be read as a URL.") from None
    if url.scheme not in _SCHEMES:
        raise InvalidCallError("The address must begin with https:// or http://.")
    if not url.host:
        raise InvalidCallError("The address names no host.")
    if not _HOST.fullmatch(url.raw_host):
        raise InvalidCallError("The address names a host that can't exist.")
    added = urlencode(list(query))
    if added:
        present = url.query.decode("ascii")
        url = url.copy_with(query=f"{present}&{added}".lstrip("&").encode("ascii"))
    return url.copy_with(fragment=None)


def check_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers fit to send. Raises InvalidCallError that names the header, never its value."""
    checked = []
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidCallError(f"{name[:100]!r} is not a header's name.")
        if name.lower() in _OURS:
            raise InvalidCallError(f"The header {name} is set by the platform.")
        value = value.strip()
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidCallError(f"The header {name} holds a line break or another control character.")
        checked.append((name, value))
    return checked


def _redirected(
    request: OutboundRequest, url: httpx2.URL, status: int, location: str
) -> tuple[OutboundRequest, httpx2.URL]:
    try:
        target = read_url(str(url.join(location)))
    except (httpx2.InvalidURL, InvalidCallError, ValueError):
        raise UpstreamError(f"{url.host} redirects to an address that can't be read.") from None
    as_get = status == 303 or (status in {301, 302} and request.method == "POST")
    if as_get and request.method != "HEAD":
        kept = [item for item in request.headers if item[0].lower() not in _OF_THE_BODY]
        request = replace(request, method="GET", body=b"", headers=kept, confidential_body=False)
    if _origin(target) != _origin(url):
        if request.confidential_body and request.body:
            raise ForbiddenAddressError(
                f"{url.host} redirects to {target.host}, which would have sent a secret there."
            )
        dropped = request.confidential | _CREDENTIALS
        kept = [item for item in request.headers if item[0].lower() not in dropped]
        request = replace(request, headers=kept)
    return request, target


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


async def _read_body(response: httpx2.Response, limit: int) -> bytes:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        decoder: _Inflater | None = None
    elif encoding in {"gzip", "x-gzip", "deflate"}:
        decoder = _Inflater(encoding)
    else:
        raise UpstreamError("The answer is compressed in a way that was not asked for.")
    pieces: list[bytes] = []
    size = 0
    try:
        async for raw in response.aiter_raw(_PIECE):
            for piece in decoder.feed(raw) if decoder is not None else [raw]:
                size += len(piece)
                if size > limit:
                    raise TooLargeError(f"The answer is larger than {limit} bytes.")
                pieces.append(piece)
    except zlib.error:
        raise UpstreamError("The answer's compression is damaged.") from None
    return b"".join(pieces)


class _Inflater:
    """Unpacks gzip or deflate in pieces of bounded size, however small the packed form is."""

    def __init__(self, encoding: str) -> None:
        self._bits = zlib.MAX_WBITS | 16 if encoding != "deflate" else zlib.MAX_WBITS
        self._inner = zlib.decompressobj(self._bits)
        self._begun = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        while data:
            try:
                piece = self._inner.decompress(data, _PIECE)
            except zlib.error:
                if self._begun or self._bits != zlib.MAX_WBITS:
                    raise
                self._bits = -zlib.MAX_WBITS  # some servers send deflate without its zlib frame
                self._inner = zlib.decompressobj(self._bits)
                continue
            self._begun = True
            if piece:
                yield piece
            if self._inner.eof:
                data = self._inner.unused_data
                self._inner = zlib.decompressobj(self._bits)
            else:
                data = self._inner.unconsumed_tail


def _join_headers(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in items:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _describe(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error.__cause__, httpcore2.ConnectError) or isinstance(error, httpx2.ConnectError):
        return (
            "no certificate that can be trusted" if "CERTIFICATE" in str(error).upper() else "no connection"
        )
    if isinstance(error, OSError):
        return "its name can't be resolved" if "gaierror" in name else "no connection"
    return "it broke off or did not speak HTTP"


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, policy: AddressPolicy, resolver: Resolver, ssl_context: ssl.SSLContext | None) -> None:
        context = ssl_context or httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=200,
            max_keepalive_connections=20,
            keepalive_expiry=15,
            network_backend=_GuardedBackend(policy, resolver),
        )


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to allowed addresses only; the connection itself is httpcore's."""

    def __init__(self, policy: AddressPolicy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._policy.addresses_of(host, port, self._resolver)
        failure: Exception = httpcore2.ConnectError("no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("Unix sockets are not called")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
