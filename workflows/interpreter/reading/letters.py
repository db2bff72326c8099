"""Text as it is compared: without what people leave out or add when they type."""

from __future__ import annotations

import re
import unicodedata

_INNER_MARK = re.compile(r"(?<=\d)[.,:/-](?=\d)|(?<!\w)[+-](?=\d)")
"""Punctuation that is a part of a number, a time or a day."""
_ENCLOSED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


def folded(text: str) -> str:
    """Lower case, without accents and invisible characters, digits of all scripts as 0 to 9."""
    letters = []
    for character in unicodedata.normalize("NFKD", text.casefold()):
        kind = unicodedata.category(character)
        if kind == "Nd":
            letters.append(str(unicodedata.decimal(character)))
        elif not (unicodedata.combining(character) or kind in ("Cf", "Me") or _selects(character)):
            letters.append(character)
    return "".join(letters)


def _selects(character: str) -> bool:
    """Whether it only chooses how the character before it is drawn."""
    return "\ufe00" <= character <= "\ufe0f"


def normal(text: str) -> str:
    """As `folded`, with single spaces and without punctuation at the ends."""
    return " ".join(folded(text).split()).strip(" .,;:!?¡¿\"'()")


def plain(text: str) -> str:
    """Words alone: as `normal`, without emoji, symbols, marks of Markdown and punctuation within.

    Marks between digits stay, and a sign before a number. Empty where nothing but symbols stands.
    """
    whole = normal(text).replace("'", "").replace("’", "")
    kept = {found.start() for found in _INNER_MARK.finditer(whole)}
    return " ".join(
        "".join(
            character if place in kept or unicodedata.category(character)[0] in "LMN" else " "
            for place, character in enumerate(whole)
        ).split()
    )


def without_enclosed(text: str) -> str:
    """Without what stands in brackets: `Otro (especificar)` is also called `Otro`."""
    return _ENCLOSED.sub(" ", text)


def holds_words(text: str, words: str) -> bool:
    """Whether `text` holds `words` as whole words, one after the other; both are `plain`."""
    return bool(words) and f" {words} " in f" {text} "


def clauses(text: str) -> list[str]:
    """The parts of a sentence between its marks, each `plain`, empty ones left out."""
    parts = re.split(r"[,;:.!?¡¿\n…—]+(?=\s|$)|\n|[¡¿]", text)
    return [words for part in parts if (words := plain(part))]
