"""`call_model` through the vendors' own SDKs against a local peer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI

from activities.failures import MALFORMED_OUTPUT
from activities.llm import ModelActivities
from flow_schema.effects import (
    EffectContext,
    FailureType,
    ModelCall,
    PromptMessage,
    ToolCall,
    ToolSpec,
)
from flow_schema.nodes.ai import ClassLabel
from flow_schema.turns import (
    ChoiceOption,
    ChoicesContent,
    Content,
    EventContent,
    Message,
    MessageRole,
    NoticeContent,
    SelectionContent,
    TextContent,
)
from llm.credentials import ProviderCredentials
from llm.protocol import StreamSink
from llm.registry import ProviderRegistry
from tests.activities.running import context, failure_of, run_attempt
from tests.peers.llm_peer import PeerAnswer, RecordedCall, create_llm_peer, pieces_of, serve_llm_peer

KEY = "sk-test-0123456789abcdef"
OPENAI, ANTHROPIC = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


def said(seq: int, role: MessageRole, content: Content) -> Message:
    return Message(seq=seq, role=role, content=content, created_at=datetime(2026, 3, 1, tzinfo=UTC))


OPTIONS = [ChoiceOption(id="a", label="Pagar"), ChoiceOption(id="b", label="Otro")]
TRANSCRIPT = [
    said(1, MessageRole.ASSISTANT, TextContent(text="Hola, soy el bot")),
    said(2, MessageRole.SYSTEM, NoticeContent(code="agent_joined", text="Ana joined")),
    said(3, MessageRole.USER, EventContent(name="page_left")),
    said(4, MessageRole.ASSISTANT, ChoicesContent(text="¿Qué necesitas?", options=OPTIONS)),
    said(5, MessageRole.USER, SelectionContent(options=OPTIONS[1:], text="Otro")),
    said(6, MessageRole.AGENT, TextContent(text="Te escribo yo")),
    said(7, MessageRole.USER, TextContent(text="Gracias")),
    said(8, MessageRole.USER, TextContent(text="¿Y el envío?")),
]  # fmt: skip


@dataclass
class World:
    """The peer, and what the activity read and streamed."""

    app: FastAPI
    activities: ModelActivities
    read: list[tuple[int, int]] = field(default_factory=list)
    streamed: list[tuple[str, int, str]] = field(default_factory=list)
    closed: int = 0

    @property
    def calls(self) -> list[RecordedCall]:
        calls: list[RecordedCall] = self.app.state.calls
        return calls

    def answers(self, *answers: PeerAnswer) -> None:
        waiting = list(answers)
        self.app.state.script = lambda _call: waiting.pop(0) if len(waiting) > 1 else waiting[0]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FastAPI, ProviderCredentials]]:
    app = create_llm_peer()
    with serve_llm_peer(app) as address:
        yield app, ProviderCredentials(
            openai_api_key=KEY, openai_base_url=f"{address}/v1",
            anthropic_api_key=KEY, anthropic_base_url=address,
        )  # fmt: skip


@pytest.fixture
async def world(served: tuple[FastAPI, ProviderCredentials]) -> AsyncIterator[World]:
    app, credentials = served
    app.state.calls.clear()
    app.state.script = None
    registry = ProviderRegistry(credentials)

    async def read(_context: EffectContext, limit: int, up_to: int) -> Sequence[Message]:
        made.read.append((limit, up_to))
        return [message for message in TRANSCRIPT if message.seq <= up_to][-limit:]

    @asynccontextmanager
    async def opened(context: EffectContext, attempt: int) -> AsyncIterator[StreamSink]:
        class Sink:
            async def text(self, delta: str) -> None:
                made.streamed.append((context.key, attempt, delta))

            async def reset(self, reason: str) -> None:
                made.streamed.append((context.key, attempt, f"reset:{reason}"))

        try:
            yield Sink()
        finally:
            made.closed += 1

    made = World(app, ModelActivities(registry, read, opened))
    yield made
    await registry.close()


def call(**given: Any) -> ModelCall:
    values: dict[str, Any] = {"context": context(), "model": OPENAI}
    return ModelCall(**(values | given))


def user(text: str) -> list[PromptMessage]:
    return [PromptMessage(role="user", content=text)]


async def test_an_answer_with_its_costs(world: World) -> None:
    answer = await run_attempt(
        world.activities.call_model,
        call(instructions="Be brief.", messages=user("Hi"), temperature=0.2, max_tokens=50),
    )
    assert (answer.model, answer.text, answer.finish_reason) == (OPENAI, "You said: Hi", "stop")
    assert answer.input_tokens > 0
    assert answer.output_tokens > 0
    price = (answer.input_tokens * Decimal("0.15") + answer.output_tokens * Decimal("0.60")) / 1_000_000
    assert answer.cost_usd == price
    assert answer.model_dump(mode="json")["cost_usd"] == f"{price.normalize():f}"
    (sent,) = world.calls
    assert sent.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert sent.headers["idempotency-key"] == context().key
    assert (sent.body["temperature"], sent.body["max_completion_tokens"]) == (0.2, 50)


async def test_the_transcript_is_read_up_to_its_place(world: World) -> None:
    await run_attempt(world.activities.call_model, call(memory_messages=20, up_to=7))
    assert world.read == [(20, 7)]
    assert world.calls[0].body["messages"] == [
        {"role": "assistant", "content": "Hola, soy el bot"},
        {"role": "assistant", "content": "¿Qué necesitas?\n- Pagar\n- Otro"},
        {"role": "user", "content": "Otro"},
        {"role": "assistant", "content": "Te escribo yo"},
        {"role": "user", "content": "Gracias"},
    ]
    await run_attempt(world.activities.call_model, call(memory_messages=0, up_to=7, messages=user("x")))
    assert len(world.read) == 1


async def test_memory_is_cut_to_the_window(world: World) -> None:
    long = [PromptMessage(role="user", content=f"{number} " + "palabra " * 3000) for number in range(60)]
    await run_attempt(world.activities.call_model, call(instructions="Keep.", messages=long))
    sent = world.calls[0].body["messages"]
    assert sent[0]["content"] == "Keep."
    assert sent[-1]["content"].startswith("59 ")
    assert 2 < len(sent) < 60


async def test_tools_go_out_and_come_back(world: World) -> None:
    world.answers(PeerAnswer(tools=[("orders", '{"id": 7}')]))
    tool = ToolSpec(name="orders", description="Looks up", parameters={"type": "object", "properties": {}})
    messages = [
        *user("Where is 7?"),
        PromptMessage(role="assistant", content="", tool_calls=[ToolCall(id="c1", name="orders")]),
        PromptMessage(role="tool", content='{"error": "no id"}', tool_call_id="c1"),
    ]
    answer = await run_attempt(world.activities.call_model, call(messages=messages, tools=[tool]))
    assert [(asked.name, asked.arguments) for asked in answer.tool_calls] == [("orders", {"id": 7})]
    assert answer.finish_reason == "tool_calls"
    roles = [message["role"] for message in world.calls[0].body["messages"]]
    assert roles == ["user", "assistant", "tool"]


async def test_classification(world: World) -> None:
    world.answers(PeerAnswer(text='{"label": "refund", "confidence": 0.8}'))
    labels = [ClassLabel(id="refund", description="Money back"), ClassLabel(id="other")]
    answer = await run_attempt(world.activities.call_model, call(messages=user("devolución"), labels=labels))
    assert answer.parsed == {"label": "refund", "confidence": 0.8}
    world.answers(PeerAnswer(text='{"label": "none_of_these", "confidence": 0.9}'))
    answer = await run_attempt(world.activities.call_model, call(messages=user("¿?"), labels=labels))
    assert answer.parsed == {"label": None, "confidence": 0.9}


async def test_extraction_that_does_not_fit_is_repaired_by_the_next_attempt(world: World) -> None:
    world.answers(
        PeerAnswer(text='{"city": "Quito", "people": "four"}'),
        PeerAnswer(text='{"city": "Quito", "people": 4}'),
    )
    request = call(messages=user("Mesa en Quito para cuatro"), response_schema=SCHEMA)
    beats: list[tuple[Any, ...]] = []
    error = await failure_of(world.activities.call_model, request, heartbeats=beats)
    assert (error.type, error.non_retryable) == (MALFORMED_OUTPUT, False)
    answer = await run_attempt(
        world.activities.call_model, request, attempt=2, heartbeat_details=beats[-1], heartbeats=beats
    )
    assert answer.parsed == {"city": "Quito", "people": 4}
    first, second = world.calls
    assert second.body["messages"][: len(first.body["messages"])] == first.body["messages"]
    assert '"people": "four"' in second.body["messages"][-2]["content"]
    assert "people" in second.body["messages"][-1]["content"]
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert beats[-1][0]["raw"] == '{"city": "Quito", "people": "four"}'


async def test_a_second_misfit_is_final(world: World) -> None:
    world.answers(PeerAnswer(text="no idea"))
    request = call(messages=user("Mesa"), response_schema=SCHEMA)
    beats: list[tuple[Any, ...]] = []
    await failure_of(world.activities.call_model, request, heartbeats=beats)
    error = await failure_of(world.activities.call_model, request, attempt=2, heartbeat_details=beats[-1])
    assert (error.type, error.non_retryable) == (MALFORMED_OUTPUT, True)


async def test_unreadable_tool_arguments_never_reach_the_flow(world: World) -> None:
    world.answers(PeerAnswer(tools=[("orders", '{"id": 7')]))
    tool = ToolSpec(name="orders", description="Looks up", parameters={"type": "object", "properties": {}})
    error = await failure_of(world.activities.call_model, call(messages=user("x"), tools=[tool]))
    assert (error.type, error.non_retryable) == (MALFORMED_OUTPUT, False)


async def test_tokens_stream_under_the_key_and_end_with_the_result(world: World) -> None:
    world.answers(PeerAnswer(text="uno dos tres"))
    answer = await run_attempt(world.activities.call_model, call(messages=user("x"), stream=True), attempt=3)
    assert answer.text == "uno dos tres"
    assert answer.first_token_milliseconds is not None
    assert world.streamed == [(context().key, 3, piece) for piece in pieces_of("uno dos tres")]
    assert world.closed == 1


async def test_a_fallback_answers_and_says_who_failed(world: World) -> None:
    world.app.state.script = lambda sent: (
        PeerAnswer(status=503, error={"error": {"message": "overloaded"}})
        if sent.protocol == "openai"
        else None
    )
    answer = await run_attempt(
        world.activities.call_model, call(messages=user("Hi"), fallback_models=[ANTHROPIC])
    )
    assert (answer.model, answer.failed_models) == (ANTHROPIC, [OPENAI])


@pytest.mark.parametrize(
    ("answer", "kind", "final", "delay"),
    [
        (PeerAnswer(status=429, error={"error": {"message": "slow"}}, headers={"retry-after": "9"}),
         FailureType.RETRY, False, timedelta(seconds=9)),
        (PeerAnswer(status=500, error={"error": {"message": "oops"}}), FailureType.RETRY, False, None),
        (PeerAnswer(text="half of it", break_after=1), FailureType.RETRY, False, None),
        (PeerAnswer(status=401, error={"error": {"message": f"bad key {KEY}"}}),
         FailureType.BAD_REQUEST, True, None),
        (PeerAnswer(status=400, error={"error": {"message": "bad shape"}}),
         FailureType.BAD_REQUEST, True, None),
        (PeerAnswer(status=400, error={"error": {"message": "filtered", "code": "content_filter"}}),
         FailureType.REFUSED, True, None),
    ],
)  # fmt: skip
async def test_failures(
    world: World, answer: PeerAnswer, kind: str, final: bool, delay: timedelta | None
) -> None:
    world.answers(answer)
    error = await failure_of(world.activities.call_model, call(messages=user("x"), stream=True))
    assert (error.type, error.non_retryable, error.next_retry_delay) == (kind, final, delay)
    assert KEY not in str(error)
    assert len(world.calls) == 1
    assert world.closed == 1


async def test_a_model_without_a_key_says_which(world: World) -> None:
    error = await failure_of(
        world.activities.call_model, call(model="groq/openai/gpt-oss-20b", messages=user("x"))
    )
    assert (error.type, error.non_retryable) == (FailureType.BAD_REQUEST, True)
    assert "GROQ_API_KEY" in error.message


def chosen(default: str = "", **keys: Any) -> str:
    async def read(_context: EffectContext, _limit: int, _up_to: int) -> Sequence[Message]:
        return []

    registry = ProviderRegistry(ProviderCredentials(**keys))
    return ModelActivities(registry, read, None, default).default_model()  # type: ignore[arg-type]


def test_who_answers_when_the_flow_names_no_model() -> None:
    assert chosen() == "builtin/answerer"
    assert chosen(mistral_api_key="k") == "mistral/mistral-small-latest"
    assert chosen(anthropic_api_key="k", mistral_api_key="k") == ANTHROPIC
    assert chosen(openai_api_key="k", anthropic_api_key="k") == OPENAI
    assert chosen("ollama/llama3.2", openai_api_key="k") == "ollama/llama3.2"


async def test_the_built_in_answerer_needs_nobody(world: World) -> None:
    answer = await run_attempt(
        world.activities.call_model,
        call(
            model="builtin/answerer",
            instructions="El envío tarda tres días. La tienda abre a las nueve.",
            messages=user("¿Cuánto tarda el envío?"),
        ),
    )
    assert (answer.model, answer.text, answer.cost_usd) == (
        "builtin/answerer",
        "El envío tarda tres días.",
        Decimal(0),
    )
    assert world.calls == []
