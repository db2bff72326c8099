"""The built-in answerer: rules, not a language model, and it says so.

It needs no key and no network, gives the same answer to the same request, and knows only what the request
holds: it quotes the facts in the instructions and passages that match the question, reads typed values
by pattern, classifies by likeness to labels and examples, and asks for a tool only when the visitor writes
the tool's name. What it can't do it admits, in the language of the conversation.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

from llm.answer import AnswerBuilder
from llm.catalogue import BUILTIN_MODEL, find_model
from llm.classification import NO_LABEL
from llm.protocol import ModelRequest, ModelResult, StreamSink
from llm.quotable import facts_of, sentences_of
from llm.similarity import fold, index_phrases, rank_intents, words_of
from llm.text_patterns import find_for_schema

_ENOUGH: Final = 0.3
_ALSO: Final = 0.8
_LABEL_ENOUGH: Final = 0.35
_UNCONFIGURED: Final = {
    "es": "No hay ningún modelo de lenguaje configurado y no encuentro la respuesta en lo que tengo escrito.",
    "en": "No language model is configured, and what I have in writing does not answer that.",
    "pt": "Não há nenhum modelo de linguagem configurado e não encontro a resposta no que tenho escrito.",
    "fr": "Aucun modèle de langage n'est configuré et je ne trouve pas la réponse dans mes textes.",
    "de": "Es ist kein Sprachmodell eingerichtet, und meine Texte beantworten das nicht.",
    "it": "Nessun modello linguistico è configurato e non trovo la risposta nei testi che ho.",
}


class BuiltinProvider:
    """Serves `builtin/answerer`."""

    name = "builtin"

    async def complete(self, request: ModelRequest, *, on_text: StreamSink | None = None) -> ModelResult:
        builder = AnswerBuilder(find_model(BUILTIN_MODEL), request, on_text)
        builder.finish = "stop"
        if request.task == "classification":
            await builder.add_text(json.dumps(classify(request), ensure_ascii=False))
        elif request.response_schema is not None:
            found = extract(request.subject or _question(request), request.response_schema)
            await builder.add_text(json.dumps(found, ensure_ascii=False))
        elif (tool := named_tool(request)) is not None:
            builder.add_call(0, call_id=f"call_{tool}", name=tool, arguments="{}")
            builder.finish = "tool_calls"
        else:
            for piece in re.findall(r"\S+\s*", reply(request)):
                await builder.add_text(piece)
                await asyncio.sleep(0)
        return builder.result()

    async def close(self) -> None:
        return None


def _question(request: ModelRequest) -> str:
    return next((message.content for message in reversed(request.messages) if message.role == "user"), "")


def _language(request: ModelRequest) -> str:
    return (request.language or "en").lower().replace("_", "-").split("-")[0]


def reply(request: ModelRequest) -> str:
    """Return the one or two written sentences that match the question best, else say that there are none.

    Results of tools count as written; of the instructions only the facts in them, not what they tell the
    model to do, to be or to keep to itself. A sentence must share enough of the question's rare words, so
    that small talk does not pull in unrelated ones.
    """
    language = _language(request)
    unconfigured = _UNCONFIGURED.get(language, _UNCONFIGURED["en"])
    written = [sentence for text in request.passages for sentence in sentences_of(text)]
    for message in request.messages:
        if message.role == "system":
            written += facts_of(message.content, language)
        elif message.role == "tool":
            written += sentences_of(message.content)
    sentences = list(dict.fromkeys(written))
    question = _question(request)
    if not sentences or not words_of(question, language):
        return unconfigured
    index = index_phrases(sentences, language)
    asked = index.vector(words_of(question, language))
    total = sum(asked.values())
    scored: list[tuple[float, int]] = []
    for position, (vector, likeness) in enumerate(zip(index.vectors, index.scores(question), strict=True)):
        covered = sum(weight for word, weight in asked.items() if word in vector) / total
        scored.append((0.5 * covered + 0.5 * likeness, position))
    scored.sort(key=lambda item: (-item[0], item[1]))
    best = scored[0][0]
    if best < _ENOUGH:
        return unconfigured
    chosen = sorted(position for score, position in scored[:2] if score >= max(_ENOUGH, _ALSO * best))
    return " ".join(sentences[position] for position in chosen)


def extract(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return those properties of the schema that stand in the text in a recognizable form.

    What is not found is left out, or null where the schema wants the property and takes null for it.
    """
    found: dict[str, Any] = {}
    wanted = schema.get("required", [])
    for name, spec in schema.get("properties", {}).items():
        value = find_for_schema(text, name, spec) if isinstance(spec, dict) else None
        kinds = spec.get("type") if isinstance(spec, dict) else None
        if value is not None or (name in wanted and isinstance(kinds, list) and "null" in kinds):
            found[name] = value
    return found


def classify(request: ModelRequest) -> dict[str, Any]:
    """Return the label whose name, description or examples are most alike to the text, with the likeness."""
    phrases = {
        label.name: [
            re.sub(r"[_-]+", " ", label.name),
            *([label.description] if label.description else []),
            *label.examples,
        ]
        for label in request.labels
    }
    ranked = rank_intents(request.subject or _question(request), phrases, _language(request))
    if not ranked or ranked[0][1] < _LABEL_ENOUGH:
        return {"label": NO_LABEL, "confidence": round(1 - ranked[0][1], 4) if ranked else 1.0}
    return {"label": ranked[0][0], "confidence": round(ranked[0][1], 4)}


def named_tool(request: ModelRequest) -> str | None:
    """Return the tool whose name the visitor wrote out, unless it was called since; None without one."""
    if request.tool_choice == "none" or not request.messages or request.messages[-1].role != "user":
        return None
    plain = f" {' '.join(re.findall(r'[a-z0-9]+', fold(_question(request))))} "
    for tool in request.tools:
        spoken = " ".join(re.findall(r"[a-z0-9]+", fold(tool.name)))
        if f" {spoken} " in plain:
            return tool.name
    return None
