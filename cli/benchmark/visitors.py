"""Visitors who play a dialogue over HTTP, check every answer and remember what they were told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from cli.benchmark.http_connection import HttpConnection

Json = dict[str, Any]


class WrongAnswerError(Exception):
    """The platform answered something else than the flow says."""


@dataclass(frozen=True)
class Expected:
    """What a visitor sends, and the texts that must come back. `choice` answers the question asked last."""

    texts: tuple[str, ...]
    text: str | None = None
    choice: str | None = None


OPENING = Expected(
    texts=("¡Hola! Bienvenido a nuestra tienda.", "Te haré dos preguntas y terminamos.", "¿Cómo te llamas?")
)
NAME = Expected(text="Ana", texts=("Encantado, Ana.", "¿Qué plan te interesa?"))
BUTTON = Expected(choice="pro", texts=("Gracias, Ana: te mandamos la información del plan profesional.",))
THREE_TURNS = (OPENING, NAME, BUTTON)
"""The dialogue of `benchmarks/flows/three-turns.json`."""

LOOP_OPENING = Expected(texts=("¿Qué plan te interesa?",))
LOOP_TURN = Expected(choice="pro", texts=("Anotado: Profesional.", "¿Qué plan te interesa?"))
"""Those of `benchmarks/flows/question-answer.json`, whose question comes again after each answer."""


@dataclass
class Conversation:
    """One conversation as its visitor saw it."""

    conversation_id: str = ""
    token: str | None = None
    prompt: int | None = None
    turns: int = 0
    last_seq: int = 0
    said: dict[int, str] = field(default_factory=dict)
    """Text of each message of the bot, by `seq`."""
    heard: dict[str, str] = field(default_factory=dict)
    """What the visitor sent (text, or the option's id) by message id; the opening is not a message."""


@dataclass(frozen=True)
class Visitors:
    """Talks to one bot over connections that are lent to one visitor at a time."""

    chatbot_id: str
    connections: list[HttpConnection]

    async def turn(self, conversation: Conversation, expected: Expected) -> float:
        """Send one input, check the answer; return the seconds it took. Raises WrongAnswerError."""
        message_id = str(uuid4())
        body: Json = {"message_id": message_id, "input": _input(conversation, expected)}
        connection = self.connections.pop()
        try:
            begin = time.perf_counter()
            status, answer = await connection.post(
                f"/api/v1/widget/{self.chatbot_id}/chat", body, conversation.token
            )
            seconds = time.perf_counter() - begin
        finally:
            self.connections.append(connection)
        if status != 200:
            raise WrongAnswerError(f"HTTP {status}: {answer.decode(errors='replace')[:300]}")
        self._take(conversation, expected, message_id, orjson.loads(answer))
        return seconds

    def _take(self, conversation: Conversation, expected: Expected, message_id: str, reply: Json) -> None:
        messages: Sequence[Json] = reply["messages"]
        texts = tuple(message["content"]["text"] for message in messages)
        if texts != expected.texts:
            raise WrongAnswerError(f"expected {expected.texts}, got {texts}")
        if not conversation.conversation_id:
            conversation.conversation_id, conversation.token = reply["conversation_id"], reply["token"]
        else:
            conversation.heard[message_id] = expected.text or expected.choice or ""
        for message in messages:
            conversation.said[message["seq"]] = message["content"]["text"]
        conversation.turns += 1
        conversation.last_seq = reply["last_seq"]
        conversation.prompt = messages[-1]["seq"]

    async def dialogue(self) -> tuple[Conversation, list[float]]:
        """Play the three turns; return the conversation and the seconds of each turn."""
        conversation = Conversation()
        seconds = [await self.turn(conversation, expected) for expected in THREE_TURNS]
        return conversation, seconds


@asynccontextmanager
async def visitors(api: str, chatbot_id: str, connections: int) -> AsyncIterator[Visitors]:
    """Open so many connections to the API, and close them afterwards."""
    opened = [await HttpConnection.open(api) for _ in range(connections)]
    try:
        yield Visitors(chatbot_id, list(opened))
    finally:
        for connection in opened:
            connection.close()


def _input(conversation: Conversation, expected: Expected) -> Json:
    if expected.choice is not None:
        return {"type": "choice", "options": [expected.choice], "prompt": conversation.prompt}
    if expected.text is not None:
        return {"type": "text", "text": expected.text}
    return {"type": "start", "language": "es"}
