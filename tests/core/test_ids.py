"""UUIDv7 against the bit layout of RFC 9562, section 5.7."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

import core.ids
from core.ids import random_token, short_id, uuid7, uuid7_time


def test_layout_has_version_variant_and_time() -> None:
    before = time.time_ns() // 1_000_000
    text = uuid7().hex
    after = time.time_ns() // 1_000_000
    assert text[12] == "7"
    assert text[16] in "89ab"
    assert before <= int(text[:12], 16) <= after + 1


def test_time_of_the_example_in_the_specification() -> None:
    # RFC 9562, appendix A.6: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00
    example = UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")
    assert uuid7_time(example) == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


def test_time_is_refused_for_other_versions() -> None:
    with pytest.raises(ValueError, match="not a UUIDv7"):
        uuid7_time(uuid4())


def test_strictly_increasing_across_threads() -> None:
    made: list[list[UUID]] = [[] for _ in range(4)]

    def make(into: list[UUID]) -> None:
        for _ in range(5_000):
            into.append(uuid7())

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in made:
        assert own == sorted(own)
    everything = [value for own in made for value in own]
    assert len(set(everything)) == len(everything)


def test_increasing_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600 * 10**9)
    second = uuid7()
    assert first < second
    assert abs((uuid7_time(second) - uuid7_time(first)).total_seconds()) < 1


def test_exhausted_counter_borrows_the_next_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    far = 4_102_444_800_000  # the year 2100, so that the clock doesn't catch up
    monkeypatch.setattr(core.ids, "_last_milliseconds", far)
    monkeypatch.setattr(core.ids, "_last_counter", (1 << 42) - 2)
    last = uuid7()
    next_one = uuid7()
    assert uuid7_time(last) == datetime(2100, 1, 1, tzinfo=UTC)
    assert (next_one.int >> 80) == far + 1
    assert last < next_one


def test_short_ids_have_length_and_no_look_alikes() -> None:
    ids = {short_id(12) for _ in range(2_000)}
    assert len(ids) == 2_000
    assert all(len(value) == 12 for value in ids)
    assert not set("".join(ids)) & set("01ilo")
    with pytest.raises(ValueError, match="at least 1"):
        short_id(0)


def test_tokens_carry_prefix_and_256_bits() -> None:
    token = random_token("vk_")
    assert token.startswith("vk_")
    assert len(token) == 3 + 43  # 32 bytes in base64 without padding
    assert token != random_token("vk_")
