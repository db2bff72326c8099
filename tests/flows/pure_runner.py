"""Plays dialogues on the interpreter alone: a clock that is set by hand, effects from the script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from flow_schema.effects import (
    CALL_MODEL,
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
    Flush,
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
from flow_schema.turns import ConversationSnapshot, Message, TextInput, TurnReply
from tests.flows import player
from tests.flows.dialogue import Case
from tests.flows.scripted_world import EffectRefused, ScriptedWorld, TryAgain
from workflows.interpreter.graph import graphs
from workflows.interpreter.outcomes import EffectFailed
from workflows.interpreter.session import Refused, Session, new_state
from workflows.interpreter.state import ConversationState

ATTEMPTS = 3
"""For effects whose flow language names no number of attempts."""


class ScriptedEffects:
    """The interpreter's `Effects` over a scripted world, with repetition as activities have it."""

    def __init__(self, world: ScriptedWorld, now: datetime) -> None:
        self.world = world
        self.clock = now
        self.made = 0

    def now(self) -> datetime:
        return self.clock

    def unique(self) -> str:
        self.made += 1
        return f"{self.made:032x}"

    async def _effect(self, name: str, argument: BaseModel, attempts: int) -> Any:
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
        result: ModelAnswer = await self._effect(CALL_MODEL, call, ATTEMPTS)
        return result

    async def recognize_intent(self, request: RecognizeIntent, summary: str) -> RecognizedIntent:
        result: RecognizedIntent = await self._effect(RECOGNIZE_INTENT, request, ATTEMPTS)
        return result

    async def send_email(self, message: EmailMessage, summary: str) -> EmailSent:
        result: EmailSent = await self._effect(SEND_EMAIL, message, ATTEMPTS)
        return result

    async def run_script(self, run: ScriptRun, summary: str) -> ScriptResult:
        result: ScriptResult = await self._effect(RUN_SCRIPT, run, ATTEMPTS)
        return result

    async def open_callback(self, request: OpenCallback, summary: str) -> OpenedCallback:
        result: OpenedCallback = await self._effect(OPEN_CALLBACK, request, ATTEMPTS)
        return result

    async def flush(self) -> None:
        """The transcript of a session without a database is always written."""


class PureConversation:
    """A session under a clock that `pass_time` sets; after every event its state takes a round trip as JSON.

    That round trip is what continue-as-new does to it, so nothing may hide outside the state.
    """

    def __init__(self, case: Case) -> None:
        self.world = ScriptedWorld(case)
        self.effects = ScriptedEffects(self.world, case.dialogue.now)
        self.graphs = graphs(self.world.flows())
        main = self.world.flows().flows["main"]
        start = ConversationStart(
            conversation_id="conversation",
            organization_id="organization",
            chatbot_id="chatbot",
            flow_version_id=main.version_id,
            content_hash=main.content_hash,
        )
        self.flushed: list[Flush] = []
        self.escalation: dict[str, Any] | None = None
        self._use(new_state(start, case.dialogue.now))

    def _use(self, state: ConversationState) -> None:
        self.session = Session(state, self.effects)
        self.session.load(self.graphs)

    def _settle(self) -> None:
        """Empties the outbox and hands the state on, as the workflow does from time to time."""
        if self.session.has_outbox():
            flush = self.session.take_outbox()
            self.flushed.append(Flush.model_validate_json(flush.model_dump_json()))
            self.escalation = flush.record.escalation or self.escalation
        self._use(ConversationState.model_validate_json(self.session.state.model_dump_json()))

    async def _event(self, handle: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await handle()
        except Refused as refused:
            raise player.Refused(refused.refusal, refused.message) from refused
        finally:
            self._settle()

    async def visitor(self, message: VisitorMessage) -> TurnReply:
        async def handle() -> TurnReply:
            known = self.session.known_reply(message)
            if known is not None:
                return known
            self.session.check(message, 0)
            return await self.session.visitor([message])

        reply: TurnReply = await self._event(handle)
        return reply

    async def burst(self, messages: list[VisitorMessage]) -> list[TurnReply]:
        """As the mailbox does: all admitted first, then texts together where the flow debounces."""
        together = self.session.walk.main.flow.settings.debounce > timedelta(0)
        assert all(isinstance(message.input, TextInput) for message in messages)
        for pending, message in enumerate(messages):
            self.session.check(message, pending)

        async def handle() -> list[TurnReply]:
            if not together:
                return [await self.session.visitor([message]) for message in messages]
            last = await self.session.visitor(messages)
            earlier = [self.session.state.replies[message.message_id] for message in messages[:-1]]
            return [*earlier, last]

        replies: list[TurnReply] = await self._event(handle)
        return replies

    async def team(self, message: TeamMessage) -> None:
        await self._event(lambda: self.session.team(message))

    async def callback(self, message: CallbackMessage) -> CallbackReply:
        reply: CallbackReply = await self._event(lambda: self.session.callback(message))
        return reply

    async def pass_time(self, duration: timedelta) -> None:
        end = self.effects.clock + duration
        while (due := self.session.next_deadline()) is not None and due <= end:
            self.effects.clock = max(due, self.effects.clock)
            if not await self._event(self.session.advance):
                raise AssertionError(f"a deadline at {due} was announced, but nothing was due")
        self.effects.clock = end

    async def transcript(self) -> list[Message]:
        return [message for flush in self.flushed for message in flush.messages]

    async def snapshot(self) -> ConversationSnapshot:
        return self.session.snapshot()

    async def record(self) -> dict[str, Any]:
        record = self.flushed[-1].record.model_dump(mode="json") if self.flushed else {}
        return {**record, "escalation": self.escalation}
