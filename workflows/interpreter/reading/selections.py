"""Finds the options that an answer to a question with several answers means.

Names are looked for first, the longest before the shorter, so that `Pan y leche` is one option though an `y`
stands between the options of an answer. What is left over must mean options too: nothing is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workflows.interpreter.reading.agreement import read_yes_or_no
from workflows.interpreter.reading.letters import plain, without_enclosed
from workflows.interpreter.reading.options import FILLERS, Candidate, core, match_exact, match_place

_TOKEN = re.compile(r"[,;\n+/&|]|[^\s,;\n+/&|]+")
_AND = frozenset({"y", "e", "and", "plus", "mas", "ademas"})
_ALL = frozenset({"todo", "todos", "todas", "todas ellas", "todos ellos", "all", "all of them", "everything"})
_BOTH = {
    2: ("ambos", "ambas", "both", "dos", "both of them"),
    3: ("tres", "all three"),
    4: ("cuatro", "all four"),
}
_NONE = frozenset(
    {"nada", "ninguno", "ninguna", "ninguna de ellas", "ninguno de ellos", "none", "none of them", "nothing"}
)


@dataclass(frozen=True)
class Part:
    """A part of an answer: the option it means, or words that are still to be understood."""

    option: str | None
    text: str


def all_or_none(text: str, candidates: Sequence[Candidate]) -> list[str] | None:
    """All options, or an empty list, where the answer says so; else None."""
    said = core(plain(text))
    several = (
        re.match(r"(?:los|las|all|both) ", f"{plain(text)} ") is not None or said in _BOTH.get(2, ())[:3]
    )
    if said in _ALL or (several and said in _BOTH.get(len(candidates), ())):
        return [option.id for option in candidates]
    return [] if said in _NONE or (said and read_yes_or_no(text) is False) else None


def parts_of(text: str, candidates: Sequence[Candidate], *, numbers: bool) -> list[Part]:
    """The parts of an answer in their order, without what only joins them."""
    words: list[str | Part] = _words(text)
    for name, option in _names(candidates):
        _mark(words, name, option)
    parts: list[Part] = []
    piece: list[str] = []
    for word in [*words, ","]:
        if isinstance(word, str) and word not in ("", ",") and word not in _AND:
            piece.append(word)
            continue
        parts += _piece(piece, candidates, numbers)
        piece = []
        if isinstance(word, Part):
            parts.append(word)
    return parts


def _words(text: str) -> list[str | Part]:
    """Plain words, and `,` for whatever separates."""
    found: list[str | Part] = []
    for token in _TOKEN.findall(text):
        found += [","] if re.fullmatch(r"[,;\n+/&|]", token) else plain(token).split()
    return found


def _names(candidates: Sequence[Candidate]) -> list[tuple[list[str], str]]:
    """Every name of two letters or more as words, the longest first."""
    names = {
        (tuple(str(word) for word in _words(form) if word != ","), option.id)
        for option in candidates
        for name in option.names
        for form in (name, without_enclosed(name))
    }
    long = [(list(name), option) for name, option in names if len("".join(name)) > 1]
    return sorted(long, key=lambda entry: (-len(entry[0]), -len(" ".join(entry[0])), entry[0], entry[1]))


def _mark(words: list[str | Part], name: list[str], option: str) -> None:
    """Puts the option in the place of each occurrence of its name."""
    at = 0
    while at < len(words):
        end, met = at, 0
        while (
            end < len(words) and met < len(name) and (words[end] == name[met] or (met and words[end] == ","))
        ):
            met += words[end] != ","
            end += 1
        if met == len(name):
            words[at:end] = [Part(option, " ".join(name))]
        at += 1


def _piece(words: list[str], candidates: Sequence[Candidate], numbers: bool) -> list[Part]:
    """What stands between two names: words that say nothing, options one after the other, or one text."""
    kept = [word for word in words if word not in FILLERS]
    if not kept and (not words or match_exact(" ".join(words), candidates) is None):
        return []
    each = [
        match_exact(word, candidates) or (match_place(word, candidates) if numbers else None)
        for word in kept or words
    ]
    if all(each):
        return [Part(option, word) for option, word in zip(each, kept or words, strict=True)]
    return [Part(None, " ".join(words))]
