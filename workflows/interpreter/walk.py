"""The walk: node -> step -> outcome, until something waits, ends or fails.

One `Walk` serves one conversation for the length of a run. It changes the state and nothing else.
"""

from __future__ import annotations

from typing import Any, assert_never

from flow_schema.expressions import ExpressionError
from flow_schema.flow import MAX_FLOW_DEPTH
from flow_schema.nodes import (
    ActionNode,
    AiNode,
    ApiCallNode,
    ConditionNode,
    InputNode,
    MessageNode,
    Node,
    QuestionNode,
    StartNode,
    WebhookNode,
)
from flow_schema.turns import ConversationStatus, Visit, Waiting
from flow_schema.variables import CoercionError, coerce
from workflows.interpreter.context import MASK, StepContext, first_line, without
from workflows.interpreter.effects import Effects
from workflows.interpreter.graph import FlowGraph
from workflows.interpreter.outcomes import (
    AwaitEvent,
    AwaitVisitor,
    Call,
    EffectFailed,
    Finish,
    FlowReturned,
    Goto,
    Jump,
    Outcome,
    StepEvent,
    StepFailed,
    Stuck,
)
from workflows.interpreter.phrases import phrase
from workflows.interpreter.rules import as_text
from workflows.interpreter.state import KEPT_PATH, ConversationState, Frame
from workflows.interpreter.steps.action import action
from workflows.interpreter.steps.ai import ai
from workflows.interpreter.steps.api_call import api_call
from workflows.interpreter.steps.condition import condition
from workflows.interpreter.steps.input import input_step
from workflows.interpreter.steps.message import message
from workflows.interpreter.steps.question import question
from workflows.interpreter.steps.webhook import webhook
from workflows.interpreter.transcript import Transcript


async def take_step(ctx: StepContext) -> Outcome:
    """Does the node's step."""
    match ctx.node:
        case StartNode():
            return Goto("next")
        case MessageNode() as node:
            return await message(node, ctx)
        case QuestionNode() as node:
            return await question(node, ctx)
        case InputNode() as node:
            return await input_step(node, ctx)
        case ConditionNode() as node:
            return await condition(node, ctx)
        case AiNode() as node:
            return await ai(node, ctx)
        case ApiCallNode() as node:
            return await api_call(node, ctx)
        case WebhookNode() as node:
            return await webhook(node, ctx)
        case ActionNode() as node:
            return await action(node, ctx)
        case _ as never:
            assert_never(never)


