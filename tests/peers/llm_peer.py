"""A local peer that speaks the published protocols of the LLM vendors.

Chat completions at `/v1/chat/completions` (OpenAI, Mistral, Ollama) and `/openai/v1/chat/completions` (Groq),
and Anthropic's `/v1/messages`; streamed or in one piece, with tool calls, JSON Schema, token counts, errors
and broken connections. It refuses what the vendors refuse, so that a wrong request fails here too. Answers
come from a script; without one they are a function of the last user message, hence deterministic.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


@dataclass(slots=True)
class RecordedCall:
    """One request as it arrived."""

    protocol: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def last_user_text(self) -> str:
        for message in reversed(self.body.get("messages", [])):
            if message.get("role") == "user":
                return _text_of(message.get("content"))
        return ""


@dataclass(slots=True)
class PeerAnswer:
    """What to answer. With a status other than 200, `error` is the body; `break_after` cuts the stream."""

    text: str = ""
    tools: list[tuple[str, str]] = field(default_factory=list)
    """Names with the JSON text of their arguments."""
    status: int = 200
    error: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    """Close the connection after so many pieces of text."""
    stream_error: dict[str, Any] | None = None
    """Sent in the stream after the text instead of its end."""
    finish: str | None = None
    refusal: str | None = None
    cached_tokens: int = 0
    latency_seconds: float = 0.0


Script = Callable[[RecordedCall], PeerAnswer | None]


def default_answer(call: RecordedCall) -> PeerAnswer:
    """Echo the last user message, or fill the wanted schema with the smallest values."""
    schema = _wanted_schema(call)
    if schema is not None:
        return PeerAnswer(text=json.dumps(smallest_value(schema)))
    return PeerAnswer(text=f"You said: {call.last_user_text}")


def smallest_value(schema: dict[str, Any]) -> Any:
    """Return a plain value of a strict schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return smallest_value(schema["anyOf"][0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: smallest_value(value) for name, value in schema.get("properties", {}).items()}
    return {"array": [], "integer": 0, "number": 0, "boolean": False, "null": None}.get(str(kind), "")


def create_llm_peer(
    script: Script | None = None, *, latency_seconds: float = 0.0, chunk_seconds: float = 0.0
) -> FastAPI:
    """Return the app. `app.state.calls` holds every request; `app.state.script` may be replaced any time."""
    app = FastAPI()
    app.state.calls = []
    app.state.script = script

    async def answer(request: Request, protocol: str) -> tuple[RecordedCall, PeerAnswer]:
        call = RecordedCall(
            protocol,
            request.url.path,
            {k.lower(): v for k, v in request.headers.items()},
            await request.json(),
        )
        app.state.calls.append(call)
        refusal = _refuse_anthropic(call) if protocol == "anthropic" else _refuse_openai(call)
        if refusal is not None:
            return call, PeerAnswer(status=400, error=refusal)
        planned = app.state.script(call) if app.state.script is not None else None
        reply = planned or default_answer(call)
        await asyncio.sleep(latency_seconds + reply.latency_seconds)
        return call, reply

    async def completions(request: Request) -> Response:
        call, reply = await answer(request, "openai")
        if reply.status != 200:
            return JSONResponse(reply.error or {}, reply.status, reply.headers)
        if call.body.get("stream"):
            return StreamingResponse(
                _openai_stream(call, reply, chunk_seconds), media_type="text/event-stream"
            )
        return JSONResponse(_openai_completion(call, reply))

    async def messages(request: Request) -> Response:
        call, reply = await answer(request, "anthropic")
        if reply.status != 200:
            return JSONResponse(reply.error or {}, reply.status, reply.headers)
        if not call.body.get("stream"):
            return JSONResponse({"error": {"type": "invalid_request_error", "message": "stream it"}}, 400)
        return StreamingResponse(
            _anthropic_stream(call, reply, chunk_seconds), media_type="text/event-stream"
        )

    app.post("/v1/chat/completions")(completions)
    app.post("/openai/v1/chat/completions")(completions)
    app.post("/v1/messages")(messages)
    return app


@contextmanager
def serve_llm_peer(app: FastAPI) -> Iterator[str]:
    """Serve the app on a free local port in a thread; yields `http://127.0.0.1:PORT`."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if time.monotonic() > deadline:
            raise RuntimeError("the peer did not start")
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(block.get("text", "") for block in content if block.get("type") == "text")
    return content or ""


def _wanted_schema(call: RecordedCall) -> dict[str, Any] | None:
    wanted = call.body.get("response_format") or call.body.get("output_config", {}).get("format") or {}
    schema: dict[str, Any] | None = wanted.get("json_schema", wanted).get("schema")
    return schema


def pieces_of(text: str) -> list[str]:
    """Cut a text into the pieces in which it is streamed."""
    return [text[start : start + 5] for start in range(0, len(text), 5)]


def prompt_tokens(call: RecordedCall) -> int:
    """The peer's own token count: words of all messages."""
    return sum(len(_text_of(message.get("content")).split()) for message in call.body["messages"])


def _openai_error(message: str, code: str = "invalid_value") -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


def _refuse_openai(call: RecordedCall) -> dict[str, Any] | None:
    if not call.headers.get("authorization", "").startswith("Bearer "):
        return _openai_error("no key")
    open_calls: set[str] = set()
    for message in call.body.get("messages", []):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return _openai_error("messages with role 'tool' must answer a preceding tool call")
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            return _openai_error("tool calls must be followed by tool messages")
        open_calls = {tool_call["id"] for tool_call in message.get("tool_calls", [])}
    wanted = call.body.get("response_format", {})
    if wanted.get("type") == "json_schema" and wanted["json_schema"].get("strict"):
        return _refuse_open_objects(wanted["json_schema"]["schema"])
    if wanted.get("type") == "json_object" and "json" not in json.dumps(call.body["messages"]).lower():
        return _openai_error("'messages' must contain the word 'json'")
    if call.body["model"].startswith(("o3", "gpt-5")) and {"temperature", "max_tokens"} & call.body.keys():
        return _openai_error("unsupported parameter", "unsupported_parameter")
    if call.body["model"].startswith("mistral") and {"stream_options", "user"} & call.body.keys():
        return _openai_error("extra inputs are not permitted")
    return None


def _refuse_open_objects(schema: Any) -> dict[str, Any] | None:
    if isinstance(schema, list):
        return next((found for item in schema if (found := _refuse_open_objects(item))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", [])) != set(schema.get("properties", {})):
            return _openai_error("objects must be closed, with all properties required")
    return next((found for item in schema.values() if (found := _refuse_open_objects(item))), None)


def _refuse_anthropic(call: RecordedCall) -> dict[str, Any] | None:
    def invalid(message: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}

    body = call.body
    if {"temperature", "top_p", "top_k"} & body.keys():
        return invalid("`temperature` is deprecated for this model.")
    if not isinstance(body.get("max_tokens"), int):
        return invalid("max_tokens: field required")
    if body["messages"][0]["role"] != "user":
        return invalid("the first message must be the user's")
    if body.get("tool_choice", {}).get("type") in ("tool", "any") and "5-5" in body["model"]:
        return invalid('tool_choice: type "tool" and "any" are not supported for this model.')
    asked: set[str] = set()
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            return invalid("text content blocks must be non-empty")
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if answered != asked:
            return invalid("tool_use ids must be answered by tool_result blocks right after")
        asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
    schema = body.get("output_config", {}).get("format", {}).get("schema")
    return None if _refuse_open_objects(schema) is None else invalid("additionalProperties must be false")


def _openai_finish(reply: PeerAnswer) -> str:
    return reply.finish or ("tool_calls" if reply.tools else "stop")


def _openai_usage(call: RecordedCall, reply: PeerAnswer) -> dict[str, Any]:
    read, written = prompt_tokens(call), len(reply.text.split())
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
    }


def _openai_completion(call: RecordedCall, reply: PeerAnswer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": reply.refusal}
    if reply.tools:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(reply.tools)
        ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": call.body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": _openai_finish(reply)}],
        "usage": _openai_usage(call, reply),
    }


