"""One answer from the first model that can give it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from llm.errors import AllModelsFailed, LlmError
from llm.protocol import FailedAttempt, ModelRequest, ModelResult, StreamSink
from llm.registry import ProviderRegistry


async def complete_with_fallbacks(
    registry: ProviderRegistry,
    request: ModelRequest,
    fallbacks: Sequence[str] = (),
    on_text: StreamSink | None = None,
    heartbeat: Callable[[], None] | None = None,
    heartbeat_seconds: float = 2.0,
) -> ModelResult:
    """Ask `request.model`, then each fallback, until one answers; each is asked once.

    A model is left for the next one on errors that another may not have (`try_another_model`). If text was
    streamed before a failure, `on_text.reset` is called, also when no model is left: whatever comes next
    starts afresh. `heartbeat` is called at once and every `heartbeat_seconds`, so that a long answer shows
    that it is alive. The result's `attempts` name the models that failed.

    Raises the model's own LlmError when there are no fallbacks or no other model could do better, else
    AllModelsFailed.
    """
    attempts: list[FailedAttempt] = []
    errors: list[LlmError] = []
    async with _beating(heartbeat, heartbeat_seconds):
        for model in dict.fromkeys([request.model, *fallbacks]):
            sink = None if on_text is None else _WatchedSink(on_text)
            try:
                provider, entry = registry.provider_for(model)
                asked = request.model_copy(update={"model": entry.name})
                result = await provider.complete(asked, on_text=sink)
            except LlmError as error:
                if sink is not None:
                    await sink.reset(error.code)
                attempts.append(FailedAttempt(model=model, code=error.code, reason=str(error)))
                errors.append(error)
                if not error.try_another_model:
                    raise
                continue
            return result.model_copy(update={"attempts": attempts})
    if len(errors) == 1:
        raise errors[0]
    raise AllModelsFailed(attempts, errors)


class _WatchedSink:
    """Passes text on and remembers whether there is anything to take back."""

    def __init__(self, sink: StreamSink) -> None:
        self._sink = sink
        self._written = False

    async def text(self, delta: str) -> None:
        self._written = True
        await self._sink.text(delta)

    async def reset(self, reason: str) -> None:
        if self._written:
            self._written = False
            await self._sink.reset(reason)


@asynccontextmanager
async def _beating(heartbeat: Callable[[], None] | None, seconds: float) -> AsyncIterator[None]:
    if heartbeat is None:
        yield
        return
    heartbeat()

    async def beat() -> None:
        while True:
            await asyncio.sleep(seconds)
            heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
