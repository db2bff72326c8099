"""Structured logs, on a terminal or as JSON lines, from which secrets are taken out before they are written.

Two nets: a value under a telling name (`password`, `authorization`, `api_key`, ...) is replaced whole, and
the configured secrets, bearer tokens and keys of known shapes are replaced wherever they appear in a text,
stack traces included. Logs of the standard library (uvicorn, the SDKs) go through the same nets.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from core.settings import LogFormat, Settings

REDACTED = "[redacted]"

_TELLING_NAME = re.compile(
    r"(^|[_\-.])(password|passwd|secret|secrets|token|authorization|cookie|credentials?|signature)$"
    r"|api[_\-]?key|secret[_\-]?key|access[_\-]?key|private[_\-]?key",
    re.IGNORECASE,
)
_KNOWN_SHAPES = re.compile(
    r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=\-]{8,}"  # Authorization headers
    r"|\b(?:sk|gsk|vk|vt|cb|whsec)[-_][A-Za-z0-9_\-]{16,}"  # keys and tokens with a prefix
    r"|\bAKIA[0-9A-Z]{16}\b"  # AWS key ids
    r"|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+"  # JSON web tokens
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password in a URL
)
_TELLS_PAYLOADS = ("temporalio", "asyncpg")
"""Loggers that write at DEBUG whatever passes through them: what visitors said, values of rows."""
_SPEAKS_AT_WARNING = (
    "httpx2", "httpx", "httpcore", "httpcore2", "openai", "anthropic", "groq", "uvicorn.access", "sqlalchemy",
)  # fmt: skip
"""Loggers that write each request or statement at INFO, statements with their values."""
_SHORTEST_SECRET = 8
_DEEPEST = 8


class Redactor:
    """Takes secrets out of log entries. `secrets` are replaced verbatim wherever they appear."""

    def __init__(self, secrets: frozenset[str] = frozenset()) -> None:
        known = sorted(
            (secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True
        )
        self._verbatim = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, value: str) -> str:
        """Return `value` without secrets."""
        if self._verbatim is not None:
            value = self._verbatim.sub(REDACTED, value)
        return _KNOWN_SHAPES.sub(REDACTED, value)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of any JSON-like value without secrets; deeper than 8 levels is written as text."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= _DEEPEST:
            return self.text(str(value))
        if isinstance(value, Mapping):
            return {
                key: REDACTED if item and _TELLING_NAME.search(str(key)) else self.value(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, depth + 1) for item in value]
        return self.text(str(value))

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        cleaned: MutableMapping[str, Any] = {}
        for key, item in event.items():
            if key.startswith("_") or key == "exc_info":
                cleaned[key] = item
            elif key != "event" and item and _TELLING_NAME.search(key):
                cleaned[key] = REDACTED
            else:
                cleaned[key] = self.value(item)
        return cleaned


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for this process, once at its start.

    Lines go to `stream`, standard error by default.
    """
    target = stream if stream is not None else sys.stderr
    as_json = settings.log_format is LogFormat.json or (
        settings.log_format is LogFormat.auto and not target.isatty()
    )
    redactor = Redactor(settings.secret_values())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redactor,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = "DEBUG" if settings.app_debug else settings.log_level
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _SPEAKS_AT_WARNING:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for name in _TELLS_PAYLOADS:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLevelName(level)))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger; give it events as short sentences and data as keyword arguments."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
