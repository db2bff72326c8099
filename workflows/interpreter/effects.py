"""The world as steps see it. Temporal implements it with activities, tests with a script."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

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


class Effects(Protocol):
    """Each method is one effect, applied once; all raise `EffectFailed` when they fail for good.

    `summary` names the node for people who read the run.
    """

    def now(self) -> datetime:
        """The current time, in UTC, the same whenever the run is replayed."""

    def unique(self) -> str:
        """32 hexadecimal digits nobody can guess, the same whenever the run is replayed."""

    async def http_request(self, call: HttpCall, retry: RetryPolicy, summary: str) -> HttpResult: ...

    async def call_model(self, call: ModelCall, summary: str) -> ModelAnswer: ...

    async def recognize_intent(self, request: RecognizeIntent, summary: str) -> RecognizedIntent: ...

    async def send_email(self, message: EmailMessage, summary: str) -> EmailSent: ...

    async def run_script(self, run: ScriptRun, summary: str) -> ScriptResult: ...

    async def open_callback(self, request: OpenCallback, summary: str) -> OpenedCallback: ...

    async def flush(self) -> None:
        """Returns when every message said so far is in the tables."""