class BrokenConnectionError(Exception):
    """Raised inside a stream to make the server drop the connection."""


async def _openai_stream(call: RecordedCall, reply: PeerAnswer, chunk_seconds: float) -> AsyncIterator[str]:
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": call.body["model"]}

    def event(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return f"data: {json.dumps({**frame, 'choices': [choice]})}\n\n"

    yield event({"role": "assistant", "content": ""})
    for number, piece in enumerate(pieces_of(reply.text)):
        if reply.break_after == number:
            raise BrokenConnectionError
        yield event({"content": piece})
        await asyncio.sleep(chunk_seconds)
    if reply.refusal:
        yield event({"refusal": reply.refusal})
    for index, (name, arguments) in enumerate(reply.tools):
        head = {"index": index, "id": f"call_{index}", "type": "function"}
        yield event({"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]})
        for piece in pieces_of(arguments):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if reply.stream_error is not None:
        yield f"data: {json.dumps(reply.stream_error)}\n\n"
        return
    if reply.finish != "":
        yield event({}, _openai_finish(reply))
    groq = call.path.startswith("/openai")
    if groq:
        counts = {"id": "req_1", "usage": _openai_usage(call, reply)}
        yield f"data: {json.dumps({**frame, 'choices': [], 'x_groq': counts})}\n\n"
    elif call.body.get("stream_options", {}).get("include_usage") or call.body["model"].startswith("mistral"):
        yield f"data: {json.dumps({**frame, 'choices': [], 'usage': _openai_usage(call, reply)})}\n\n"
    yield "data: [DONE]\n\n"


async def _anthropic_stream(
    call: RecordedCall, reply: PeerAnswer, chunk_seconds: float
) -> AsyncIterator[str]:
    def event(kind: str, **body: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **body})}\n\n"

    started = {
        "input_tokens": prompt_tokens(call),
        "output_tokens": 1,
        "cache_read_input_tokens": reply.cached_tokens,
        "cache_creation_input_tokens": 0,
    }
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": call.body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": started,
    }  # fmt: skip
    yield event("message_start", message=message)
    yield event("ping")
    block = 0
    if reply.text:
        yield event("content_block_start", index=block, content_block={"type": "text", "text": ""})
        for number, piece in enumerate(pieces_of(reply.text)):
            if reply.break_after == number:
                raise BrokenConnectionError
            yield event("content_block_delta", index=block, delta={"type": "text_delta", "text": piece})
            await asyncio.sleep(chunk_seconds)
        yield event("content_block_stop", index=block)
        block += 1
    for number, (name, arguments) in enumerate(reply.tools):
        tool = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}
        yield event("content_block_start", index=block, content_block=tool)
        for piece in pieces_of(arguments):
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield event("content_block_delta", index=block, delta=delta)
        yield event("content_block_stop", index=block)
        block += 1
    if reply.stream_error is not None:
        yield f"event: error\ndata: {json.dumps(reply.stream_error)}\n\n"
        return
    if reply.finish != "":
        stop = reply.finish or ("tool_use" if reply.tools else "end_turn")
        written = len(reply.text.split())
        yield event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": written})
    yield event("message_stop")
