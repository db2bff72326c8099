"""OpenAI, or anything that speaks its protocol at `openai_base_url` (a gateway, vLLM, llama.cpp)."""

from __future__ import annotations

from llm.chat_completions import Dialect
from llm.credentials import ProviderCredentials
from llm.openai_compatible import OpenAICompatibleClient
from llm.protocol import ModelRequest, ModelResult, StreamSink

_ADDRESS = "https://api.openai.com/v1"


class OpenAIProvider:
    name = "openai"

    def __init__(self, credentials: ProviderCredentials) -> None:
        self._client = OpenAICompatibleClient(
            self.name,
            api_key=credentials.require("openai_api_key"),
            base_url=credentials.openai_base_url or _ADDRESS,
            dialect=Dialect(user_field="safety_identifier"),
            organization=credentials.openai_org_id,
        )

    async def complete(self, request: ModelRequest, *, on_text: StreamSink | None = None) -> ModelResult:
        return await self._client.complete(request, on_text)

    async def close(self) -> None:
        await self._client.close()
