"""Random schedules of everything that happens to a conversation, and how they are carried out.

An operation is symbolic ("answer what is asked", "repeat the second message"); it becomes concrete by
what the conversation has shown so far, so that equal conversations get equal events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from flow_schema.effects import CallbackMessage, CallbackReply, TeamMessage, VisitorMessage
from flow_schema.turns import (
    ChoicesContent,
    ConversationSnapshot,
    InputContent,
    Message,
    Refusal,
    TeamReply,
    TurnReply,
    Waiting,
)
from tests.workflows.world import World, normalized
from workflows.interpreter.team import Refused

Operation = tuple[str, Any]
AGENTS = [{"id": "agent-1", "name": "Marta"}, {"id": "agent-2", "name": "Luis"}]
WORDS = ["uno", "dos", "hola", "a@example.org", "3", "2026-12-24", "sí", "", "uno y dos", "del 2026-12-24"]

_numbers = st.integers(0, 50)
operations = st.one_of(
    *[st.tuples(st.just("answer"), _numbers)] * 10,
    st.tuples(st.just("text"), st.sampled_from([word for word in WORDS if word])),
    st.tuples(st.just("value"), st.sampled_from([*WORDS, None, True, 4, {"rating": 4, "comment": "bien"}])),
    st.tuples(st.just("choice"), st.sampled_from([["a"], ["b"], ["a", "b"], ["zzz"], [], ["1"]])),
    st.tuples(st.just("files"), st.just(None)),
    st.tuples(st.just("event"), st.just("scrolled")),
    st.tuples(st.just("start"), st.just(None)),
    st.tuples(st.just("stale"), st.just(None)),
    st.tuples(st.just("repeat"), _numbers),
    st.tuples(st.just("other_body"), _numbers),
    st.tuples(st.just("burst"), st.tuples(st.integers(2, 5), st.sampled_from(["uno", "3", "sí"]))),
    st.tuples(st.just("time"), st.sampled_from([1_000, 1_000, 2_000, 4_000])),
    st.tuples(st.just("callback"), st.sampled_from(["right", "right", "other_body", "unknown"])),
    st.tuples(st.just("claim"), st.integers(0, 1)),
    st.tuples(st.just("say"), st.integers(0, 1)),
    st.tuples(st.just("hand_back"), st.integers(0, 1)),
    st.tuples(st.just("retry"), st.just(None)),
    st.tuples(st.just("skip"), _numbers),
    st.tuples(st.just("jump"), _numbers),
    st.tuples(
        st.just("set"), st.sampled_from([{"count": 5}, {"word": "cambiada"}, {"nada": 1}, {"count": "x"}])
    ),
)
schedules = st.lists(operations, min_size=8, max_size=20)


class Conversation(Protocol):
    """What both ways of running a conversation offer."""

    conversation_id: str
    world: World

    async def visitor(self, message: VisitorMessage) -> TurnReply: ...

    async def team(self, message: TeamMessage) -> TeamReply: ...

    async def callback(self, message: CallbackMessage) -> CallbackReply: ...

    async def pass_time(self, duration: timedelta) -> None: ...

    async def snapshot(self) -> ConversationSnapshot: ...


@dataclass
class Trace:
    """What happened: an outcome for each operation, and what the conversation was in the end."""

    outcomes: list[Any] = field(default_factory=list)
    sent: dict[str, VisitorMessage] = field(default_factory=dict)
    replies: dict[str, TurnReply] = field(default_factory=dict)
    """By message id: the reply given first."""
    said: list[Message] = field(default_factory=list)
    """Everything that replies to visitors and to the team carried."""
    bursts: dict[int, list[VisitorMessage]] = field(default_factory=dict)
    """Operation -> the messages of a burst that were taken, in the order in which they were."""
    snapshot: dict[str, Any] = field(default_factory=dict)


class Player:
    """Carries a schedule out on a conversation."""

    def __init__(self, conversation: Conversation, node_ids: list[str]) -> None:
        self.it = conversation
        self.node_ids = node_ids
        self.trace = Trace()
        self.waiting: Waiting | None = None
        """For what the conversation waits, as the last reply said; None: it has to be asked."""

    async def play(self, schedule: list[Operation]) -> Trace:
        await self._send("opening-0", {"type": "start", "language": "es", "variables": {"word": "inicial"}})
        for number, (name, detail) in enumerate(schedule):
            if name not in ("answer", "text", "value", "choice"):
                self.waiting = None
            await self._operation(number, name, detail)
        self.trace.snapshot = self._normal(await self.it.snapshot())
        return self.trace

    def _normal(self, value: Any) -> Any:
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        return normalized(value, self.it.conversation_id)

    def _outcome(self, reply: TurnReply | Refused) -> Any:
        return self._normal(reply) if isinstance(reply, TurnReply) else ["refused", reply.refusal.value]

    def _note(self, outcome: Any) -> None:
        self.trace.outcomes.append(self._normal(outcome))

    async def _send(self, message_id: str, given: dict[str, Any], files: list[Any] | None = None) -> None:
        message = VisitorMessage.model_validate(
            {"message_id": message_id, "input": given, "files": files or []}
        )
        self.trace.sent.setdefault(message_id, message)
        try:
            reply = await self.it.visitor(message)
        except Refused as refused:
            self._note(["refused", refused.refusal.value])
            return
        self._took(message_id, reply)
        self._note(reply)

    def _took(self, message_id: str, reply: TurnReply) -> None:
        self.waiting = reply.waiting
        first = self.trace.replies.setdefault(message_id, reply)
        assert first == reply, f"{message_id} was answered twice, differently"
        if first is reply:
            self.trace.said += reply.messages

    async def _operation(self, number: int, name: str, detail: Any) -> None:
        message_id = f"message-{number}"
        match name:
            case "answer":
                given, files = await self._answer(detail)
                await self._send(message_id, given, files)
            case "text" | "value" | "event" | "choice" | "start":
                key = {"text": "text", "value": "value", "event": "name", "choice": "options"}.get(name)
                await self._send(message_id, {"type": name, **({key: detail} if key else {})})
            case "stale":
                await self._send(message_id, {"type": "choice", "options": ["a"], "prompt": 1})
            case "files":
                await self._send(message_id, {"type": "files", "files": ["f1"]}, [_FILE])
            case "repeat" | "other_body":
                await self._again(name, detail)
            case "burst":
                await self._burst(number, *detail)
            case "time":
                await self.it.pass_time(timedelta(minutes=detail))
                self._note(await self.it.snapshot())
            case "callback":
                await self._callback(detail)
            case _:
                await self._team(number, name, detail)

    async def _answer(self, draw: int) -> tuple[dict[str, Any], list[Any]]:
        """An answer that fits what is asked, most of the time."""
        waiting = self.waiting or (await self.it.snapshot()).waiting
        prompt = waiting.prompt if waiting is not None else None
        asked = next((message.content for message in self.trace.said if message.seq == prompt), None)
        if isinstance(asked, ChoicesContent):
            chosen = asked.options[draw % len(asked.options)].id
            return {"type": "choice", "options": [chosen], "prompt": prompt}, []
        kind = str(asked.field["kind"]) if isinstance(asked, InputContent) else "rating"
        if kind == "file":
            return {"type": "files", "files": ["f1"]}, [_FILE]
        if kind == "date_range":
            return {"type": "value", "value": {"start": "2026-12-01", "end": "2026-12-24"}}, []
        fitting = {"email": "a@example.org", "date": "24/12/2026", "consent": "sí", "text": f"dice {draw}"}
        return {"type": "text", "text": fitting.get(kind, str(1 + draw % 5))}, []

    async def _again(self, name: str, which: int) -> None:
        """The same message once more, or its id with another body."""
        ids = list(self.trace.replies)
        message_id = ids[which % len(ids)]
        message = self.trace.sent[message_id]
        if name == "repeat":
            try:
                self._took(message_id, await self.it.visitor(message))
            except Refused as refused:
                # After the end the tables answer; `check` sees to it that they know the reply.
                if refused.refusal is not Refusal.CLOSED:
                    raise
            self._note(["repeated", message_id])
            return
        other = message.model_copy(
            update={"input": VisitorMessage.model_validate(
                {"message_id": message_id, "input": {"type": "event", "name": "otra cosa"}}).input}
        )  # fmt: skip
        try:
            await self.it.visitor(other)
        except Refused as refused:
            if refused.refusal not in (Refusal.ID_REUSED, Refusal.CLOSED):
                raise
            self._note(["other body", message_id])
        else:
            raise AssertionError("an id was taken twice, with different bodies")

    async def _burst(self, number: int, size: int, words: str) -> None:
        messages = [
            VisitorMessage.model_validate(
                {"message_id": f"burst-{number}-{place}", "input": {"type": "text", "text": words}}
            )
            for place in range(size)
        ]
        self.trace.sent.update({message.message_id: message for message in messages})
        replies = await self._burst_replies(number, messages)
        for message, reply in zip(messages, replies, strict=True):
            if isinstance(reply, TurnReply):
                self._took(message.message_id, reply)
        self._note(sorted(json.dumps(self._outcome(reply)) for reply in replies))
        taken = [
            message for message, reply in zip(messages, replies, strict=True) if isinstance(reply, TurnReply)
        ]
        self.trace.bursts[number] = sorted(taken, key=lambda one: self.trace.replies[one.message_id].last_seq)

    async def _burst_replies(self, number: int, messages: list[VisitorMessage]) -> list[TurnReply | Refused]:
        replies: list[TurnReply | Refused] = await self.it.burst(messages)  # type: ignore[attr-defined]
        return replies

    async def _callback(self, kind: str) -> None:
        opened = self.it.world.callbacks
        callback_id = opened[-1].callback_id if opened and kind != "unknown" else "unknown"
        body: JsonValue = {"paid": kind == "right"}
        self._note(await self.it.callback(CallbackMessage(callback_id=callback_id, body=body)))

    async def _team(self, number: int, name: str, detail: Any) -> None:
        exits, nodes = ["next", "success", "error", "received", "zzz"], [*self.node_ids, "zzz"]
        actions: dict[str, Any] = {
            "claim": lambda: {"kind": "claim", "agent": AGENTS[detail]},
            "say": lambda: {"kind": "say", "agent": AGENTS[detail], "text": "Un momento"},
            "hand_back": lambda: {
                "kind": "hand_back", "agent": AGENTS[detail], "variables": {"word": "vuelta"}
            },
            "retry": lambda: {"kind": "retry"},
            "skip": lambda: {"kind": "skip", "exit": exits[detail % len(exits)]},
            "jump": lambda: {"kind": "jump", "node_id": nodes[detail % len(nodes)]},
            "set": lambda: {"kind": "set_variables", "variables": detail},
            "close": lambda: {"kind": "close", "agent": AGENTS[0], "reason": "fin"},
        }  # fmt: skip
        message = TeamMessage.model_validate({"action_id": f"action-{number}", "action": actions[name]()})
        try:
            reply = await self.it.team(message)
        except Refused as refused:
            self._note(["refused", refused.refusal.value])
        else:
            self.trace.said += reply.messages
            self._note(reply)

    async def fresh_message(self) -> None:
        """After everything: one more message is answered or refused in a typed way."""
        await self._send("fresh-message", {"type": "text", "text": "¿hola?"})

    async def close(self) -> None:
        await self._team(999, "close", None)


_FILE = {"id": "f1", "name": "foto.png", "media_type": "image/png", "size": 1_000}


class ReplayedBursts(Player):
    """Plays on the interpreter alone, its bursts being taken as another conversation took them."""

    def __init__(self, conversation: Any, node_ids: list[str], like: Trace | None) -> None:
        super().__init__(conversation, node_ids)
        self.like = like

    async def _burst_replies(self, number: int, messages: list[VisitorMessage]) -> list[TurnReply | Refused]:
        replies: dict[str, TurnReply | Refused] = {}
        if self.like is not None:
            taken = self.like.bursts.get(number, [])
            for message, reply in zip(taken, await self.it.admitted(taken), strict=True):  # type: ignore[attr-defined]
                replies[message.message_id] = reply
        for message in messages:
            if message.message_id not in replies:
                try:
                    replies[message.message_id] = await self.it.visitor(message)
                except Refused as refused:
                    replies[message.message_id] = refused
        return [replies[message.message_id] for message in messages]
