"""Finds the option that a typed answer means: exact first, then by its place, then forgiving.

An answer that fits several options equally well means none: the visitor is asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from workflows.interpreter.reading.agreement import is_unsure, leans
from workflows.interpreter.reading.letters import clauses, holds_words, normal, plain, without_enclosed
from workflows.interpreter.reading.numbers import number_at, with_digits

FILLERS = frozenset(
    [
        "el",
        "la",
        "lo",
        "los",
        "las",
        "un",
        "una",
        "unos",
        "unas",
        "de",
        "del",
        "al",
        "mi",
        "me",
        "yo",
        "a",
        "ah",
        "pues",
        "hola",
        "por",
        "favor",
        "porfa",
        "porfavor",
        "gracias",
        "quiero",
        "quisiera",
        "queria",
        "querria",
        "gustaria",
        "prefiero",
        "elijo",
        "escojo",
        "selecciono",
        "quedo",
        "con",
        "mejor",
        "creo",
        "que",
        "seria",
        "sera",
        "es",
        "tambien",
        "solo",
        "solamente",
        "the",
        "an",
        "i",
        "id",
        "want",
        "would",
        "like",
        "prefer",
        "choose",
        "pick",
        "take",
        "ill",
        "please",
        "thanks",
        "thank",
        "you",
        "just",
        "only",
        "also",
        "it",
        "is",
        "its",
        "well",
        "with",
    ]
)
"""Words around an option's name that say nothing of it."""
_NEGATIONS = frozenset(
    [
        "no",
        "not",
        "ni",
        "nor",
        "sin",
        "without",
        "nunca",
        "never",
        "tampoco",
        "dont",
        "menos",
        "excepto",
        "except",
        "salvo",
        "but",
        "pero",
    ]
)


@dataclass(frozen=True)
class Candidate:
    """An option and every way to write it."""

    id: str
    names: tuple[str, ...]
    codes: tuple[str, ...] = ()
    """Ways to write it that visitors don't read, such as its id: they must be met exactly."""


def match_exact(text: str, candidates: Sequence[Candidate]) -> str | None:
    """The id of the option written like `text`, the first one if several are; else of the only one written so
    but for symbols, emoji, inner punctuation and what stands in brackets."""
    wanted = normal(text)
    if not wanted and not text.strip():
        return None
    for option in candidates:
        if wanted and any(normal(name) == wanted for name in (*option.names, *option.codes)):
            return option.id
        if not wanted and text.strip() in option.names:
            return option.id
    words = plain(text)
    if not words:
        return None
    found = _only(candidates, lambda name: plain(name) == words) or _only(
        candidates, lambda name: plain(without_enclosed(name)) == words
    )
    if found is not None:
        return found
    joined = words.replace(" ", "")  # `wifi` is `Wi-Fi`
    if len(joined) < 4 or any(character.isdigit() for character in joined):
        return None
    return _only(candidates, lambda name: plain(name).replace(" ", "") == joined)


def _only(candidates: Iterable[Candidate], fits: Callable[[str], bool]) -> str | None:
    """The id of the only option of which a name fits."""
    found = [option.id for option in candidates if any(fits(name) for name in option.names)]
    return found[0] if len(found) == 1 else None


# --- by place -------------------------------------------------------------------------------------

_ORDINALS = {
    word: place
    for words in (
        "primer segundo tercer cuarto quinto sexto septimo octavo noveno decimo",
        "primero segunda tercero cuarta quinta sexta septima octava novena decima",
        "primera segundos tercera",
        "first second third fourth fifth sixth seventh eighth ninth tenth",
    )
    for place, word in enumerate(words.split(), start=1)
} | {"ultimo": -1, "ultima": -1, "last": -1, "penultimo": -2, "penultima": -2}
_NUMBERED = re.compile(r"(\d{1,3})(?:o|a|er|ro|ra|do|da|to|ta|mo|ma|st|nd|rd|th)?")
_NUMBER_SIGN = re.compile(r"(?:\bn[º°ª.]|\bno\.(?=\s?\d)|\bnro\b\.?|\bn[uú]m(?:ero)?\b\.?|\bnumber\b|#|№)\s*")
_PLACE_WORDS = FILLERS | {"opcion", "option", "respuesta", "answer", "choice", "one"}


def match_place(text: str, candidates: Sequence[Candidate]) -> str | None:
    """The id of the option at the place that `text` names: `2`, `#2`, `la segunda`, `the last one`.

    Where names of options hold numbers, a number means what it says: `2` is the option `2 noches`. A word
    that stands in a name, as in `Primera clase`, is no place either.
    """
    words = plain(_NUMBER_SIGN.sub(" ", text.casefold())).split()
    kept = [word for word in words if word not in _PLACE_WORDS] or (["uno"] if words[-1:] == ["one"] else [])
    if not kept or len(kept) > 3:
        return None
    names = [plain(name) for option in candidates for name in option.names]
    if any(holds_words(name, " ".join(kept)) for name in names if not kept[0].isdigit()):
        return None
    digits = _NUMBERED.fullmatch(kept[0])
    if len(kept) == 1 and kept[0] in _ORDINALS:
        return _at(_ORDINALS[kept[0]], candidates)
    if len(kept) == 1 and digits:
        number, ordinal = int(digits[1]), not kept[0].isdigit()
    else:
        said, end = number_at(kept, 0)
        if said is None or end < len(kept):
            return None
        number, ordinal = said, False
    if ordinal or not any(_counts(name) for name in names):
        return _at(number, candidates)
    return _only(candidates, lambda name: _own_number(name) == number)


