"""Plays a dialogue on a conversation, whichever runs it, and checks every step.

`Conversation` is what a runner offers: the pure interpreter under a fake clock, or Temporal.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from flow_schema.effects import CallbackMessage, CallbackReply, TeamMessage, VisitorMessage
from flow_schema.turns import ConversationSnapshot, Message, MessageRole, Refusal, TurnReply
from tests.flows.dialogue import Case, Step
from tests.flows.expectations import Mismatch, check_messages, check_subset
from tests.flows.scripted_world import ScriptedWorld


class Refused(Exception):
    """The conversation refused an input."""

    def __init__(self, refusal: str, message: str = "") -> None:
        super().__init__(f"{refusal}: {message}")
        self.refusal = refusal


class Conversation(Protocol):
    """A running conversation. The four senders raise Refused."""

    world: ScriptedWorld

    async def visitor(self, message: VisitorMessage) -> TurnReply: ...

    async def burst(self, messages: list[VisitorMessage]) -> list[TurnReply]:
        """Sends all before any is answered."""

    async def team(self, message: TeamMessage) -> None: ...

    async def callback(self, message: CallbackMessage) -> CallbackReply: ...

    async def pass_time(self, duration: timedelta) -> None:
        """Returns when everything due by then has happened."""

    async def transcript(self) -> list[Message]:
        """Every message so far, in order."""

    async def snapshot(self) -> ConversationSnapshot: ...

    async def record(self) -> dict[str, Any]:
        """The conversation's row as it would stand in the tables."""


