"""`input`: asks for one value, checks it and saves it."""

from __future__ import annotations

from datetime import date
from typing import Any

from flow_schema.nodes.input import (
    ConsentField,
    DateField,
    DateRangeField,
    FileField,
    InputNode,
    SignatureField,
)
from flow_schema.turns import ChoiceInput, FilesInput, InputContent, TextInput, ValueInput
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import (
    AwaitVisitor,
    DeadlinePassed,
    Goto,
    Outcome,
    StepFailed,
    VisitorSaid,
)
from workflows.interpreter.reading.letters import normal
from workflows.interpreter.reading.values import Invalid, read_value


async def input_step(node: InputNode, ctx: StepContext) -> Outcome:
    match ctx.event:
        case VisitorSaid(input=ValueInput(value=None)):
            return _skipped(node, ctx)
        case VisitorSaid(input=ValueInput(value=value)):
            return _answered(node, ctx, value, [])
        case VisitorSaid(input=TextInput(text=text)):
            if not node.data.required and normal(text) == normal(_skip_label(node, ctx)):
                return _skipped(node, ctx)
            return _answered(node, ctx, text, [])
        case VisitorSaid(input=FilesInput(), files=files):
            return _answered(node, ctx, None, files)
        case VisitorSaid(input=ChoiceInput(options=options)):
            return _answered(node, ctx, options[0] if options else "", [])
        case DeadlinePassed():
            return Goto("no_reply")
        case _:
            return _ask(node, ctx)


def _skip_label(node: InputNode, ctx: StepContext) -> str:
    return ctx.text(node.data.skip_label) or ctx.phrase("skipped")


def _skipped(node: InputNode, ctx: StepContext) -> Outcome:
    if node.data.required:
        return _invalid(node, ctx, Invalid("required"))
    ctx.set(node.data.save_to, None)
    return Goto("next")


def _ask(node: InputNode, ctx: StepContext) -> Outcome:
    data = node.data
    field: dict[str, Any] = data.field.model_dump(mode="json")
    if isinstance(data.field, DateField | DateRangeField):
        for limit in ("earliest", "latest"):
            formula = getattr(data.field, limit)
            field[limit] = ctx.formula(formula) if formula else None
    if isinstance(data.field, ConsentField):
        field["statement"] = ctx.text(data.field.statement)
    prompt = ctx.say(
        InputContent(
            text=ctx.text(data.text),
            field=field,
            placeholder=ctx.optional_text(data.placeholder),
            required=data.required,
            skip_label=None if data.required else _skip_label(node, ctx),
        )
    )
    wants_files = isinstance(data.field, FileField | SignatureField)
    until = ctx.now + data.no_reply_after if data.no_reply_after else None
    return AwaitVisitor(
        ("files", "text", "value") if wants_files else ("text", "value"),
        prompt.seq,
        f"a value for “{ctx.summary}”",
        until,
    )


def _answered(node: InputNode, ctx: StepContext, answer: Any, files: list[dict[str, Any]]) -> Outcome:
    try:
        value = read_value(
            node.data.field, answer, files, ctx.locale, date.fromisoformat(ctx.today()), ctx.formula
        )
        ctx.set(node.data.save_to, value)
    except Invalid as complaint:
        return _invalid(node, ctx, complaint)
    except StepFailed:
        return _invalid(node, ctx, Invalid("text_pattern"))
    return Goto("next")


def _invalid(node: InputNode, ctx: StepContext, complaint: Invalid) -> Outcome:
    attempts = int(ctx.local.get("attempts", 0)) + 1
    ctx.local["attempts"] = attempts
    if ctx.has_edge("invalid") and attempts > node.data.retries:
        return Goto("invalid")
    ctx.say_text(ctx.text(node.data.error_text) or ctx.phrase(complaint.phrase, **complaint.values))
    return _ask(node, ctx)
