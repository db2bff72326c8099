"""The sliding minute: what fits, what is told, what is forgotten."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api.rate_limits import RateLimits, TooFastError
from core.settings import Settings


class Clock:
    def __init__(self) -> None:
        self.now = 6000.0

    def __call__(self) -> float:
        return self.now


def limits(amount: int, clock: Clock) -> RateLimits:
    settings = Settings(
        secret_key=SecretStr("x" * 40), rate_limit_visitor_per_minute=amount, rate_limit_address_per_minute=0
    )
    return RateLimits(settings, clock)


def test_a_limit_holds_and_ends() -> None:
    clock = Clock()
    counted = limits(3, clock)
    left = [counted.hit("conversation", "a")["RateLimit"] for _ in range(3)]
    assert left == ['"conversation";r=2;t=60', '"conversation";r=1;t=60', '"conversation";r=0;t=60']
    with pytest.raises(TooFastError) as caught:
        counted.hit("conversation", "a")
    assert counted.hit("conversation", "b")["RateLimit"].startswith('"conversation";r=2')
    assert caught.value.headers()["Retry-After"] == "80"  # 3 * (2 - 80/60) = 2: one more fits
    clock.now += 79
    with pytest.raises(TooFastError):
        counted.hit("conversation", "a")
    clock.now += 1
    counted.hit("conversation", "a")


def test_a_limit_of_zero_is_none() -> None:
    counted = limits(0, Clock())
    assert all(counted.hit("conversation", "a") == {} for _ in range(1000))
    assert counted.hit("address", "a") == {}


@given(st.lists(st.floats(0, 20), max_size=200), st.integers(1, 10))
def test_never_more_than_twice_the_limit_in_a_minute(pauses: list[float], amount: int) -> None:
    clock = Clock()
    counted = limits(amount, clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        with suppress(TooFastError):
            counted.hit("conversation", "a")
            taken.append(clock.now)
    for moment in taken:
        assert sum(moment - 60 < one <= moment for one in taken) <= 2 * amount
