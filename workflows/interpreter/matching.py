"""Finds the option that a typed answer means: exact first, then forgiving of typing errors."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA


@dataclass(frozen=True)
class Candidate:
    """An option and every way to write it."""

    id: str
    names: tuple[str, ...]


def normal(text: str) -> str:
    """Lower case, without accents and punctuation at the ends, with single spaces."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(character for character in folded if not unicodedata.combining(character))
    return " ".join(letters.split()).strip(" .,;:!?¡¿\"'()")


def match_exact(text: str, candidates: Iterable[Candidate]) -> str | None:
    """The id of the only option written like `text`; the first one if several are."""
    wanted = normal(text)
    if not wanted:
        return None
    return next(
        (option.id for option in candidates if any(normal(name) == wanted for name in option.names)), None
    )


def match_number(text: str, candidates: Sequence[Candidate]) -> str | None:
    """The id of the option at the place that `text` names (1 is the first), as in a printed menu.

    None where any option's name holds a digit: there a number means what it says.
    """
    wanted = normal(text).removeprefix("#")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 3):
        return None
    if any(character.isdigit() for option in candidates for name in option.names for character in name):
        return None
    place = int(wanted)
    return candidates[place - 1].id if 1 <= place <= len(candidates) else None


def match_fuzzy(text: str, candidates: Iterable[Candidate], threshold: float) -> str | None:
    """The id of the option most similar to `text`, if it is similar enough and no other is as similar.

    Similarity is 1 - OSA distance (insertions, deletions, replacements, neighbours swapped) / length of the
    longer. An answer that holds an option's name as whole words counts as similar too.
    """
    wanted = normal(text)[:200]
    if not wanted:
        return None
    scores: list[tuple[float, str]] = []
    for option in candidates:
        names = [normal(name) for name in option.names]
        similarity = max(
            (OSA.normalized_similarity(wanted, name[:200]) for name in names if name), default=0.0
        )
        if any(name and len(name) > 2 and f" {name} " in f" {wanted} " for name in names):
            similarity = max(similarity, 0.95)
        scores.append((similarity, option.id))
    scores.sort(key=lambda score: -score[0])
    if not scores or scores[0][0] < threshold:
        return None
    if len(scores) > 1 and scores[1][0] == scores[0][0]:
        return None
    return scores[0][1]
