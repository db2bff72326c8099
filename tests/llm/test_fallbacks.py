"""Fallbacks from one model to another, and the catalogue and registry behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from llm.catalogue import ASSUMED_WINDOW, MODELS, context_window, cost_usd, find_model, resolve_model
from llm.credentials import ProviderCredentials, credentials_from_settings
from llm.errors import (
    AllModelsFailed,
    AuthenticationFailed,
    InvalidRequest,
    ModelNotAvailable,
    RateLimited,
)
from llm.fallbacks import complete_with_fallbacks
from llm.protocol import ChatMessage, ModelRequest, Usage
from llm.registry import ProviderRegistry
from tests.peers.llm_peer import PeerAnswer, RecordedCall, create_llm_peer, serve_llm_peer

FAILING = PeerAnswer(status=500, error={"error": {"message": "oops"}})


class Screen:
    """What a visitor sees: text, cleared by every reset."""

    def __init__(self) -> None:
        self.shown = ""
        self.history: list[str] = []

    async def text(self, delta: str) -> None:
        self.shown += delta

    async def reset(self, reason: str) -> None:
        self.history.append(f"{self.shown}|{reason}")
        self.shown = ""


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, list[RecordedCall], dict[str, PeerAnswer]]]:
    answers: dict[str, PeerAnswer] = {}
    app = create_llm_peer(lambda call: answers.get(call.body["model"]))
    with serve_llm_peer(app) as url:
        yield url, app.state.calls, answers


@pytest.fixture
async def registry(
    address: tuple[str, list[RecordedCall], dict[str, PeerAnswer]],
) -> ProviderRegistry:
    url, calls, answers = address
    calls.clear()
    answers.clear()
    return ProviderRegistry(
        ProviderCredentials(
            openai_api_key="k", openai_base_url=f"{url}/v1", anthropic_api_key="k", anthropic_base_url=url
        )
    )


@pytest.fixture
def answers(address: tuple[str, list[RecordedCall], dict[str, PeerAnswer]]) -> dict[str, PeerAnswer]:
    return address[2]


@pytest.fixture
def calls(address: tuple[str, list[RecordedCall], dict[str, PeerAnswer]]) -> list[RecordedCall]:
    return address[1]


def request(model: str = "gpt-4o") -> ModelRequest:
    return ModelRequest(model=model, messages=[ChatMessage(role="user", content="hi")])


async def test_the_first_model_that_answers_wins_and_the_others_are_named(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer], calls: list[RecordedCall]
) -> None:
    answers["gpt-4o"] = FAILING
    answers["gpt-4.1"] = PeerAnswer(status=429, error={"error": {"message": "slow"}})
    result = await complete_with_fallbacks(
        registry, request(), ["mistral-small-latest", "gpt-4.1", "claude-haiku-4-5", "gpt-4o-mini"]
    )
    assert result.model == "anthropic/claude-haiku-4-5"
    assert [(attempt.model, attempt.code) for attempt in result.attempts] == [
        ("gpt-4o", "provider_unavailable"),
        ("mistral-small-latest", "authentication_failed"),
        ("gpt-4.1", "rate_limited"),
    ]
    assert [call.body["model"] for call in calls] == ["gpt-4o", "gpt-4.1", "claude-haiku-4-5"]


async def test_a_break_in_mid_stream_takes_the_text_back(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer]
) -> None:
    answers["gpt-4o"] = PeerAnswer(text="this never ends well", break_after=2)
    screen = Screen()
    result = await complete_with_fallbacks(registry, request(), ["claude-haiku-4-5"], screen)
    assert screen.history == ["this never|provider_unavailable"]
    assert screen.shown == result.text == "You said: hi"


async def test_the_last_failure_takes_its_text_back_too(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer]
) -> None:
    answers["gpt-4o"] = PeerAnswer(text="this never ends well", break_after=1)
    screen = Screen()
    with pytest.raises(Exception, match=r"can't be reached|early|broke off"):
        await complete_with_fallbacks(registry, request(), [], screen)
    assert screen.shown == ""
    assert len(screen.history) == 1


async def test_nothing_streamed_is_nothing_to_take_back(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer]
) -> None:
    answers["gpt-4o"] = FAILING
    screen = Screen()
    await complete_with_fallbacks(registry, request(), ["gpt-4o-mini"], screen)
    assert screen.history == []


async def test_a_request_that_is_wrong_everywhere_stops_at_once(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer], calls: list[RecordedCall]
) -> None:
    answers["gpt-4o"] = PeerAnswer(status=400, error={"error": {"message": "bad tool"}})
    with pytest.raises(InvalidRequest):
        await complete_with_fallbacks(registry, request(), ["gpt-4o-mini"])
    assert len(calls) == 1


async def test_when_all_fail_the_shortest_wait_counts(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer]
) -> None:
    answers["gpt-4o"] = PeerAnswer(status=429, headers={"retry-after": "30"})
    answers["gpt-4.1"] = PeerAnswer(status=429, headers={"retry-after": "5"})
    with pytest.raises(AllModelsFailed) as caught:
        await complete_with_fallbacks(registry, request(), ["gpt-4.1", "gpt-4-turbo"])
    assert caught.value.retryable
    assert caught.value.retry_after == 5
    assert [attempt.code for attempt in caught.value.attempts] == [
        "rate_limited", "rate_limited", "model_not_available",
    ]  # fmt: skip


async def test_all_failed_for_good_is_not_retryable(registry: ProviderRegistry) -> None:
    with pytest.raises(AllModelsFailed) as caught:
        await complete_with_fallbacks(registry, request("mistral-small-latest"), ["nobody-knows-this"])
    assert not caught.value.retryable


async def test_one_model_alone_raises_its_own_error_and_is_asked_once(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer], calls: list[RecordedCall]
) -> None:
    answers["gpt-4o"] = PeerAnswer(status=429, error={"error": {"message": "slow"}})
    with pytest.raises(RateLimited):
        await complete_with_fallbacks(registry, request(), ["gpt-4o"])
    assert len(calls) == 1


async def test_the_heart_beats_while_the_model_thinks_and_stops_after(
    registry: ProviderRegistry, answers: dict[str, PeerAnswer]
) -> None:
    answers["gpt-4o"] = PeerAnswer(text="done", latency_seconds=0.5)
    beats: list[None] = []
    await complete_with_fallbacks(
        registry, request(), heartbeat=lambda: beats.append(None), heartbeat_seconds=0.05
    )
    counted = len(beats)
    assert counted >= 3
    await asyncio.sleep(0.2)
    assert len(beats) == counted


@pytest.mark.parametrize(
    ("name", "provider", "wire"),
    [
        ("gpt-4o", "openai", "gpt-4o"),
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("gpt-4o-2024-08-06", "openai", "gpt-4o-2024-08-06"),
        ("claude-sonnet-4-6", "anthropic", "claude-sonnet-4-6"),
        ("claude-from-the-future", "anthropic", "claude-from-the-future"),
        ("openai/gpt-oss-20b", "groq", "openai/gpt-oss-20b"),
        ("groq/openai/gpt-oss-20b", "groq", "openai/gpt-oss-20b"),
        ("groq/some/new-model", "groq", "some/new-model"),
        ("llama3-8b-8192", "groq", "llama3-8b-8192"),
        ("mistral-large-latest", "mistral", "mistral-large-latest"),
        ("codestral-latest", "mistral", "codestral-latest"),
        ("ollama/llama3.2", "ollama", "llama3.2"),
        ("qwen2.5:7b", "ollama", "qwen2.5:7b"),
        ("builtin/answerer", "builtin", "answerer"),
    ],
)
def test_names_resolve_with_and_without_their_provider(name: str, provider: str, wire: str) -> None:
    entry = find_model(name)
    assert (entry.provider, entry.name) == (provider, wire)


@pytest.mark.parametrize("name", ["", "nobody", "unknown/model", "builtin/other", "openai/"])
def test_names_that_nobody_claims_are_refused(name: str) -> None:
    with pytest.raises(ModelNotAvailable):
        find_model(name)


def test_the_default_of_old_installations_is_answered_by_its_successor() -> None:
    assert resolve_model("llama3-8b-8192", today=date(2025, 8, 29)).name == "llama3-8b-8192"
    assert resolve_model("llama3-8b-8192", today=date(2026, 11, 22)).id == "groq/openai/gpt-oss-20b"
    with pytest.raises(ModelNotAvailable, match="2026-10-23"):
        resolve_model("gpt-4-turbo", today=date(2026, 11, 22))


def test_successors_live() -> None:
    for entry in MODELS:
        if entry.successor is not None:
            successor = find_model(f"{entry.provider}/{entry.successor}")
            assert successor.known
            assert successor.retired is None


def test_a_dated_name_shares_its_familys_price_and_not_its_siblings() -> None:
    assert find_model("gpt-4o-mini-2024-07-18").price == find_model("gpt-4o-mini").price
    assert find_model("gpt-4o-audio-preview").price is None


def test_an_unknown_model_has_the_assumed_window() -> None:
    assert context_window("mistral/from-the-future") == ASSUMED_WINDOW == 8192


def test_costs_add_up_exactly() -> None:
    entry = find_model("gpt-4o")
    usage = Usage(input_tokens=1_000_003, cached_tokens=3, output_tokens=7)
    expected = Decimal("2.50") + 3 * Decimal("1.25") / 10**6 + 7 * Decimal(10) / 10**6
    assert Decimal(cost_usd(entry, usage) or "") == expected
    assert cost_usd(entry, Usage()) == "0"


def test_the_list_says_why_a_model_is_not_usable() -> None:
    registry = ProviderRegistry(ProviderCredentials(groq_api_key="k"))
    listed = {model.id: model for model in registry.usable_models()}
    assert listed["builtin/answerer"].usable
    assert listed["groq/openai/gpt-oss-120b"].usable
    assert listed["groq/llama3-8b-8192"].usable
    assert "openai/gpt-oss-20b answers" in str(listed["groq/llama3-8b-8192"].reason)
    assert not listed["openai/gpt-4o"].usable
    assert listed["openai/gpt-4o"].reason == "OPENAI_API_KEY is not set"
    with pytest.raises(AuthenticationFailed, match="ANTHROPIC_API_KEY"):
        registry.provider_for("claude-haiku-4-5")


def test_credentials_unwrap_secrets_and_never_show_them() -> None:
    settings = SimpleNamespace(
        openai_api_key=SecretStr("sk-hidden"), groq_api_key="  ", ollama_base_url="http://o"
    )
    credentials = credentials_from_settings(settings)
    assert credentials.openai_api_key == "sk-hidden"
    assert credentials.groq_api_key is None
    assert credentials.mistral_api_key is None
    assert credentials.ollama_base_url == "http://o"
    assert "sk-hidden" not in repr(credentials)
