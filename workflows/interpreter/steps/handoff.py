"""Escalation to a human and back."""

from __future__ import annotations

from flow_schema.nodes.action import Escalate, HandOver
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import AwaitEvent, DeadlinePassed, Goto, HandedBack, Outcome
from workflows.interpreter.state import Escalation
from workflows.interpreter.steps.condition import open_now


def escalate(it: Escalate, ctx: StepContext) -> Outcome:
    """Waits for an agent to hand the conversation back. The timeout counts until somebody takes it."""
    match ctx.event:
        case HandedBack():
            return Goto("resolved")
        case DeadlinePassed():
            ctx.state.escalation = None
            return Goto("timeout")
        case _:
            pass
    if it.schedule is not None and not open_now(it.schedule, ctx):
        return Goto("timeout")
    text, reason = ctx.text(it.text), ctx.text(it.reason)
    ctx.state.escalation = Escalation(
        kind="escalate", since=ctx.now, team=it.team, reason=reason, priority=it.priority
    )
    ctx.say_text(text)
    until = ctx.now + it.timeout if it.timeout else None
    return AwaitEvent("agent", reason or f"a human, for “{ctx.summary}”", until)


def hand_over(it: HandOver, ctx: StepContext) -> Outcome:
    """Gives the conversation away; if it is handed back all the same, the flow ends."""
    if isinstance(ctx.event, HandedBack):
        return Goto("next")
    text, reason = ctx.text(it.text), ctx.text(it.reason)
    ctx.state.escalation = Escalation(
        kind="hand_over", since=ctx.now, team=it.team, reason=reason, priority=it.priority
    )
    ctx.say_text(text)
    return AwaitEvent("agent", reason or f"a human, for “{ctx.summary}”")
