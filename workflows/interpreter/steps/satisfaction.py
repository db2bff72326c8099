"""`csat`: asks how satisfied the visitor is."""

from __future__ import annotations

from typing import Any

from flow_schema.nodes.action import AskSatisfaction
from flow_schema.nodes.input import RatingField
from flow_schema.turns import SatisfactionContent, TextInput, ValueInput
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import AwaitVisitor, DeadlinePassed, Goto, Outcome, VisitorSaid
from workflows.interpreter.reading.agreement import declines
from workflows.interpreter.reading.values import Invalid, read_rating

RATING = RatingField(kind="rating", max=5)
MAX_COMMENT = 2_000


def ask_satisfaction(it: AskSatisfaction, ctx: StepContext) -> Outcome:
    """A rating is taken from the control or from a typed number; null skips, as does a no."""
    match ctx.event:
        case DeadlinePassed():
            return Goto("no_reply")
        case VisitorSaid(input=ValueInput(value=None)):
            return _skipped(it, ctx)
        case VisitorSaid(input=ValueInput(value=value)):
            return _rated(it, ctx, value)
        case VisitorSaid(input=TextInput(text=text)):
            return _skipped(it, ctx) if declines(text) else _rated(it, ctx, text)
        case VisitorSaid():
            return _rated(it, ctx, "")
        case _:
            return _ask(it, ctx)


def _ask(it: AskSatisfaction, ctx: StepContext) -> Outcome:
    prompt = ctx.say(SatisfactionContent(text=ctx.text(it.text), ask_comment=it.ask_comment))
    until = ctx.now + it.no_reply_after if it.no_reply_after else None
    return AwaitVisitor(("text", "value"), prompt.seq, f"a rating for “{ctx.summary}”", until)


def _skipped(it: AskSatisfaction, ctx: StepContext) -> Outcome:
    if it.save_to:
        ctx.set(it.save_to, None)
    return Goto("next")


def _rated(it: AskSatisfaction, ctx: StepContext, answer: Any) -> Outcome:
    try:
        rating = read_rating(RATING, answer)
    except Invalid as complaint:
        ctx.say_text(ctx.phrase(complaint.phrase, **complaint.values))
        return _ask(it, ctx)
    ctx.state.satisfaction_rating = rating
    comment = answer.get("comment") if isinstance(answer, dict) else None
    if isinstance(comment, str) and comment.strip():
        ctx.state.feedback = comment.strip()[:MAX_COMMENT]
    ctx.state.outbox_changed = True
    if it.save_to:
        ctx.set(it.save_to, rating)
    ctx.say_text(ctx.text(it.thanks))
    return Goto("next")
