"""No secret reaches a log line, whichever way it takes."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from core.logging import REDACTED, Redactor, configure_logging, get_logger
from core.settings import LogFormat, Settings

CONFIGURED = "configured-secret-0123456789abcdef"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(Settings(secret_key=SecretStr(CONFIGURED), log_format=LogFormat.json), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_lines_are_json_with_event_and_data(log: io.StringIO) -> None:
    get_logger("versaai.test").info("turn answered", conversation="c1", seconds=0.5)
    line = json.loads(log.getvalue())
    assert line["event"] == "turn answered"
    assert line["conversation"] == "c1"
    assert line["seconds"] == 0.5
    assert line["level"] == "info"
    assert line["logger"] == "versaai.test"
    assert line["timestamp"].endswith("Z")


def test_secrets_vanish_from_data_text_and_traces(log: io.StringIO) -> None:
    logger = get_logger("versaai.test")
    try:
        raise RuntimeError(f"login with {CONFIGURED} failed")
    except RuntimeError:
        logger.exception(f"using {CONFIGURED}", headers={"Authorization": "Basic dXNlcjpwYXNz"}, n=1)
    logging.getLogger("another.library").warning("sent %s", "Bearer abcdefghijklmnop")
    text = log.getvalue()
    assert CONFIGURED not in text
    assert "dXNlcjpwYXNz" not in text
    assert "abcdefghijklmnop" not in text
    assert text.count(REDACTED) >= 4


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnopqrstuv",
        "gsk_abcdefghijklmnopqrstuv",
        "vk_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl",
    ],
)
def test_known_shapes_vanish(secret: str) -> None:
    assert secret not in Redactor().text(f"before {secret} after")
    assert Redactor().text(f"before {secret} after").endswith(" after")


def test_passwords_in_addresses_vanish_and_hosts_stay() -> None:
    assert Redactor().text("postgresql://user:pa55word@host/db") == f"postgresql://{REDACTED}@host/db"


def test_telling_names_are_replaced_at_any_depth_and_others_stay() -> None:
    value = {"a": [{"api_key": "x1", "db_password": "x2", "count": 3}], "tokens": 7, "author": "Ana"}
    assert Redactor().value(value) == {
        "a": [{"api_key": REDACTED, "db_password": REDACTED, "count": 3}],
        "tokens": 7,
        "author": "Ana",
    }


def test_deep_values_end() -> None:
    value: list[object] = ["vk_abcdefghijklmnopqrstuvwxyz"]
    for _ in range(200):
        value = [value]
    assert "vk_abc" not in json.dumps(Redactor().value(value))


def test_debug_lowers_the_level(log: io.StringIO) -> None:
    get_logger("versaai.test").debug("unheard")
    configure_logging(Settings(app_debug=True, log_format=LogFormat.json), log)
    get_logger("versaai.test.debug").debug("heard")
    assert "unheard" not in log.getvalue()
    assert "heard" in log.getvalue()


def test_debug_does_not_tell_what_libraries_carry(log: io.StringIO) -> None:
    """The SDK of Temporal writes whole payloads at DEBUG: what visitors said, and their tokens."""
    configure_logging(Settings(app_debug=True, log_format=LogFormat.json), log)
    for name in ("temporalio", "temporalio.worker._workflow_instance", "temporalio.activity"):
        logging.getLogger(name).debug("completion %s", "what a visitor said")
        logging.getLogger(name).info("began %s", name)
    assert "what a visitor said" not in log.getvalue()
    assert "began temporalio.activity" in log.getvalue()


def test_statements_and_their_values_are_not_told(log: io.StringIO) -> None:
    for debug in (False, True):
        configure_logging(Settings(app_debug=debug, log_format=LogFormat.json), log)
        logging.getLogger("sqlalchemy.engine.Engine").info("INSERT ... %s", "what a visitor said")
    assert "what a visitor said" not in log.getvalue()
