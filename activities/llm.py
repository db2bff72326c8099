"""`call_model`: one answer of a language model.

A call is made once an attempt. An answer that does not fit its schema fails the attempt; the next one, which
Temporal starts, shows the model its answer and what is wrong with it. That hint travels in the heartbeat's
details, so that it reaches whichever worker takes the next attempt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from temporalio import activity

from activities.failures import MALFORMED_OUTPUT, attempt, fail, try_again
from activities.heartbeat import SECONDS
from activities.prompts import build_request, history_of, read_answer
from core.logging import get_logger
from flow_schema.effects import CALL_MODEL, EffectContext, FailureType, ModelAnswer, ModelCall
from flow_schema.turns import Message
from llm.catalogue import BUILTIN_MODEL
from llm.errors import ContentRefused, LlmError, MalformedOutput
from llm.extraction import repair_request
from llm.fallbacks import complete_with_fallbacks
from llm.protocol import ModelRequest, StreamSink
from llm.registry import ProviderRegistry

TranscriptReader = Callable[[EffectContext, int, int], Awaitable[Sequence[Message]]]
"""Conversation, how many, up to which `seq` -> its newest messages, in order."""
StreamOpener = Callable[[EffectContext, int], AbstractAsyncContextManager[StreamSink]]
"""Conversation and attempt -> where tokens go, published under `context.key`."""

_PREFERRED = (
    "openai/gpt-4o-mini",
    "anthropic/claude-haiku-4-5",
    "groq/openai/gpt-oss-20b",
    "mistral/mistral-small-latest",
)
"""Answer bots whose flow names no model: fast and cheap ones, the first whose key is set."""
_ATTEMPTS = 5
"""How often a model that can't answer is asked; attempts that die with their worker come on top."""
_log = get_logger(__name__)


class _Repair(BaseModel):
    """What the next attempt tells the model about its last answer."""

    model_config = ConfigDict(extra="forbid")

    error: str = Field(title="Error", description="Why the answer did not fit.", max_length=2_000)
    raw: str = Field(title="Answer", description="The answer as it came.", max_length=8_000)


class ModelActivities:
    """Asks language models."""

    def __init__(
        self,
        registry: ProviderRegistry,
        read_transcript: TranscriptReader,
        open_stream: StreamOpener,
        default_model: str = "",
    ) -> None:
        self._registry = registry
        self._read_transcript = read_transcript
        self._open_stream = open_stream
        self._default_model = default_model

    @activity.defn(name=CALL_MODEL)
    async def call_model(self, call: ModelCall) -> ModelAnswer:
        """Ask the model, then its fallbacks, once each; tokens stream if the call says so.

        Passing troubles are tried again by the workflow's policy, not before the provider's `Retry-After`.
        Fails with `malformed-output` when a repaired answer still does not fit, with `refused` when the
        provider's filter withholds it, else with `bad-request`.
        """
        repair = _repair_of_last_attempt()
        details = () if repair is None else (repair.model_dump(),)
        try:
            request = await self._request(call, repair)
            async with AsyncExitStack() as stack:
                sink = None
                if call.stream:
                    sink = await stack.enter_async_context(self._open_stream(call.context, attempt()))
                result = await complete_with_fallbacks(
                    self._registry,
                    request,
                    call.fallback_models,
                    on_text=sink,
                    heartbeat=lambda: activity.heartbeat(*details),
                    heartbeat_seconds=SECONDS,
                )
            answer = read_answer(call, result)
        except MalformedOutput as error:
            if repair is not None:
                fail(f"The model's answer does not fit, twice: {error}.", MALFORMED_OUTPUT)
            activity.heartbeat(_Repair(error=str(error)[:2_000], raw=error.raw[:8_000]).model_dump())
            try_again(f"The model's answer does not fit: {error}.", kind=MALFORMED_OUTPUT)
        except LlmError as error:
            _give_up(error)
        _log.info(
            "Model call", node=call.context.node_id, model=answer.model, ms=answer.milliseconds,
            input_tokens=answer.input_tokens, output_tokens=answer.output_tokens,
        )  # fmt: skip
        return answer

    async def _request(self, call: ModelCall, repair: _Repair | None) -> ModelRequest:
        messages: Sequence[Message] = ()
        if call.memory_messages > 0 and call.up_to > 0:
            messages = await self._read_transcript(call.context, call.memory_messages, call.up_to)
        today = activity.info().scheduled_time.date().isoformat()
        request = build_request(call, call.model or self.default_model(), history_of(messages), today)
        if repair is None:
            return request
        return repair_request(
            request,
            MalformedOutput(repair.error, raw=repair.raw),
            idempotency_key=f"{call.context.key}:repair",
        )

    def default_model(self) -> str:
        """Return the model of flows that name none: the operator's, a preferred one with a key, any, ours."""
        if self._default_model:
            return self._default_model
        for model in _PREFERRED:
            if self._registry.is_usable(model):
                return model
        return BUILTIN_MODEL


def _repair_of_last_attempt() -> _Repair | None:
    details = activity.info().heartbeat_details
    try:
        return _Repair.model_validate(details[0]) if details else None
    except ValidationError:
        return None


def _give_up(error: LlmError) -> NoReturn:
    if error.retryable:
        try_again(
            f"The model can't answer now: {error}.", after_seconds=error.retry_after, attempts=_ATTEMPTS
        )
    kind = FailureType.REFUSED if isinstance(error, ContentRefused) else FailureType.BAD_REQUEST
    fail(f"The model did not answer: {error}.", kind)
