"""How often visitors, addresses and keys may ask, counted in this process over a sliding minute."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from core.errors import RateLimitedError

if TYPE_CHECKING:
    from core.settings import Settings


class TooFastError(RateLimitedError):
    """One caller asks too often; carries the standard headers of the limit."""

    def __init__(self, detail: str, *, retry_after: int, limit_headers: dict[str, str]) -> None:
        super().__init__(detail, retry_after=retry_after)
        self._limit_headers = limit_headers

    def headers(self) -> dict[str, str]:
        return {**super().headers(), **self._limit_headers}


class RateLimits:
    """The three limits of the settings; one that is 0 is off."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limits = {
            name: RateLimitItemPerMinute(amount)
            for name, amount in (
                ("conversation", settings.rate_limit_visitor_per_minute),
                ("address", settings.rate_limit_address_per_minute),
                ("key", settings.rate_limit_key_per_minute),
            )
            if amount > 0
        }

    def hit(self, name: str, who: str) -> dict[str, str]:
        """Count one request; return the headers that tell what is left. Raises TooFastError."""
        limit = self._limits.get(name)
        if limit is None:
            return {}
        allowed = self._limiter.hit(limit, name, who)
        stats = self._limiter.get_window_stats(limit, name, who)
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        headers = {
            "RateLimit-Policy": f'"{name}";q={limit.amount};w=60',
            "RateLimit": f'"{name}";r={max(0, stats.remaining)};t={reset}',
        }
        if not allowed:
            raise TooFastError(
                f"At most {limit.amount} requests a minute and {name}.",
                retry_after=reset,
                limit_headers=headers,
            )
        return headers
