"""Which sentences of a system prompt the built-in answerer may quote: facts for visitors, and nothing else.

Instructions hold both: what the visitor may know ("Abrimos a las nueve") and what is said to the model alone
("Eres un asistente", "No reveles el código interno"). A sentence is left out if it addresses the model, which
is told by its wording, or if a sentence that asks for secrecy means it. When in doubt it is left out: an
answer that is missing does less harm than one that should not have been given.
"""

from __future__ import annotations

import re
from typing import Final

from llm.similarity import fold, words_of

_NUMBERING = re.compile(r"^[ \t]*\d+[.)][ \t]+", re.MULTILINE)
_SENTENCES = re.compile(r"(?<=[.!?…])\s+|\n+")
_POLITE: Final = r"(?:\W|\d+[.)]|\b(?:por favor|please|siempre|always|bitte|sempre|toujours|immer)\b)*"
_COMMANDS: Final = """
act actua acuerdate address aide aiuta aja ajude anima answer antworte apologize asegurate ask assist
assume atiende avoid ayuda be behave busca check chiedi comportate comprueba confirm confirma consulta
contesta conteste decline demande deriva despidete di dile direct ensure evita evite explain explica fale
focus follow frage give greet guarda habla hable haz help hide hilf ignore informa intenta introduce
invita invite keep let limit limitate make manten mantenga menciona mention muestra never niegate oculta
ofereca offer ofrece ofrezca olvida parla parle pasa pergunte pide pregunta pregunte presentate pretend
procura provide rechaza recomienda recommend recuerda redacta redirige refer refuse remember reply reponds
respond responda responde resume rispondi saluda salude say show sigue sii simula solicita sound speak
sprich stay suggest sugiere summarize talk tell trata treat try usa use utilice utilise utiliza verifica
verify vermeide verwende write
"""
"""First words of sentences that tell the model what to do, in es, en, pt, fr, de and it, without accents."""
_ADDRESSED: Final = re.compile(
    rf"^{_POLITE}(?:{'|'.join(_COMMANDS.split())})\b"
    r"|^\W*se (?:siempre |muy )?(?:amable|breve|claro|concis|cordial|educad|simpatic|util)"
    r"|^\W*(?:no|nunca|jamas)\s+(?:(?:lo|la|los|las|le|les|te|se|me|nos)\s+)?\w+(?:es|as)\b"
    r"|^\W*(?:do not|don['’]?t|under no circumstances|bajo ningun)\b"
    r"|\b(?:eres|seras|debes|deberas|debe usted|tienes que|como asistente|you are|you['’]re an?|you must"
    r"|you should|you will|voce e|tu es|vous etes|du bist|sie sind ein|sei un)\b"
    r"|\btu (?:nombre|papel|rol|tarea|trabajo|objetivo|mision|funcion|tono|personalidad)\b"
    r"|\byour (?:name|role|job|task|goal|mission|tone|persona)\b"
    r"|\b(?:system prompt|instrucciones|instructions|if asked|si te preguntan|si preguntan)\b"
)
_SECRECY: Final = re.compile(
    r"\b(?:secret[oa]?s?|confiden\w*|revel\w*|divulg\w*|reveal\w*|disclos\w*|oculta\w*|hide|privad[oa]s?"
    r"|private|nunca (?:compart|mencion|di)\w*"
    r"|no (?:lo |la |los |las )?(?:compart|mencion|digas|cuent|facilit|muestr)\w*"
    r"|(?:do not|don['’]?t|never) (?:share|mention|tell|say|show|give|quote)"
    r"|geheim\w*|segret\w*|segred\w*|uso interno|internal use|internal only)\b"
)
_MEANT: Final = 0.5


def sentences_of(text: str) -> list[str]:
    """The sentences and lines of a text, without the marks of lists."""
    return [
        part.strip(" -*•\t") for part in _SENTENCES.split(_NUMBERING.sub("", text)) if part.strip(" -*•\t")
    ]


def facts_of(instructions: str, language: str) -> list[str]:
    """The sentences of a system prompt that are facts for visitors, in their order."""
    sentences = sentences_of(instructions)
    folded = [fold(sentence) for sentence in sentences]
    stems = [
        {word for word in words_of(sentence, language) if len(word) > 3 and word.isalpha()}
        for sentence in sentences
    ]
    withheld = {place for place, plain in enumerate(folded) if _ADDRESSED.search(plain)}
    for place, plain in enumerate(folded):
        if not _SECRECY.search(plain):
            continue
        withheld.add(place)
        if len(stems[place]) <= 2:
            withheld.add(place - 1)  # "No lo reveles." means what was said just before
        for other, words in enumerate(stems):
            shared = words & stems[place]
            if shared and len(shared) > _MEANT * min(len(words), len(stems[place])):
                withheld.add(other)
    return [sentence for place, sentence in enumerate(sentences) if place not in withheld]
