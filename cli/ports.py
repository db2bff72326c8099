"""The ports and addresses of one run: judged before anything starts, and remembered once they served."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import ConfigurationError

LOCAL = "127.0.0.1"
_WILDCARDS = {"0.0.0.0": LOCAL, "": LOCAL, "*": LOCAL, "::": "[::1]"}  # noqa: S104


class PortError(ConfigurationError):
    """A port or an address that can't be listened on."""

    slug = "port"
    title = "A port or an address can't be used"


@dataclass(frozen=True)
class PortWish:
    """What a part would like: the port given by `option` (0 means any free one), else the usual one."""

    title: str
    usual: int
    option: str = ""
    given: int | None = None
    host: str = LOCAL


class Ports:
    """Chooses each part's port.

    `remembered` are the ports that served before; a new one is added by `keep`, so that a start that failed
    leaves no trace.
    """

    def __init__(self, wishes: Mapping[str, PortWish], remembered: dict[str, int]) -> None:
        self._wishes = wishes
        self._remembered = remembered
        self._chosen: dict[str, int] = {}

    def check(self) -> None:
        """Judge the given ports together. Raises PortError for one that is taken or given twice."""
        owners: dict[int, PortWish] = {}
        for name, wish in self._wishes.items():
            if not wish.given:
                continue
            if (other := owners.get(wish.given)) is not None:
                raise PortError(
                    f"{other.option} and {wish.option} are both {wish.given}; give each its own port."
                )
            owners[wish.given] = wish
            if (reason := why_not(wish.given, wish.host)) is not None:
                raise PortError(f"{wish.title} can't have port {wish.given}: {reason}.")
            self._chosen[name] = wish.given

    def choose(self, name: str) -> int:
        """Return a part's port: the given one, else the remembered, the usual or any free one."""
        if name in self._chosen:
            return self._chosen[name]
        wish = self._wishes[name]
        others = set(self._chosen.values())
        candidates = [] if wish.given == 0 else [self._remembered.get(name, wish.usual), wish.usual]
        port = next((one for one in candidates if one not in others and port_is_free(one, wish.host)), 0)
        while not port or port in others:
            port = any_free_port(wish.host)
        self._chosen[name] = port
        return port

    def keep(self, name: str) -> None:
        """Remember a part's port for the next start: the part serves on it."""
        self._remembered[name] = self._chosen[name]


def public_host(host: str) -> str:
    """Return the host part of links to a listener on `host`: itself, or this machine for a wildcard."""
    if host in _WILDCARDS:
        return _WILDCARDS[host]
    return f"[{host}]" if ":" in host else host


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host:port` that doesn't listen yet. Raises PortError when that can't be."""
    family, address = _resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
    except OSError as error:
        listener.close()
        place = f"{host}, port {port}" if port else host
        raise PortError(f"The API can't listen on {place}: {_words(error)}.") from None
    return listener


def check_host(host: str) -> None:
    """Raise PortError when `host` is no address of this machine."""
    bound_socket(host, 0).close()


def why_not(port: int, host: str = LOCAL) -> str | None:
    """Return in words why nothing can listen on a port, or None when something could."""
    family, address = _resolve(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return _words(error)
    return None


def port_is_free(port: int, host: str = LOCAL) -> bool:
    """Tell whether a listener could bind the port now."""
    return why_not(port, host) is None


def any_free_port(host: str = LOCAL) -> int:
    """Return a port that nothing listens on."""
    with bound_socket(host, 0) as probe:
        return int(probe.getsockname()[1])


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(
            host if host not in {"", "*"} else "0.0.0.0",  # noqa: S104
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError):
        raise PortError(
            f"{host!r} is not a name or an address that this machine knows. "
            "Give --host 127.0.0.1 for this machine alone, or 0.0.0.0 for everybody who can reach it."
        ) from None
    family, _kind, _protocol, _name, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _words(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "something listens there already; stop it (`ss -ltnp` names it) or give another port"
        case errno.EACCES | errno.EPERM:
            return "this user may not listen on it; give a port from 1024 on"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return (
                "that is not an address of this machine; give 127.0.0.1, 0.0.0.0 for all, "
                "or one that `ip address` lists"
            )
        case _:
            return error.strerror or str(error)
