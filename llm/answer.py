"""The result of one call while it is put together, the same for every provider and for streams."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from llm.catalogue import ModelEntry, cost_usd
from llm.errors import ContentRefused, ProviderUnavailable
from llm.memory import count_message, count_tools, estimate_tokens
from llm.protocol import FinishReason, ModelRequest, ModelResult, StreamSink, ToolCall, Usage

_OPENINGS_TRIED = 16


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class AnswerBuilder:
    """Collects pieces of an answer, passes visible text on, and closes the books at the end."""

    entry: ModelEntry
    request: ModelRequest
    sink: StreamSink | None = None
    finish: FinishReason | None = None
    """None until the provider says that it is done: a stream that just stops was cut."""
    usage: Usage | None = None
    _pieces: list[str] = field(default_factory=list)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)
    _first_token: float | None = None

    async def add_text(self, delta: str) -> None:
        if not delta:
            return
        if self._first_token is None:
            self._first_token = time.monotonic()
        self._pieces.append(delta)
        if self.sink is not None:
            await self.sink.text(delta)

    def add_call(
        self, index: int, *, call_id: str | None = None, name: str | None = None, arguments: str = ""
    ) -> None:
        """Take a piece of the tool call at `index`; arguments arrive as fragments of one JSON text."""
        call = self._calls.setdefault(index, _Call())
        call.id = call_id or call.id
        call.name = name or call.name
        call.arguments += arguments

    def result(self) -> ModelResult:
        """Return the finished answer; raises ProviderUnavailable if the provider never said it was done."""
        if self.finish is None:
            raise ProviderUnavailable(f"{self.entry.provider} ended the answer early", model=self.entry.id)
        text = "".join(self._pieces)
        calls = [
            _tool_call(call, fallback_id=f"call_{index}")
            for index, call in sorted(self._calls.items())
            if call.name
        ]
        usage = self.usage or self._estimated_usage(text)
        streamed = self.sink is not None and self._first_token is not None
        return ModelResult(
            model=self.entry.id,
            provider=self.entry.provider,
            text=text,
            tool_calls=calls,
            parsed=read_json(text) if self.request.response_schema is not None else None,
            finish_reason="tool_calls" if calls and self.finish == "stop" else self.finish,
            usage=usage,
            cost_usd=cost_usd(self.entry, usage),
            latency_ms=(time.monotonic() - self._started) * 1000,
            time_to_first_token_ms=(self._first_token - self._started) * 1000
            if streamed and self._first_token is not None
            else None,
        )

    def _estimated_usage(self, text: str) -> Usage:
        read = sum(count_message(message) for message in self.request.messages)
        called = sum(estimate_tokens(call.arguments) for call in self._calls.values())
        return Usage(
            input_tokens=read + count_tools(self.request.tools),
            output_tokens=estimate_tokens(text) + called,
            estimated=True,
        )

    def refuse(self, explanation: str) -> ContentRefused:
        """Return the error for an answer that the provider's filter withheld."""
        said = f": {explanation[:300]}" if explanation else ""
        return ContentRefused(f"{self.entry.provider} withheld the answer{said}", model=self.entry.id)


def _tool_call(call: _Call, *, fallback_id: str) -> ToolCall:
    written = call.arguments.strip() or "{}"
    try:
        arguments = json.loads(written)
    except ValueError:
        arguments = None
    readable = isinstance(arguments, dict)
    return ToolCall(
        id=call.id or fallback_id,
        name=call.name,
        arguments=arguments if readable else {},
        invalid_arguments=None if readable else written,
    )


def read_json(text: str) -> Any | None:
    """Read the JSON value in an answer: alone, in a code fence or after some words. None without one."""
    stripped = text.strip()
    for candidate in (stripped, _inside_fence(stripped)):
        if candidate is None:
            continue
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder()
    openings = (position for position, character in enumerate(stripped) if character in "{[")
    for position in islice(openings, _OPENINGS_TRIED):
        try:
            return decoder.raw_decode(stripped, position)[0]
        except (ValueError, RecursionError):
            continue
    return None


def _inside_fence(text: str) -> str | None:
    opening = text.find("```")
    closing = text.rfind("```")
    if opening < 0 or closing <= opening:
        return None
    body = text[opening + 3 : closing]
    return body.partition("\n")[2] if not body.lstrip().startswith(("{", "[")) else body