class Player:
    """Plays one case. `play` raises Mismatch at the first thing that goes otherwise."""

    def __init__(self, case: Case, conversation: Conversation) -> None:
        self.case = case
        self.conversation = conversation
        self.seen = 0
        self.sent = 0
        self.last_message: VisitorMessage | None = None
        self.last_reply: TurnReply | None = None
        self.last_prompt: int | None = None

    async def play(self) -> None:
        dialogue = self.case.dialogue
        opening = VisitorMessage(message_id=self._message_id(), input=dialogue.start.visitor_input())
        if dialogue.refuse is not None:
            await self._refused("the opening", dialogue.refuse, self.conversation.visitor(opening))
            return
        await self._say("the opening", opening, dialogue.greeting)
        for number, step in enumerate(dialogue.steps, start=1):
            await self._step(f"step {number} ({step.action})", step)
        await self._check_end()

    def _message_id(self) -> str:
        self.sent += 1
        return f"message-{self.sent:04d}"

    async def _step(self, place: str, step: Step) -> None:
        match step.action:
            case "say" | "choose" | "value" | "files" | "event":
                await self._visitor_step(place, step)
            case "burst":
                await self._burst_step(place, step)
            case "wait":
                assert step.wait is not None
                await self.conversation.pass_time(step.wait)
                await self._check_new(place, step.expect)
            case "callback":
                await self._callback_step(place, step)
            case "agent" | "operator":
                message = TeamMessage(action_id=self._message_id(), action=step.team_action())
                if step.refuse is not None:
                    await self._refused(place, step.refuse, self.conversation.team(message))
                else:
                    await self.conversation.team(message)
                    await self._check_new(place, step.expect)
            case "duplicate":
                await self._duplicate_step(place, step)
            case action:
                raise AssertionError(f"unknown action {action}")
        await self._check_state(place, step)

    async def _visitor_step(self, place: str, step: Step) -> None:
        files = [file.model_dump(mode="json") for file in step.files or []]
        message = VisitorMessage(
            message_id=self._message_id(), input=step.visitor_input(self.last_prompt), files=files
        )
        if step.refuse is not None:
            await self._refused(place, step.refuse, self.conversation.visitor(message))
        else:
            await self._say(place, message, step.expect)

    async def _say(self, place: str, message: VisitorMessage, expected: list[Any]) -> None:
        reply = await self.conversation.visitor(message)
        self.last_message, self.last_reply = message, reply
        check_messages(place, expected, reply.messages)
        if reply.message_id != message.message_id:
            raise Mismatch(f"{place}: the reply is for {reply.message_id}, not {message.message_id}")
        await self._check_new(place, expected)

    async def _burst_step(self, place: str, step: Step) -> None:
        messages = [
            VisitorMessage.model_validate(
                {"message_id": self._message_id(), "input": {"type": "text", "text": text}}
            )
            for text in step.burst or []
        ]
        replies = await self.conversation.burst(messages)
        for message, reply in zip(messages, replies, strict=True):
            if reply.answered_by is None and reply.message_id != message.message_id:
                raise Mismatch(f"{place}: {message.message_id} got the reply of {reply.message_id}")
        await self._check_new(place, step.expect)

    async def _callback_step(self, place: str, step: Step) -> None:
        assert step.callback is not None
        message = CallbackMessage(
            callback_id=self.conversation.world.callback_id(step.callback.node),
            body=step.callback.body,
            headers=step.callback.headers,
        )
        if step.refuse is not None:
            await self._refused(place, step.refuse, self.conversation.callback(message))
            return
        reply = await self.conversation.callback(message)
        if reply.outcome != step.callback.outcome:
            raise Mismatch(f"{place}: the callback was {reply.outcome}, not {step.callback.outcome}")
        await self._check_new(place, step.expect)

    async def _duplicate_step(self, place: str, step: Step) -> None:
        assert self.last_message is not None
        message = self.last_message
        if isinstance(step.duplicate, dict):
            message = VisitorMessage.model_validate(
                {"message_id": message.message_id, "input": step.duplicate}
            )
        if step.refuse is not None:
            await self._refused(place, step.refuse, self.conversation.visitor(message))
            return
        reply = await self.conversation.visitor(message)
        if reply != self.last_reply:
            raise Mismatch(f"{place}: the same message got another reply\n{self.last_reply}\n{reply}")
        await self._check_new(place, [])

    async def _refused(self, place: str, refusal: Refusal, sending: Any) -> None:
        try:
            reply = await sending
        except Refused as refused:
            if refused.refusal != refusal:
                raise Mismatch(f"{place}: refused as {refused.refusal}, not {refusal}") from refused
        else:
            raise Mismatch(f"{place}: {refusal} was expected, but it was taken: {reply}")

    async def _check_new(self, place: str, expected: list[Any]) -> None:
        """Everything that was said since the last step, by others than the visitor."""
        transcript = await self.conversation.transcript()
        numbers = [message.seq for message in transcript]
        if numbers != list(range(1, len(numbers) + 1)):
            raise Mismatch(f"{place}: the transcript's numbers have gaps: {numbers}")
        said = [
            message
            for message in transcript
            if message.seq > self.seen and message.role is not MessageRole.USER
        ]
        check_messages(place, expected, said)
        self.seen = len(transcript)
        prompts = [message.seq for message in said if message.content.type in ("choices", "input", "csat")]
        self.last_prompt = prompts[-1] if prompts else self.last_prompt

    async def _check_state(self, place: str, step: Step) -> None:
        if not {"status", "waiting", "node", "variables"} & step.model_fields_set:
            return
        snapshot = await self.conversation.snapshot()
        _check_snapshot(place, snapshot, step.status, step.waiting, step.node, step.variables)

    async def _check_end(self) -> None:
        end = self.case.dialogue.end
        snapshot = await self.conversation.snapshot()
        _check_snapshot("at the end", snapshot, end.status, end.waiting, end.node, end.variables)
        path = [
            visit.node_id if visit.flow == "main" else f"{visit.flow}/{visit.node_id}"
            for visit in snapshot.path
        ]
        if end.path is not None and path != end.path:
            raise Mismatch(f"at the end: the path is {path}, not {end.path}")
        exits = [f"{visit.node_id}.{visit.exit}" for visit in snapshot.path if visit.exit is not None]
        if end.exits is not None and exits != end.exits:
            raise Mismatch(f"at the end: the exits are {exits}, not {end.exits}")
        record = await self.conversation.record()
        if end.language is not None:
            check_subset("language", end.language, snapshot.language)
        if end.tags is not None:
            check_subset("tags", sorted(end.tags), sorted(snapshot.tags))
        for key, field in (("rating", "satisfaction_rating"), ("feedback", "feedback")):
            if key in end.model_fields_set:
                check_subset(key, getattr(end, key), record[field])
        if end.escalation is not None:
            check_subset("escalation", end.escalation, record["escalation"])
        shown = snapshot.model_dump_json() + str(record)
        for text in end.hidden:
            if text in shown:
                raise Mismatch(f"at the end: {text!r} is shown to the team")
        self._check_world()

    def _check_world(self) -> None:
        end, world = self.case.dialogue.end, self.conversation.world
        if end.emails is not None:
            check_subset("emails", end.emails, world.emails)
        if end.requests is not None:
            check_subset("requests", end.requests, world.requests)
        if end.model_calls is not None:
            calls = [
                {"node": call.context.node_id, **call.model_dump(mode="json")} for call in world.model_calls
            ]
            check_subset("model_calls", end.model_calls, calls)
        if left := world.left_over():
            raise Mismatch(f"at the end: scripted answers that nobody asked for: {left}")


def _check_snapshot(
    place: str,
    snapshot: ConversationSnapshot,
    status: str | None,
    waiting: str | None,
    node: str | None,
    variables: dict[str, Any],
) -> None:
    found = {
        "status": (status, snapshot.status.value),
        "waiting": (waiting, snapshot.waiting.kind if snapshot.waiting else None),
        "node": (node, snapshot.node_id),
    }
    for name, (wanted, actual) in found.items():
        if wanted is not None and wanted != actual:
            raise Mismatch(f"{place}: {name} is {actual}, not {wanted}")
    check_subset(f"{place}: variables", variables, snapshot.variables)
