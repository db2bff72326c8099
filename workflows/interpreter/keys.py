"""Sees to it that an idempotency key stands for one request for ever.

A step that is done again (after a failure, after an agent's intervention) numbers its effects from the same
number, so that a repeated request repeats its key. Where the request has changed meanwhile, as a variable
was mended or the visitor wrote something, it is another request and gets a number of its own.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TypeVar

from flow_schema.effects import (
    EmailMessage,
    EmailSent,
    HttpCall,
    HttpResult,
    ModelAnswer,
    ModelCall,
    OpenCallback,
    OpenedCallback,
    RecognizedIntent,
    RecognizeIntent,
    ScriptResult,
    ScriptRun,
)
from flow_schema.nodes.request import RetryPolicy
from workflows.interpreter.effects import Effects
from workflows.interpreter.state import Frame

Request = TypeVar("Request", HttpCall, ModelCall, RecognizeIntent, EmailMessage, ScriptRun, OpenCallback)
_NOT_SENT = {"context", "marker", "callback_id", "expires_at"}


class KeyedEffects:
    """`Effects` for one frame: checks the number of each effect before it happens."""

    def __init__(self, effects: Effects, frame: Frame) -> None:
        self._effects = effects
        self._frame = frame

    def now(self) -> datetime:
        return self._effects.now()

    def unique(self) -> str:
        return self._effects.unique()

    async def flush(self) -> None:
        await self._effects.flush()

    async def http_request(self, call: HttpCall, retry: RetryPolicy, summary: str) -> HttpResult:
        return await self._effects.http_request(self._numbered(call), retry, summary)

    async def call_model(self, call: ModelCall, summary: str) -> ModelAnswer:
        return await self._effects.call_model(self._numbered(call), summary)

    async def recognize_intent(self, request: RecognizeIntent, summary: str) -> RecognizedIntent:
        return await self._effects.recognize_intent(self._numbered(request), summary)

    async def send_email(self, message: EmailMessage, summary: str) -> EmailSent:
        return await self._effects.send_email(self._numbered(message), summary)

    async def run_script(self, run: ScriptRun, summary: str) -> ScriptResult:
        return await self._effects.run_script(self._numbered(run), summary)

    async def open_callback(self, request: OpenCallback, summary: str) -> OpenedCallback:
        return await self._effects.open_callback(self._numbered(request), summary)

    def _numbered(self, request: Request) -> Request:
        """The same request, under the first number from its own on that has not stood for another."""
        frame, context, digest = self._frame, request.context, _digest(request)
        while frame.sent.setdefault(context.call, digest) != digest:
            context.call += 1
        frame.calls = max(frame.calls, context.call + 1)
        return request


def _digest(request: Request) -> str:
    """Of what the other side receives; marks for secrets are drawn anew each time and stand for the same."""
    sent = request.model_dump_json(exclude=_NOT_SENT)
    if isinstance(request, HttpCall):
        sent = sent.replace(request.marker, "")
    return hashlib.sha256(sent.encode()).hexdigest()[:16]
