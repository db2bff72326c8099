"""`question`: asks with choices and finds the option an answer means."""

from __future__ import annotations

from typing import Any

from flow_schema.effects import IntentExamples, RecognizeIntent
from flow_schema.expression_values import to_text
from flow_schema.fields import TemplateReference
from flow_schema.nodes.question import OptionSource, QuestionNode
from flow_schema.turns import ChoiceInput, ChoiceOption, ChoicesContent, TextInput, ValueInput
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import (
    AwaitVisitor,
    DeadlinePassed,
    Goto,
    Outcome,
    StepFailed,
    VisitorSaid,
)
from workflows.interpreter.reading.options import (
    Candidate,
    match_exact,
    match_place,
    match_similar,
    match_words,
)
from workflows.interpreter.reading.selections import all_or_none, parts_of
from workflows.interpreter.rules import as_text


async def question(node: QuestionNode, ctx: StepContext) -> Outcome:
    match ctx.event:
        case VisitorSaid(input=ChoiceInput(options=chosen)):
            known = {option["id"] for option in ctx.local["options"]}
            picked = list(dict.fromkeys(chosen))
            fits = known >= set(picked) and (node.data.multiple or bool(picked))
            return await _answered(node, ctx, picked if fits else None, "")
        case VisitorSaid(input=TextInput(text=text)):
            return await _answered(node, ctx, await _find(node, ctx, text), text)
        case VisitorSaid(input=ValueInput(value=value)) if value is not None:
            text = as_text(value)
            return await _answered(node, ctx, await _find(node, ctx, text), text)
        case VisitorSaid():
            return await _answered(node, ctx, None, "")
        case DeadlinePassed():
            return Goto("no_reply")
        case _:
            return _ask(node, ctx)


def _ask(node: QuestionNode, ctx: StepContext) -> Outcome:
    data = node.data
    ctx.local.setdefault("attempts", 0)
    options = _dynamic_options(data.options_from, ctx) if data.options_from else _static_options(node, ctx)
    if not options and ctx.has_edge("other"):
        return Goto("other")
    if not options:
        raise StepFailed("the list of options is empty, and `other` leads nowhere")
    ctx.local["options"] = options
    ctx.local["several"] = data.multiple
    prompt = ctx.say(
        ChoicesContent(
            text=ctx.text(data.text),
            options=[
                ChoiceOption(
                    id=option["id"],
                    label=option["label"],
                    description=option.get("description"),
                    image_url=option.get("image_url"),
                )
                for option in options
            ],
            display=data.display,
            multiple=data.multiple,
            min_choices=data.min_choices,
            max_choices=data.max_choices,
            searchable=data.searchable,
        )
    )
    until = ctx.now + data.no_reply_after if data.no_reply_after else None
    return AwaitVisitor(("text", "choice"), prompt.seq, f"an answer to “{ctx.summary}”", until)


def _static_options(node: QuestionNode, ctx: StepContext) -> list[dict[str, Any]]:
    return [
        {
            "id": option.id,
            "label": ctx.text(option.label),
            "value": option.value if option.value is not None else option.id,
            "names": [
                *([option.value] if option.value else []),
                *option.synonyms,
                *_translations(option.label),
            ],
            "codes": [] if option.value else [option.id],
            "description": ctx.optional_text(option.description),
            "image_url": ctx.template(option.image_url) if option.image_url else None,
        }
        for option in node.data.options
    ]


def _translations(label: str | dict[str, str] | TemplateReference) -> list[str]:
    return [text for text in label.values() if "{{" not in text] if isinstance(label, dict) else []


def _dynamic_options(source: OptionSource, ctx: StepContext) -> list[dict[str, Any]]:
    """An option for each entry that reads as something; an object without a label shows its place."""
    entries = ctx.formula(source.list)
    if entries is not None and not isinstance(entries, list):
        raise StepFailed(f"the options' list `{source.list}` is not a list")
    options = []
    for number, entry in enumerate((entries or [])[: source.limit], start=1):
        label, value, image = to_text(entry), entry, None
        if isinstance(entry, dict):
            label = to_text(entry.get(source.label_key or "label", entry.get("name")))
            label = label if label.strip() else str(number)
            value = entry.get(source.value_key) if source.value_key else entry
            image = entry.get(source.image_key) if source.image_key else None
        if not label.strip():
            continue
        options.append(
            {
                "id": str(number),
                "label": label,
                "value": value,
                "names": [],
                "image_url": as_text(image) if image else None,
            }
        )
    return options


