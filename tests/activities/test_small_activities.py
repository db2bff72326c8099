"""`send_email`, `run_script`, `recognize_intent`, `open_callback`."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from activities.callbacks import CallbackActivities, callback_token, callback_url
from activities.email import EmailActivities
from activities.intent import IntentActivities
from activities.script import ScriptActivities
from core.crypto import token_hash
from core.mail import MailSender, WrittenMail
from core.script import ScriptEngine
from core.settings import Settings
from flow_schema.effects import (
    EmailMessage,
    FailureType,
    IntentExamples,
    OpenCallback,
    RecognizeIntent,
    ScriptRun,
)
from tests.activities.running import ORGANIZATION, context, failure_of, run_attempt

SETTINGS = Settings(
    secret_key="a-key-for-tests-alone-0123456789abcdef",  # type: ignore[arg-type]
    api_url="https://bots.example/",
    default_from_email="Bot <bot@shop.example>",
)


class Outbox:
    def __init__(self) -> None:
        self.kept: list[tuple[str, WrittenMail]] = []

    async def __call__(self, organization_id: str, mail: WrittenMail) -> None:
        self.kept.append((organization_id, mail))


def email(**given: Any) -> EmailMessage:
    values: dict[str, Any] = {
        "context": context(),
        "to": ["ana@example.com"],
        "subject": "Hola",
        "body": "**x**",
    }
    return EmailMessage(**(values | given))


async def test_without_a_mail_server_an_email_is_kept() -> None:
    outbox = Outbox()
    activities = EmailActivities(MailSender(SETTINGS), SETTINGS, outbox)
    sent = await run_attempt(activities.send_email, email())
    again = await run_attempt(activities.send_email, email(), attempt=2)
    assert sent.accepted == ["ana@example.com"]
    assert sent.message_id == again.message_id == outbox.kept[0][1].message_id
    assert outbox.kept[0][0] == ORGANIZATION
    assert "<strong>x</strong>" in outbox.kept[0][1].html


async def test_a_test_conversation_sends_no_email() -> None:
    outbox = Outbox()
    unreachable = SETTINGS.model_copy(update={"email_host": "127.0.0.1", "email_port": 9})
    for settings in (SETTINGS, unreachable):
        activities = EmailActivities(MailSender(settings), settings, outbox)
        sent = await run_attempt(activities.send_email, email(context=context(mode="test")))
        assert sent.accepted == ["ana@example.com"]
    assert outbox.kept == []


async def test_how_email_fails() -> None:
    settings = SETTINGS.model_copy(update={"email_host": "127.0.0.1", "email_port": 9})
    activities = EmailActivities(MailSender(settings), settings, Outbox())
    away = await failure_of(activities.send_email, email())
    wrong = await failure_of(activities.send_email, email(to=["nobody"]))
    assert (away.type, away.non_retryable) == (FailureType.RETRY, False)
    assert (wrong.type, wrong.non_retryable) == (FailureType.BAD_REQUEST, True)


@pytest.fixture
async def engine() -> AsyncIterator[ScriptEngine]:
    engine = ScriptEngine(processes=1)
    yield engine
    await engine.close()


async def test_scripts_return_or_fail_for_good(engine: ScriptEngine) -> None:
    activities = ScriptActivities(engine)
    run = ScriptRun(
        context=context(),
        code="return variables.a * 2",
        variables={"a": 21},
        timeout_seconds=1,
        memory_megabytes=16,
    )
    assert (await run_attempt(activities.run_script, run)).value == 42
    for code, said in (("\n oops(", "line"), ("while (true) {}", "longer than 1 s")):
        error = await failure_of(activities.run_script, run.model_copy(update={"code": code}))
        assert (error.type, error.non_retryable) == (FailureType.BAD_REQUEST, True)
        assert said in error.message


async def test_intents_by_likeness() -> None:
    request = RecognizeIntent(
        context=context(),
        text="quiero devolver el pedido",
        intents=[
            IntentExamples(name="refund", examples=["quiero devolver un producto", "devolución"]),
            IntentExamples(name="hours", description="horario de apertura"),
        ],
        threshold=0.4,
    )
    recognize = IntentActivities().recognize_intent
    answer = await run_attempt(recognize, request)
    assert answer.intent == "refund"
    assert answer.confidence >= 0.4
    described = await run_attempt(recognize, request.model_copy(update={"text": "¿cuál es el horario?"}))
    assert described.intent == "hours"
    nothing = await run_attempt(recognize, request.model_copy(update={"text": "xyzzy"}))
    assert nothing.intent is None
    assert nothing.confidence < 0.4


async def test_a_callback_has_one_address_on_every_attempt_and_shows_it_only_when_asked() -> None:
    kept: list[tuple[str, str]] = []

    async def keep(request: OpenCallback, hashed: str) -> None:
        kept.append((request.callback_id, hashed))

    activities = CallbackActivities(SETTINGS, keep)
    request = OpenCallback(
        context=context(), callback_id="cb-1", expires_at=datetime(2026, 4, 1, tzinfo=UTC), reveal=True
    )
    first = await run_attempt(activities.open_callback, request)
    again = await run_attempt(activities.open_callback, request, attempt=2)
    hidden = await run_attempt(activities.open_callback, request.model_copy(update={"reveal": False}))
    assert first.url == again.url == callback_url(SETTINGS, "cb-1")
    assert hidden.url is None
    token = (first.url or "").removeprefix("https://bots.example/api/v1/callbacks/")
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert kept == [("cb-1", token_hash(token))] * 3


def test_callback_tokens_depend_on_the_callback_and_the_key() -> None:
    other = SETTINGS.model_copy(update={"secret_key": Settings(secret_key="b" * 40).secret_key})  # type: ignore[arg-type]
    tokens = {callback_token(SETTINGS, "a"), callback_token(SETTINGS, "b"), callback_token(other, "a")}
    assert len(tokens) == 3
