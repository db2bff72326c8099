"""The chat-completions protocol, as OpenAI, Groq, Mistral and Ollama speak it.

The vendors differ in details, and those are the fields of `Dialect`. Payloads are plain JSON values, so that
the same code serves several SDKs; answers are read by attribute, since the SDKs' models share their names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any

from llm.answer import AnswerBuilder
from llm.catalogue import ModelEntry
from llm.protocol import ChatMessage, FinishReason, ModelRequest, ToolCall, Usage
from llm.strict_schema import strict_schema

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where a vendor departs from the others."""

    longest_answer: str = "max_completion_tokens"
    """Name of the field that bounds the answer."""
    stream_usage: bool = True
    """Whether token counts of streams must (and may) be asked for."""
    user_field: str | None = None
    """Name of the field for the end user's hash; None if the vendor knows none."""
    short_call_ids: bool = False
    """Whether ids of tool calls must be nine letters or digits."""


def completion_payload(
    request: ModelRequest, entry: ModelEntry, dialect: Dialect, *, stream: bool
) -> dict[str, Any]:
    """Return the JSON body of a chat completion, with only what the model accepts."""
    payload: dict[str, Any] = {
        "model": entry.name,
        "messages": [_message(message, dialect) for message in request.messages],
    }
    if stream:
        payload["stream"] = True
        if dialect.stream_usage:
            payload["stream_options"] = {"include_usage": True}
    if request.temperature is not None and entry.temperature:
        payload["temperature"] = request.temperature
    if request.max_tokens is not None:
        longest = request.max_tokens + entry.thinking_tokens
        payload[dialect.longest_answer] = min(longest, entry.max_output or longest)
    if request.stop and entry.temperature:
        payload["stop"] = request.stop
    if entry.effort is not None:
        payload["reasoning_effort"] = entry.effort
    if request.user_hash is not None and dialect.user_field is not None:
        payload[dialect.user_field] = request.user_hash
    if request.tools:
        payload["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ]
        payload["tool_choice"] = _tool_choice(request.tool_choice)
    if request.response_schema is not None:
        payload["response_format"] = _response_format(request.response_schema, entry)
        if payload["response_format"]["type"] == "json_object":
            payload["messages"].insert(
                0, {"role": "system", "content": schema_in_words(request.response_schema)}
            )
    return payload


def schema_in_words(schema: dict[str, Any]) -> str:
    """Return the instruction for models that can't be held to a schema by their decoder."""
    written = json.dumps(schema, ensure_ascii=False, sort_keys=True)
    return f"Answer with one JSON object and nothing else. It must satisfy this JSON Schema: {written}"


def _response_format(schema: dict[str, Any], entry: ModelEntry) -> dict[str, Any]:
    strict = strict_schema(schema) if entry.json_schema else None
    if strict is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": strict}}


def _tool_choice(choice: str) -> Any:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _message(message: ChatMessage, dialect: Dialect) -> dict[str, Any]:
    if message.role == "tool":
        return {
            "role": "tool",
            "content": message.content,
            "tool_call_id": _call_id(message.tool_call_id or "", dialect),
        }
    payload: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        payload["tool_calls"] = [_written_call(call, dialect) for call in message.tool_calls]
        if not message.content:
            payload["content"] = None if not dialect.short_call_ids else ""
    return payload


def _written_call(call: ToolCall, dialect: Dialect) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {
        "id": _call_id(call.id, dialect),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _call_id(call_id: str, dialect: Dialect) -> str:
    """Fit another vendor's call id (after a fallback) into this vendor's form, always in the same way."""
    if not dialect.short_call_ids or re.fullmatch(r"[A-Za-z0-9]{9}", call_id):
        return call_id
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


async def read_stream(stream: AsyncIterable[Any], builder: AnswerBuilder) -> None:
    """Read a stream of completion chunks into the builder, to its end: usage comes after the text."""
    refusal: list[str] = []
    async for chunk in stream:
        usage = getattr(chunk, "usage", None)
        if usage is None:
            usage = getattr(getattr(chunk, "x_groq", None), "usage", None)
        if usage is not None:
            builder.usage = _usage(usage)
        for choice in chunk.choices or ():
            if choice.index:
                continue
            delta = choice.delta
            if delta is not None:
                await builder.add_text(delta.content or "")
                refusal.append(getattr(delta, "refusal", None) or "")
                for call in delta.tool_calls or ():
                    function = call.function
                    builder.add_call(
                        call.index,
                        call_id=call.id,
                        name=None if function is None else function.name,
                        arguments="" if function is None else function.arguments or "",
                    )
            _finish(builder, choice.finish_reason)
    if any(refusal):
        raise builder.refuse("".join(refusal))


async def read_completion(completion: Any, builder: AnswerBuilder) -> None:
    """Read an answer that came in one piece."""
    if completion.usage is not None:
        builder.usage = _usage(completion.usage)
    for choice in (completion.choices or ())[:1]:
        message = choice.message
        if refusal := getattr(message, "refusal", None):
            raise builder.refuse(refusal)
        await builder.add_text(message.content or "")
        for index, call in enumerate(message.tool_calls or ()):
            builder.add_call(
                index, call_id=call.id, name=call.function.name, arguments=call.function.arguments
            )
        _finish(builder, choice.finish_reason)


def _finish(builder: AnswerBuilder, reason: str | None) -> None:
    if reason == "content_filter":
        raise builder.refuse("content filter")
    if reason is not None:
        builder.finish = _FINISH.get(reason, "stop")


def _usage(usage: Any) -> Usage:
    details = getattr(usage, "prompt_tokens_details", None)
    return Usage(
        input_tokens=usage.prompt_tokens or 0,
        output_tokens=usage.completion_tokens or 0,
        cached_tokens=getattr(details, "cached_tokens", None) or 0,
    )
