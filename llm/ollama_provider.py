"""Ollama on one's own machines, at the OpenAI-compatible `/v1` of `ollama_base_url`. It knows no keys."""

from __future__ import annotations

from llm.chat_completions import Dialect
from llm.credentials import ProviderCredentials
from llm.openai_compatible import OpenAICompatibleClient
from llm.protocol import ModelRequest, ModelResult, StreamSink


class OllamaProvider:
    name = "ollama"

    def __init__(self, credentials: ProviderCredentials) -> None:
        address = credentials.require("ollama_base_url").rstrip("/")
        self._client = OpenAICompatibleClient(
            self.name,
            api_key="ollama",
            base_url=address if address.endswith("/v1") else f"{address}/v1",
            dialect=Dialect(longest_answer="max_tokens"),
        )

    async def complete(self, request: ModelRequest, *, on_text: StreamSink | None = None) -> ModelResult:
        return await self._client.complete(request, on_text)

    async def close(self) -> None:
        await self._client.close()
