"""Anthropic's Messages API, through its own SDK.

What departs from the other vendors: instructions travel beside the messages; results of tools are part of a
visitor's message; the first message must be the visitor's; current models refuse a temperature, and the
newest refuse to be forced to a tool, so structured answers use the API's own output format. Thinking that a
model did before asking for a tool is not sent back: it is optional with adaptive thinking, and it would bind
the conversation to one unchanged prefix, which trimming and fallbacks break.
"""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import httpx2

from llm.answer import AnswerBuilder
from llm.catalogue import ModelEntry, find_model
from llm.chat_completions import schema_in_words
from llm.credentials import ProviderCredentials
from llm.errors import ContextTooLong, ProviderUnavailable
from llm.protocol import ChatMessage, ModelRequest, ModelResult, StreamSink, Usage
from llm.sdk_errors import translate_error
from llm.strict_schema import strict_schema

_ADDRESS = "https://api.anthropic.com"
_LONGEST_ANSWER = 4096
_OPENING = "(The conversation begins.)"


class AnthropicProvider:
    name = "anthropic"

    def __init__(self, credentials: ProviderCredentials) -> None:
        self._api_key = credentials.require("anthropic_api_key")
        client = anthropic.AsyncAnthropic(
            api_key=self._api_key,
            base_url=(credentials.anthropic_base_url or _ADDRESS).rstrip("/").removesuffix("/v1"),
            max_retries=0,
            open_telemetry=False,
        )
        client._custom_headers = {}  # the SDK fills them from its environment, and has no switch for it
        self._client = client

    async def complete(self, request: ModelRequest, *, on_text: StreamSink | None = None) -> ModelResult:
        entry = find_model(f"{self.name}/{request.model}")
        builder = AnswerBuilder(entry, request, on_text)
        payload = messages_payload(request, entry)
        headers = {} if request.idempotency_key is None else {"Idempotency-Key": request.idempotency_key}
        try:
            async with asyncio.timeout(request.timeout_seconds):
                stream = await self._client.messages.create(
                    **payload, stream=True, extra_headers=headers, timeout=request.timeout_seconds
                )
                async with stream:
                    await _read_events(stream, builder)
        except (anthropic.AnthropicError, httpx2.HTTPError) as error:
            raise translate_error(
                error, provider=self.name, model=request.model, secrets=[self._api_key]
            ) from None
        except TimeoutError:
            raise ProviderUnavailable(
                f"anthropic took longer than {request.timeout_seconds:g} s", model=entry.id
            ) from None
        except ValueError as error:
            raise ProviderUnavailable(
                f"anthropic sent an unreadable answer: {type(error).__name__}", model=entry.id
            ) from None
        return builder.result()

    async def close(self) -> None:
        await self._client.close()


def messages_payload(request: ModelRequest, entry: ModelEntry) -> dict[str, Any]:
    """Return the body of a call. Answers are always streamed: long ones outlive idle connections."""
    system = [message.content for message in request.messages if message.role == "system" and message.content]
    longest = (request.max_tokens or _LONGEST_ANSWER) + entry.thinking_tokens
    payload: dict[str, Any] = {
        "model": entry.name,
        "max_tokens": min(longest, entry.max_output or longest),
        "messages": _turns(request.messages),
    }
    output: dict[str, Any] = {}
    if request.response_schema is not None:
        strict = strict_schema(request.response_schema)
        if strict is None:
            system.append(schema_in_words(request.response_schema))
        else:
            output["format"] = {"type": "json_schema", "schema": strict}
    if entry.effort is not None:
        output["effort"] = entry.effort
    if output:
        payload["output_config"] = output
    if request.tools:
        payload["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
        payload["tool_choice"], instruction = _tool_choice(request.tool_choice, entry)
        system.extend(instruction)
    if system:
        payload["system"] = "\n\n".join(system)
    if stops := [stop for stop in request.stop if stop.strip()]:
        payload["stop_sequences"] = stops
    if request.user_hash is not None:
        payload["metadata"] = {"user_id": request.user_hash}
    return payload


def _tool_choice(choice: str, entry: ModelEntry) -> tuple[dict[str, str], list[str]]:
    if choice in ("auto", "none"):
        return {"type": choice}, []
    if not entry.forced_tools:
        which = "one of the tools" if choice == "required" else f"the tool {choice}"
        return {"type": "auto"}, [f"Call {which} now; do not answer in text."]
    return ({"type": "any"} if choice == "required" else {"type": "tool", "name": choice}), []


def _turns(messages: list[ChatMessage]) -> list[dict[str, Any]]:
    """Return alternating turns, the visitor's first; results of tools count as the visitor's."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        blocks = _blocks(message)
        if message.role == "system" or not blocks:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _OPENING}]})
    return turns


def _blocks(message: ChatMessage) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}]
    text = [{"type": "text", "text": message.content}] if message.content.strip() else []
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in message.tool_calls
    ]
    return [*text, *calls]


async def _read_events(stream: Any, builder: AnswerBuilder) -> None:
    usage = Usage()
    async for event in stream:
        if event.type == "message_start":
            usage = _usage(event.message.usage, usage)
        elif event.type == "content_block_start" and event.content_block.type == "tool_use":
            builder.add_call(event.index, call_id=event.content_block.id, name=event.content_block.name)
        elif event.type == "content_block_delta":
            if event.delta.type == "text_delta":
                await builder.add_text(event.delta.text)
            elif event.delta.type == "input_json_delta":
                builder.add_call(event.index, arguments=event.delta.partial_json)
        elif event.type == "message_delta":
            usage = _usage(event.usage, usage)
            _finish(event.delta.stop_reason, builder)
    builder.usage = usage


def _usage(reported: Any, before: Usage) -> Usage:
    """Counts are cumulative, and cached input is counted apart from other input."""
    cached = getattr(reported, "cache_read_input_tokens", None)
    created = getattr(reported, "cache_creation_input_tokens", None)
    fresh = getattr(reported, "input_tokens", None)
    cached_tokens = before.cached_tokens if cached is None else cached
    return Usage(
        input_tokens=before.input_tokens if fresh is None else fresh + cached_tokens + (created or 0),
        output_tokens=reported.output_tokens or 0,
        cached_tokens=cached_tokens,
    )


def _finish(reason: str | None, builder: AnswerBuilder) -> None:
    if reason == "refusal":
        raise builder.refuse("refusal")
    if reason == "model_context_window_exceeded":
        raise ContextTooLong("anthropic: the context window is full", model=builder.entry.id)
    if reason == "max_tokens":
        builder.finish = "length"
    elif reason == "tool_use":
        builder.finish = "tool_calls"
    elif reason is not None:
        builder.finish = "stop"
