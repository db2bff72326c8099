"""Groq, through its own SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import groq
import httpx

from llm.answer import AnswerBuilder
from llm.catalogue import find_model
from llm.chat_completions import Dialect, completion_payload, read_completion, read_stream
from llm.credentials import ProviderCredentials
from llm.errors import ProviderUnavailable
from llm.protocol import ModelRequest, ModelResult, StreamSink
from llm.sdk_errors import translate_error

_ADDRESS = "https://api.groq.com"
_DIALECT = Dialect(stream_usage=False, user_field="user")


class GroqProvider:
    """`groq_base_url` is the host, without the `/openai/v1` that the SDK adds."""

    name = "groq"

    def __init__(self, credentials: ProviderCredentials) -> None:
        self._api_key = credentials.require("groq_api_key")
        address = (credentials.groq_base_url or _ADDRESS).rstrip("/").removesuffix("/openai/v1")
        client = groq.AsyncGroq(api_key=self._api_key, base_url=address, max_retries=0)
        client._custom_headers = {}  # the SDK fills them from its environment, and has no switch for it
        self._client = client

    async def complete(self, request: ModelRequest, *, on_text: StreamSink | None = None) -> ModelResult:
        entry = find_model(f"{self.name}/{request.model}")
        builder = AnswerBuilder(entry, request, on_text)
        payload: dict[str, Any] = completion_payload(request, entry, _DIALECT, stream=on_text is not None)
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
        except (groq.GroqError, httpx.HTTPError) as error:
            raise translate_error(
                error, provider=self.name, model=request.model, secrets=[self._api_key]
            ) from None
        except TimeoutError:
            raise ProviderUnavailable(
                f"groq took longer than {request.timeout_seconds:g} s", model=entry.id
            ) from None
        except ValueError as error:
            raise ProviderUnavailable(
                f"groq sent an unreadable answer: {type(error).__name__}", model=entry.id
            ) from None
        return builder.result()

    async def close(self) -> None:
        await self._client.close()
