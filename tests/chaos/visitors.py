"""Visitors that talk over HTTP as the chat page does: an id a message, repeated until it is answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from cli.chat_client import ApiError, ChatClient, Json
from tests.chaos.flow import Visitor, visitor_inputs

_QUIET_SECONDS = 90.0
"""Events may be late while parts are down; after this long without any they count as missed."""
_DOUBLED = 0.15
_REPEATED = 0.3


class Defect(AssertionError):
    """Something that a visitor must never see."""


@dataclass
class Talk:
    """One conversation as its visitor has lived it."""

    visitor: Visitor
    client: ChatClient
    chance: random.Random
    messages: dict[int, Json] = field(default_factory=dict)
    """What the events brought, by `seq`."""
    state: Json = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    replies: dict[str, Json] = field(default_factory=dict)
    seconds: float = 0.0
    doing: str = "nothing"
    missed_events: int = 0
    """How often a look at the transcript showed what the events had kept back for long."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Talk until the conversation has ended. Raises Defect, ApiError."""
        begin = time.monotonic()
        opening, *rest = visitor_inputs(self.visitor)
        await self._say(opening)
        following = asyncio.create_task(self._follow())
        try:
            for given in rest:
                await self._until("visitor")
                if given["type"] == "choice":
                    given = {**given, "prompt": self.state["waiting"]["prompt"]}
                await self._say(given)
            await self._until("end")
        except ApiError as error:
            lived = [(seq, self.messages[seq]["content"]) for seq in sorted(self.messages)]
            raise Defect(
                f"{self.visitor.name}: {error}; {self.doing}; {self.state}; lived {lived}"
            ) from error
        finally:
            following.cancel()
        self.seconds = time.monotonic() - begin
        self.doing = "nothing"

    async def _say(self, given: Json) -> None:
        message_id = str(uuid4())
        self.sent.append(message_id)
        self.doing = f"sending {given}"
        tries = 2 if self.chance.random() < _DOUBLED and len(self.sent) > 1 else 1
        answers = await asyncio.gather(*(self.client.send(given, message_id) for _ in range(tries)))
        if self.chance.random() < _REPEATED:
            answers.append(await self.client.send(given, message_id))
        replies = [{name: value for name, value in reply.items() if name != "token"} for reply in answers]
        if any(reply != replies[0] for reply in replies):
            raise Defect(f"{self.visitor.name}: one id, several replies: {replies}")
        self.replies[message_id] = replies[0]
        self._learn(replies[0])
        for message in replies[0]["messages"]:
            self._keep(message)

    async def _follow(self) -> None:
        async for name, data in self.client.events(self._cursor):
            if name == "message":
                self._keep(data)
            elif name == "status":
                self._learn(data)

    def _cursor(self) -> int:
        seq = 0
        while seq + 1 in self.messages:
            seq += 1
        return seq

    def _keep(self, message: Json) -> None:
        known = self.messages.setdefault(message["seq"], message)
        if known["content"] != message["content"]:
            raise Defect(f"{self.visitor.name}: message {message['seq']} changed: {known} -> {message}")
        self.changed.set()

    def _learn(self, state: Json) -> None:
        if state["last_seq"] >= self.state.get("last_seq", 0):
            self.state = {name: state.get(name) for name in ("status", "waiting", "last_seq")}
            self.changed.set()

    async def _until(self, what: str) -> None:
        """Wait until the conversation waits for the visitor, with an unanswered question, or has ended."""
        self.doing = f"waiting for {what}"
        last = time.monotonic()
        while not self._is(what):
            self.changed.clear()
            try:
                async with asyncio.timeout(2):
                    await self.changed.wait()
                last = time.monotonic()
            except TimeoutError:
                if time.monotonic() - last > _QUIET_SECONDS:
                    last = time.monotonic()
                    page = await self.client.transcript(self._cursor())
                    if page["last_seq"] > self._cursor():
                        self.missed_events += 1
                        for message in page["messages"]:
                            self._keep(message)
                    self._learn(page)

    def _is(self, what: str) -> bool:
        status, waiting = self.state["status"], self.state["waiting"]
        if status == "stuck":
            raise Defect(f"{self.visitor.name} is stuck: {waiting}")
        if what == "end":
            return bool(status == "ended") and self._cursor() >= self.state["last_seq"]
        if status == "ended":
            raise Defect(f"{self.visitor.name}'s conversation has ended early: {self.messages}")
        return bool(waiting and waiting["kind"] == "visitor")


@dataclass
class Crowd:
    """All visitors, and what the API answered them."""

    talks: list[Talk]
    statuses: Counter[str] = field(default_factory=Counter)

    async def run(self, spread_seconds: float) -> list[BaseException]:
        """Let everybody talk, the beginnings spread over a time; returns what went wrong."""

        async def one(number: int, talk: Talk) -> None:
            await asyncio.sleep(spread_seconds * number / max(1, len(self.talks)))
            await talk.run()

        results = await asyncio.gather(
            *(one(number, talk) for number, talk in enumerate(self.talks)), return_exceptions=True
        )
        return [result for result in results if isinstance(result, BaseException)]

    def unfinished(self) -> list[str]:
        return [f"{talk.visitor.name}: {talk.doing}" for talk in self.talks if talk.doing != "nothing"]


def gather_crowd(http: httpx2.AsyncClient, bot: str, visitors: list[Visitor], seed: int) -> Crowd:
    """Make visitors; every answer of the API is counted by method and status."""
    crowd = Crowd([])

    async def count(response: httpx2.Response) -> None:
        crowd.statuses[f"{response.request.method} {response.status_code}"] += 1

    hooks: dict[str, list[Any]] = http.event_hooks
    http.event_hooks = {**hooks, "response": [*hooks.get("response", []), count]}
    for number, visitor in enumerate(visitors):
        crowd.talks.append(Talk(visitor, ChatClient(http, bot), random.Random(seed * 1000 + number)))
    return crowd
