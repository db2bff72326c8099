"""An agent: a model that works with tools, and may talk on with the visitor.

Its progress is kept in the frame as plain JSON after every call, so that a wait, a sub-flow, a crash or a
manual retry goes on with the next call and never repeats one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from flow_schema.effects import ModelAnswer, PromptMessage, ToolCall, ToolSpec
from flow_schema.nodes.ai import AgentTask, AiNode, ApiTool, FlowTool, RouteTool
from flow_schema.turns import ModelUsage, TextContent
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import (
    AwaitVisitor,
    Call,
    DeadlinePassed,
    EffectFailed,
    FlowReturned,
    Goto,
    Outcome,
    StepFailed,
    VisitorSaid,
)
from workflows.interpreter.steps.api_call import find

MAX_TOOL_RESULT = 8_000
MAX_KEPT_MESSAGES = 60
MAX_KEPT_CHARACTERS = 200_000


@dataclass(frozen=True)
class Spoken:
    """What goes with a message that a model wrote."""

    stream_id: str
    """The key its tokens were streamed under."""
    usage: ModelUsage


class AskModel(Protocol):
    """`ask_model` of `ai.py`."""

    async def __call__(
        self,
        node: AiNode,
        ctx: StepContext,
        messages: list[PromptMessage],
        *,
        memory: int = 0,
        up_to: int | None = None,
        stream: bool = False,
        tools: list[ToolSpec] | None = None,
    ) -> tuple[ModelAnswer, Spoken]: ...


async def agent(node: AiNode, task: AgentTask, ctx: StepContext, ask_model: AskModel) -> Outcome:
    local = ctx.local
    match ctx.event:
        case DeadlinePassed():
            return Goto("no_reply")
        case VisitorSaid():
            local["turns"] += 1
            local["calls"] = 0
            local["messages"].append({"role": "user", "content": ctx.state.last_message})
        case FlowReturned(outputs=outputs) if local.get("tools"):
            _finish_tool(ctx, local["tools"][0]["id"], outputs)
        case _ if "messages" not in local:
            prompt = ctx.text(node.data.prompt) if node.data.prompt is not None else ""
            local.update(
                messages=[{"role": "user", "content": prompt}] if prompt else [],
                memory_up_to=ctx.state.last_seq,
                tools=[],
                turns=1 if ctx.state.last_message else 0,
                calls=0,
            )
        case _:
            pass
    ctx.event = ctx.frame.event = None
    while True:
        routed = await _work_off_tools(task, ctx)
        if routed is not None:
            return routed
        if local["calls"] >= task.max_calls:
            raise StepFailed(f"the model was called {task.max_calls} times without coming to an answer")
        answer, spoken = await _call(node, task, ctx, ask_model)
        if not answer.tool_calls and not answer.text.strip():
            raise StepFailed(f"{answer.model} gave an empty answer")
        local["calls"] += 1
        local["messages"].append(
            {
                "role": "assistant",
                "content": answer.text,
                "tool_calls": [call.model_dump(mode="json") for call in answer.tool_calls],
            }
        )
        local["tools"] = [call.model_dump(mode="json") for call in answer.tool_calls]
        _remember(ctx)
        if answer.text.strip() and (not answer.tool_calls or task.converse):
            ctx.say(TextContent(text=answer.text), stream_id=spoken.stream_id, usage=spoken.usage)
        if answer.tool_calls:
            continue
        if task.save_to:
            ctx.set(task.save_to, answer.text)
        if not task.converse or local["turns"] >= task.max_turns:
            return Goto("next")
        until = ctx.now + task.no_reply_after if task.no_reply_after else None
        return AwaitVisitor(("text",), ctx.state.last_seq, f"an answer to “{ctx.summary}”", until)


async def _call(
    node: AiNode, task: AgentTask, ctx: StepContext, ask_model: AskModel
) -> tuple[ModelAnswer, Spoken]:
    messages = [PromptMessage.model_validate(entry) for entry in _window(ctx.local["messages"])]
    return await ask_model(
        node,
        ctx,
        messages,
        memory=node.data.memory.messages,
        up_to=ctx.local["memory_up_to"],
        stream=True,
        tools=[
            ToolSpec(name=tool.id, description=tool.description, parameters=tool.parameters)
            for tool in task.tools
        ],
    )


def _window(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest messages, never beginning with a tool's result whose call is cut off."""
    kept = messages[-MAX_KEPT_MESSAGES:]
    while kept and kept[0]["role"] == "tool":
        kept = kept[1:]
    return kept


async def _work_off_tools(task: AgentTask, ctx: StepContext) -> Outcome | None:
    """Does what the model asked for, one by one. An outcome ends or interrupts the agent's turn."""
    tools = {tool.id: tool for tool in task.tools}
    while ctx.local["tools"]:
        call = ToolCall.model_validate(ctx.local["tools"][0])
        match tools.get(call.name):
            case None:
                _finish_tool(ctx, call.id, {"error": f"there is no tool {call.name}"})
            case RouteTool() as route:
                ctx.local["tools"] = []
                if route.save_to:
                    ctx.set(route.save_to, call.arguments)
                return Goto(f"tool:{route.id}")
            case FlowTool() as flow:
                return Call(flow.flow, dict(call.arguments))
            case ApiTool() as tool:
                _finish_tool(ctx, call.id, await _api(tool, call, ctx))
    return None


async def _api(tool: ApiTool, call: ToolCall, ctx: StepContext) -> Any:
    try:
        result = await ctx.http(tool.request, tool.retry, extra={"args": dict(call.arguments)})
    except EffectFailed as failure:
        return {"error": failure.message}
    if not 200 <= result.status < 300:
        return {"error": f"status {result.status}", "body": result.body}
    return find(result.body, tool.result_path)


def _finish_tool(ctx: StepContext, call_id: str, result: Any) -> None:
    """Records a tool's result for the model."""
    content = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    ctx.local["messages"].append(
        {"role": "tool", "tool_call_id": call_id, "content": content[:MAX_TOOL_RESULT]}
    )
    ctx.local["tools"] = ctx.local["tools"][1:]
    _remember(ctx)


def _remember(ctx: StepContext) -> None:
    """A retry of this step goes on after the last finished call, with the keys that come next."""
    ctx.local["resume_calls"] = ctx.frame.calls
    messages = ctx.local["messages"]
    del messages[: -2 * MAX_KEPT_MESSAGES]
    while len(messages) > 1 and sum(len(entry["content"]) for entry in messages) > MAX_KEPT_CHARACTERS:
        del messages[0]
