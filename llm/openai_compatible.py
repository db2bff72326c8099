"""Chat completions through OpenAI's SDK, at whichever address: OpenAI's own, Mistral's, Ollama's."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai

from llm.answer import AnswerBuilder
from llm.catalogue import find_model
from llm.chat_completions import Dialect, completion_payload, read_completion, read_stream
from llm.errors import ProviderUnavailable
from llm.protocol import ModelRequest, ModelResult, StreamSink
from llm.sdk_errors import translate_error


class OpenAICompatibleClient:
    """One address, one key, one dialect. Nothing is taken from the environment behind the settings' back."""

    def __init__(
        self, provider: str, *, api_key: str, base_url: str, dialect: Dialect, organization: str | None = None
    ) -> None:
        self._provider = provider
        self._api_key = api_key
        self._dialect = dialect
        client = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, admin_api_key="")
        client.organization = organization
        client.project = None
        client._custom_headers = {}  # the SDK fills them from its environment, and has no switch for it
        self._client = client

    async def complete(self, request: ModelRequest, on_text: StreamSink | None) -> ModelResult:
        """Call the model `request.model` (the vendor's own name). Raises LlmErrors only."""
        entry = find_model(f"{self._provider}/{request.model}")
        builder = AnswerBuilder(entry, request, on_text)
        payload: dict[str, Any] = completion_payload(
            request, entry, self._dialect, stream=on_text is not None
        )
        headers = {} if request.idempotency_key is None else {"Idempotency-Key": request.idempotency_key}
        try:
            async with asyncio.timeout(request.timeout_seconds):
                answer = await self._client.chat.completions.create(
                    **payload, extra_headers=headers, timeout=request.timeout_seconds
                )
                if on_text is None:
                    await read_completion(answer, builder)
                else:
                    async with answer:
                        await read_stream(answer, builder)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            raise translate_error(
                error, provider=self._provider, model=request.model, secrets=[self._api_key]
            ) from None
        except TimeoutError:
            raise ProviderUnavailable(
                f"{self._provider} took longer than {request.timeout_seconds:g} s", model=entry.id
            ) from None
        except ValueError as error:
            raise ProviderUnavailable(
                f"{self._provider} sent an unreadable answer: {type(error).__name__}", model=entry.id
            ) from None
        return builder.result()

    async def close(self) -> None:
        await self._client.close()
