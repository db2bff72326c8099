"""Messages of an agent loop.

The loop itself is the workflow's: each model call and each tool call is an activity of its own, so that a
crash repeats neither. Here are only the messages between them.
"""

from __future__ import annotations

import json
from typing import Any

from llm.protocol import ChatMessage, ModelResult, ToolCall

_CUT = "\n[cut: the result was longer]"


def assistant_message(result: ModelResult) -> ChatMessage:
    """Return what the model said and asked for as the message to append before the tools' results."""
    return ChatMessage(role="assistant", content=result.text, tool_calls=result.tool_calls)


def tool_result_message(call: ToolCall, value: Any, *, max_characters: int = 20_000) -> ChatMessage:
    """Return a tool's result as a message: texts as they are, anything else as JSON, bounded in length."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > max_characters:
        text = text[: max(0, max_characters - len(_CUT))] + _CUT
    return ChatMessage(role="tool", content=text, tool_call_id=call.id, name=call.name[:64])


def tool_error_message(call: ToolCall, reason: str) -> ChatMessage:
    """Return a failed tool call as a message that lets the model correct itself or apologize."""
    return tool_result_message(call, {"error": reason})


def refused_call(call: ToolCall, known: set[str]) -> ChatMessage | None:
    """Return the answer to a call that must not be run (unknown tool, unreadable arguments), else None."""
    if call.name not in known:
        return tool_error_message(call, f"There is no tool named {call.name}.")
    if call.invalid_arguments is not None:
        return tool_error_message(call, "The arguments were not a JSON object; call again with valid JSON.")
    return None
