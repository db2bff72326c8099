"""Identifiers: UUIDv7 for rows, short ids for what people read, random tokens for what they must not guess.

UUIDv7 (RFC 9562, section 5.7) starts with the time, so that rows inserted together lie together in an
index and ids sort by birth. Within a process they are strictly increasing: the 42 bits after the
milliseconds are a counter (RFC 9562, section 6.2, method 1), seeded at random in each millisecond with its
top bit clear; 32 random bits follow.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_COUNTER_BITS = 42
_COUNTER_LIMIT = 1 << _COUNTER_BITS
_SHORT_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Digits and letters that people don't take for one another."""

_lock = threading.Lock()
_last_milliseconds = -1
_last_counter = 0


def uuid7() -> UUID:
    """Return a new UUIDv7, greater than every one that this process made before.

    When the clock stands still or steps back, the last millisecond is kept and the counter goes on; an
    exhausted counter borrows the next millisecond.
    """
    global _last_milliseconds, _last_counter
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_milliseconds:
            _last_milliseconds = now
            _last_counter = secrets.randbits(_COUNTER_BITS - 1)
        else:
            _last_counter += 1
            if _last_counter == _COUNTER_LIMIT:
                _last_milliseconds += 1
                _last_counter = secrets.randbits(_COUNTER_BITS - 1)
        milliseconds, counter = _last_milliseconds, _last_counter
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76
    value |= (counter >> 30) << 64
    value |= 0b10 << 62
    value |= (counter & 0x3FFF_FFFF) << 32
    value |= secrets.randbits(32)
    return UUID(int=value)


def uuid7_time(value: UUID) -> datetime:
    """Return when a UUIDv7 was made, in UTC, to the millisecond.

    Raises ValueError for a UUID of another version.
    """
    if value.version != 7:
        raise ValueError(f"not a UUIDv7: {value}")
    milliseconds = value.int >> 80
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest * 1000)


def short_id(length: int = 10) -> str:
    """Return a random id for nodes, edges and slugs: lower case, no look-alikes, 4.9 bits a character."""
    if length < 1:
        raise ValueError("length must be at least 1")
    return "".join(secrets.choice(_SHORT_ALPHABET) for _ in range(length))


def random_token(prefix: str = "") -> str:
    """Return `prefix` and 256 random bits, safe in a URL.

    The prefix (`vk_`, `vt_`, ...) tells a leaked token's kind at sight. Store `core.crypto.token_hash` of
    it, never the token.
    """
    return prefix + secrets.token_urlsafe(32)
