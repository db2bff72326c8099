"""Which network addresses calls that flows make may reach.

Flows are written by people who may not reach the operator's network, so a call may only go to public
addresses: not to this machine, not to the networks beside it, not to the metadata service of a cloud. The
check is made on the address that is then connected to, so that a name which changes its answer between the
check and the connection gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.errors import RequestError
from core.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port -> its addresses as texts, in the order to try. Raises OSError when there are none."""

_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
    )
)
"""Services of clouds that hand out credentials to whoever asks from the machine."""
_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")
"""For protocols; one cloud's metadata service lies in it, and Python counts the rest as global."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
_TEREDO = ipaddress.ip_network("2001::/32")
_COMPATIBLE = ipaddress.ip_network("::/96")
_NUMERIC_END = re.compile(r"(?:^|\.)(?:\d+|0[xX][0-9a-fA-F]*)\.?$")


class ForbiddenAddressError(RequestError):
    """The host, or an address behind it, may not be called from here."""

    slug = "forbidden-address"
    title = "This address may not be called"


async def resolve(host: str, port: int) -> list[str]:
    """Resolve by the system's resolver, IPv4 first: many containers have no route for IPv6."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return list(dict.fromkeys(str(entry[4][0]) for entry in ordered))


def is_public(address: Address) -> bool:
    """Tell whether an address lies in the public internet.

    False for loopback, private, link-local, unique local, shared (100.64/10), multicast, reserved and
    metadata addresses, and for IPv6 forms that hold such an IPv4 address (mapped, NAT64) or that tunnel to
    one of the sender's choice (6to4, Teredo, IPv4-compatible).
    """
    if address in _METADATA:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if any(address in network for network in (_SIX_TO_FOUR, _TEREDO, _COMPATIBLE)):
            return False
        if address.is_site_local:
            return False
    elif address in _PROTOCOLS:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


@dataclass(frozen=True)
class AddressPolicy:
    """What may be called.

    `allow_private` lifts the ban on non-public addresses, metadata services excepted. `allowed_hosts` holds
    `host` or `host:port`, lower case, which may be called wherever they are.
    """

    allow_private: bool = False
    allowed_hosts: frozenset[str] = frozenset()

    @classmethod
    def from_settings(cls, settings: Settings) -> AddressPolicy:
        return cls(
            allow_private=settings.outbound_allow_private,
            allowed_hosts=frozenset(host.lower() for host in settings.outbound_allowed_hosts),
        )

    def is_listed(self, host: str, port: int) -> bool:
        """Tell whether the operator named this host."""
        plain = _plain(host)
        bracketed = f"[{plain}]" if ":" in plain else plain
        return not self.allowed_hosts.isdisjoint({plain, bracketed, f"{bracketed}:{port}"})

    async def addresses_of(self, host: str, port: int, resolver: Resolver = resolve) -> list[str]:
        """Return the addresses of a host to connect to, each of them allowed.

        Raises ForbiddenAddressError if any of its addresses is not, or if the host is written in a notation
        that programs read differently (`0x7f.1`, `2130706433`); OSError when it has none.
        """
        plain = _plain(host)
        listed = self.is_listed(host, port)
        literal = _literal(plain)
        if literal is not None:
            addresses = [literal]
        elif _NUMERIC_END.search(plain):
            raise ForbiddenAddressError(
                f"{host} is not a usual way to write an address; write it as a.b.c.d."
            )
        else:
            addresses = [ipaddress.ip_address(text) for text in await resolver(plain, port)]
            if not addresses:
                raise OSError(f"{host} has no address")
        if not listed:
            for address in addresses:
                self._check(address, host)
        return [str(address) for address in addresses]

    def _check(self, address: Address, host: str) -> None:
        if is_public(address):
            return
        if self.allow_private and not _reaches_metadata(address):
            return
        raise ForbiddenAddressError(
            f"{host} is not on the public internet; operators allow it in VERSAAI_OUTBOUND_ALLOWED_HOSTS."
        )


def _reaches_metadata(address: Address) -> bool:
    return address in _METADATA or any(inner in _METADATA for inner in _held_addresses(address))


def _held_addresses(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to: mapped, compatible, NAT64, 6to4, Teredo."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    held = [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    if address.ipv4_mapped is not None or address in _COMPATIBLE or address in _NAT64:
        return held
    if address in _NAT64_LOCAL:
        return [*held, *_embedded(address)]
    found = [address.sixtofour, *(address.teredo or ())]
    return [inner for inner in found if inner is not None]


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """What stands at each place that RFC 6052 has for an IPv4 address: operators choose the length."""
    raw = address.packed
    without_u = raw[:8] + raw[9:]
    return [ipaddress.IPv4Address(without_u[length : length + 4]) for length in (6, 7, 8)]


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
