"""A conversation on the interpreter alone, under a clock set by hand.

After every event the state takes a round trip as JSON and has to come back equal, which is what
continue-as-new does to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from flow_schema.effects import (
    CALL_MODEL,
    FLUSH_TRANSCRIPT,
    HTTP_REQUEST,
    OPEN_CALLBACK,
    RECOGNIZE_INTENT,
    RUN_SCRIPT,
    SEND_EMAIL,
    CallbackMessage,
    CallbackReply,
    ConversationStart,
    EmailMessage,
    EmailSent,
    HttpCall,
    HttpResult,
    ModelAnswer,
    ModelCall,
    OpenCallback,
    OpenedCallback,
    RecognizedIntent,
    RecognizeIntent,
    ScriptResult,
    ScriptRun,
    TeamMessage,
    VisitorMessage,
)
from flow_schema.nodes.request import RetryPolicy
from flow_schema.turns import ConversationSnapshot, TeamReply, TurnReply
from tests.flows.scripted_world import EffectRefused, TryAgain
from tests.workflows.world import World
from workflows.interpreter.graph import graphs
from workflows.interpreter.outcomes import EffectFailed
from workflows.interpreter.session import Refused, Session, new_state
from workflows.interpreter.state import ConversationState

BEGIN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ATTEMPTS = 5


class WorldEffects:
    """The interpreter's effects over a world, repeated as activities are."""

    def __init__(self, world: World, now: datetime = BEGIN) -> None:
        self.world = world
        self.clock = now
        self.made = 0
        self.flushed: Callable[[], Awaitable[None]] | None = None

    def now(self) -> datetime:
        return self.clock

    def unique(self) -> str:
        self.made += 1
        return f"{self.made:032x}"

    async def flush(self) -> None:
        if self.flushed is not None:
            await self.flushed()

    async def _effect(self, name: str, argument: BaseModel, attempts: int = ATTEMPTS) -> Any:
        for attempt in range(1, attempts + 1):
            try:
                return await self.world.attempt(name, argument, attempt)
            except TryAgain as failure:
                if attempt == attempts:
                    raise EffectFailed(str(failure), "try-again") from failure
            except EffectRefused as failure:
                raise EffectFailed(str(failure), failure.type) from failure
        raise AssertionError("no attempt was made")

    async def http_request(self, call: HttpCall, retry: RetryPolicy, summary: str) -> HttpResult:
        result: HttpResult = await self._effect(HTTP_REQUEST, call, retry.attempts)
        return result

    async def call_model(self, call: ModelCall, summary: str) -> ModelAnswer:
        result: ModelAnswer = await self._effect(CALL_MODEL, call)
        return result

    async def recognize_intent(self, request: RecognizeIntent, summary: str) -> RecognizedIntent:
        result: RecognizedIntent = await self._effect(RECOGNIZE_INTENT, request)
        return result

    async def send_email(self, message: EmailMessage, summary: str) -> EmailSent:
        result: EmailSent = await self._effect(SEND_EMAIL, message)
        return result

    async def run_script(self, run: ScriptRun, summary: str) -> ScriptResult:
        result: ScriptResult = await self._effect(RUN_SCRIPT, run)
        return result

    async def open_callback(self, request: OpenCallback, summary: str) -> OpenedCallback:
        result: OpenedCallback = await self._effect(OPEN_CALLBACK, request)
        return result


class PureConversation:
    """Events one at a time; `session` is always fresh from JSON."""

    def __init__(self, world: World, start: ConversationStart | None = None) -> None:
        self.world = world
        self.effects = WorldEffects(world)
        self.effects.flushed = self._flush
        self.graphs = graphs(world.flows())
        self.conversation_id = start.conversation_id if start else "pure-conversation"
        self.start = start or conversation_start(self.conversation_id)
        self.session = self._session(new_state(self.start, BEGIN))

    def _session(self, state: ConversationState) -> Session:
        session = Session(state, self.effects)
        session.load(self.graphs)
        return session

    @property
    def state(self) -> ConversationState:
        return self.session.state

    async def _flush(self) -> None:
        while self.session.has_outbox():
            flush = self.session.take_outbox()
            sent = type(flush).model_validate_json(flush.model_dump_json())
            await self.world.attempt(FLUSH_TRANSCRIPT, sent, 1)

    async def _event(self, handle: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await handle()
        finally:
            await self.settle()

    async def settle(self) -> None:
        """Empties the outbox and sends the state through JSON."""
        await self._flush()
        state = ConversationState.model_validate(self.state.model_dump(mode="json"))
        assert state == self.state, "the state changes on its way through JSON"
        self.session = self._session(state)

    async def visitor(self, message: VisitorMessage) -> TurnReply:
        async def handle() -> TurnReply:
            self.session.check(message, 0)
            known = self.session.known_reply(message)
            return known if known is not None else await self.session.visitor([message])

        reply: TurnReply = await self._event(handle)
        return reply

    async def admitted(self, messages: list[VisitorMessage]) -> list[TurnReply]:
        """Messages that were admitted before any of them was answered."""
        return [await self._event(lambda one=message: self.session.visitor([one])) for message in messages]  # type: ignore[misc]

    async def team(self, message: TeamMessage) -> TeamReply:
        reply: TeamReply = await self._event(lambda: self.session.team(message))
        return reply

    async def callback(self, message: CallbackMessage) -> CallbackReply:
        reply: CallbackReply = await self._event(lambda: self.session.callback(message))
        return reply

    async def pass_time(self, duration: timedelta) -> None:
        end = self.effects.clock + duration
        while (due := self.session.next_deadline()) is not None and due <= end:
            self.effects.clock = max(due, self.effects.clock)
            assert await self._event(self.session.advance), f"nothing was due at {due}"
        self.effects.clock = end

    async def snapshot(self) -> ConversationSnapshot:
        return self.session.snapshot()


def conversation_start(conversation_id: str, **values: Any) -> ConversationStart:
    return ConversationStart(
        conversation_id=conversation_id,
        organization_id="organization",
        chatbot_id=conversation_id,
        flow_version_id="version-main",
        content_hash="hash",
        **values,
    )


__all__ = ["BEGIN", "PureConversation", "Refused", "WorldEffects", "conversation_start"]
