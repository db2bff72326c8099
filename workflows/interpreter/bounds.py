"""Keeps what a conversation carries along within bounds."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

from pydantic import BaseModel

Entry = TypeVar("Entry", bound=BaseModel)


def first_bytes(entries: list[Entry], limit: int) -> list[Entry]:
    """The first entries that take no more than `limit` bytes of JSON together; at least one."""
    size = 0
    for place, entry in enumerate(entries):
        size += len(entry.model_dump_json().encode())
        if size > limit and place > 0:
            return entries[:place]
    return list(entries)


def forget_oldest(entries: dict[str, Any], limit: int) -> None:
    """Keeps the `limit` newest entries."""
    while len(entries) > limit:
        del entries[next(iter(entries))]


def digest(message_id: str) -> str:
    """A short stand-in for a message id: 60 bits, enough for one conversation."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:15]
