"""`ai`: a language model replies, extracts or classifies. Agents are in `agent.py`."""

from __future__ import annotations

from typing import Any

from flow_schema.effects import ModelAnswer, ModelCall, PromptMessage, ToolSpec
from flow_schema.nodes.ai import (
    AgentTask,
    AiNode,
    ClassifyTask,
    ClassLabel,
    ExtractedField,
    ExtractTask,
    ReplyTask,
)
from flow_schema.turns import TextContent
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import EffectFailed, Goto, Outcome, StepFailed
from workflows.interpreter.rules import as_text
from workflows.interpreter.steps.agent import Spoken, agent


async def ai(node: AiNode, ctx: StepContext) -> Outcome:
    match node.data.task:
        case ReplyTask() as task:
            return await _reply(node, task, ctx)
        case ExtractTask() as task:
            return await _extract(node, task, ctx)
        case ClassifyTask() as task:
            return await _classify(node, task, ctx)
        case AgentTask() as task:
            return await agent(node, task, ctx, ask_model)


async def ask_model(
    node: AiNode,
    ctx: StepContext,
    messages: list[PromptMessage],
    *,
    memory: int = 0,
    up_to: int | None = None,
    stream: bool = False,
    tools: list[ToolSpec] | None = None,
    response_schema: dict[str, Any] | None = None,
    labels: list[ClassLabel] | None = None,
) -> tuple[ModelAnswer, Spoken]:
    """One call of the node's model; returns the answer and what goes with a message that says it."""
    defaults, data = ctx.settings.ai, node.data
    if memory:
        await ctx.effects.flush()
    context = ctx.effect()
    parts = (ctx.text(defaults.instructions), ctx.text(data.instructions))
    call = ModelCall(
        context=context,
        model=data.model or defaults.model,
        fallback_models=data.fallback_models or defaults.fallback_models,
        instructions="\n\n".join(part for part in parts if part),
        memory_messages=memory,
        up_to=ctx.state.last_seq if up_to is None else up_to,
        messages=messages,
        tools=tools or [],
        response_schema=response_schema,
        labels=labels or [],
        temperature=data.temperature if data.temperature is not None else defaults.temperature,
        max_tokens=data.max_tokens or defaults.max_tokens,
        stream=stream,
    )
    try:
        answer = await ctx.effects.call_model(call, ctx.summary)
    except EffectFailed as failure:
        raise StepFailed(failure.message) from failure
    return answer, Spoken(stream_id=context.key, usage=ctx.used(answer))


async def _reply(node: AiNode, task: ReplyTask, ctx: StepContext) -> Outcome:
    memory = node.data.memory.messages
    messages = []
    if node.data.prompt is not None:
        messages.append(PromptMessage(role="user", content=ctx.text(node.data.prompt)))
    elif memory == 0 and ctx.state.last_message:
        messages.append(PromptMessage(role="user", content=ctx.state.last_message))
    answer, spoken = await ask_model(node, ctx, messages, memory=memory, stream=task.send)
    if not answer.text.strip():
        raise StepFailed(f"{answer.model} gave an empty answer")
    if task.save_to:
        ctx.set(task.save_to, answer.text)
    if task.send:
        ctx.say(TextContent(text=answer.text), stream_id=spoken.stream_id, usage=spoken.usage)
    return Goto("next")


async def _extract(node: AiNode, task: ExtractTask, ctx: StepContext) -> Outcome:
    text = as_text(ctx.formula(task.text))
    schema = task.json_schema or _schema_of(task.fields)
    answer, _ = await ask_model(node, ctx, [PromptMessage(role="user", content=text)], response_schema=schema)
    if not isinstance(answer.parsed, dict):
        raise StepFailed(f"{answer.model} did not answer with an object")
    for field in task.fields:
        ctx.set(field.variable, answer.parsed.get(field.variable))
    if task.save_to:
        ctx.set(task.save_to, answer.parsed)
    return Goto("next")


def _schema_of(fields: list[ExtractedField]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in fields:
        kind = "string" if field.type == "date" else field.type
        description = field.description + (" (YYYY-MM-DD)" if field.type == "date" else "")
        properties[field.variable] = {"type": [kind, "null"], "description": description}
        if field.choices:
            properties[field.variable]["enum"] = [*field.choices, None]
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


async def _classify(node: AiNode, task: ClassifyTask, ctx: StepContext) -> Outcome:
    text = as_text(ctx.formula(task.text))
    answer, _ = await ask_model(node, ctx, [PromptMessage(role="user", content=text)], labels=task.labels)
    label = answer.parsed.get("label") if isinstance(answer.parsed, dict) else None
    ctx.set(task.save_to, label if label in {entry.id for entry in task.labels} else None)
    return Goto("next")
