"""One conversation as a durable workflow: a mailbox, a main loop, and continue-as-new.

Whatever happens to a conversation is an event in the mailbox, and only the main loop takes events and walks
the graph. Update handlers put their event in and wait for its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from flow_schema.effects import (
        CONVERSATION_WORKFLOW,
        QUERY_SNAPSHOT,
        QUERY_TAIL,
        UPDATE_CALLBACK,
        UPDATE_TEAM,
        UPDATE_VISITOR,
        CallbackMessage,
        CallbackReply,
        ConversationStart,
        LoadFlow,
        TeamMessage,
        VisitorMessage,
    )
    from flow_schema.turns import (
        Claim,
        Close,
        ConversationSnapshot,
        ConversationStatus,
        ConversationTail,
        Refusal,
        TeamReply,
        TextInput,
        TurnReply,
    )
    from workflows.details import details
    from workflows.effects import TemporalEffects, load_flow
    from workflows.interpreter.graph import graphs
    from workflows.interpreter.session import Session, id_reused, new_state
    from workflows.interpreter.state import ConversationState
    from workflows.interpreter.team import Refused
    from workflows.outbox import FLUSH_AFTER, Outbox

UPDATES_PER_RUN = 500
"""From here on the conversation moves to a new run as soon as nothing is in progress: early, since a worker
that does not have the conversation in its cache replays the whole run within one task's timeout."""
MOST_UPDATES_PER_RUN = 600
"""From here on nothing more is taken before it has moved, however busy it is. Temporal allows 2,000."""
IDLE = timedelta(days=30)
"""How long nothing happens in a conversation that waits for nothing with an end."""
STATUS = SearchAttributeKey.for_keyword("VersaStatus")

Incoming = VisitorMessage | TeamMessage | CallbackMessage
Answer = TurnReply | TeamReply | CallbackReply


@dataclass(eq=False)
class Mail:
    """An event and, once the main loop has dealt with it, its answer."""

    message: Incoming
    answer: Answer | None = None
    refusal: Refused | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None or self.refusal is not None


