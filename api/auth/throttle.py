"""Brute force, slowed: per account, per address, and per account and address together.

Each attempt is counted before the password is looked at, so that attempts sent at once don't slip through
together. A success takes its count back. Nobody can lock the owner out: a browser that signed in before, and
an address from which somebody did, are not touched by what others do to the account; and a mailed link to a
new password always works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.errors import RateLimitedError

FORGOTTEN_AFTER = timedelta(hours=1)
KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True)
class Rule:
    """After `free` failures each further one makes the next wait: a second, doubling, to `longest`."""

    free: int
    longest: float

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures."""
        return 0.0 if failures <= self.free else min(self.longest, 2.0 ** (failures - self.free - 1))


_PAIR = Rule(5, 900)
_ACCOUNT = Rule(20, 60)
_ADDRESS = Rule(50, 900)
_DEVICE = Rule(10, 300)


class SlowedError(RateLimitedError):
    """Too many failed attempts: wait, or ask for a new password."""

    slug = "sign-in-slowed"
    title = "Too many failed attempts"


@dataclass(frozen=True)
class Attempt:
    """The counters of an attempt: those that a success clears, and those it only takes itself back from."""

    rules: Mapping[str, Rule]
    own: tuple[str, ...]
    shared: tuple[str, ...]


def attempt_of(email: str, address: str, *, device: str | None, known_address: bool) -> Attempt:
    """Return what counts for an attempt on an account."""
    if device is not None:
        own = _key("device", device, email)
        return Attempt({own: _DEVICE}, (own,), ())
    pair, at = _key("pair", email, address), _key("address", address)
    rules = {pair: _PAIR, at: _ADDRESS}
    if known_address:
        return Attempt(rules, (pair,), (at,))
    account = _key("account", email)
    return Attempt({**rules, account: _ACCOUNT}, (pair,), (at, account))


def account_key(email: str) -> str:
    """Return the counter of an account over all addresses."""
    return _key("account", email)


def slowed(seconds: float) -> SlowedError:
    """Return the error for somebody who has to wait."""
    return SlowedError(
        "Too many failed attempts. Wait, or ask for a new password.", retry_after=max(1, int(seconds + 0.999))
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
