"""How often visitors, addresses and keys may ask, counted in this process over a sliding minute.

The estimate of a sliding window from two fixed ones: what was counted in the last whole minute, in proportion
to what of it still lies within sixty seconds, and what was counted in this one. Two numbers a caller, and
never more than twice the limit in any minute.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from core.errors import RateLimitedError
from core.settings import Settings

_WINDOW_SECONDS = 60
_MOST_CALLERS = 200_000
LIMIT_HEADERS = "limit_headers"
"""Where in a request's state the headers of its limits are kept until the answer goes out."""


class TooFastError(RateLimitedError):
    """One caller asks too often; carries the standard headers of the limit."""

    def __init__(self, detail: str, *, retry_after: int, limit_headers: dict[str, str]) -> None:
        super().__init__(detail, retry_after=retry_after)
        self._limit_headers = limit_headers

    def headers(self) -> dict[str, str]:
        return {**super().headers(), **self._limit_headers}


@dataclass(slots=True)
class _Count:
    window: int
    before: int = 0
    now: int = 0

    def move_to(self, window: int) -> None:
        if window != self.window:
            self.before = self.now if window == self.window + 1 else 0
            self.window, self.now = window, 0

    def estimate(self, passed: float) -> float:
        return self.before * (1 - passed / _WINDOW_SECONDS) + self.now


class RateLimits:
    """The limits of the settings; one that is 0 is off. `clock` gives seconds."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, str], _Count] = {}
        self._limits = {
            "conversation": settings.rate_limit_visitor_per_minute,
            "address": settings.rate_limit_address_per_minute,
            "key": settings.rate_limit_key_per_minute,
            "sign-in": settings.rate_limit_sign_in_per_minute,
        }

    def hit(self, name: str, who: str) -> dict[str, str]:
        """Count one request; return the headers that tell what is left. Raises TooFastError."""
        limit = self._limits[name]
        if limit == 0:
            return {}
        window, passed = divmod(self._clock(), _WINDOW_SECONDS)
        count = self._counts.get((name, who))
        if count is None:
            if len(self._counts) >= _MOST_CALLERS:
                self._forget(int(window))
            count = self._counts[name, who] = _Count(int(window))
        count.move_to(int(window))
        used = count.estimate(passed)
        allowed = used + 1 <= limit
        if allowed:
            count.now += 1
            used += 1
        headers = {
            "RateLimit-Policy": f'"{name}";q={limit};w={_WINDOW_SECONDS}',
            "RateLimit": f'"{name}";r={max(0, int(limit - used))};t={math.ceil(_WINDOW_SECONDS - passed)}',
        }
        if not allowed:
            raise TooFastError(
                f"At most {limit} requests a minute and {name}.",
                retry_after=_seconds_until_allowed(count, passed, limit),
                limit_headers=headers,
            )
        return headers

    def count(self, request: HTTPConnection, name: str, who: str) -> None:
        """Count a request; its answer, whatever it is, tells what is left. Raises TooFastError."""
        headers = self.hit(name, who)
        if headers:
            kept = request.scope["state"].setdefault(LIMIT_HEADERS, [])
            kept.extend((key.lower().encode(), value.encode()) for key, value in headers.items())

    def _forget(self, window: int) -> None:
        """Drop those who have been silent for a whole window; all of them if that isn't enough."""
        self._counts = {key: count for key, count in self._counts.items() if count.window >= window - 1}
        if len(self._counts) >= _MOST_CALLERS:
            self._counts.clear()


def _seconds_until_allowed(count: _Count, passed: float, limit: int) -> int:
    """Return after how many whole seconds one more request fits, if none comes in between."""
    for seconds in range(1, 2 * _WINDOW_SECONDS):
        later = passed + seconds
        in_next_window = count.now * (2 - later / _WINDOW_SECONDS)
        used = count.estimate(later) if later < _WINDOW_SECONDS else in_next_window
        if used + 1 <= limit:
            return seconds
    return 2 * _WINDOW_SECONDS
