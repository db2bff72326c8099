"""Reads numbers: digits with the marks of either custom, words, and ratings."""

from __future__ import annotations

import re

from workflows.interpreter.reading.letters import folded, plain

_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u202f'’](?=\d{3}(?!\d))")
"""What separates thousands in every language."""
_DIGITS = re.compile(r"[+-]?\d*[.,]?\d+|[+-]?\d+[.,]?")

_UNITS = {
    word: number
    for words in (
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis "
        "diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres veinticuatro veinticinco "
        "veintiseis veintisiete veintiocho veintinueve",
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty",
    )
    for number, word in enumerate(words.split())
} | {"un": 1, "una": 1, "veintiun": 21, "veintiuna": 21}
_TENS = {
    word: tens * 10
    for words in (
        "treinta cuarenta cincuenta sesenta setenta ochenta noventa",
        "thirty forty fifty sixty seventy eighty ninety",
    )
    for tens, word in enumerate(words.split(), start=3)
} | {"twenty": 20}
_HUNDREDS = {
    "cien": 100,
    "ciento": 100,
    **{
        stem + ending: hundreds * 100
        for hundreds, stem in enumerate(
            [
                "doscient",
                "trescient",
                "cuatrocient",
                "quinient",
                "seiscient",
                "setecient",
                "ochocient",
                "novecient",
            ],
            start=2,
        )
        for ending in ("os", "as")
    },
}
_SCALES = {"mil": 1_000, "thousand": 1_000, "millon": 10**6, "millones": 10**6, "million": 10**6, "k": 1_000}
_AND = ("y", "and")

_BEFORE = re.compile(
    r"(?:(?:unos|unas|aprox\.?|aproximadamente|alrededor de|cerca de|son|somos|seremos|tengo|tiene|quiero|"
    r"serian|sera|exactamente|pongamos|about|around|approximately|roughly|exactly|"
    r"i have|i am|im|we are|it is|its) )*"
)
_UNIT = re.compile(r"[€$£¥%°]|[^\W\d_]+[23²³]?(?: [^\W\d_]+){0,2}")
"""What is counted: `€`, `kg`, `euros`, `noches de hotel`."""
_NOT_UNITS = frozenset(
    [
        "y",
        "o",
        "or",
        "and",
        "u",
        "mas",
        "menos",
        "more",
        "less",
        "to",
        "al",
        "a",
        "hasta",
        "entre",
        "por",
        "x",
        "no",
        "que",
        "than",
    ]
)


def parse_number(text: str, language: str) -> float | None:
    """The number a person wrote, in digits or in words, with what it counts: `1.234,5`, `20 euros`, `veinte`.

    Where both marks stand, the last is the decimal one; a mark that stands more than once separates
    thousands; a single mark before exactly three digits does so if that is the language's custom (`1.234` in
    es, `1,234` in en). Thousands come in threes, so `12.34.56` is no number, nor is a date or an address.
    """
    written = folded(text).replace("\u2212", "-").strip(" ;:!?¡¿\"'()").rstrip(".,")
    written = written[len(found[0]) :] if (found := _BEFORE.match(written)) else written
    cleaned = _SPACES.sub("", written).lstrip("€$£¥ ")
    digits = re.match(r"[+-]?[\d.,]*\d(?![\d.,])", cleaned)
    if digits is None:
        return _with_unit(*number_at(plain(written).split(), 0), plain(written).split())
    number = _from_digits(digits[0], language)
    rest = cleaned[digits.end() :].split()
    scale = _SCALES[rest.pop(0)] if rest and rest[0] in _SCALES else 1
    return number * scale if number is not None and is_unit(rest) else None


def _with_unit(number: int | None, used: int, words: list[str]) -> float | None:
    if number is None or not is_unit(words[used:]):
        return None
    alone = used == 1 and words[0] in ("un", "una", "uno", "one")
    return None if alone and words[used:] else float(number)  # `un perro` counts nothing