class Walk:
    """Moves a conversation's state through its graphs."""

    def __init__(
        self, state: ConversationState, graphs: dict[str, FlowGraph], effects: Effects, transcript: Transcript
    ) -> None:
        self.state = state
        self.graphs = graphs
        self.effects = effects
        self.transcript = transcript

    @property
    def main(self) -> FlowGraph:
        return self.graphs["main"]

    @property
    def graph(self) -> FlowGraph:
        """The graph of the flow that walks now."""
        return self.graphs[self.state.frame.flow]

    # --- moving ---------------------------------------------------------------------------------

    def enter(self, node_id: str) -> None:
        """Stands at a node, under a new visit number."""
        state, frame = self.state, self.state.frame
        state.visits += 1
        frame.node_id, frame.visit, frame.calls, frame.event_calls = node_id, state.visits, 0, 0
        frame.local, frame.event, frame.changes, frame.sent = {}, None, {}, {}
        frame.record = Visit.model_construct(
            number=state.visits,
            node_id=node_id,
            flow=frame.flow,
            entered_at=self.effects.now(),
            left_at=None,
            exit=None,
            changes={},
            error=None,
            usage=None,
        )
        state.path.append(frame.record)
        del state.path[:-KEPT_PATH]

    def leave(self, exit_id: str | None) -> None:
        """Closes the current visit."""
        record = self.state.frame.record
        if record is not None and record.left_at is None:
            record.left_at = self.effects.now()
            record.exit = exit_id
            self.note(record)

    def note(self, record: Visit) -> None:
        """Puts a visit into the outbox, once, and brings the path up to date."""
        state = self.state
        record.changes = dict(state.frame.changes)
        state.outbox_visits = [visit for visit in state.outbox_visits if visit.number != record.number]
        state.outbox_visits.append(record.model_copy())
        for place in range(len(state.path) - 1, -1, -1):
            if state.path[place].number == record.number:
                state.path[place] = record
                break

    def resume(self, event: StepEvent | None) -> None:
        """Ends the wait: the current step is to be called with `event`."""
        state = self.state
        state.waiting, state.deadline, state.accepts_reply, state.callback_id = None, None, False, None
        state.status, state.stuck_reason = ConversationStatus.ACTIVE, ""
        state.frame.event = event
        state.frame.event_calls = state.frame.calls
        state.frame.sent = {}

    def retry(self) -> None:
        """Prepares the step in progress to be done again, with the keys it used before."""
        frame = self.state.frame
        event, calls = frame.event, max(frame.event_calls, int(frame.local.get("resume_calls", 0)))
        sent = frame.sent
        self.resume(event)
        frame.calls, frame.event_calls, frame.sent = calls, calls, sent
        if frame.record is not None:
            frame.record.error = None
            self.note(frame.record)

    # --- walking --------------------------------------------------------------------------------

    def context(self, node: Node, event: StepEvent | None, frame: Frame | None = None) -> StepContext:
        """What a step of the flow of `frame` has at hand; the innermost flow's if none is given."""
        frame = frame or self.state.frame
        return StepContext(
            self.state,
            frame,
            self.graphs[frame.flow],
            self.main,
            self.effects,
            self.transcript,
            node,
            event,
            self.timezone(frame),
        )

    def timezone(self, frame: Frame) -> str:
        """The timezone of a flow in progress: its own, else that of the flow that runs it."""
        for outer in reversed(self.state.frames[: self.state.frames.index(frame) + 1]):
            if zone := self.graphs[outer.flow].flow.settings.timezone:
                return zone
        return "UTC"

    async def walk(self) -> None:
        """Takes steps until the conversation waits, ends or is stuck."""
        limit = self.main.flow.settings.max_steps_per_turn
        for _ in range(limit):
            if not await self._step():
                return
        self.park(f"more than {limit} steps without waiting: the flow goes round in circles")

    async def _step(self) -> bool:
        """Takes one step; whether another follows."""
        frame = self.state.frame
        node = self.graph.nodes.get(frame.node_id)
        if node is None:
            self.park(f"the flow has no node `{frame.node_id}`")
            return False
        match await self._attempt(self.context(node, frame.event)):
            case Goto(exit=exit_id):
                self.leave(exit_id)
                target = self.graph.target(frame.node_id, exit_id)
                if target is None:
                    return self.finish(everything=False)
                self.enter(target)
            case Jump(node_id=node_id):
                self.leave(None)
                self.enter(node_id)
            case Call(flow=flow, inputs=inputs):
                return self._call(flow, inputs)
            case Finish(everything=everything):
                self.leave(None)
                return self.finish(everything=everything)
            case AwaitVisitor() | AwaitEvent() as wait:
                self._wait(wait)
                return False
            case Stuck(reason=reason):
                self.park(reason)
                return False
        return True

    async def _attempt(self, ctx: StepContext) -> Outcome:
        try:
            return await take_step(ctx)
        except StepFailed as failure:
            return self._failed(ctx, failure.message, failure.detail)
        except ExpressionError as error:
            return self._failed(ctx, str(error), {})
        except EffectFailed as failure:
            return self._failed(ctx, failure.message, {})
        except Exception as error:
            # A defect of a step must not block the conversation for ever: an operator can go on from here.
            return self._failed(ctx, f"internal error, {type(error).__name__}: {error}", {})

    def _failed(self, ctx: StepContext, message: str, detail: dict[str, Any]) -> Outcome:
        """The error exit if there is one, else stuck."""
        reason = without(message, self.personal_values())
        if ctx.frame.record is not None:
            ctx.frame.record.error = first_line(reason, 500)
        if not ctx.has_edge("error"):
            return Stuck(reason)
        variable = getattr(ctx.node.data, "save_error_to", None)
        if variable is not None:
            error: Any = {**detail, "message": message}
            declared = ctx.graph.variables.get(variable)
            ctx.set(variable, message if declared is not None and declared.type == "string" else error)
        return Goto("error")

    def _call(self, flow: str, inputs: dict[str, Any]) -> bool:
        """Enters another flow; whether it could."""
        graph = self.graphs.get(flow)
        if graph is None or graph.start_id is None:
            self.park(f"there is no flow `{flow}` to run")
            return False
        if len(self.state.frames) >= MAX_FLOW_DEPTH:
            self.park(f"more than {MAX_FLOW_DEPTH} flows call one another")
            return False
        variables, ignored = initial_variables(graph, inputs)
        frame = self.state.frame
        if frame.record is not None:
            self.note(frame.record)
        self.state.frames.append(Frame(flow=flow, node_id=graph.start_id, variables=variables))
        self.enter(graph.start_id)
        if ignored and self.state.frame.record is not None:
            self.state.frame.record.error = first_line("ignored inputs: " + "; ".join(ignored), 500)
        return True

    def finish(self, *, everything: bool) -> bool:
        """Ends the flow that walks; whether another goes on."""
        state = self.state
        if everything or len(state.frames) == 1:
            self.end("finished")
            return False
        done = state.frames.pop()
        graph = self.graphs[done.flow]
        outputs = {
            variable.name: done.variables.get(variable.name)
            for variable in graph.flow.variables
            if variable.output
        }
        frame = state.frame
        frame.event, frame.event_calls = FlowReturned(outputs=outputs), frame.calls
        return True

    def _wait(self, wait: AwaitVisitor | AwaitEvent) -> None:
        state = self.state
        kind = "visitor" if isinstance(wait, AwaitVisitor) else wait.kind
        state.waiting = Waiting.model_construct(
            kind=kind,
            node_id=state.frame.node_id,
            node_label=self.graph.label(state.frame.node_id),
            since=self.effects.now(),
            until=wait.until,
            prompt=wait.prompt if isinstance(wait, AwaitVisitor) else None,
            accepts=list(wait.accepts) if isinstance(wait, AwaitVisitor) else [],
            reason=first_line(wait.reason),
        )
        state.deadline = wait.until
        state.accepts_reply = isinstance(wait, AwaitEvent) and wait.accepts_reply
        state.status = {
            "visitor": ConversationStatus.ACTIVE,
            "agent": ConversationStatus.ESCALATED,
        }.get(kind, ConversationStatus.WAITING)
        state.frame.event = None
        if state.frame.record is not None:
            self.note(state.frame.record)

    def park(self, reason: str) -> None:
        """Stops at the current node until an operator acts, and tells the visitor."""
        state = self.state
        state.status, state.stuck_reason = ConversationStatus.STUCK, first_line(reason, 500)
        state.deadline, state.accepts_reply = None, False
        state.waiting = Waiting(
            kind="operator",
            node_id=state.frame.node_id,
            node_label=self.graph.label(state.frame.node_id),
            since=self.effects.now(),
            reason=state.stuck_reason,
        )
        if state.frame.record is not None:
            state.frame.record.error = state.stuck_reason
            self.note(state.frame.record)
        text = self.setting_text("stuck_text") or phrase("stuck", state.language)
        self.transcript.notice("stuck", text, self.effects.now())

    def end(self, reason: str) -> None:
        """Ends the conversation."""
        state = self.state
        if state.frames:
            self.leave(None)
        state.status, state.ended_at, state.end_reason = ConversationStatus.ENDED, self.effects.now(), reason
        state.waiting, state.deadline, state.accepts_reply = None, None, False
        state.agent, state.escalation, state.suspended, state.callback_id = None, None, None, None
        state.outbox_changed = True

    def personal_values(self) -> list[str]:
        """Values of personal variables in all flows in progress, which details and errors must not show."""
        return [
            as_text(value)
            for frame in self.state.frames
            for name, value in frame.variables.items()
            if name in self.graphs[frame.flow].personal
            and isinstance(value, str | int | float)
            and as_text(value).strip()
        ]

    def setting_text(self, name: str) -> str:
        """A text of the main flow's settings, rendered with its variables, whichever flow is in progress; a
        bad formula there falls back to nothing."""
        frame = self.state.frames[0]
        node = self.main.nodes.get(frame.node_id) or next(iter(self.main.nodes.values()))
        try:
            return self.context(node, None, frame).text(getattr(self.main.flow.settings, name))
        except ExpressionError:
            return ""


def initial_variables(graph: FlowGraph, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A flow's variables at its start, and why inputs were ignored, if any were."""
    variables: dict[str, Any] = {}
    ignored: list[str] = []
    for variable in graph.flow.variables:
        given = variable.input and variable.name in inputs
        for value in (variable.default, inputs[variable.name] if given else variable.default):
            try:
                variables[variable.name] = coerce(value, variable.type)
            except CoercionError as error:
                variables.setdefault(variable.name, None)
                ignored.append(f"`{variable.name}`: {error}")
    for name in inputs:
        declared = graph.variables.get(name)
        if declared is None or not declared.input:
            ignored.append(f"`{name}` is not an input of the flow")
    return variables, ignored


def masked(variables: dict[str, Any], graph: FlowGraph) -> dict[str, Any]:
    """The variables with personal values masked."""
    return {
        name: MASK if name in graph.personal and value is not None else value
        for name, value in variables.items()
    }
