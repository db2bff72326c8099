"""Every provider through its own SDK against a peer that speaks its vendor's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI

from llm.credentials import ProviderCredentials
from llm.errors import (
    AuthenticationFailed,
    ContentRefused,
    ContextTooLong,
    InvalidRequest,
    LlmError,
    ModelNotAvailable,
    ProviderUnavailable,
    RateLimited,
)
from llm.protocol import ChatMessage, ModelRequest, ModelResult, ToolCall, ToolSpec
from llm.registry import ProviderRegistry
from llm.sdk_errors import redact
from tests.peers.llm_peer import PeerAnswer, RecordedCall, create_llm_peer, pieces_of, serve_llm_peer

KEY = "sk-test-0123456789abcdef"
OPENAI, ANTHROPIC, GROQ = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "groq/openai/gpt-oss-20b"
MISTRAL, OLLAMA = "mistral/mistral-small-latest", "ollama/llama3.2:1b"
ALL = [OPENAI, ANTHROPIC, GROQ, MISTRAL, OLLAMA]


@dataclass
class Peer:
    app: FastAPI
    credentials: ProviderCredentials

    @property
    def calls(self) -> list[RecordedCall]:
        calls: list[RecordedCall] = self.app.state.calls
        return calls

    def answers(self, answer: PeerAnswer | Callable[[RecordedCall], PeerAnswer | None]) -> None:
        self.app.state.script = answer if callable(answer) else lambda _call: answer


@dataclass
class Listener:
    """A sink that shows what a visitor would see."""

    pieces: list[str] = field(default_factory=list)
    resets: list[str] = field(default_factory=list)

    async def text(self, delta: str) -> None:
        self.pieces.append(delta)

    async def reset(self, reason: str) -> None:
        self.pieces.clear()
        self.resets.append(reason)


@pytest.fixture(scope="module")
def served() -> Iterator[Peer]:
    app = create_llm_peer()
    with serve_llm_peer(app) as address:
        credentials = ProviderCredentials(
            openai_api_key=KEY, openai_base_url=f"{address}/v1",
            anthropic_api_key=KEY, anthropic_base_url=address,
            groq_api_key=KEY, groq_base_url=address,
            mistral_api_key=KEY, mistral_base_url=f"{address}/v1",
            ollama_base_url=address,
        )  # fmt: skip
        yield Peer(app, credentials)


@pytest.fixture
def peer(served: Peer) -> Peer:
    served.app.state.calls.clear()
    served.app.state.script = None
    return served


async def ask(peer: Peer, model: str, *, sink: Listener | None = None, **fields: Any) -> ModelResult:
    registry = ProviderRegistry(peer.credentials)
    fields.setdefault("messages", [ChatMessage(role="user", content="where is my order")])
    try:
        provider, entry = registry.provider_for(model)
        return await provider.complete(ModelRequest(model=entry.name, **fields), on_text=sink)
    finally:
        await registry.close()


@pytest.mark.parametrize("model", ALL)
async def test_answers_in_one_piece(peer: Peer, model: str) -> None:
    result = await ask(peer, model)
    assert result.text == "You said: where is my order"
    assert (result.model, result.provider, result.finish_reason) == (model, model.split("/")[0], "stop")
    assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.estimated) == (4, 6, False)
    assert result.time_to_first_token_ms is None
    assert len(peer.calls) == 1


@pytest.mark.parametrize("model", ALL)
async def test_streams_the_text_in_the_pieces_that_came(peer: Peer, model: str) -> None:
    sink = Listener()
    result = await ask(peer, model, sink=sink)
    assert sink.pieces == pieces_of("You said: where is my order")
    assert result.text == "".join(sink.pieces)
    assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.estimated) == (4, 6, False)
    assert result.time_to_first_token_ms is not None
    assert 0 <= result.time_to_first_token_ms <= result.latency_ms


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls_arrive_whole(peer: Peer, model: str, streamed: bool) -> None:
    peer.answers(PeerAnswer(tools=[("order_status", '{"order": "A-17", "lines": [1, 2]}'), ("today", "")]))
    tools = [ToolSpec(name="order_status"), ToolSpec(name="today")]
    result = await ask(peer, model, sink=Listener() if streamed else None, tools=tools)
    assert [call.name for call in result.tool_calls] == ["order_status", "today"]
    assert result.tool_calls[0].arguments == {"order": "A-17", "lines": [1, 2]}
    assert result.tool_calls[1].arguments == {}
    assert result.tool_calls[1].invalid_arguments is None
    assert len({call.id for call in result.tool_calls}) == 2
    assert result.finish_reason == "tool_calls"
    sent = peer.calls[0].body["tools"]
    assert [tool.get("name") or tool["function"]["name"] for tool in sent] == ["order_status", "today"]


@pytest.mark.parametrize("model", ALL)
async def test_cut_arguments_are_marked_never_emptied_in_silence(peer: Peer, model: str) -> None:
    peer.answers(PeerAnswer(tools=[("refund", '{"amount": 12')]))
    result = await ask(peer, model, tools=[ToolSpec(name="refund")])
    assert result.tool_calls[0].invalid_arguments == '{"amount": 12'


@pytest.mark.parametrize("model", ALL)
async def test_an_agents_turn_with_two_tool_results_is_accepted(peer: Peer, model: str) -> None:
    calls = [ToolCall(id="call_abc", name="a", arguments={"x": 1}), ToolCall(id="call_def", name="b")]
    messages = [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="assistant", content="Hello, how can I help?"),
        ChatMessage(role="user", content="check both"),
        ChatMessage(role="assistant", tool_calls=calls),
        ChatMessage(role="tool", tool_call_id="call_abc", name="a", content="one"),
        ChatMessage(role="tool", tool_call_id="call_def", name="b", content="two"),
    ]
    result = await ask(peer, model, messages=messages, tools=[ToolSpec(name="a"), ToolSpec(name="b")])
    assert result.text.startswith("You said:")


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_schema_is_enforced_by_the_vendor(peer: Peer, model: str, streamed: bool) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "people": {"type": "integer", "minimum": 1},
            "contact": {"type": "object", "properties": {"email": {"type": "string", "format": "email"}}},
        },
        "required": ["name"],
    }
    result = await ask(peer, model, sink=Listener() if streamed else None, response_schema=schema)
    assert result.parsed == {"name": "", "people": 0, "contact": {"email": ""}}
    body = peer.calls[0].body
    wanted = body.get("response_format") or body["output_config"]["format"]
    assert wanted["type"] == "json_schema"


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC])
async def test_an_open_schema_is_told_in_words(peer: Peer, model: str) -> None:
    peer.answers(PeerAnswer(text='{"free": 1}'))
    result = await ask(peer, model, response_schema={"type": "object", "additionalProperties": True})
    assert result.parsed == {"free": 1}
    assert "JSON Schema" in str(peer.calls[0].body)


@pytest.mark.parametrize("model", ALL)
async def test_the_longest_answer_is_said_and_noticed(peer: Peer, model: str) -> None:
    finish = "max_tokens" if model == ANTHROPIC else "length"
    peer.answers(PeerAnswer(text="cut", finish=finish))
    result = await ask(peer, model, max_tokens=50)
    assert result.finish_reason == "length"
    body = peer.calls[0].body
    hidden_reasoning = 2048 if model == GROQ else 0
    assert body.get("max_completion_tokens", body.get("max_tokens")) == 50 + hidden_reasoning


@pytest.mark.parametrize(
    ("model", "temperature"), [(OPENAI, 0.3), (ANTHROPIC, None), ("openai/gpt-5-mini", None), (MISTRAL, 0.3)]
)
async def test_a_temperature_goes_only_to_models_that_take_one(
    peer: Peer, model: str, temperature: float | None
) -> None:
    await ask(peer, model, temperature=0.3)
    assert peer.calls[0].body.get("temperature") == temperature


async def test_cached_tokens_cost_less(peer: Peer) -> None:
    words = " ".join(["word"] * 1000)
    peer.answers(PeerAnswer(text="one two", cached_tokens=400))
    messages = [ChatMessage(role="user", content=words)]
    openai = await ask(peer, OPENAI, messages=messages)
    assert openai.usage.cached_tokens == 400
    # 600 x 0.15 + 400 x 0.075 + 2 x 0.60 = 121.2 dollars a million tokens
    assert openai.cost_usd == "0.0001212"
    anthropic = await ask(peer, ANTHROPIC, messages=messages)
    # Anthropic counts cached input apart: 1000 fresh x 1 + 400 cached x 0.10 + 2 x 5 = 1050
    assert anthropic.usage.input_tokens == 1400
    assert anthropic.cost_usd == "0.00105"


async def test_a_price_that_is_not_known_is_not_guessed(peer: Peer) -> None:
    assert (await ask(peer, MISTRAL)).cost_usd is None
    assert (await ask(peer, OLLAMA)).cost_usd == "0"


@pytest.mark.parametrize("model", ALL)
async def test_the_idempotency_key_and_the_users_hash_travel(peer: Peer, model: str) -> None:
    await ask(peer, model, idempotency_key="conversation:visit:1", user_hash="abc123")
    call = peer.calls[0]
    assert call.headers["idempotency-key"] == "conversation:visit:1"
    told = {
        OPENAI: call.body.get("safety_identifier"),
        ANTHROPIC: call.body.get("metadata", {}).get("user_id"),
        GROQ: call.body.get("user"),
    }
    assert told.get(model, "abc123") == "abc123"


@pytest.mark.parametrize("model", ["anthropic/claude-opus-5-5", "anthropic/claude-haiku-4-5"])
async def test_tools_are_forced_only_where_the_model_allows_it(peer: Peer, model: str) -> None:
    await ask(peer, model, tools=[ToolSpec(name="find")], tool_choice="find")
    body = peer.calls[0].body
    if model.endswith("5-5"):
        assert body["tool_choice"] == {"type": "auto"}
        assert "Call the tool find" in body["system"]
    else:
        assert body["tool_choice"] == {"type": "tool", "name": "find"}


async def test_nothing_is_taken_from_the_environment(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "from-the-environment")
    for name in ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS", "GROQ_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "x-leak: from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    for model in ALL:
        await ask(peer, model)
        assert "from-the-environment" not in str(peer.calls[-1].headers)


def openai_error(code: str | None, message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


ERRORS: list[tuple[str, int, dict[str, Any], type[LlmError]]] = [
    (
        OPENAI,
        401,
        openai_error("invalid_api_key", f"Incorrect API key provided: {KEY}"),
        AuthenticationFailed,
    ),
    (OPENAI, 403, openai_error(None, "not allowed"), AuthenticationFailed),
    (OPENAI, 404, openai_error("model_not_found", "The model does not exist"), ModelNotAvailable),
    (OPENAI, 400, openai_error("context_length_exceeded", "maximum context length is 8192"), ContextTooLong),
    (OPENAI, 400, openai_error("invalid_value", "bad tool name"), InvalidRequest),
    (OPENAI, 400, openai_error("content_filter", "filtered"), ContentRefused),
    (OPENAI, 429, openai_error("rate_limit_exceeded", "slow down", "requests"), RateLimited),
    (OPENAI, 429, openai_error("insufficient_quota", "no credit", "insufficient_quota"), ModelNotAvailable),
    (OPENAI, 500, openai_error(None, "oops", "server_error"), ProviderUnavailable),
    (OPENAI, 503, {}, ProviderUnavailable),
    (
        ANTHROPIC,
        401,
        anthropic_error("authentication_error", f"invalid x-api-key {KEY}"),
        AuthenticationFailed,
    ),
    (ANTHROPIC, 404, anthropic_error("not_found_error", "model: claude-x"), ModelNotAvailable),
    (ANTHROPIC, 400, anthropic_error("invalid_request_error", "prompt is too long: 9 > 8"), ContextTooLong),
    (ANTHROPIC, 400, anthropic_error("invalid_request_error", "tools.0: bad"), InvalidRequest),
    (ANTHROPIC, 413, anthropic_error("request_too_large", "too large"), ContextTooLong),
    (ANTHROPIC, 429, anthropic_error("rate_limit_error", "slow down"), RateLimited),
    (ANTHROPIC, 529, anthropic_error("overloaded_error", "Overloaded"), ProviderUnavailable),
    (GROQ, 401, openai_error("invalid_api_key", "Invalid API Key"), AuthenticationFailed),
    (GROQ, 400, openai_error("model_decommissioned", "The model has been decommissioned"), ModelNotAvailable),
    (GROQ, 429, openai_error("rate_limit_exceeded", "Rate limit reached", "tokens"), RateLimited),
    (GROQ, 503, openai_error(None, "over capacity", "internal_server_error"), ProviderUnavailable),
    (MISTRAL, 401, {"detail": "Unauthorized"}, AuthenticationFailed),
    (MISTRAL, 422, {"object": "error", "message": "bad input", "type": "invalid_request"}, InvalidRequest),
    (OLLAMA, 404, openai_error(None, "model 'llama3.2:1b' not found", "api_error"), ModelNotAvailable),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("model", "status", "body", "expected"), ERRORS)
async def test_errors_become_ours_once_and_without_keys(
    peer: Peer, model: str, status: int, body: dict[str, Any], expected: type[LlmError], streamed: bool
) -> None:
    peer.answers(PeerAnswer(status=status, error=body))
    with pytest.raises(expected) as caught:
        await ask(peer, model, sink=Listener() if streamed else None)
    assert type(caught.value) is expected
    assert len(peer.calls) == 1, "the SDK must not retry"
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert caught.value.retryable == (expected in (RateLimited, ProviderUnavailable))


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, GROQ])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5), ({}, None)],
)
async def test_the_wait_that_the_vendor_asks_for_is_kept(
    peer: Peer, model: str, headers: dict[str, str], seconds: float | None
) -> None:
    peer.answers(PeerAnswer(status=429, error=openai_error(None, "slow"), headers=headers))
    with pytest.raises(RateLimited) as caught:
        await ask(peer, model)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("model", ALL)
async def test_a_connection_lost_in_mid_stream_is_worth_a_retry(peer: Peer, model: str) -> None:
    peer.answers(PeerAnswer(text="a long answer that breaks", break_after=2))
    sink = Listener()
    with pytest.raises(ProviderUnavailable):
        await ask(peer, model, sink=sink)
    assert "".join(sink.pieces) == "a long ans"


@pytest.mark.parametrize("model", ALL)
async def test_a_stream_that_ends_without_saying_so_is_not_an_answer(peer: Peer, model: str) -> None:
    peer.answers(PeerAnswer(text="half an answer", finish=""))
    with pytest.raises(ProviderUnavailable, match="early"):
        await ask(peer, model, sink=Listener())


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        (OPENAI, openai_error(None, "The server had an error", "server_error"), ProviderUnavailable),
        (GROQ, openai_error("rate_limit_exceeded", "slow", "tokens"), RateLimited),
        (ANTHROPIC, anthropic_error("overloaded_error", "Overloaded"), ProviderUnavailable),
    ],
)
async def test_an_error_inside_a_stream_is_read(
    peer: Peer, model: str, body: dict[str, Any], expected: type[LlmError]
) -> None:
    peer.answers(PeerAnswer(text="begun", stream_error=body))
    with pytest.raises(expected):
        await ask(peer, model, sink=Listener())


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        (OPENAI, PeerAnswer(refusal="I can't help with that")),
        (OPENAI, PeerAnswer(text="x", finish="content_filter")),
        (ANTHROPIC, PeerAnswer(text="x", finish="refusal")),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_is_an_error(peer: Peer, model: str, answer: PeerAnswer, streamed: bool) -> None:
    peer.answers(answer)
    with pytest.raises(ContentRefused):
        await ask(peer, model, sink=Listener() if streamed else None)


@pytest.mark.parametrize("model", ALL)
async def test_the_time_limit_holds_for_the_whole_call(peer: Peer, model: str) -> None:
    peer.answers(PeerAnswer(text="late", latency_seconds=2))
    with pytest.raises(ProviderUnavailable) as caught:
        await ask(peer, model, timeout_seconds=0.2)
    assert caught.value.retryable


async def test_nobody_listening_is_worth_a_retry() -> None:
    registry = ProviderRegistry(
        ProviderCredentials(openai_api_key=KEY, openai_base_url="http://127.0.0.1:9/v1")
    )
    provider, entry = registry.provider_for("gpt-4o")
    with pytest.raises(ProviderUnavailable):
        await provider.complete(
            ModelRequest(model=entry.name, messages=[ChatMessage(role="user", content="hi")])
        )
    await registry.close()


async def test_keys_of_any_shape_are_taken_out_of_what_vendors_say(peer: Peer) -> None:
    assert redact("the key zq81LmPo failed", ["zq81LmPo", None, ""]) == "the key [redacted] failed"
    peer.answers(
        PeerAnswer(status=500, error=openai_error(None, f"crashed with Bearer {KEY} and gsk_abcdefghij"))
    )
    with pytest.raises(ProviderUnavailable, match="crashed") as caught:
        await ask(peer, OPENAI)
    assert not {KEY, "gsk_abcdefghij"} & set(str(caught.value).split())
