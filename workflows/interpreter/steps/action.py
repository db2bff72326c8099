"""`action`: variables, waiting, other flows, e-mail, scripts, and the end. People are in `handoff.py`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import Any, assert_never

from flow_schema.effects import EmailMessage, ScriptRun
from flow_schema.expression_functions.dates import zone
from flow_schema.nodes.action import (
    ActionNode,
    AddTags,
    AskSatisfaction,
    End,
    Escalate,
    GoTo,
    HandOver,
    Redirect,
    RunFlow,
    RunScript,
    SendEmail,
    SetLanguage,
    SetVariables,
    Wait,
)
from flow_schema.turns import RedirectContent
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import (
    AwaitEvent,
    Call,
    DeadlinePassed,
    EffectFailed,
    Finish,
    FlowReturned,
    Goto,
    Jump,
    Outcome,
    StepFailed,
    VisitorSaid,
)
from workflows.interpreter.rules import as_text
from workflows.interpreter.steps.handoff import escalate, hand_over
from workflows.interpreter.steps.satisfaction import ask_satisfaction

MAX_TAGS = 50
_RECIPIENT = re.compile(r"(?:\{\{.*?\}\}|[^,;])+", re.DOTALL)


async def action(node: ActionNode, ctx: StepContext) -> Outcome:
    match node.data.action:
        case SetVariables() as it:
            return _set_variables(it, ctx)
        case Wait() as it:
            return _wait(it, ctx)
        case GoTo(target=target):
            return Jump(target)
        case RunFlow() as it:
            return _run_flow(it, ctx)
        case Escalate() as it:
            return escalate(it, ctx)
        case HandOver() as it:
            return hand_over(it, ctx)
        case SendEmail() as it:
            return await _send_email(it, ctx)
        case AddTags() as it:
            return _tag(it, ctx)
        case SetLanguage() as it:
            return _set_language(it, ctx)
        case AskSatisfaction() as it:
            return ask_satisfaction(it, ctx)
        case RunScript() as it:
            return await _run_script(it, ctx)
        case Redirect() as it:
            url, text = ctx.template(it.url), ctx.optional_text(it.text)
            ctx.say(RedirectContent(url=url, new_tab=it.new_tab, text=text))
            return Goto("next")
        case End() as it:
            ctx.say_text(ctx.text(it.text))
            return Finish(everything=it.whole_conversation)
        case _ as never:
            assert_never(never)


def _set_variables(it: SetVariables, ctx: StepContext) -> Outcome:
    for assignment in it.assignments:
        value = ctx.formula(assignment.formula) if assignment.formula else ctx.value(assignment.value)
        ctx.set(assignment.variable, value)
    return Goto("next")


def _wait(it: Wait, ctx: StepContext) -> Outcome:
    match ctx.event:
        case DeadlinePassed():
            return Goto("next")
        case VisitorSaid():
            return Goto("reply")
        case _:
            pass
    until = ctx.now + it.duration if it.duration is not None else _moment(ctx.formula(it.until or ""), ctx)
    if until <= ctx.now or ctx.state.start.jump_waits:
        return Goto("next")
    return AwaitEvent("timer", f"the end of “{ctx.summary}”", until, it.interruptible)


def _moment(value: object, ctx: StepContext) -> datetime:
    """A date or a date and time; without a zone it is meant in the flow's timezone."""
    try:
        if not isinstance(value, str):
            raise ValueError("not a text")
        if len(value) == 10:
            moment = datetime.combine(datetime.fromisoformat(value).date(), time(0, 0))
        else:
            moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone(ctx.timezone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise StepFailed(f"“{as_text(value)[:80]}” is no date to wait until") from error


def _run_flow(it: RunFlow, ctx: StepContext) -> Outcome:
    if isinstance(ctx.event, FlowReturned):
        for name, variable in it.outputs.items():
            ctx.set(variable, ctx.event.outputs.get(name))
        return Goto("next")
    return Call(it.flow, {name: ctx.formula(formula) for name, formula in it.inputs.items()})


async def _send_email(it: SendEmail, ctx: StepContext) -> Outcome:
    to = _recipients(it.to, ctx)
    if not to:
        raise StepFailed("the e-mail has no recipient: the variables in `to` are empty")
    message = EmailMessage(
        context=ctx.effect(),
        to=to,
        cc=_recipients(it.cc, ctx),
        reply_to=ctx.template(it.reply_to) or None if it.reply_to else None,
        subject=" ".join(ctx.text(it.subject).split()),
        body=ctx.text(it.body),
    )
    try:
        await ctx.effects.send_email(message, ctx.summary)
    except EffectFailed as failure:
        raise StepFailed(failure.message) from failure
    return Goto("next")


def _recipients(templates: list[str], ctx: StepContext) -> list[str]:
    """The addresses that the templates give.

    Commas that the flow's author wrote divide addresses; those within a value don't, so that who types one
    address can't add others. A formula that gives a list stands for each of its items.
    """
    values: list[Any] = []
    for template in templates:
        for part in _RECIPIENT.findall(template):
            value = ctx.value(part.strip())
            values += value if isinstance(value, list) else [value]
    return [address for value in values if (address := as_text(value).strip())]


def _tag(it: AddTags, ctx: StepContext) -> Outcome:
    removed = {ctx.template(tag).strip() for tag in it.remove}
    added = [ctx.template(tag).strip()[:100] for tag in it.add]
    kept = [tag for tag in ctx.state.tags if tag not in removed]
    ctx.state.tags = list(dict.fromkeys([*kept, *(tag for tag in added if tag)]))[:MAX_TAGS]
    ctx.state.outbox_changed = True
    return Goto("next")


def _set_language(it: SetLanguage, ctx: StepContext) -> Outcome:
    wanted = it.language or as_text(ctx.formula(it.formula or "")).strip()
    language = known_language(wanted, ctx.main.flow.all_languages())
    if language is None:
        raise StepFailed(f"the flow has no language “{wanted[:40]}”")
    ctx.state.language = language
    return Goto("next")


def known_language(wanted: str, languages: list[str]) -> str | None:
    """The declared language that fits: the same tag, else the same base (`es-MX` finds `es`)."""
    by_tag = {language.lower(): language for language in languages}
    tag = wanted.lower().replace("_", "-")
    if tag in by_tag:
        return by_tag[tag]
    base = tag.split("-")[0]
    return by_tag.get(base) or next(
        (language for language in languages if language.lower().split("-")[0] == base), None
    )


async def _run_script(it: RunScript, ctx: StepContext) -> Outcome:
    run = ScriptRun(
        context=ctx.effect(),
        code=it.code,
        variables=dict(ctx.frame.variables),
        timeout_seconds=it.timeout_seconds,
        memory_megabytes=it.memory_megabytes,
    )
    try:
        result = await ctx.effects.run_script(run, ctx.summary)
    except EffectFailed as failure:
        raise StepFailed(failure.message) from failure
    if it.outputs:
        if not isinstance(result.value, dict):
            raise StepFailed("the script must return an object, since it has outputs")
        for key, variable in it.outputs.items():
            ctx.set(variable, result.value.get(key))
    if it.save_to:
        ctx.set(it.save_to, result.value)
    return Goto("next")
