"""Reads a yes or a no.

An answer counts if every word of it belongs to a phrase of agreement or of refusal (or of courtesy) and all
of them say the same. So `si es gratis` (if it is free), `sí, pero no` and `no sé` are neither.
"""

from __future__ import annotations

from typing import Any

from flow_schema.expression_values import number_text
from workflows.interpreter.reading.letters import clauses, folded, holds_words, plain

_YES = """
si|s|sip|sii|siii|sep|claro|claro que si|por supuesto|por supuesto que si|desde luego|desde luego que si
vale|ok|okey|okay|oki|okis|okei|de acuerdo|estoy de acuerdo|conforme|estoy conforme|acepto|lo acepto
si acepto|aceptar|aceptado|confirmo|lo confirmo|confirmado|quiero|si quiero|me interesa|perfecto|adelante
correcto|es correcto|asi es|afirmativo|exacto|eso es|bueno|esta bien|me parece bien|genial|bien|seguro
dale|venga|autorizo|lo autorizo|consiento|doy mi consentimiento|verdadero|sin problema|no hay problema
como no|efectivamente|yes|y|yep|yeah|yea|yup|sure|of course|absolutely|certainly|definitely|agree|i agree
agreed|accept|i accept|accepted|i do|i consent|i confirm|confirmed|correct|right|thats right|all right
alright|fine|sounds good|go ahead|please do|no problem|why not|true|1
"""
_NO = """
no|n|nop|nope|nah|nones|no gracias|no acepto|no lo acepto|rechazo|lo rechazo|rechazar|no quiero
no lo quiero|no estoy de acuerdo|en desacuerdo|no estoy conforme|no autorizo|no lo autorizo|no consiento
no me interesa|ahora no|no por ahora|por ahora no|de momento no|para nada|en absoluto|de ninguna manera
de ningun modo|ni hablar|nunca|jamas|claro que no|por supuesto que no|desde luego que no|mejor no|negativo
falso|prefiero que no|prefiero no|va a ser que no|no thanks|no thank you|no way|not now|not really
not at all|not interested|im not interested|never|of course not|disagree|i disagree|do not agree
i do not agree|i dont agree|i dont accept|i do not accept|i dont|i do not|i refuse|decline|i decline
rather not|id rather not|absolutely not|certainly not|false|0
"""
_COURTESY = """
por favor|porfavor|porfa|gracias|muchas gracias|mil gracias|hola|pues|mira|hombre|muy|yo|todo|eso|señor
señora|las condiciones|los terminos|terminos y condiciones|los terminos y condiciones
la politica de privacidad|el tratamiento|please|thanks|thank you|many thanks|hi|hello|well|the terms
the conditions|the terms and conditions|terms and conditions|the privacy policy|everything|sir|madam
"""
_UNSURE = """
no se|no lo se|no estoy segur|no sabria|no entiendo|no lo entiendo|no tengo ni idea|ni idea|no recuerdo
no me acuerdo|no idea|not sure|im not sure|i dont know|dont know|dunno|no clue|i dont understand
"""
_SKIP = """
omitir|omitelo|saltar|saltarlo|salta|paso|ninguno|ninguna|prefiero no responder|prefiero no contestar
sin respuesta|skip|skip it|pass|none|no comment|prefer not to answer|prefer not to say
"""
_BUT = ("pero", "but", "aunque", "although", "salvo", "excepto", "except", "menos", "unless")
_SIGNS = {"👍": True, "✅": True, "✔": True, "👌": True, "👎": False, "❌": False, "✖": False}


def _phrases(table: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(plain(entry).split()) for line in table.split("\n") for entry in line.split("|"))


_VERDICTS: dict[tuple[str, ...], bool | None] = {
    **dict.fromkeys(_phrases(_COURTESY)),
    **dict.fromkeys(_phrases(_YES), True),
    **dict.fromkeys(_phrases(_NO), False),
}
_VERDICTS.pop((), None)
_LONGEST = max(len(phrase) for phrase in _VERDICTS)
_SKIPS = frozenset(" ".join(phrase) for phrase in _phrases(_SKIP) if phrase)
_UNSURES = tuple(" ".join(phrase) for phrase in _phrases(_UNSURE) if phrase)


def read_yes_or_no(answer: Any) -> bool | None:
    """True, false, or None where it is neither."""
    if isinstance(answer, bool):
        return answer
    if isinstance(answer, int | float):
        answer = number_text(answer)
    if not isinstance(answer, str):
        return None
    words = plain(answer).split()
    if answer.rstrip().endswith("?"):
        return None
    if not words:
        signs = {verdict for sign, verdict in _SIGNS.items() if sign in answer}
        return signs.pop() if len(signs) == 1 else None
    verdicts = _verdicts(words)
    return verdicts.pop() if verdicts is not None and len(verdicts) == 1 else None


def _verdicts(words: list[str]) -> set[bool] | None:
    """What the phrases of an answer say, the longest phrase first; None if a word belongs to none."""
    found: set[bool] = set()
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST, len(words) - place), 0, -1):
            phrase = tuple(words[place : place + length])
            if phrase in _VERDICTS:
                if (verdict := _VERDICTS[phrase]) is not None:
                    found.add(verdict)
                place += length
                break
        else:
            return None
    return found


def leans(text: str) -> bool | None:
    """As `read_yes_or_no`, also of an answer that begins with its yes or no and goes on in other words.

    Good enough to choose between an option for yes and one for no, not for a consent. `si` without its accent
    may also mean if, so it needs a comma.
    """
    strict = read_yes_or_no(text)
    if strict is not None:
        return strict
    parts = clauses(text)
    if not parts or is_unsure(text) or text.rstrip().endswith("?"):
        return None
    first = parts[0].split()
    verdict, length = read_yes_or_no(parts[0]), len(first)
    if verdict is None:
        verdict, length = _first_verdict(first)
        if first[0] == "si" and not text.casefold().lstrip(" ¡").startswith("sí"):
            return None
    rest = {*first[length:], *" ".join(parts[1:]).split()}
    contrary = {"no", "not", "dont", "tampoco", *_BUT} if verdict else {"si", "yes", "claro", *_BUT}
    return None if contrary & rest else verdict


def _first_verdict(words: list[str]) -> tuple[bool | None, int]:
    """What the longest phrase at the beginning says, and its number of words."""
    for length in range(min(_LONGEST, len(words)), 0, -1):
        verdict = _VERDICTS.get(tuple(words[:length]))
        if verdict is not None:
            return verdict, length
    return None, 0


def is_unsure(text: str) -> bool:
    """Whether an answer says that the visitor does not know, which begins with a no and is none."""
    words = plain(text)
    return any(holds_words(words, phrase) or words.startswith(phrase) for phrase in _UNSURES)


def declines(text: str) -> bool:
    """Whether a typed answer skips what need not be answered."""
    return plain(text) in _SKIPS or said_yes_or_no(text) is False


def said_yes_or_no(name: str) -> bool | None:
    """Whether a name of an option is a yes or a no by itself, such as `Sí` or `No, gracias`."""
    return read_yes_or_no(name) if not folded(name).strip().isdigit() else None
