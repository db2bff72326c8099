"""From the SDKs' exceptions to ours.

The SDKs of OpenAI, Groq and Anthropic share a shape (status, headers, JSON body), so one reading serves all
without importing any of them. Bodies are read too because streams report errors inside a 200 answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from llm.errors import (
    AuthenticationFailed,
    ContentRefused,
    ContextTooLong,
    InvalidRequest,
    LlmError,
    ModelNotAvailable,
    ProviderUnavailable,
    RateLimited,
)

_KEY_SHAPES = re.compile(r"\b(?:sk|gsk|pk|rk|key|org)[-_][A-Za-z0-9_*.-]{6,}|\bBearer\s+\S+", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context.?length|maximum context|context.?window|prompt is too long|too many tokens|too large for model"
    r"|reduce the length|exceeds? the (?:available |maximum )?(?:context|number of tokens)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"decommissioned|model.{0,80}(?:does not exist|not found)|unknown model", re.IGNORECASE
)
_FILTERED = re.compile(r"content.?(?:filter|policy|management)|safety system", re.IGNORECASE)
_UNPAID = frozenset(
    {"insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached"}
)
_OVERLOADED = frozenset(
    {"overloaded_error", "api_error", "server_error", "internal_server_error", "timeout_error"}
)


def redact(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Replace keys, the given ones and anything shaped like one, and bound the length to 500 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    return _KEY_SHAPES.sub("[redacted]", text)[:500]


def translate_error(
    error: Exception, *, provider: str, model: str, secrets: Iterable[str | None] = ()
) -> LlmError:
    """Return the LlmError that an SDK's exception stands for.

    Raise it `from None`: what the SDK caught may hold keys.
    """
    model_id = f"{provider}/{model}"
    status = getattr(error, "status_code", None)
    kinds, said = _read_body(getattr(error, "body", None))
    said = redact(said or str(error), secrets)
    headers = getattr(getattr(error, "response", None), "headers", {})
    wait = retry_after_seconds(headers)
    if status is None and not kinds:
        return ProviderUnavailable(f"{provider} can't be reached: {type(error).__name__}", model=model_id)
    if kinds & _UNPAID or status == 402:
        return ModelNotAvailable(f"{provider} refuses to serve this account: no credit", model=model_id)
    if status in (401, 403) or kinds & {"authentication_error", "permission_error", "invalid_api_key"}:
        return AuthenticationFailed(f"{provider} refuses the key ({status})", model=model_id)
    if (
        "context_length_exceeded" in kinds
        or status == 413
        or (status in (400, 422) and _TOO_LONG.search(said))
    ):
        return ContextTooLong(f"{provider}: {said}", model=model_id)
    if status == 404 or kinds & {"model_not_found", "not_found_error"} or _NO_MODEL.search(said):
        return ModelNotAvailable(f"{provider}: {said}", model=model_id)
    if status == 429 or kinds & {"rate_limit_error", "rate_limit_exceeded"}:
        return RateLimited(f"{provider} limits the rate: {said}", model=model_id, retry_after=wait)
    if kinds & _OVERLOADED or status in (408, 409, 425) or (status is not None and status >= 500):
        return ProviderUnavailable(f"{provider} failed ({status}): {said}", model=model_id, retry_after=wait)
    if kinds & {"content_filter", "content_policy_violation"} or _FILTERED.search(said):
        return ContentRefused(f"{provider}: {said}", model=model_id)
    if status is None or status < 400:
        return ProviderUnavailable(f"{provider} broke off: {said}", model=model_id)
    return InvalidRequest(f"{provider} ({status}): {said}", model=model_id)


def _read_body(body: object) -> tuple[set[str], str]:
    """Return the machine-readable kinds and the text of an error's body, in any vendor's nesting."""
    if not isinstance(body, Mapping):
        return set(), ""
    inner: Mapping[str, Any] = body
    nested = body.get("error")
    if isinstance(nested, Mapping):
        inner = nested
    elif isinstance(nested, str):
        inner = {"message": nested, **body}
    kinds = {value for key in ("type", "code") if isinstance(value := inner.get(key), str)}
    message = inner.get("message", inner.get("detail", ""))
    return kinds, message if isinstance(message, str) else str(message)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read `retry-after-ms` or `retry-after` (seconds or an HTTP date) as seconds from now, at least 0."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        if (value := headers.get("retry-after")) is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