async def _find(node: QuestionNode, ctx: StepContext, text: str) -> list[str] | None:
    """The ids a typed answer means, or None."""
    candidates, matching = _candidates(ctx), node.data.matching
    if not node.data.multiple:
        found = await _find_one(node, ctx, text, candidates)
        return [found] if found else None
    whole = match_exact(text, candidates)
    if whole is None and matching.fuzzy:
        whole = match_similar(text, candidates, matching.fuzzy_threshold)
    if whole is not None:
        return [whole]
    if (every := all_or_none(text, candidates)) is not None:
        return every
    chosen: list[str] = []
    for part in parts_of(text, candidates, numbers=matching.numbers):
        option = part.option or await _find_one(node, ctx, part.text, candidates)
        if option is None:
            return None
        chosen.append(option)
    return list(dict.fromkeys(chosen)) or None


def _candidates(ctx: StepContext) -> list[Candidate]:
    return [
        Candidate(option["id"], (option["label"], *option["names"]), tuple(option.get("codes", ())))
        for option in ctx.local["options"]
    ]


async def _find_one(
    node: QuestionNode, ctx: StepContext, text: str, candidates: list[Candidate]
) -> str | None:
    matching = node.data.matching
    found = match_exact(text, candidates)
    if found is None and matching.numbers:
        found = match_place(text, candidates)
    if found is None and matching.fuzzy:
        found = match_similar(text, candidates, matching.fuzzy_threshold) or match_words(text, candidates)
    if found is None and matching.semantic:
        recognized = await ctx.effects.recognize_intent(
            RecognizeIntent(
                context=ctx.effect(),
                text=text,
                intents=[
                    IntentExamples(name=candidate.id, examples=[*candidate.names, *candidate.codes])
                    for candidate in candidates
                ],
                threshold=matching.semantic_threshold,
            ),
            ctx.summary,
        )
        found = recognized.intent
    return found


async def _answered(node: QuestionNode, ctx: StepContext, chosen: list[str] | None, text: str) -> Outcome:
    data = node.data
    if chosen is None:
        return _unmatched(node, ctx, text)
    options = {option["id"]: option for option in ctx.local["options"]}
    if data.multiple:
        if len(chosen) < data.min_choices:
            return _again(node, ctx, ctx.phrase("too_few", count=data.min_choices))
        if data.max_choices is not None and len(chosen) > data.max_choices:
            return _again(node, ctx, ctx.phrase("too_many", count=data.max_choices))
        if data.save_to:
            ctx.set(data.save_to, [options[option_id]["value"] for option_id in chosen])
        return Goto("next")
    if len(chosen) != 1:
        return _again(node, ctx, ctx.phrase("too_many", count=1))
    if data.save_to:
        ctx.set(data.save_to, options[chosen[0]]["value"])
    own_exit = f"option:{chosen[0]}"
    return Goto(own_exit if data.options and ctx.has_edge(own_exit) else "next")


def _unmatched(node: QuestionNode, ctx: StepContext, text: str) -> Outcome:
    attempts = int(ctx.local.get("attempts", 0)) + 1
    ctx.local["attempts"] = attempts
    if ctx.has_edge("other") and attempts > node.data.retries:
        if node.data.save_to and text:
            try:
                ctx.set(node.data.save_to, [text] if node.data.multiple else text)
            except StepFailed:  # words for a number: the exit tells more than being stuck would
                ctx.set(node.data.save_to, None)
        return Goto("other")
    return _again(node, ctx, ctx.text(node.data.retry_text) or ctx.phrase("no_match"))


def _again(node: QuestionNode, ctx: StepContext, complaint: str) -> Outcome:
    ctx.say_text(complaint)
    return _ask(node, ctx)