@workflow.defn(name=CONVERSATION_WORKFLOW)
class ConversationWorkflow:
    """The shell around a `Session`."""

    @workflow.init
    def __init__(self, start: ConversationStart, carried: dict[str, Any] | None = None) -> None:
        state = (
            new_state(start, workflow.now()) if carried is None else ConversationState.model_validate(carried)
        )
        self.session = Session(state, TemporalEffects(self._written))
        self.outbox = Outbox(self.session, self._woken)
        self.mailbox: deque[Mail] = deque()
        self.unanswered: dict[str, Mail] = {}
        """Visitor messages taken and not yet answered, by message id."""
        self.work: asyncio.Task[None] | None = None
        self.timer: asyncio.Task[None] | None = None
        self.timer_at: datetime | None = None
        self.marked = 0
        """Length of the history at the last task that certainly left a command in it."""
        self.idle = False
        """Whether the main loop waits for something to do."""
        self.draining = False
        self.updates = 0
        self.turns_before = state.turns
        self.shown_status = state.status

    @workflow.run
    async def run(self, start: ConversationStart, carried: dict[str, Any] | None = None) -> None:
        """Runs until the conversation has ended and its transcript is in the tables."""
        self._arm(workflow.now() + FLUSH_AFTER, "write the transcript")
        try:
            await self._load()
            self._show()
            while await self._loop():
                pass
        except asyncio.CancelledError:
            await self._cancelled()
            raise
        finally:
            self._disarm()
        self._show_status()
        if self.session.state.status is not ConversationStatus.ENDED:
            self.session.travel_light()
            workflow.continue_as_new(args=[start, self.session.state.model_dump(mode="json")])

    # --- events -----------------------------------------------------------------------------------

    @workflow.update(name=UPDATE_VISITOR)
    async def visitor_message(self, message: VisitorMessage) -> TurnReply:
        """A message of the visitor; the update's id is the message's id."""
        self._count()
        known = self.session.known_reply(message)
        if known is not None:
            return known
        mail = self.unanswered.get(message.message_id)
        if mail is None:
            mail = Mail(message)
            self.unanswered[message.message_id] = mail
            self.mailbox.append(mail)
        answer = await self._answered(mail)
        assert isinstance(answer, TurnReply)
        return answer

    @visitor_message.validator
    def _check_visitor(self, message: VisitorMessage) -> None:
        """Refuses before anything is recorded: a recorded refusal is all that a repetition would get."""
        self._check_draining()
        pending = self.unanswered.get(message.message_id)
        try:
            if pending is None:
                self.session.check(message, len(self.unanswered))
            elif isinstance(pending.message, VisitorMessage) and pending.message.input != message.input:
                raise id_reused()
        except Refused as refused:
            raise _application_error(refused) from refused

    @workflow.update(name=UPDATE_TEAM)
    async def team_action(self, message: TeamMessage) -> TeamReply:
        """Something an agent or an operator does. Closing and claiming stop the step in progress."""
        self._count()
        mail = Mail(message)
        self.mailbox.append(mail)
        agent = self.session.state.agent
        if isinstance(message.action, Close) or (isinstance(message.action, Claim) and agent is None):
            self._interrupt()
        answer = await self._answered(mail)
        assert isinstance(answer, TeamReply)
        return answer

    @team_action.validator
    def _check_team(self, message: TeamMessage) -> None:
        self._check_draining()
        try:
            self.session.check_team(message)
        except Refused as refused:
            raise _application_error(refused) from refused

    @workflow.update(name=UPDATE_CALLBACK)
    async def callback(self, message: CallbackMessage) -> CallbackReply:
        """A call to a one-time address."""
        self._count()
        mail = Mail(message)
        self.mailbox.append(mail)
        answer = await self._answered(mail)
        assert isinstance(answer, CallbackReply)
        return answer

    @callback.validator
    def _check_callback(self, message: CallbackMessage) -> None:
        self._check_draining()

    def _count(self) -> None:
        self.updates += 1
        self._mark()

    def _check_draining(self) -> None:
        if self.draining:
            raise _application_error(Refused(Refusal.DRAINING, "the conversation is moving to a new run"))

    async def _answered(self, mail: Mail) -> Answer:
        await workflow.wait_condition(lambda: mail.done)
        if mail.refusal is not None:
            raise _application_error(mail.refusal)
        assert mail.answer is not None
        return mail.answer

    # --- questions --------------------------------------------------------------------------------

    @workflow.query(name=QUERY_SNAPSHOT)
    def snapshot(self) -> ConversationSnapshot:
        """Where the conversation is."""
        return self.session.snapshot()

    @workflow.query(name=QUERY_TAIL)
    def tail(self) -> ConversationTail:
        """Where the conversation is, and the messages that are not yet in the tables."""
        return ConversationTail(snapshot=self.session.snapshot(), messages=self.outbox.messages())

    # --- the main loop ----------------------------------------------------------------------------

    async def _load(self) -> None:
        start = self.session.state.start
        bundle = await load_flow(
            LoadFlow(
                organization_id=start.organization_id,
                chatbot_id=start.chatbot_id,
                flow_version_id=start.flow_version_id,
                content_hash=start.content_hash,
                sub_flows=self.session.state.sub_flows,
            )
        )
        self.session.state.sub_flows = {
            name: flow.version_id for name, flow in bundle.flows.items() if name != "main"
        }
        self.session.load(graphs(bundle))
        # A local activity ends in another task when it is replayed, so the two must not differ in commands.
        self._mark()

    async def _loop(self) -> bool:
        """Takes one event after another until the conversation ends or moves to a new run.

        Returns with every update answered: whether more has come meanwhile.
        """
        while not self.draining:
            if self.updates >= MOST_UPDATES_PER_RUN:
                self.draining = True
            elif self.mailbox:
                await self._deal_with(self._next())
            elif (deadline := self.session.next_deadline()) is not None and deadline <= workflow.now():
                await self._work(self._advance())
            elif self.session.state.status is ConversationStatus.ENDED:
                if not self.outbox.start():
                    break
                await workflow.wait_condition(lambda: bool(self.mailbox) or not self.outbox.writing)
            elif self._should_move() and self.outbox.may_travel():
                self.draining = True
            else:
                self.outbox.start_if_due()
                self._arm_next(deadline)
                self._leave_a_command()
                self.idle = True
                await workflow.wait_condition(self._has_work)
                self.idle = False
        while self.mailbox:
            await self._deal_with(self._next())
        while not self.outbox.may_travel() or self.session.state.status is ConversationStatus.ENDED:
            if not self.outbox.start():
                break
            await workflow.wait_condition(lambda: not self.outbox.writing)
        await workflow.wait_condition(lambda: bool(self.mailbox) or workflow.all_handlers_finished())
        return bool(self.mailbox)

    def _has_work(self) -> bool:
        if self.mailbox or self.outbox.is_due():
            return True
        deadline = self.session.next_deadline()
        if deadline is not None and deadline <= workflow.now():
            return True
        wanted = self._next_time(deadline)
        return wanted is not None and (self.timer_at is None or wanted < self.timer_at)

    def _next(self) -> Sequence[Mail]:
        """The next event; what stops a step in progress comes before what waits for it."""
        for mail in self.mailbox:
            if isinstance(mail.message, TeamMessage) and isinstance(mail.message.action, Close | Claim):
                self.mailbox.remove(mail)
                return [mail]
        return [self.mailbox.popleft()]

    async def _deal_with(self, mails: Sequence[Mail]) -> None:
        first = mails[0].message
        if isinstance(first, VisitorMessage):
            await self._work(self._visitor(await self._burst(mails)))
        else:
            await self._work(self._other(mails[0]))
        self._show()

    async def _burst(self, mails: Sequence[Mail]) -> Sequence[Mail]:
        """With a debounce, the texts that follow within the pause, as long as each is followed in time."""
        pause = self.session.walk.main.flow.settings.debounce
        waiting = self.session.state.waiting
        burst = list(mails)
        if not pause or waiting is None or waiting.kind != "visitor" or not _is_text(burst[0]):
            return burst
        while True:
            try:
                await workflow.wait_condition(
                    lambda: bool(self.mailbox), timeout=pause, timeout_summary="wait for more texts"
                )
            except TimeoutError:
                return burst
            except asyncio.CancelledError:
                self.mailbox.extendleft(reversed(burst))
                raise
            if not _is_text(self.mailbox[0]):
                return burst
            burst.append(self.mailbox.popleft())

    async def _work(self, work: Any) -> None:
        """Runs work that the team may interrupt. A cancelled workflow interrupts it likewise."""
        self.work = asyncio.create_task(work)
        try:
            await asyncio.shield(self.work)
        except asyncio.CancelledError:
            self._interrupt()
            await self.work
            raise
        finally:
            self.work, self.session.interrupting = None, False

    def _interrupt(self) -> None:
        if self.work is not None and not self.session.interrupting:
            self.session.interrupting = True
            if self.session.walking:
                self.work.cancel()

    async def _visitor(self, mails: Sequence[Mail]) -> None:
        messages = [mail.message for mail in mails if isinstance(mail.message, VisitorMessage)]
        await self.session.visitor(messages)
        for mail, message in zip(mails, messages, strict=True):
            mail.answer = self.session.state.replies[message.message_id]
            self.unanswered.pop(message.message_id, None)

    async def _other(self, mail: Mail) -> None:
        try:
            if isinstance(mail.message, TeamMessage):
                mail.answer = await self.session.team(mail.message)
                self.outbox.hurry()
            elif isinstance(mail.message, CallbackMessage):
                mail.answer = await self.session.callback(mail.message)
                self.outbox.hurry()
        except Refused as refused:
            mail.refusal = refused

    async def _advance(self) -> None:
        await self.session.advance()
        self.outbox.hurry()
        self._show()

    def _should_move(self) -> bool:
        """Whether to continue as new: history or updates near their limits, or a test asks for it."""
        if not self.session.state.opened:
            return False
        forced = self.session.state.start.continue_after_turns
        return (
            workflow.info().is_continue_as_new_suggested()
            or self.updates >= UPDATES_PER_RUN
            or (forced is not None and self.session.state.turns - self.turns_before >= forced)
        )

    async def _cancelled(self) -> None:
        """Somebody cancelled the workflow: the visitor is told, what was taken is answered and written."""
        if self.session.loaded:
            await self.session.close("cancelled")
            while self.mailbox:
                await self._deal_with(self._next())
            self._show()
        for mail in self.mailbox:
            mail.refusal = Refused(Refusal.CLOSED, "the conversation has ended")
        if self.session.loaded:
            await self.outbox.written()
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._show_status()

    def _show(self) -> None:
        """Brings what the Temporal UI shows up to date.

        The end is told when the workflow closes, so that the server indexes both in one go.
        """
        workflow.set_current_details(details(self.session))
        if self.session.state.status is not ConversationStatus.ENDED:
            self._show_status()

    def _show_status(self) -> None:
        status = self.session.state.status
        if status is not self.shown_status:
            self.shown_status = status
            workflow.upsert_search_attributes([STATUS.value_set(status.value)])

    async def _written(self) -> None:
        await self.outbox.written()

    # --- the one timer ----------------------------------------------------------------------------

    def _next_time(self, deadline: datetime | None) -> datetime | None:
        times = [deadline, self.outbox.next_time()]
        return min((time for time in times if time is not None), default=None)

    def _arm_next(self, deadline: datetime | None) -> None:
        """Makes sure that a timer wakes the loop in time. One that is early stays: it costs nothing."""
        wanted = self._next_time(deadline)
        if wanted is None or (self.timer_at is not None and self.timer_at <= wanted):
            return
        self._arm(wanted, self._rings_for(wanted, deadline))

    def _rings_for(self, at: datetime, deadline: datetime | None) -> str:
        """What a timer is named by in the Temporal UI."""
        waiting = self.session.state.waiting
        if at == deadline:
            return waiting.node_label if waiting is not None else "go on"
        return "write the transcript" if at == self.outbox.next_time() else "go on"

    def _arm(self, at: datetime, summary: str) -> None:
        self._disarm()
        self._mark()
        self.timer_at = at
        self.timer = asyncio.create_task(self._ring(at, summary))

    def _woken(self) -> None:
        """After a timer or a write in the background, where the main loop does not go on because of it."""
        if not (self.idle and self._has_work()):
            self._leave_a_command()

    def _leave_a_command(self) -> None:
        """Makes sure that this workflow task leaves a command in the history, by a timer if by nothing else.

        A worker that does not know the conversation takes a task without commands for a sign of life and
        merges it with the next; if that one brings an update, later replays part the two again, and the
        order of what happened is not the same (temporalio/sdk-rust#1146).
        """
        length = workflow.info().get_current_history_length()
        if length not in (self.marked, self.outbox.marked):
            now = workflow.now()
            deadline = self.session.next_deadline() if self.session.loaded else None
            at = self._next_time(deadline)
            # What is due already waits for the main loop, not for a timer.
            at = at if at is not None and at > now else now + IDLE
            self._arm(at, self._rings_for(at, deadline))

    def _mark(self) -> None:
        self.marked = workflow.info().get_current_history_length()

    def _disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer, self.timer_at = None, None

    async def _ring(self, at: datetime, summary: str) -> None:
        await workflow.sleep(max(at - workflow.now(), timedelta(milliseconds=1)), summary=summary[:200])
        self.timer, self.timer_at = None, None
        self._woken()


def _is_text(mail: Mail) -> bool:
    return isinstance(mail.message, VisitorMessage) and isinstance(mail.message.input, TextInput)


def _application_error(refused: Refused) -> ApplicationError:
    return ApplicationError(refused.message, type=refused.refusal.value, non_retryable=True)
