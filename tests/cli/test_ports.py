"""Which port each part gets, what is refused up front, and what a failed start leaves behind: nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cli.ports import (
    PortError,
    Ports,
    PortWish,
    any_free_port,
    bound_socket,
    check_host,
    port_is_free,
    public_host,
)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_given_ports_are_judged_together(taken: int) -> None:
    free = any_free_port()
    twice = {"a": PortWish("A", 1, "--a-port", free), "b": PortWish("B", 2, "--b-port", free)}
    with pytest.raises(PortError, match=f"--a-port and --b-port are both {free}"):
        Ports(twice, {}).check()
    with pytest.raises(PortError, match=f"A can't have port {taken}: something listens there"):
        Ports({"a": PortWish("A", 1, "--a-port", taken)}, {}).check()
    any_port = {"a": PortWish("A", 1, "--a-port", 0), "b": PortWish("B", 2, "--b-port", 0)}
    Ports(any_port, {}).check()


def test_a_port_is_remembered_once_its_part_serves() -> None:
    remembered: dict[str, int] = {}
    free = any_free_port()
    ports = Ports({"a": PortWish("A", 1, "--a-port", free)}, remembered)
    ports.check()
    assert ports.choose("a") == free
    assert remembered == {}
    ports.keep("a")
    assert remembered == {"a": free}


def test_parts_never_share_a_port(taken: int) -> None:
    free = any_free_port()
    wishes = {
        "a": PortWish("A", free, "--a-port"),
        "b": PortWish("B", free, "--b-port"),
        "c": PortWish("C", taken, "--c-port"),
    }
    ports = Ports(wishes, {"a": free, "b": free, "c": taken})
    chosen = [ports.choose(name) for name in wishes]
    assert chosen[0] == free
    assert len({*chosen, taken}) == 4
    assert all(port_is_free(port) for port in chosen)
    given_later = Ports({"a": PortWish("A", free), "b": PortWish("B", 1, "--b-port", free)}, {})
    given_later.check()
    assert given_later.choose("a") != free


@pytest.mark.parametrize("host", ["nosuch.invalid", "10.99.99.99", "not a host", "x" * 300])
def test_a_host_that_is_not_this_machine_is_named(host: str) -> None:
    with pytest.raises(PortError, match="127.0.0.1"):
        check_host(host)


@pytest.mark.parametrize(
    ("host", "link"),
    [
        ("127.0.0.5", "127.0.0.5"), ("localhost", "localhost"), ("0.0.0.0", "127.0.0.1"),
        ("::1", "[::1]"), ("::", "[::1]"),
    ],
)  # fmt: skip
def test_links_lead_to_where_the_listener_is(host: str, link: str) -> None:
    assert public_host(host) == link


def test_a_bound_port_is_held_and_does_not_listen_yet() -> None:
    with bound_socket("127.0.0.5", 0) as held:
        port = held.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.5", port), 2)
        held.listen()
        socket.create_connection(("127.0.0.5", port), 2).close()
