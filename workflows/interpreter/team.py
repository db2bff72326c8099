"""What the team does to a conversation: agents take over and hand back, operators mend and move it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

from flow_schema.nodes import ActionNode, InputNode, QuestionNode
from flow_schema.nodes.action import AskSatisfaction
from flow_schema.turns import (
    Agent,
    Claim,
    Close,
    ConversationStatus,
    FilesContent,
    HandBack,
    Jump,
    MessageRole,
    Refusal,
    Retry,
    Say,
    SetConversationVariables,
    Skip,
    TeamAction,
    TextContent,
    Waiting,
)
from flow_schema.variables import CoercionError, coerce
from workflows.interpreter.context import noted
from workflows.interpreter.graph import FlowGraph
from workflows.interpreter.outcomes import HandedBack
from workflows.interpreter.phrases import phrase
from workflows.interpreter.state import ConversationState, Escalation, Frame, Suspended
from workflows.interpreter.walk import Walk


class Refused(Exception):
    """The conversation can't take this; `refusal` is the type, the message says what to do."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message


class TeamActions:
    """Applies actions to the state. `apply` tells whether the walk has to go on afterwards."""

    def __init__(self, state: ConversationState, walk: Walk) -> None:
        self.state = state
        self.walk = walk

    async def apply(self, action_id: str, action: TeamAction, now: datetime) -> bool:
        """Raises `Refused` where the action does not fit; then nothing has changed."""
        if self.state.status is ConversationStatus.ENDED:
            raise Refused(Refusal.CLOSED, "the conversation has ended")
        if not self.state.frames:
            raise Refused(Refusal.NOT_STUCK, "the conversation has not begun")
        match action:
            case Claim(agent=agent):
                return self._claim(agent, now)
            case Say():
                return self._say(action_id, action, now)
            case HandBack():
                return self._hand_back(action, now)
            case Close(reason=reason):
                self.close(reason or "closed by the team", now)
                return False
            case Retry():
                if self.state.status is not ConversationStatus.STUCK:
                    raise Refused(Refusal.NOT_STUCK, "the conversation is not stuck")
                self.walk.retry()
                return True
            case Skip(exit=exit_id):
                return self._skip(exit_id)
            case Jump(node_id=node_id):
                if node_id not in self.walk.main.nodes:
                    raise Refused(Refusal.UNKNOWN_NODE, f"the main flow has no node `{node_id}`")
                self._leave_agent(now)
                self.move_to(node_id)
                return True
            case SetConversationVariables(variables=variables):
                self._set(variables)
                return False
            case _ as never:
                assert_never(never)

    # --- agents ---------------------------------------------------------------------------------

    def _claim(self, agent: Agent, now: datetime) -> bool:
        state = self.state
        if state.agent is not None:
            if state.agent.id == agent.id:
                return False
            raise Refused(Refusal.NOT_YOURS, f"{state.agent.name} has taken this conversation")
        if state.escalation is None:
            state.suspended = Suspended(
                waiting=state.waiting,
                deadline=state.deadline,
                accepts_reply=state.accepts_reply,
                callback_id=state.callback_id,
                status=state.status,
            )
            state.escalation = Escalation(kind="takeover", since=now)
            state.accepts_reply, state.callback_id = False, None
        state.escalation.claimed_at = now
        state.agent, state.deadline, state.status = agent, None, ConversationStatus.ESCALATED
        state.waiting = Waiting(
            kind="agent",
            node_id=state.frame.node_id,
            node_label=self.walk.graph.label(state.frame.node_id),
            since=now,
            reason=f"{agent.name} has the conversation",
        )
        text = phrase("agent_joined", state.language, name=agent.name)
        self.walk.transcript.notice("agent_joined", text, now).agent = agent
        return False

    def _mine(self, agent: Agent) -> None:
        holder = self.state.agent
        if holder is None:
            raise Refused(Refusal.NOT_WITH_AGENT, "no agent has this conversation: claim it first")
        if holder.id != agent.id:
            raise Refused(Refusal.NOT_YOURS, f"{holder.name} has taken this conversation")

    def _say(self, action_id: str, say: Say, now: datetime) -> bool:
        self._mine(say.agent)
        if not say.text.strip() and not say.files:
            raise Refused(Refusal.WRONG_KIND, "the message is empty: write a text or attach a file")
        add = self.walk.transcript.add
        if say.text.strip():
            add(
                MessageRole.AGENT,
                TextContent(text=say.text),
                now,
                client_message_id=action_id,
                agent=say.agent,
            )
        if say.files:
            names = ", ".join(file.name for file in say.files)
            key = f"{action_id}:files" if say.text.strip() else action_id
            add(
                MessageRole.AGENT,
                FilesContent(files=say.files, text=names),
                now,
                client_message_id=key,
                agent=say.agent,
            )
        return False

    def _hand_back(self, action: HandBack, now: datetime) -> bool:
        state = self.state
        self._mine(action.agent)
        self._check_variables(action.variables)
        escalation, suspended = state.escalation, state.suspended
        self._leave_agent(now)
        self._set(action.variables)
        if escalation is not None and escalation.kind != "takeover":
            self.walk.resume(HandedBack(agent=action.agent))
            return True
        return self._restore(suspended)

    def _leave_agent(self, now: datetime) -> None:
        state = self.state
        if state.agent is not None:
            text = phrase("agent_left", state.language, name=state.agent.name)
            self.walk.transcript.notice("agent_left", text, now).agent = state.agent
        state.agent, state.escalation, state.suspended = None, None, None

    def _restore(self, suspended: Suspended | None) -> bool:
        """Goes on where an agent stepped in: a question is asked again, a step in progress done again."""
        state = self.state
        if suspended is not None and suspended.callback is not None:
            self.walk.resume(suspended.callback)
            return True
        if suspended is None or suspended.waiting is None:
            self.walk.retry()
            return True
        node = self.walk.graph.nodes.get(state.frame.node_id)
        asks = isinstance(node, QuestionNode | InputNode) or (
            isinstance(node, ActionNode) and isinstance(node.data.action, AskSatisfaction)
        )
        if suspended.waiting.kind == "visitor" and asks:
            self.walk.resume(None)
            return True
        state.waiting, state.deadline = suspended.waiting, suspended.deadline
        state.accepts_reply, state.callback_id = suspended.accepts_reply, suspended.callback_id
        state.status = suspended.status
        return False

    # --- operators ------------------------------------------------------------------------------

    def close(self, reason: str, now: datetime) -> None:
        """Ends the conversation and says so."""
        text = self.walk.setting_text("closed_text") if self.state.frames else ""
        self.walk.transcript.notice("closed", text or phrase("closed", self.state.language), now)
        self.walk.end(reason)

    def _skip(self, exit_id: str) -> bool:
        state, frame = self.state, self.state.frame
        node = self.walk.graph.nodes.get(frame.node_id)
        exits = [entry.id for entry in node.exits()] if node is not None else []
        if exit_id not in exits:
            raise Refused(
                Refusal.UNKNOWN_EXIT, f"the node has no exit `{exit_id}`: it has {', '.join(exits) or 'none'}"
            )
        self._leave_agent(self.walk.effects.now())
        self.walk.resume(None)
        self.walk.leave(exit_id)
        target = self.walk.graph.target(frame.node_id, exit_id)
        if target is not None:
            self.walk.enter(target)
            return True
        return self.walk.finish(everything=False) and state.status is not ConversationStatus.ENDED

    def move_to(self, node_id: str) -> None:
        """Stands at a node of the main flow; sub-flows in progress are left."""
        state = self.state
        while len(state.frames) > 1:
            self.walk.leave(None)
            state.frames.pop()
        self.walk.leave(None)
        self.walk.resume(None)
        self.walk.enter(node_id)

    def _place(self, name: str) -> tuple[Frame, FlowGraph]:
        """The innermost flow in progress that declares the variable."""
        for frame in reversed(self.state.frames):
            graph = self.walk.graphs[frame.flow]
            if name in graph.variables:
                return frame, graph
        raise Refused(Refusal.BAD_VARIABLE, f"the flow has no variable `{name}`")

    def _check_variables(self, variables: dict[str, Any]) -> None:
        for name, value in variables.items():
            _, graph = self._place(name)
            try:
                coerce(value, graph.variables[name].type)
            except CoercionError as error:
                raise Refused(Refusal.BAD_VARIABLE, f"variable `{name}`: {error}") from error

    def _set(self, variables: dict[str, Any]) -> None:
        self._check_variables(variables)
        for name, value in variables.items():
            frame, graph = self._place(name)
            frame.variables[name] = coerce(value, graph.variables[name].type)
            frame.changes[name] = noted(frame.variables[name], personal=name in graph.personal)