def _at(place: int, candidates: Sequence[Candidate]) -> str | None:
    if place == 0 or abs(place) > len(candidates):
        return None
    return candidates[place - 1 if place > 0 else place].id


def _counts(name: str) -> bool:
    """Whether a plain name holds a number, in digits or in words other than an article."""
    words = [word for word in name.split() if word not in ("un", "una", "uno", "one")]
    return any(character.isdigit() for word in with_digits(words) for character in word)


def _own_number(name: str) -> int | None:
    """The number that a name begins with, if it holds no other."""
    first, *others = with_digits(plain(name).split()) or [""]
    alone = first.isdigit() and not any(character.isdigit() for word in others for character in word)
    return int(first) if alone else None


# --- forgiving ------------------------------------------------------------------------------------


def match_similar(text: str, candidates: Iterable[Candidate], threshold: float) -> str | None:
    """The id of the option most similar to `text`, if it is similar enough and no other is as similar.

    Similarity is 1 - OSA distance (insertions, deletions, replacements, neighbours swapped) / length of the
    longer. Numbers and negations are never taken for typing errors.
    """
    wanted = plain(text)[:200]
    if not wanted:
        return None
    forms = {wanted, core(wanted)} - {""}
    scores = [
        (
            max(
                (
                    _similarity(form, plain(name)[:200])
                    for form in forms
                    for name in (*option.names, *option.codes)
                ),
                default=0.0,
            ),
            option.id,
        )
        for option in candidates
    ]
    scores.sort(key=lambda score: -score[0])
    if not scores or scores[0][0] < threshold or (len(scores) > 1 and scores[1][0] == scores[0][0]):
        return None
    return scores[0][1]


def _similarity(text: str, name: str) -> float:
    same_numbers = re.findall(r"\d+", text) == re.findall(r"\d+", name)
    if not name or not same_numbers or _negations(text) != _negations(name):
        return 0.0
    return OSA.normalized_similarity(text, name)


def _negations(words: str) -> frozenset[str]:
    return _NEGATIONS & set(words.split())


def match_words(text: str, candidates: Sequence[Candidate]) -> str | None:
    """The id of the only option whose name the answer holds as whole words (`quiero el plan profesional`),
    or which alone has what the answer is a part of (`otro` of `Otro motivo`); or that is the yes or no given.

    A name after a negation is not meant. Names of one or two letters count at the beginning of a clause.
    """
    held = {option.id: names for option in candidates if (names := _held(text, option))}
    longest = {
        option_id
        for option_id, names in held.items()
        if not any(
            all(name != longer and holds_words(longer, name) for name in names)
            for other, others in held.items()
            if other != option_id
            for longer in [max(others, key=len)]
        )
    }
    verdict = None if plain(text).isdigit() else leans(text)
    agreeing = [option.id for option in candidates if verdict is not None and _verdict(option) is verdict]
    if len(agreeing) == 1:
        longest.add(agreeing[0])
    if longest or is_unsure(text):
        return longest.pop() if len(longest) == 1 else None
    part = core(plain(text))
    if len(part) < 3 or part.isdigit():
        return None
    return _only(
        candidates,
        lambda name: holds_words(plain(name), part) and _negations(plain(name)) == _negations(part),
    )


def _verdict(option: Candidate) -> bool | None:
    """Whether the option's names say yes, or no; None for neither."""
    verdicts = {leans(name) for name in option.names if not plain(name).isdigit()} - {None}
    return verdicts.pop() if len(verdicts) == 1 else None


def _held(text: str, option: Candidate) -> list[str]:
    """The names of the option that the answer holds, without those after a negation."""
    names = {plain(form) for name in option.names for form in (name, without_enclosed(name))} - {""}
    found = []
    for name in sorted(names, key=lambda name: (-len(name), name)):
        if len(name) <= 2:
            short = any(
                core(clause) == name or (len(name) == 2 and clause.startswith(f"{name} "))
                for clause in clauses(text)
            )
            if short and leans(name) is None and not is_unsure(text):
                found.append(name)
        elif any(
            holds_words(words, name) and not _denied(words, name) for words in (*clauses(text), plain(text))
        ):
            found.append(name)
    return found


def _denied(words: str, name: str) -> bool:
    before = f" {words} ".partition(f" {name} ")[0]
    return bool(_negations(before))


def core(words: str) -> str:
    """Plain words without those around them that say nothing: `quiero el plan pro` is `plan pro`."""
    kept = words.split()
    while kept and kept[0] in FILLERS:
        kept.pop(0)
    while kept and kept[-1] in FILLERS:
        kept.pop()
    return " ".join(kept)
