"""What `versaai doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`hint` is worth knowing and stops nothing; `broken` stops the platform or a part of it."""

    good = "good"
    hint = "hint"
    broken = "broken"


@dataclass(frozen=True)
class Finding:
    """What was examined, how it is, and how to mend it (empty when it is good)."""

    name: str
    verdict: Verdict
    detail: str
    mend: str = ""
