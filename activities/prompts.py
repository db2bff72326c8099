"""From a model call of the contract to a request for a provider, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import JsonValue

from core.json_values import clean_json, clean_text
from database.message_text import plain_text
from flow_schema.effects import ModelAnswer, ModelCall, PromptMessage, ToolCall
from flow_schema.turns import EventContent, Message, MessageRole
from llm.catalogue import resolve_model
from llm.classification import classification_request, read_classification
from llm.errors import MalformedOutput
from llm.extraction import extraction_request, read_extraction
from llm.memory import count_tools, trim_messages
from llm.protocol import ChatMessage, Label, ModelRequest, ModelResult
from llm.protocol import ToolCall as AskedCall
from llm.protocol import ToolSpec as OfferedTool

ANSWER_TOKENS = 1_024
"""Kept free for the answer when the flow sets no limit."""
_SPEAKERS = {MessageRole.USER: "user", MessageRole.ASSISTANT: "assistant", MessageRole.AGENT: "assistant"}


def history_of(messages: Sequence[Message]) -> list[ChatMessage]:
    """Return a transcript as a model sees it: visitors are users, bots and agents assistants.

    Notices, events of the site and messages without words are left out.
    """
    seen = []
    for message in messages:
        speaker = _SPEAKERS.get(message.role)
        text = "" if isinstance(message.content, EventContent) else plain_text(message.content).strip()
        if speaker is not None and text:
            seen.append(ChatMessage.model_validate({"role": speaker, "content": text}))
    return seen


def build_request(call: ModelCall, model: str, history: Sequence[ChatMessage], today: str) -> ModelRequest:
    """Return the request for a call: a classification, an extraction, or an answer.

    The same call gives the same request on every attempt. Raises LlmError if it can't fit the model.
    """
    if call.labels:
        request = classification_request(
            _subject(call, history),
            _labels(call),
            model=model,
            language=call.context.language,
            idempotency_key=call.context.key,
        )
        return _with_instructions(request, call.instructions)
    if call.response_schema is not None:
        return extraction_request(
            _subject(call, history),
            call.response_schema,
            model=model,
            instructions=call.instructions,
            history=history,
            language=call.context.language,
            today=today,
            max_tokens=call.max_tokens or ANSWER_TOKENS,
            idempotency_key=call.context.key,
        )
    return _reply_request(call, model, history)


def _reply_request(call: ModelCall, model: str, history: Sequence[ChatMessage]) -> ModelRequest:
    entry = resolve_model(model)
    tools = [OfferedTool.model_validate(tool.model_dump()) for tool in call.tools]
    messages = [*history, *(_chat_message(message) for message in call.messages)]
    if call.instructions:
        messages.insert(0, ChatMessage(role="system", content=call.instructions))
    answer = call.max_tokens or min(ANSWER_TOKENS, entry.max_output or ANSWER_TOKENS)
    trimmed = trim_messages(
        messages,
        window_tokens=entry.window,
        reserve_tokens=answer + entry.thinking_tokens + count_tools(tools),
    )
    return ModelRequest(
        model=model,
        messages=trimmed,
        temperature=call.temperature,
        max_tokens=call.max_tokens,
        tools=tools,
        idempotency_key=call.context.key,
        user_hash=hashlib.sha256(call.context.conversation_id.encode()).hexdigest()[:32],
        language=call.context.language,
    )


def read_answer(call: ModelCall, result: ModelResult) -> ModelAnswer:
    """Return a provider's result as the contract's answer.

    Raises MalformedOutput if it does not fit the schema, names no label, or calls a tool unreadably.
    """
    parsed: object = None
    if call.labels:
        label, confidence = read_classification(result, _labels(call))
        parsed = {"label": label, "confidence": confidence}
    elif call.response_schema is not None:
        parsed = read_extraction(result, call.response_schema)
    for asked in result.tool_calls:
        if asked.invalid_arguments is not None:
            raise MalformedOutput(
                f"the arguments of the tool {asked.name} are not a JSON object",
                model=result.model,
                raw=asked.invalid_arguments,
            )
    first = result.time_to_first_token_ms
    return ModelAnswer.model_validate(
        {
            "model": result.model,
            "text": clean_text(result.text),
            "tool_calls": [
                ToolCall(id=asked.id, name=asked.name, arguments=_cleaned(asked))
                for asked in result.tool_calls
            ],
            "parsed": parsed if parsed is None else clean_json(parsed),  # type: ignore[arg-type]
            "finish_reason": result.finish_reason,
            "input_tokens": result.usage.input_tokens,
            "output_tokens": result.usage.output_tokens,
            "cost_usd": result.cost_usd,
            "milliseconds": round(result.latency_ms),
            "first_token_milliseconds": None if first is None else round(first),
            "failed_models": [attempt.model for attempt in result.attempts],
        }
    )


def _cleaned(asked: AskedCall) -> dict[str, JsonValue]:
    cleaned = clean_json(asked.arguments)
    assert isinstance(cleaned, dict)
    return cleaned


def _subject(call: ModelCall, history: Sequence[ChatMessage]) -> str:
    """The text to classify or to read: the last user message."""
    given = [message.content for message in call.messages if message.role == "user"]
    said = [message.content for message in history if message.role == "user"]
    return (given or said or [""])[-1]


def _labels(call: ModelCall) -> list[Label]:
    return [
        Label(name=label.id, description=label.description, examples=label.examples) for label in call.labels
    ]


def _with_instructions(request: ModelRequest, instructions: str) -> ModelRequest:
    if not instructions:
        return request
    system, *rest = request.messages
    extended = system.model_copy(update={"content": f"{system.content}\n\n{instructions}"})
    return request.model_copy(update={"messages": [extended, *rest]})


def _chat_message(message: PromptMessage) -> ChatMessage:
    return ChatMessage.model_validate(
        {
            "role": message.role,
            "content": message.content,
            "tool_calls": [call.model_dump() for call in message.tool_calls],
            "tool_call_id": message.tool_call_id,
        }
    )
