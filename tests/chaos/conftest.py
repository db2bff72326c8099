"""What the chaos tests need beside the platform: a model, a payment service, the profile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.flow import model_script
from tests.peers.llm_peer import create_llm_peer, serve_llm_peer
from tests.peers.payment_server import PaymentServer, serve_payments
from tests.stack.platform import own_folder


@dataclass(frozen=True)
class Profile:
    """How large a run is. Seconds throughout."""

    name: str
    conversations: int
    spread: float
    kills: int
    pause: tuple[float, float]
    patience: float
    rounds: int
    """Of the test that measures how soon a conversation goes on."""


_PROFILES = {
    "short": Profile("short", 25, 8, 10, (0.8, 2.5), 200, 2),
    "full": Profile("full", 200, 60, 60, (0.8, 4.0), 1500, 10),
}


@dataclass
class World:
    """The servers around the platform, and the environment that leads it to them."""

    model_url: str
    payments: PaymentServer

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OPENAI_API_KEY": "sk-local-peer",
            "OPENAI_BASE_URL": f"{self.model_url}/v1",
            "VERSAAI_OUTBOUND_ALLOWED_HOSTS": self.payments.url.removeprefix("http://"),
            "VERSAAI_RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
            "VERSAAI_RATE_LIMIT_VISITOR_PER_MINUTE": "0",
        }


@pytest.fixture
def profile() -> Profile:
    """Short, unless VERSAAI_TEST_PROFILE=full."""
    return _PROFILES[os.environ.get("VERSAAI_TEST_PROFILE", "short")]


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder for the platform; VERSAAI_TEST_KEEP=1 leaves it, with all logs."""
    with own_folder(keep=bool(os.environ.get("VERSAAI_TEST_KEEP"))) as folder:
        yield folder


@pytest.fixture
def world() -> Iterator[World]:
    """The model answers after 0.4 s and then types; the payment service takes its time."""
    model = create_llm_peer(model_script, latency_seconds=0.4, chunk_seconds=0.02)
    with serve_llm_peer(model) as model_url, serve_payments() as payments:
        yield World(model_url, payments)