def is_unit(words: list[str]) -> bool:
    """Whether these words, after a number, can be what is counted; nothing is, too."""
    if not words:
        return True
    known = all(
        word not in _NOT_UNITS and number_part([word], 0, 1_000) is None and word not in _SCALES
        for word in words
    )
    return known and words[0] not in ("de", "of") and _UNIT.fullmatch(" ".join(words)) is not None


def _from_digits(text: str, language: str) -> float | None:
    thousands, decimal = (",", ".") if language.split("-")[0].lower() == "en" else (".", ",")
    if "." in text and "," in text:
        decimal = max(".", ",", key=text.rfind)
        thousands = "," if decimal == "." else "."
    elif text.count(".") + text.count(",") > 1:
        thousands = "." if "." in text else ","
        decimal = "," if thousands == "." else "."
    elif thousands in text and not re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}{re.escape(thousands)}\d{{3}}", text):
        thousands, decimal = decimal, thousands
    whole, _, fraction = text.partition(decimal)
    if thousands in whole and not re.fullmatch(rf"[+-]?\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+", whole):
        return None
    if thousands in fraction or decimal in fraction:
        return None
    digits = whole.replace(thousands, "")
    return float(f"{digits}.{fraction}") if _DIGITS.fullmatch(f"{digits}.{fraction}") else None


def number_at(words: list[str], place: int) -> tuple[int | None, int]:
    """The whole number whose words begin at `place`, and where it ends; None if none begins there."""
    total, group, at = 0, 0, place
    smallest, lowest_scale = 1_000, 10**9
    while at < len(words):
        word = words[at]
        if word in _AND and group + total and number_part(words, at + 1, smallest):
            at += 1
            continue
        if word in _SCALES and word != "k" and _SCALES[word] < lowest_scale and (group or at == place):
            total += (group or 1) * _SCALES[word]
            lowest_scale, group, smallest = _SCALES[word], 0, 1_000
        elif word == "hundred" and 0 < group < 10:
            group, smallest = group * 100, 100
        elif part := number_part(words, at, smallest):
            group += part[0]
            smallest = part[1]
        else:
            break
        at += 1
    return (total + group, at) if at > place else (None, place)


def number_part(words: list[str], at: int, below: int) -> tuple[int, int] | None:
    """What one word adds to a number whose last word left room below `below`, and the room it leaves."""
    word = words[at] if at < len(words) else ""
    for table, room in ((_HUNDREDS, 100), (_TENS, 10), (_UNITS, 1)):
        if word in table and table[word] < below:
            return table[word], room
    return None


def with_digits(words: list[str]) -> list[str]:
    """The words, numbers among them in digits: `veinticuatro de diciembre` is `24 de diciembre`."""
    found: list[str] = []
    place = 0
    while place < len(words):
        number, end = number_at(words, place)
        if number is None or (end == place + 1 and words[place] in _SCALES):
            found.append(words[place])
            place += 1
        else:
            found.append(str(number))
            place = end
    return found


_OF_MOST = re.compile(r"(\d{1,2}) ?(?:/|de|sobre|out of|of) ?(\d{1,2})")


def parse_rating(text: str, most: int) -> int | None:
    """A rating: `4`, `4/5`, `un 4`, `cuatro estrellas`, `⭐⭐⭐⭐`. One out of another highest is none."""
    stars = sum(text.count(star) for star in "⭐★🌟")
    cleaned = plain(text)
    if stars:
        return stars if not cleaned else None
    cleaned = re.sub(
        r"^(?:(?:le doy|le pongo|doy|pongo|i give it|i d give it|id give it) )?(?:(?:un|una|a) )?",
        "",
        cleaned,
    )
    cleaned = " ".join(with_digits(cleaned.split()))
    cleaned = re.sub(r" ?(?:estrellas?|puntos?|stars?|points?)$", "", cleaned)
    if found := _OF_MOST.fullmatch(cleaned):
        return int(found[1]) if int(found[2]) == most else None
    found = re.fullmatch(r"(\d{1,2})(?:[.,]0+)?", cleaned)
    return int(found[1]) if found else None
