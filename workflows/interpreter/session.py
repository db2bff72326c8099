"""A conversation in memory: takes events one at a time and answers them. Knows no Temporal.

The shell around it (the workflow, or a test) gives it one event after another and never two at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flow_schema.effects import (
    CallbackMessage,
    CallbackReply,
    ConversationRecord,
    ConversationStart,
    Flush,
    StoredReply,
    TeamMessage,
    VisitorMessage,
)
from flow_schema.turns import (
    MAX_PENDING,
    MAX_VALUE_BYTES,
    ChoiceInput,
    ConversationSnapshot,
    ConversationStatus,
    EventInput,
    Message,
    MessageRole,
    Refusal,
    StartInput,
    TeamReply,
    TextInput,
    TurnReply,
    input_hash,
)
from workflows.interpreter.bounds import digest, first_bytes, forget_oldest
from workflows.interpreter.effects import Effects
from workflows.interpreter.graph import FlowGraph
from workflows.interpreter.opening import trigger_of
from workflows.interpreter.outcomes import CallbackReceived, DeadlinePassed, StepEvent, VisitorSaid
from workflows.interpreter.phrases import phrase
from workflows.interpreter.state import (
    KEPT_CALLBACKS,
    KEPT_REPLIES,
    KEPT_REPLY_BYTES,
    KEPT_SEEN,
    ConversationState,
    Frame,
)
from workflows.interpreter.steps.action import known_language
from workflows.interpreter.steps.webhook import why_unfit
from workflows.interpreter.team import Refused, TeamActions
from workflows.interpreter.transcript import Transcript
from workflows.interpreter.visitor_content import content_of
from workflows.interpreter.walk import Walk, initial_variables, masked

MAX_PAGE_EVENTS = 20
MAX_PAGE_EVENTS_CHARACTERS = 100_000
MAX_BATCH_BYTES = 600_000
"""Of messages, and of visits, in one batch for the tables."""
OPENING_TIMEOUT = timedelta(minutes=10)
"""After this long without an accepted first message, the conversation ends without a trace."""


def new_state(start: ConversationStart, now: datetime) -> ConversationState:
    """The state of a conversation that nobody has spoken to yet."""
    return ConversationState(start=start, started_at=now, last_activity=now)


class Session:
    """One conversation. Call `load` before the first event."""

    def __init__(self, state: ConversationState, effects: Effects) -> None:
        self.state = state
        self.effects = effects
        self.transcript = Transcript(state)
        self.interrupting = False
        """Set by the shell to stop the work in progress: the turn then ends where it is. The shell cancels
        the task only while `walking`, else the walk does not begin."""
        self.walking = False
        self.loaded = False

    def load(self, graphs: dict[str, FlowGraph]) -> None:
        """Gives the session its pinned flows."""
        self.graphs = graphs
        self.walk = Walk(self.state, graphs, self.effects, self.transcript)
        self.team_actions = TeamActions(self.state, self.walk)
        self.loaded = True

    # --- admission ------------------------------------------------------------------------------

    def known_reply(self, message: VisitorMessage) -> TurnReply | None:
        """The reply already given to this message. Raises `Refused` if the id was used for another input."""
        reply = self.state.replies.get(message.message_id)
        if reply is not None and reply.input_hash != input_hash(message.input):
            raise id_reused()
        return reply

    def check(self, message: VisitorMessage, pending: int) -> None:
        """Raises `Refused` if the message can't be taken. What was answered passes. Changes nothing."""
        state = self.state
        if self.known_reply(message) is not None:
            return
        if digest(message.message_id) in state.seen:
            raise Refused(Refusal.ANSWERED_BEFORE, "this message was answered long ago: read the transcript")
        if state.status is ConversationStatus.ENDED:
            raise Refused(Refusal.CLOSED, "the conversation has ended: start a new one")
        if pending >= MAX_PENDING:
            raise Refused(
                Refusal.TOO_MANY_PENDING, f"{MAX_PENDING} messages are waiting for an answer: wait for them"
            )
        if len(message.input.model_dump_json().encode()) > MAX_VALUE_BYTES:
            raise Refused(Refusal.TOO_LARGE, f"the message has more than {MAX_VALUE_BYTES} bytes")
        if pending == 0:
            self._check_kind(message)

    def _check_kind(self, message: VisitorMessage) -> None:
        """Refuses what does not answer what is asked now; only possible while nothing is in progress."""
        state, waiting = self.state, self.state.waiting
        if isinstance(message.input, StartInput):
            if state.opened:
                raise Refused(Refusal.WRONG_KIND, "the conversation is open already: send `text` or `choice`")
            return
        if waiting is None or waiting.kind != "visitor" or isinstance(message.input, TextInput | EventInput):
            return
        kind = message.input.type
        if kind not in waiting.accepts:
            raise Refused(
                Refusal.WRONG_KIND,
                f"a `{kind}` does not answer what is asked: send one of {', '.join(waiting.accepts)}",
            )
        if isinstance(message.input, ChoiceInput):
            if message.input.prompt is not None and message.input.prompt != waiting.prompt:
                raise Refused(Refusal.STALE_PROMPT, "that question is no longer open: answer the newest one")
            known = {option["id"] for option in state.frame.local.get("options", [])}
            unknown = [option for option in message.input.options if option not in known]
            if unknown or not (message.input.options or state.frame.local.get("several")):
                wrong = f"there is no option {', '.join(unknown)}" if unknown else "no option was chosen"
                raise Refused(Refusal.UNKNOWN_OPTION, f"{wrong}: choose from {', '.join(sorted(known))}")

    # --- the visitor ----------------------------------------------------------------------------

    async def visitor(self, messages: Sequence[VisitorMessage]) -> TurnReply:
        """Answers a message, or several texts as one. The last one's reply carries the answer."""
        state, last = self.state, messages[-1]
        self.transcript.begin_turn(last.message_id)
        first_seq = state.last_seq + 1
        state.last_activity = self.effects.now()
        state.turns += len(messages)
        inputs = [self._recorded(message) for message in messages]
        if state.status is not ConversationStatus.ENDED:
            await self._answer(inputs)
        reply = self._reply(last, self.transcript.end_turn(), first_seq, None)
        for message in messages[:-1]:
            self._reply(message, [], first_seq, last.message_id)
        return reply

    def _recorded(self, message: VisitorMessage) -> VisitorSaid:
        """Writes the visitor's message into the transcript."""
        state = self.state
        options = state.frame.local.get("options", []) if state.frames else []
        content, text = content_of(message, options, lambda key: phrase(key, state.language))
        if text is not None:
            state.last_message = text
        if content is not None:
            self.transcript.add(
                MessageRole.USER, content, self.effects.now(), client_message_id=message.message_id
            )
        return VisitorSaid(input=message.input, files=message.files)

    async def _answer(self, inputs: list[VisitorSaid]) -> None:
        state, said = self.state, inputs[-1]
        if len(inputs) > 1:
            texts = [one.input.text for one in inputs if isinstance(one.input, TextInput)]
            said = VisitorSaid(input=TextInput.model_construct(type="text", text="\n".join(texts)))
            state.last_message = "\n".join(texts)
        if not state.opened:
            await self._open(said)
            return
        if isinstance(said.input, EventInput):
            events = [*state.page.get("events", []), {"name": said.input.name, "data": said.input.data}]
            while len(events) > MAX_PAGE_EVENTS or len(json.dumps(events)) > MAX_PAGE_EVENTS_CHARACTERS:
                del events[0]
            state.page = {**state.page, "events": events}
            return
        waiting = state.waiting
        if waiting is None or isinstance(said.input, StartInput):
            return
        if waiting.kind == "visitor" or (waiting.kind in ("timer", "callback") and state.accepts_reply):
            await self._go_on(said)

    async def _open(self, said: VisitorSaid) -> None:
        state = self.state
        start = said.input if isinstance(said.input, StartInput) else StartInput(type="start")
        flow = self.walk.main.flow
        state.opened = True
        state.language = known_language(start.language or "", flow.all_languages()) or flow.language
        state.locale = start.language or ""
        state.page = dict(start.page)
        state.page["trigger"] = trigger_of(start, self.walk.main).model_dump(mode="json")
        state.visitor = {**state.start.user_metadata, "id": state.start.user_identifier}
        if start.trigger.kind == "channel" and start.trigger.name:
            state.channel = start.trigger.name
        variables, ignored = initial_variables(self.walk.main, start.variables)
        first = state.start.start_node or self.walk.main.start_id
        if first is None:
            raise ValueError("a flow without a start node can't be published")
        state.frames = [Frame(node_id=first, variables=variables)]
        self.walk.enter(first)
        if ignored and state.frame.record is not None:
            state.frame.record.error = ("ignored inputs: " + "; ".join(ignored))[:500]
        await self._walk()

    async def _go_on(self, event: StepEvent) -> None:
        self.walk.resume(event)
        await self._walk()

    async def _walk(self) -> None:
        """Walks; an interruption by the team leaves the step where it is, without a wait."""
        if not self.interrupting:
            await self._walk_on()

    async def _walk_on(self) -> None:
        self.walking = True
        try:
            await self.walk.walk()
        except asyncio.CancelledError:
            if not self.interrupting:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            self.state.frame.calls = self.state.frame.event_calls
        finally:
            self.walking = False

    def _reply(
        self, message: VisitorMessage, messages: list[Message], first_seq: int, answered_by: str | None
    ) -> TurnReply:
        state = self.state
        reply = TurnReply.model_construct(
            conversation_id=state.start.conversation_id,
            message_id=message.message_id,
            status=state.status,
            messages=messages,
            last_seq=state.last_seq,
            waiting=state.waiting,
            language=state.language,
            answered_by=answered_by,
            input_hash=input_hash(message.input),
        )
        state.replies[message.message_id] = reply
        state.seen[digest(message.message_id)] = None
        forget_oldest(state.replies, KEPT_REPLIES)
        forget_oldest(state.seen, KEPT_SEEN)
        state.outbox_replies.append(
            StoredReply.model_construct(
                message_id=message.message_id,
                body_hash=reply.input_hash,
                status=reply.status,
                last_seq=reply.last_seq,
                first_seq=first_seq,
                answered_by=answered_by,
                waiting=reply.waiting,
                language=reply.language,
                seqs=[entry.seq for entry in messages],
            )
        )
        return reply

    # --- the team -------------------------------------------------------------------------------

    def check_team(self, message: TeamMessage) -> None:
        """Raises `Refused` if the action can't be taken. What was done before passes. Changes nothing."""
        if self._known_team_reply(message) is None and self.state.status is ConversationStatus.ENDED:
            raise Refused(Refusal.CLOSED, "the conversation has ended")

    def _known_team_reply(self, message: TeamMessage) -> TeamReply | None:
        known = self.state.team_replies.get(message.action_id)
        if known is not None and known.action_hash and known.action_hash != input_hash(message.action):
            raise Refused(Refusal.ID_REUSED, "this action id was used for another action")
        return known

    async def team(self, message: TeamMessage) -> TeamReply:
        """Does what the team asks. Repeating an action id gives the same answer. Raises `Refused`."""
        state = self.state
        known = self._known_team_reply(message)
        if known is not None:
            return known
        self.transcript.begin_turn(None)
        if await self.team_actions.apply(message.action_id, message.action, self.effects.now()):
            await self._walk()
        state.outbox_changed = True
        reply = TeamReply(
            action_id=message.action_id,
            status=state.status,
            last_seq=state.last_seq,
            messages=self.transcript.end_turn(),
            agent=state.agent,
            action_hash=input_hash(message.action),
        )
        state.team_replies[message.action_id] = reply
        forget_oldest(state.team_replies, KEPT_REPLIES)
        return reply

    async def close(self, reason: str) -> None:
        """Ends the conversation from outside."""
        if not self.state.opened:
            self._forget(reason)
        elif self.state.status is not ConversationStatus.ENDED:
            self.team_actions.close(reason, self.effects.now())

    def _forget(self, reason: str) -> None:
        """Ends a conversation that nobody has opened; no row tells of it."""
        state = self.state
        state.status, state.ended_at, state.end_reason = ConversationStatus.ENDED, self.effects.now(), reason

    # --- callbacks and time ---------------------------------------------------------------------

    async def callback(self, message: CallbackMessage) -> CallbackReply:
        """Takes a call to a one-time address, once; the same again is a duplicate, another body is late. One
        that does not fit its variables leaves the address open."""
        state = self.state
        body_hash = hashlib.sha256(json.dumps(message.body, sort_keys=True).encode()).hexdigest()[:32]
        if message.callback_id in state.callbacks:
            same = state.callbacks[message.callback_id] == body_hash
            return CallbackReply(outcome="duplicate" if same else "late")
        event = CallbackReceived(body=message.body, headers=message.headers)
        suspended = state.suspended
        held = suspended is not None and message.callback_id == (
            suspended.callback_id
            if suspended.waiting is not None
            else state.frame.local.get("callback_id")  # its address was being handed out
        )
        if state.callback_id != message.callback_id and not held:
            return CallbackReply(outcome="late")
        node = self.walk.graph.nodes[state.frame.node_id]
        if reason := why_unfit(event, self.walk.context(node, event)):
            return CallbackReply(outcome="unfit", reason=reason)
        state.callbacks[message.callback_id] = body_hash
        forget_oldest(state.callbacks, KEPT_CALLBACKS)
        if held and suspended is not None:
            suspended.callback = event
        else:
            self.transcript.begin_turn(None)
            await self._go_on(event)
        return CallbackReply(outcome="received")

    def next_deadline(self) -> datetime | None:
        """When `advance` will have something to do, if nothing else happens before."""
        if self.state.status is ConversationStatus.ENDED:
            return None
        if not self.state.opened:
            return self.state.started_at + OPENING_TIMEOUT
        times = [time for time in (self.state.deadline, self._inactive_at()) if time is not None]
        return min(times, default=None)

    def _inactive_at(self) -> datetime | None:
        state = self.state
        if state.waiting is None or state.waiting.kind != "visitor":
            return None
        timeout: timedelta | None = self.walk.main.flow.settings.inactivity_timeout
        return None if timeout is None else max(state.waiting.since, state.last_activity) + timeout

    async def advance(self) -> bool:
        """Fires what is due now; whether anything was."""
        state, now = self.state, self.effects.now()
        if not state.opened:
            if now < state.started_at + OPENING_TIMEOUT:
                return False
            self._forget("never opened")
            return True
        inactive_at = self._inactive_at()
        due = state.deadline is not None and state.deadline <= now
        if due and (inactive_at is None or state.deadline <= inactive_at):  # type: ignore[operator]
            self.transcript.begin_turn(None)
            await self._go_on(DeadlinePassed())
            return True
        if inactive_at is None or inactive_at > now:
            return False
        self.transcript.begin_turn(None)
        settings = self.walk.main.flow.settings
        target = settings.inactivity_target
        if target is not None and not state.inactivity_used and target in self.walk.main.nodes:
            state.inactivity_used = True
            self.team_actions.move_to(target)
            await self._walk()
        else:
            text = self.walk.setting_text("inactivity_text")
            self.transcript.notice("inactive", text or phrase("inactive", state.language), now)
            self.walk.end("inactive")
        return True

    def travel_light(self) -> None:
        """Leaves behind the older replies that would make the state too large; the tables have them."""
        for replies in (self.state.replies, self.state.team_replies):
            size = 0
            for key, reply in reversed(list(replies.items())):
                size += len(reply.model_dump_json())
                if size > KEPT_REPLY_BYTES:
                    del replies[key]

    # --- views ----------------------------------------------------------------------------------

    def visible_variables(self) -> dict[str, Any]:
        """The main flow's variables, personal ones masked; none before the flows are loaded."""
        if not self.state.frames or not self.loaded:
            return {}
        return masked(self.state.frames[0].variables, self.walk.main)

    def sub_flow_variables(self) -> dict[str, Any]:
        """The variables of the flow that another one runs now, personal ones masked; else none."""
        if len(self.state.frames) < 2 or not self.loaded:
            return {}
        return masked(self.state.frame.variables, self.walk.graph)

    def snapshot(self) -> ConversationSnapshot:
        """Where the conversation is and how it got there."""
        state = self.state
        return ConversationSnapshot(
            conversation_id=state.start.conversation_id,
            organization_id=state.start.organization_id,
            chatbot_id=state.start.chatbot_id,
            flow_version_id=state.start.flow_version_id,
            mode=state.start.mode,
            status=state.status,
            language=state.language,
            node_id=state.frame.node_id if state.frames else None,
            waiting=state.waiting,
            variables=self.visible_variables(),
            sub_flow=state.frame.flow if len(state.frames) > 1 else None,
            sub_flow_variables=self.sub_flow_variables(),
            path=list(state.path),
            agent=state.agent,
            tags=state.tags,
            last_seq=state.last_seq,
            turns=state.turns,
        )

    # --- the outbox -----------------------------------------------------------------------------

    def has_outbox(self) -> bool:
        """Whether anything is to be written to the tables."""
        state = self.state
        return bool(
            state.outbox_messages or state.outbox_visits or state.outbox_replies or state.outbox_changed
        )

    def take_outbox(self) -> Flush:
        """Empties the outbox, or its beginning, into a batch, which the caller has to write in the end."""
        state, start = self.state, self.state.start
        flush = Flush(
            record=ConversationRecord(
                organization_id=start.organization_id,
                chatbot_id=start.chatbot_id,
                conversation_id=start.conversation_id,
                flow_version_id=start.flow_version_id,
                mode=start.mode,
                session_id=start.session_id or start.conversation_id,
                user_identifier=start.user_identifier,
                user_metadata=start.user_metadata,
                status=state.status,
                language=state.language,
                started_at=state.started_at,
                last_activity=self.effects.now(),
                ended_at=state.ended_at,
                satisfaction_rating=state.satisfaction_rating,
                feedback=state.feedback,
                tags=list(state.tags),
                waiting=state.waiting,
                agent_id=state.agent.id if state.agent else None,
                variables=self.visible_variables(),
                escalation=state.escalation.model_dump(mode="json") if state.escalation else None,
                last_seq=state.last_seq,
            ),
            messages=first_bytes(state.outbox_messages, MAX_BATCH_BYTES),
            visits=first_bytes(state.outbox_visits, MAX_BATCH_BYTES),
            replies=state.outbox_replies,
        )
        state.outbox_messages = state.outbox_messages[len(flush.messages) :]
        state.outbox_visits = state.outbox_visits[len(flush.visits) :]
        state.outbox_replies, state.outbox_changed = [], False
        return flush


def id_reused() -> Refused:
    return Refused(Refusal.ID_REUSED, "this message id was used for another message: make a new id")


__all__ = ["Refused", "Session", "digest", "id_reused", "new_state"]
