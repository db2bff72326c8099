"""Every way a model call can fail.

```
LlmError
├── RateLimited           429; wait `retry_after` seconds                 retryable, another model may do
├── ProviderUnavailable   network, timeout, 5xx, overload, broken stream  retryable, another model may do
├── AuthenticationFailed  no key, or a key that is refused                another model may do
├── ModelNotAvailable     unknown, retired or unpaid model                another model may do
├── ContextTooLong        the messages exceed the model's window          another model may do
├── MalformedOutput       the answer is not what the schema asks for      another model may do
├── InvalidRequest        the provider refuses the shape of the request
├── ContentRefused        the provider's filter refused the content
└── AllModelsFailed       a model and each of its fallbacks failed        retryable if one of them was
```

`retryable` speaks about the same request to the same model; `try_another_model` about the fallbacks. No
message holds a key: what a provider says is redacted before it gets here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from llm.protocol import FailedAttempt


class LlmError(Exception):
    """A model call failed. `code` is stable and safe to show; `str(error)` is for engineers."""

    code: ClassVar[str] = "llm_error"
    retryable: bool = False
    try_another_model: ClassVar[bool] = False

    def __init__(self, message: str, *, model: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.retry_after = retry_after
        """Seconds the provider asks to wait; None when it does not say."""


class RateLimited(LlmError):
    code = "rate_limited"
    retryable = True
    try_another_model = True


class ProviderUnavailable(LlmError):
    code = "provider_unavailable"
    retryable = True
    try_another_model = True


class AuthenticationFailed(LlmError):
    code = "authentication_failed"
    try_another_model = True


class ModelNotAvailable(LlmError):
    code = "model_not_available"
    try_another_model = True


class ContextTooLong(LlmError):
    code = "context_too_long"
    try_another_model = True


class MalformedOutput(LlmError):
    """`raw` is the text as the model gave it: quote it to the model when asking for a repair."""

    code = "malformed_output"
    try_another_model = True

    def __init__(self, message: str, *, model: str | None = None, raw: str = "") -> None:
        super().__init__(message, model=model)
        self.raw = raw


class InvalidRequest(LlmError):
    code = "invalid_request"


class ContentRefused(LlmError):
    code = "content_refused"


class AllModelsFailed(LlmError):
    """`attempts` names each model with its reason, in the order in which they were tried."""

    code = "all_models_failed"

    def __init__(self, attempts: Sequence[FailedAttempt], errors: Sequence[LlmError]) -> None:
        reasons = "; ".join(f"{attempt.model}: {attempt.code}" for attempt in attempts)
        waits = [error.retry_after for error in errors if error.retryable and error.retry_after is not None]
        super().__init__(f"every model failed ({reasons})", retry_after=min(waits, default=None))
        self.attempts = list(attempts)
        self.retryable = any(error.retryable for error in errors)
