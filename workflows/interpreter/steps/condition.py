"""`condition`: takes the first branch that holds."""

from __future__ import annotations

import hashlib
from typing import assert_never

import re2

from flow_schema.effects import IntentExamples, ModelCall, PromptMessage, RecognizeIntent
from flow_schema.expression_functions.dates import zone
from flow_schema.nodes.ai import ClassLabel
from flow_schema.nodes.condition import (
    BusinessHoursTest,
    ConditionNode,
    ExpressionTest,
    IntentTest,
    Rule,
    RuleGroup,
    RulesTest,
    SplitTest,
)
from workflows.interpreter.business_hours import is_open
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import Goto, Outcome, StepFailed
from workflows.interpreter.rules import as_text, holds


async def condition(node: ConditionNode, ctx: StepContext) -> Outcome:
    """Intents are recognized once, all together, and only if no earlier branch holds."""
    intent: str | None = None
    recognized = False
    below = 0.0
    for branch in node.data.branches:
        taken = False
        match branch.test:
            case RulesTest() as test:
                taken = _rules(test.match, test.rules, ctx)
            case ExpressionTest(formula=formula):
                taken = bool(ctx.formula(formula))
            case BusinessHoursTest(schedule=schedule_id):
                taken = open_now(schedule_id, ctx)
            case SplitTest(percent=percent):
                draw = sticky_draw(node.id, ctx)
                taken = below <= draw < below + percent
                below += percent
            case IntentTest(intent=name):
                if not recognized:
                    intent, recognized = await _recognize(node, ctx), True
                taken = intent == name
            case _ as never:
                assert_never(never)
        if taken:
            return Goto(f"branch:{branch.id}")
    return Goto("else")


def _rules(match: str, rules: list[Rule | RuleGroup], ctx: StepContext) -> bool:
    results = (
        _rules(entry.match, entry.rules, ctx) if isinstance(entry, RuleGroup) else _rule(entry, ctx)
        for entry in rules
    )
    return all(results) if match == "all" else any(results)


def _rule(rule: Rule, ctx: StepContext) -> bool:
    left, right = ctx.formula(rule.left), ctx.value(rule.right)
    return holds(left, rule.operator, right, matches_pattern, zone(ctx.timezone))


def matches_pattern(text: str, pattern: str) -> bool:
    """Whether a regular expression (RE2) is found in the text, without case."""
    try:
        return re2.search(f"(?i){pattern}", text) is not None
    except re2.error as error:
        raise StepFailed(f"the pattern `{pattern}` can't be read: {error}") from error


def open_now(schedule_id: str, ctx: StepContext) -> bool:
    """Whether the flow's schedule is open."""
    schedule = next((entry for entry in ctx.settings.schedules if entry.id == schedule_id), None)
    if schedule is None:
        raise StepFailed(f"the flow has no schedule `{schedule_id}`")
    return is_open(schedule, ctx.now, ctx.timezone)


def sticky_draw(node_id: str, ctx: StepContext) -> float:
    """A number from 0 to 100, the same for the same visitor (or conversation) at the same node of a flow."""
    start = ctx.state.start
    who = start.user_identifier or start.conversation_id
    digest = hashlib.sha256(f"{start.chatbot_id}:{ctx.frame.flow}:{node_id}:{who}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


async def _recognize(node: ConditionNode, ctx: StepContext) -> str | None:
    settings = node.data.intents
    tests = [branch.test for branch in node.data.branches if isinstance(branch.test, IntentTest)]
    text = as_text(ctx.formula(settings.text)).strip()
    if not text:
        return None
    if settings.method == "model":
        found = await _ask_model(node, ctx, tests, text)
    else:
        intents = [
            IntentExamples(name=test.intent, description=test.description or "", examples=test.examples)
            for test in tests
        ]
        recognized = await ctx.effects.recognize_intent(
            RecognizeIntent(context=ctx.effect(), text=text, intents=intents, threshold=settings.threshold),
            ctx.summary,
        )
        found = recognized.intent
    if settings.save_to:
        ctx.set(settings.save_to, found)
    return found


async def _ask_model(node: ConditionNode, ctx: StepContext, tests: list[IntentTest], text: str) -> str | None:
    names = {f"intent_{number}": test.intent for number, test in enumerate(tests)}
    answer = await ctx.effects.call_model(
        ModelCall(
            context=ctx.effect(),
            model=node.data.intents.model or ctx.settings.ai.model,
            fallback_models=ctx.settings.ai.fallback_models,
            messages=[PromptMessage(role="user", content=text)],
            labels=[
                ClassLabel(
                    id=label,
                    description=f"{test.intent}. {test.description or ''}".strip()[:500],
                    examples=test.examples[:20],
                )
                for label, test in zip(names, tests, strict=True)
            ],
            temperature=0,
        ),
        ctx.summary,
    )
    ctx.used(answer)
    parsed = answer.parsed if isinstance(answer.parsed, dict) else {}
    confidence = parsed.get("confidence")
    if not isinstance(confidence, int | float) or confidence < node.data.intents.threshold:
        return None
    return names.get(str(parsed.get("label")))
