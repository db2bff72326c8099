"""Mistral, at its OpenAI-compatible address.

It refuses fields that it does not know (`stream_options`, end users) and ids of tool calls that are not nine
letters or digits; token counts come with the last chunk unasked.
"""

from __future__ import annotations

from llm.chat_completions import Dialect
from llm.credentials import ProviderCredentials
from llm.openai_compatible import OpenAICompatibleClient
from llm.protocol import ModelRequest, ModelResult, StreamSink

_ADDRESS = "https://api.mistral.ai/v1"


class MistralProvider:
    name = "mistral"

    def __init__(self, credentials: ProviderCredentials) -> None:
        self._client = OpenAICompatibleClient(
            self.name,
            api_key=credentials.require("mistral_api_key"),
            base_url=credentials.mistral_base_url or _ADDRESS,
            dialect=Dialect(longest_answer="max_tokens", stream_usage=False, short_call_ids=True),
        )

    async def complete(self, request: ModelRequest, *, on_text: StreamSink | None = None) -> ModelResult:
        return await self._client.complete(request, on_text)

    async def close(self) -> None:
        await self._client.close()
