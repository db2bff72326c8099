"""A world that answers every effect by a rule of its key, fails as told, and remembers what it was asked.

The answers depend on nothing but the key, so the same conversation meets the same world on the interpreter
alone, on Temporal, and in any interleaving.
"""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections import Counter, defaultdict
from typing import Any

from pydantic import BaseModel

from flow_schema.effects import (
    EmailMessage,
    EmailSent,
    FailureType,
    FlowBundle,
    Flush,
    Flushed,
    HttpCall,
    HttpResult,
    LoadFlow,
    ModelAnswer,
    ModelCall,
    OpenCallback,
    OpenedCallback,
    RecognizedIntent,
    RecognizeIntent,
    ScriptResult,
    ScriptRun,
    StoredReply,
    ToolCall,
)
from flow_schema.flow import Flow
from flow_schema.turns import Message, Visit
from tests.flows.scripted_world import EffectRefused, TryAgain, pack

MAX_TOOL_ROUNDS = 3


class World:
    """The outside of one conversation. `failures` is how many of 20 effects fail: half pass, half do not."""

    def __init__(self, flows: dict[str, Flow], seed: int = 0, failures: int = 0) -> None:
        self._bundle = FlowBundle(flows={name: pack(name, flow) for name, flow in flows.items()})
        self.seed = seed
        self.failures = failures
        self.bodies: dict[str, set[str]] = defaultdict(set)
        """Idempotency key -> every body that was sent under it."""
        self.asked: list[tuple[str, str]] = []
        """Effect and key of every attempt, in order."""
        self.callbacks: list[OpenCallback] = []
        self.rows: dict[int, Message] = {}
        self.visits: dict[int, Visit] = {}
        self.replies: dict[str, StoredReply] = {}
        self.flushes: list[Flush] = []
        self.gates: dict[str, asyncio.Event] = {}
        """Effect name -> what its attempts wait for."""
        self.entered: Counter[str] = Counter()
        """Effect name -> attempts begun."""
        self._failed: set[str] = set()

    def flows(self) -> FlowBundle:
        return self._bundle

    async def attempt(self, name: str, argument: BaseModel, attempt: int) -> Any:
        """Answers one attempt of one effect; raises TryAgain and EffectRefused."""
        self.entered[name] += 1
        if name in self.gates:
            await self.gates[name].wait()
        if isinstance(argument, LoadFlow):
            return self.flows()
        if isinstance(argument, Flush):
            return self._flush(argument)
        context = argument.context  # type: ignore[attr-defined]
        self.asked.append((name, context.key))
        self.bodies[context.key].add(body_of(argument))
        draw = self._draw(name, context.visit, context.call)
        # The last attempt that the flow allows says itself that it was the last.
        last = isinstance(argument, HttpCall) and attempt >= argument.attempts
        self._fail(context.key, draw, last=last)
        match argument:
            case HttpCall():
                return HttpResult(status=200, headers={"x-draw": str(draw)}, body={"value": draw % 100})
            case ModelCall():
                return self._model(argument, draw)
            case RecognizeIntent():
                found = draw % (len(argument.intents) + 1)
                intent = argument.intents[found].name if found < len(argument.intents) else None
                return RecognizedIntent(intent=intent, confidence=0.9 if intent else 0)
            case EmailMessage():
                return EmailSent(message_id=f"<{context.key}>", accepted=argument.to)
            case ScriptRun():
                return ScriptResult(value={"value": draw % 100})
            case OpenCallback():
                self.callbacks.append(argument)
                url = f"https://bot.example/{context.visit}" if argument.reveal else None
                return OpenedCallback(callback_id=argument.callback_id, url=url)
            case _:
                raise AssertionError(f"no such effect: {name}")

    def _draw(self, name: str, visit: int, call: int) -> int:
        return zlib.crc32(f"{self.seed}:{name}:{visit}:{call}".encode())

    def _fail(self, key: str, draw: int, *, last: bool) -> None:
        """Each key fails at most once, so that a manual retry gets through."""
        fate = (draw >> 8) % 20
        if fate < self.failures and key not in self._failed:
            self._failed.add(key)
            if fate % 2 and not last:
                raise TryAgain("the world stumbles")
            raise EffectRefused(FailureType.REFUSED, "the world says no")

    def _model(self, call: ModelCall, draw: int) -> ModelAnswer:
        answer = ModelAnswer(model="world/model")
        if call.labels:
            answer.parsed = {"label": call.labels[draw % len(call.labels)].id, "confidence": 0.8}
        elif call.response_schema is not None:
            properties = call.response_schema.get("properties", {})
            answer.parsed = {name: _typed(schema, draw) for name, schema in properties.items()}
        else:
            rounds = sum(message.role == "tool" for message in call.messages)
            if call.tools and rounds < MAX_TOOL_ROUNDS and draw % 3:
                tool = call.tools[draw % len(call.tools)]
                answer.tool_calls = [
                    ToolCall(id=f"call-{draw}", name=tool.name, arguments={"given": f"v{draw % 10}"})
                ]
            answer.text = f"respuesta {draw % 1000}" if not answer.tool_calls or draw % 2 else ""
        return answer

    def _flush(self, flush: Flush) -> Flushed:
        """Rows as the tables keep them: unique by number, a second write changes nothing."""
        self.flushes.append(flush)
        for message in flush.messages:
            known = self.rows.setdefault(message.seq, message)
            assert known == message, f"row {message.seq} was written twice, differently"
        for visit in flush.visits:
            self.visits[visit.number] = visit
        for reply in flush.replies:
            kept = self.replies.setdefault(reply.message_id, reply)
            assert kept == reply, f"the reply to {reply.message_id} was written twice, differently"
        return Flushed(messages=len(flush.messages), visits=len(flush.visits))


def body_of(argument: BaseModel) -> str:
    """What the other side sees of an effect: without the marks, which are drawn anew, and expiry times."""
    data = argument.model_dump(mode="json", exclude={"expires_at", "marker", "callback_id"})
    data["context"].pop("personal", None)
    text = json.dumps(data, sort_keys=True)
    marker = getattr(argument, "marker", None)
    return text.replace(marker, "MARK") if marker else text


def _typed(schema: dict[str, Any], draw: int) -> Any:
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if "enum" in schema:
        return schema["enum"][draw % len(schema["enum"])]
    values = {"string": f"t{draw % 10}", "number": draw % 50, "integer": draw % 50, "boolean": bool(draw % 2)}
    return values.get(kind)


_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_UNIQUE = re.compile(r"\b[0-9a-f]{32}\b")
_BURST = re.compile(r"\bburst-(\d+)-\d+")


def normalized(value: Any, conversation_id: str) -> Any:
    """JSON without what differs from run to run: times, random ids, the conversation's id, order in a burst."""
    text = json.dumps(value, ensure_ascii=False).replace(conversation_id, "CONVERSATION")
    text = _BURST.sub(r"burst-\1", _UNIQUE.sub("UNIQUE", _STAMP.sub("TIME", text)))
    return json.loads(text)
