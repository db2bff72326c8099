"""How alike a text is to example phrases, by their words and letters alone.

A pure function of its arguments: no model, no clock, no state. Method: accents folded, words stemmed
(Snowball), each word weighted by its inverse document frequency over all example phrases (Spärck Jones 1972,
smoothed), cosine of the weighted words, mixed with the cosine of character trigrams, which forgives typing
errors and endings that the stemmer does not know.
"""

from __future__ import annotations

import math
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import snowballstemmer

_WORD_SHARE: Final = 0.7
_STOP_WEIGHT: Final = 0.15
_WORDS = re.compile(r"[^\W_]+")
_STEMMERS: Final = {
    "ar": "arabic", "da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish",
    "fr": "french", "hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
_STOP_WORDS: Final = {
    "en": "a an and are at be can could did do does for from get had has have hello hi how i i'm if in is it "
    "me my of on or our please so that the their there this to us was we were what when where which who will "
    "with would you your",
    "es": "a al algo ante como con cual cuando de del desde donde el ella ellos en entre era es esta este "
    "esto estoy fue ha hay he hola la las le les lo los me mi mis muy mas no nos o para pero por porque "
    "puede puedo que quien quiero se ser si sin sobre son soy su sus te tengo tiene tu un una uno y ya yo",
}
_local = threading.local()


def fold(text: str) -> str:
    """Return a text in lower case without accents, so that `Dirección` and `direccion` are one."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def words_of(text: str, language: str) -> list[str]:
    """Return the folded, stemmed words of a text. Languages without a stemmer keep their words whole."""
    code = _base(language)
    return [_stem(word, code) for word in _WORDS.findall(fold(text))]


@lru_cache(maxsize=16_384)
def _stem(word: str, code: str) -> str:
    algorithm = _STEMMERS.get(code)
    if algorithm is None:
        return word
    stemmers: dict[str, snowballstemmer.stemmer] = _local.__dict__.setdefault("stemmers", {})
    if algorithm not in stemmers:
        stemmers[algorithm] = snowballstemmer.stemmer(algorithm)
    return str(stemmers[algorithm].stemWord(word))


@lru_cache(maxsize=64)
def _stop_stems(code: str) -> frozenset[str]:
    return frozenset(_stem(fold(word), code) for word in _STOP_WORDS.get(code, "").split())


def _base(language: str) -> str:
    return re.split(r"[-_]", language.lower(), maxsplit=1)[0]


def _trigrams(words: Iterable[str]) -> Counter[str]:
    return Counter(
        padded[start : start + 3]
        for word in words
        for padded in [f" {word} "]
        for start in range(len(padded) - 2)
    )


@dataclass(frozen=True, slots=True)
class PhraseIndex:
    """Phrases prepared once for many comparisons. Build it with `index_phrases`."""

    language: str
    phrases: tuple[str, ...]
    weights: Mapping[str, float]
    unseen_weight: float
    vectors: tuple[Mapping[str, float], ...]
    letters: tuple[Mapping[str, float], ...]

    def scores(self, text: str) -> list[float]:
        """Return the likeness of a text to each phrase, from 0 (nothing shared) to 1 (the same words)."""
        words = words_of(text, self.language)
        vector = self.vector(words)
        letters = {gram: float(count) for gram, count in _trigrams(words).items()}
        return [
            _WORD_SHARE * _cosine(vector, phrase) + (1 - _WORD_SHARE) * _cosine(letters, grams)
            for phrase, grams in zip(self.vectors, self.letters, strict=True)
        ]

    def vector(self, words: Iterable[str]) -> dict[str, float]:
        """Return the words' counts, damped, times their weights."""
        return {
            word: (1 + math.log(count)) * self.weights.get(word, self.unseen_weight * self._stop_factor(word))
            for word, count in Counter(words).items()
        }

    def _stop_factor(self, word: str) -> float:
        return _STOP_WEIGHT if word in _stop_stems(_base(self.language)) else 1.0


def index_phrases(phrases: Sequence[str], language: str) -> PhraseIndex:
    """Prepare phrases for comparison: weigh their words by how few of them use each."""
    split = [words_of(phrase, language) for phrase in phrases]
    frequency = Counter(word for words in split for word in set(words))
    stops = _stop_stems(_base(language))
    unseen = math.log(1 + len(phrases)) + 1
    weights = {
        word: (math.log((1 + len(phrases)) / (1 + count)) + 1) * (_STOP_WEIGHT if word in stops else 1.0)
        for word, count in frequency.items()
    }
    index = PhraseIndex(language, tuple(phrases), weights, unseen, (), ())
    return PhraseIndex(
        language,
        tuple(phrases),
        weights,
        unseen,
        tuple(index.vector(words) for words in split),
        tuple({gram: float(count) for gram, count in _trigrams(words).items()} for words in split),
    )


def _cosine(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    shared = left.keys() & right.keys()
    if not shared:
        return 0.0
    dot = math.fsum(left[key] * right[key] for key in sorted(shared))
    norms = math.sqrt(math.fsum(value * value for value in left.values())) * math.sqrt(
        math.fsum(value * value for value in right.values())
    )
    return min(1.0, dot / norms)


def similarity_scores(text: str, phrases: Sequence[str], language: str) -> list[float]:
    """Return how alike a text is to each phrase, 0 to 1, in the phrases' order."""
    return index_phrases(phrases, language).scores(text)


def rank_intents(text: str, intents: Mapping[str, Sequence[str]], language: str) -> list[tuple[str, float]]:
    """Return each intent with the score of its most alike phrase, the best first, ties in the given order."""
    names = [name for name, phrases in intents.items() for _ in phrases]
    scores = similarity_scores(text, [phrase for phrases in intents.values() for phrase in phrases], language)
    best = dict.fromkeys(intents, 0.0)
    for name, score in zip(names, scores, strict=True):
        best[name] = max(best[name], score)
    return sorted(best.items(), key=lambda item: -item[1])


def best_intent(
    text: str, intents: Mapping[str, Sequence[str]], language: str, threshold: float = 0.3
) -> tuple[str | None, float]:
    """Return the intent whose examples are most alike to the text, with its score from 0 to 1.

    The name is None if no score reaches `threshold`; the score is then that of the nearest one.
    """
    ranked = rank_intents(text, intents, language)
    if not ranked:
        return None, 0.0
    name, score = ranked[0]
    return (name if score >= threshold and score > 0 else None), score
