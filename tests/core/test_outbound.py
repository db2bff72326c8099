"""Calls to other servers: which addresses are refused, and what is bounded."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest

from core.addresses import AddressPolicy, ForbiddenAddressError, resolve
from core.errors import TooLargeError, UpstreamError, UpstreamTimeoutError
from core.outbound import InvalidCallError, OutboundClient, OutboundRequest, OutboundResponse
from tests.peers.http_peer import HttpPeer, serve_http_peer

LIMIT = 1_000_000


@pytest.fixture(scope="module")
def peer() -> Iterator[HttpPeer]:
    with serve_http_peer() as peer:
        yield peer


@pytest.fixture
async def client(peer: HttpPeer) -> AsyncIterator[OutboundClient]:
    client = OutboundClient(AddressPolicy(allowed_hosts=frozenset({peer.host})), max_response_bytes=LIMIT)
    yield client
    await client.close()


async def get(client: OutboundClient, url: str, seconds: float = 5, **given: object) -> OutboundResponse:
    request = OutboundRequest(method=str(given.pop("method", "GET")), url=url, **given)  # type: ignore[arg-type]
    return await client.send(request, timeout_seconds=seconds)


def answering(*addresses: str) -> Callable[[str, int], object]:
    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolver


HOSTILE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "169.254.170.2", "168.63.129.16", "100.64.0.1", "100.100.100.200", "0.0.0.0", "0.1.2.3", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "192.0.2.1", "203.0.113.5",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
]  # fmt: skip
PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "2606:2800:220:1:248:1893:25c8:1946",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", HOSTILE)
async def test_private_addresses_are_refused_however_they_are_reached(address: str) -> None:
    policy = AddressPolicy()
    with pytest.raises(ForbiddenAddressError):
        await policy.addresses_of(address, 80)
    with pytest.raises(ForbiddenAddressError):
        await policy.addresses_of("innocent.example", 80, answering(address))  # type: ignore[arg-type]
    with pytest.raises(ForbiddenAddressError):
        await policy.addresses_of("mixed.example", 80, answering("8.8.8.8", address))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_are_called(address: str) -> None:
    policy = AddressPolicy()
    assert len(await policy.addresses_of(address, 443)) == 1
    assert len(await policy.addresses_of("name.example", 443, answering(address))) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f.1", "0x7f000001", "017700000001", "127.1", "0177.0.0.1", "127.0.0.01", "8.8.2056",
     "134744072", "1.2.3.4.5", "127.0.0.1.", "[::1]", "LOCALHOST", "localhost.", "ip6-localhost"],
)  # fmt: skip
async def test_odd_notations_are_refused(host: str) -> None:
    with pytest.raises((ForbiddenAddressError, OSError)):
        await AddressPolicy().addresses_of(host, 80, resolve)


async def test_private_addresses_can_be_allowed_but_never_those_that_hand_out_credentials() -> None:
    policy = AddressPolicy(allow_private=True)
    for address in ("127.0.0.1", "10.1.2.3", "fd12::1", "169.254.1.1"):
        assert await policy.addresses_of(address, 80) == [address]
    for address in ("fd12::a9fe:a9fe", "64:ff9b:1::a01:203", "2002:a01:203::1"):
        assert await policy.addresses_of(address, 80) == [address]


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200",
     "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:12a9:fe:a9fe::",
     "2002:a9fe:a9fe::", "2002:a9fe:a9fe:1::5", "::169.254.169.254", "::a9fe:aa02",
     "2001:0:4136:e378:8000:63bf:5601:5601", "2001:0:a9fe:a9fe:8000:63bf:3fff:fdd2"],
)  # fmt: skip
async def test_services_that_hand_out_credentials_are_never_called(address: str) -> None:
    """Not by any IPv6 address that leads to theirs: mapped, compatible, NAT64, 6to4, Teredo."""
    policy = AddressPolicy(allow_private=True)
    with pytest.raises(ForbiddenAddressError):
        await policy.addresses_of(address, 80)
    with pytest.raises(ForbiddenAddressError):
        await policy.addresses_of("innocent.example", 80, answering(address))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listed", "host", "port", "allowed"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 8081, False),
        ("127.0.0.1", "127.0.0.1", 9, True),
        ("[::1]:80", "::1", 80, True),
        ("orders.internal", "Orders.Internal.", 80, True),
        ("orders.internal", "x.orders.internal", 80, False),
        ("internal", "orders.internal", 80, False),
    ],
)
async def test_operators_name_hosts_one_by_one(listed: str, host: str, port: int, allowed: bool) -> None:
    policy = AddressPolicy(allowed_hosts=frozenset({listed}))
    if allowed:
        assert await policy.addresses_of(host, port, answering("127.0.0.1"))  # type: ignore[arg-type]
    else:
        with pytest.raises(ForbiddenAddressError):
            await policy.addresses_of(host, port, answering("127.0.0.1"))  # type: ignore[arg-type]


async def test_the_checked_address_is_the_one_connected_to(peer: HttpPeer) -> None:
    asked = []

    async def changing(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["8.8.8.8"]

    policy = AddressPolicy(allowed_hosts=frozenset({"shop.example"}))
    client = OutboundClient(policy, max_response_bytes=LIMIT, resolver=changing)
    answer = await get(client, f"http://shop.example:{peer.port}/echo?x=1")
    await client.close()
    assert asked == ["shop.example"]
    assert f'"host": "shop.example:{peer.port}"' in answer.text()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "rebind.example"])
async def test_nothing_is_sent_to_a_refused_address(peer: HttpPeer, host: str) -> None:
    client = OutboundClient(
        AddressPolicy(),
        max_response_bytes=LIMIT,
        resolver=resolve if host == "localhost" else answering("127.0.0.1"),  # type: ignore[arg-type]
    )
    before = len(peer.requests)
    with pytest.raises(ForbiddenAddressError):
        await get(client, f"http://{host}:{peer.port}/echo")
    await client.close()
    assert len(peer.requests) == before


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/x", "file:///etc/passwd", "gopher://example.com", "javascript:1", "//example.com",
     "example.com", "http://", "http:///x", "http://[::1", "",
     "http://exa mple.com/", "https://x/" + "a" * 9000],
)  # fmt: skip
async def test_only_web_addresses_are_called(client: OutboundClient, url: str) -> None:
    with pytest.raises(InvalidCallError):
        await get(client, url)


@pytest.mark.parametrize(
    "header",
    [("X-A", "a\r\nX-B: b"), ("X-A", "a\nb"), ("X-A", "a\x00"), ("X A", "a"), ("X-A:", "a"), ("", "a"),
     ("Host", "other"), ("Content-Length", "0"), ("Transfer-Encoding", "chunked"), ("Connection", "close")],
)  # fmt: skip
async def test_headers_can_not_be_smuggled(
    client: OutboundClient, peer: HttpPeer, header: tuple[str, str]
) -> None:
    before = len(peer.requests)
    with pytest.raises(InvalidCallError):
        await get(client, f"{peer.url}/echo", headers=[header])
    assert len(peer.requests) == before


async def test_parameters_are_added_to_those_of_the_address(client: OutboundClient, peer: HttpPeer) -> None:
    await get(client, f"{peer.url}/echo?a=1#part", query=[("a", "2"), ("q", "ñ & more")])
    assert peer.requests[-1].query == "a=1&a=2&q=%C3%B1+%26+more"


async def test_redirects_to_private_addresses_are_refused(client: OutboundClient, peer: HttpPeer) -> None:
    for target in (f"http://localhost:{peer.port}/echo", "http://169.254.169.254/latest/meta-data/"):
        before = len(peer.to("/echo"))
        with pytest.raises(ForbiddenAddressError):
            await get(client, f"{peer.url}/redirect", query=[("to", target)])
        assert len(peer.to("/echo")) == before


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/"])
async def test_redirects_lead_to_the_web_only(client: OutboundClient, peer: HttpPeer, target: str) -> None:
    with pytest.raises(UpstreamError):
        await get(client, f"{peer.url}/redirect", query=[("to", target)])


async def test_redirects_are_followed_five_times(client: OutboundClient, peer: HttpPeer) -> None:
    before = len(peer.requests)
    with pytest.raises(UpstreamError, match="more than 5 times"):
        await get(client, f"{peer.url}/loop")
    assert len(peer.requests) - before == 6


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"),
     (308, "PUT", "PUT"), (302, "PUT", "PUT")],
)  # fmt: skip
async def test_redirects_keep_or_drop_the_body(
    client: OutboundClient, peer: HttpPeer, status: int, method: str, expected: str
) -> None:
    await get(client, f"{peer.url}/redirect?status={status}&to=/echo", method=method, body=b"data")
    last = peer.requests[-1]
    assert (last.path, last.method, last.body) == ("/echo", expected, b"data" if expected == method else b"")


async def test_secrets_stay_behind_when_a_redirect_leads_elsewhere(peer: HttpPeer) -> None:
    async def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    policy = AddressPolicy(allowed_hosts=frozenset({peer.host, "other.example"}))
    client = OutboundClient(policy, max_response_bytes=LIMIT, resolver=here)
    away = f"http://other.example:{peer.port}/echo"
    headers = [("X-Api-Key", "k"), ("Authorization", "Bearer t"), ("X-Trace", "1")]
    await get(
        client,
        f"{peer.url}/redirect",
        query=[("to", away)],
        headers=headers,
        confidential=frozenset({"x-api-key"}),
    )
    assert {"x-api-key", "authorization"}.isdisjoint(peer.requests[-1].headers)
    assert peer.requests[-1].headers["x-trace"] == "1"
    await get(client, f"{peer.url}/redirect?to=/echo", headers=headers, confidential=frozenset({"x-api-key"}))
    assert peer.requests[-1].headers["x-api-key"] == "k"
    with pytest.raises(ForbiddenAddressError, match="secret"):
        await get(
            client, f"{peer.url}/redirect", query=[("to", away), ("status", "307")], method="POST", body=b"k",
            confidential_body=True,
        )  # fmt: skip
    await client.close()


async def test_no_cookie_is_kept(client: OutboundClient, peer: HttpPeer) -> None:
    peer.answer("/cookie", (200, {"set-cookie": "session=abc; Path=/"}, b"ok"))
    await get(client, f"{peer.url}/cookie")
    await get(client, f"{peer.url}/echo")
    assert "cookie" not in peer.requests[-1].headers


async def test_the_size_is_bounded_packed_or_not(client: OutboundClient, peer: HttpPeer) -> None:
    assert len((await get(client, f"{peer.url}/large?bytes={LIMIT}")).body) == LIMIT
    assert len((await get(client, f"{peer.url}/gzip?bytes={LIMIT}")).body) == LIMIT
    for path in (f"/large?bytes={LIMIT + 1}", f"/gzip?bytes={LIMIT + 1}", f"/gzip?bytes={200 * LIMIT}"):
        with pytest.raises(TooLargeError):
            await get(client, f"{peer.url}{path}")


@pytest.mark.parametrize("path", ["/deflate", "/deflate?raw=1"])
async def test_both_kinds_of_deflate_are_read(client: OutboundClient, peer: HttpPeer, path: str) -> None:
    assert (await get(client, f"{peer.url}{path}")).text() == "deflated"


async def test_damaged_and_unasked_compression_is_an_error(client: OutboundClient, peer: HttpPeer) -> None:
    peer.answer("/damaged", (200, {"content-encoding": "gzip"}, b"not gzip"))
    peer.answer("/brotli", (200, {"content-encoding": "br"}, b"..."))
    for path in ("/damaged", "/brotli"):
        with pytest.raises(UpstreamError):
            await get(client, f"{peer.url}{path}")


@pytest.mark.parametrize("path", ["/slow", "/drip"])
async def test_the_time_is_bounded_as_a_whole(client: OutboundClient, peer: HttpPeer, path: str) -> None:
    with pytest.raises(UpstreamTimeoutError):
        await get(client, f"{peer.url}{path}", seconds=0.3)


async def test_a_broken_answer_and_a_closed_port_are_troubles_of_the_network(
    client: OutboundClient, peer: HttpPeer
) -> None:
    with pytest.raises(UpstreamError):
        await get(client, f"{peer.url}/half")
    closed = OutboundClient(AddressPolicy(allow_private=True), max_response_bytes=LIMIT)
    with pytest.raises(UpstreamError, match="no connection"):
        await get(closed, "http://127.0.0.1:9/")
    await closed.close()


async def test_charsets_are_read_and_unknown_ones_survived(client: OutboundClient, peer: HttpPeer) -> None:
    peer.answer(
        "/latin", (200, {"content-type": "text/plain; charset=iso-8859-1"}, "señal".encode("latin-1"))
    )
    peer.answer("/odd", (200, {"content-type": "text/plain; charset=klingon"}, "señal".encode()))
    peer.answer("/broken", (200, {}, b"a\xffb"))
    assert (await get(client, f"{peer.url}/latin")).text() == "señal"
    assert (await get(client, f"{peer.url}/odd")).text() == "señal"
    assert (await get(client, f"{peer.url}/broken")).text() == "a\ufffdb"
