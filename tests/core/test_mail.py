"""E-mail against a real SMTP server."""

from __future__ import annotations

import email
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from core.errors import ConfigurationError, UpstreamError
from core.mail import (
    InvalidMailError,
    Mail,
    MailRefusedError,
    MailSender,
    message_id,
    render_markdown,
    write_mail,
)
from core.settings import Settings

SENDER = "Tienda Ñandú <bot@shop.example>"


@dataclass
class Mailbox:
    """What the server got, and what it answers: recipient -> answer instead of taking it."""

    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    at_the_end: str = "250 taken"

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append((list(envelope.rcpt_tos), message))
        return self.at_the_end


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Settings]]:
    box = Mailbox()
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings = Settings(
        email_host="127.0.0.1", email_port=port, email_use_tls=False, default_from_email=SENDER
    )
    yield box, settings
    controller.stop()


@pytest.fixture
def sender(mailbox: tuple[Mailbox, Settings]) -> MailSender:
    return MailSender(mailbox[1], timeout_seconds=5)


@pytest.fixture
def box(mailbox: tuple[Mailbox, Settings]) -> Mailbox:
    return mailbox[0]


def mail(**given: Any) -> Mail:
    values: dict[str, Any] = {"key": "c:1:1", "to": ["ana@example.com"], "subject": "Hola", "body": "Texto"}
    return Mail(**(values | given))


async def test_an_email_arrives_as_it_was_written(sender: MailSender, box: Mailbox) -> None:
    written = write_mail(
        mail(
            to=["Ana Núñez <ana@example.com>", "ana@example.com"],
            cc=["luis@example.com"],
            reply_to="ventas@shop.example",
            subject="Pedido nº 7 — listo ✓",
            body="# Hola, *Ana*\n\n.\n\nUn renglón largo: "
            + "ñ" * 300
            + "\n\n- [pedido](https://shop.example/7?a=1&b=2)",
        ),
        SENDER,
    )
    assert await sender.send(written) == ["ana@example.com", "luis@example.com"]
    recipients, message = box.got[0]
    assert recipients == ["ana@example.com", "luis@example.com"]
    assert message["From"] == "Tienda Ñandú <bot@shop.example>"
    assert message["To"] == "Ana Núñez <ana@example.com>, ana@example.com"
    assert message["Reply-To"] == "ventas@shop.example"
    assert message["Subject"] == "Pedido nº 7 — listo ✓"
    assert message["Auto-Submitted"] == "auto-generated"
    plain, html = message.iter_parts()
    assert isinstance(plain, EmailMessage)
    assert isinstance(html, EmailMessage)
    assert plain.get_content_type() == "text/plain"
    assert plain.get_content().replace("\r\n", "\n").rstrip("\n") == written.text
    assert html.get_content_type() == "text/html"
    assert "<h1>Hola, <em>Ana</em></h1>" in html.get_content()
    assert '<a href="https://shop.example/7?a=1&amp;b=2">pedido</a>' in html.get_content()


def test_the_message_id_is_the_same_for_each_attempt_and_hides_the_key() -> None:
    first, second = write_mail(mail(), SENDER), write_mail(mail(subject="Other"), SENDER)
    assert first.message_id == second.message_id == first.message["Message-ID"] == message_id("c:1:1", SENDER)
    assert first.message_id != write_mail(mail(key="c:1:2"), SENDER).message_id
    assert first.message_id.endswith("@shop.example>")
    assert "c:1:1" not in first.message_id


WORD = "=?utf-8?q?a=0d=0aBcc:_spy@example.com?="
"""An encoded word (RFC 2047) that holds a line break and a header."""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"subject": "Hola\r\nBcc: spy@example.com\r\n\r\nbody"},
         ("Subject", "Hola Bcc: spy@example.com body")),
        ({"subject": "Hola\nBcc: spy@example.com"}, ("Subject", "Hola Bcc: spy@example.com")),
        ({"subject": "Hola\u2028Bcc: spy@example.com\x00"}, ("Subject", "Hola Bcc: spy@example.com")),
        ({"subject": WORD}, ("Subject", WORD)),
        ({"subject": f"Pedido {WORD} nº 7 " + "largo " * 30 + WORD},
         ("Subject", f"Pedido {WORD} nº 7 " + "largo " * 30 + WORD)),
        ({"subject": "=?utf-8?b?YQ0KDQpib2R5?="}, ("Subject", "=?utf-8?b?YQ0KDQpib2R5?=")),
        ({"subject": "=\n?utf-8?q?a=0d=0aBcc:_spy@example.com?="},
         ("Subject", "= ?utf-8?q?a=0d=0aBcc:_spy@example.com?=")),
        ({"to": ['"Ana\r\nBcc: spy@example.com" <ana@example.com>']},
         ("To", '"Ana Bcc: spy@example.com" <ana@example.com>')),
        ({"to": [f"{WORD} <ana@example.com>"]}, ("To", f'"{WORD}" <ana@example.com>')),
        ({"to": [f'"{WORD}" <ana@example.com>']}, ("To", f'"{WORD}" <ana@example.com>')),
        ({"reply_to": f"{WORD} <ventas@shop.example>"}, ("Reply-To", f'"{WORD}" <ventas@shop.example>')),
        ({"reply_to": "Ana\nBcc: x@example.com <ventas@shop.example>"},
         ("Reply-To", '"Ana Bcc: x@example.com" <ventas@shop.example>')),
    ],
)  # fmt: skip
async def test_headers_can_not_be_injected(
    sender: MailSender, box: Mailbox, given: dict[str, Any], shown: tuple[str, str]
) -> None:
    """What would begin a header arrives as the text that it is, on one line."""
    await sender.send(write_mail(mail(**given), SENDER))
    recipients, message = box.got[0]
    assert recipients == ["ana@example.com"]
    name, text = shown
    assert message[name] == text
    wanted = {"From", "To", "Subject", "Message-ID", "Date", "Auto-Submitted", "MIME-Version", "Content-Type"}
    assert set(message.keys()) - {"X-Peer", "X-MailFrom", "X-RcptTo"} == wanted | {name}
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    "given",
    [
        {"reply_to": "ana@example.com\r\nBcc: spy@example.com"},
        {"to": ["ana@example.com\nBcc: spy@example.com"]},
        {"to": ["=?utf-8?q?a=0d=0aBcc:_spy?=@example.com"]},
        {"cc": ["Ana <=?utf-8?q?a=0d=0aBcc:_spy?=@example.com>"]},
        {"reply_to": "=?utf-8?q?a=0d=0aX?=@example.com"},
    ],
)
def test_addresses_that_would_begin_a_header_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidMailError, match="is not an e-mail address"):
        write_mail(mail(**given), SENDER)


def test_a_header_that_the_library_breaks_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last guard: the message is read back before anybody gets it."""
    monkeypatch.setattr("core.mail._one_line", lambda text: text)
    monkeypatch.setattr("core.mail._text", lambda _name, text: text)
    with pytest.raises(InvalidMailError):
        write_mail(mail(subject=WORD), SENDER)


@pytest.mark.parametrize(
    "address",
    ["", "ana", "@example.com", "ana@", "a b@example.com", "ana@example.com, luis@example.com",
     "<ana@example.com", "ana@exa mple.com",
     "Ana <ana@example.com>, Luis <luis@example.com>", "a@example.com;b@example.com"],
)  # fmt: skip
def test_addresses_that_are_none_are_refused(address: str) -> None:
    with pytest.raises(InvalidMailError):
        write_mail(mail(to=[address]), SENDER)


def test_too_many_and_none_are_refused() -> None:
    write_mail(mail(to=[f"a{number}@example.com" for number in range(50)]), SENDER)
    for to in ([], [f"a{number}@example.com" for number in range(51)]):
        with pytest.raises(InvalidMailError):
            write_mail(mail(to=to), SENDER)


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "![x](https://spy/p.gif)",
     "[x](data:text/html;base64,AA)", "<a href='https://x'>x</a>", "[x]: javascript:alert(1)\n\n[x]"],
)  # fmt: skip
def test_markdown_brings_no_script_and_no_tracker(hostile: str) -> None:
    html = render_markdown(f"**bold** {hostile}\n\n{hostile}")
    assert "<strong>bold</strong>" in html
    for tag in ("<script", "<img", 'href="javascript', 'href="data', "<a href='"):
        assert tag not in html


async def test_a_final_no_is_told_from_a_passing_one(sender: MailSender, box: Mailbox) -> None:
    written = write_mail(mail(to=["ana@example.com"], cc=["luis@example.com"]), SENDER)
    box.answers = {"luis@example.com": "550 no such user"}
    assert await sender.send(written) == ["ana@example.com"]
    box.answers["ana@example.com"] = "550 no such user"
    with pytest.raises(MailRefusedError, match="550 no such user"):
        await sender.send(written)
    box.answers = {"ana@example.com": "450 try later", "luis@example.com": "451 try later"}
    with pytest.raises(UpstreamError) as caught:
        await sender.send(written)
    assert not isinstance(caught.value, MailRefusedError)
    box.answers, box.at_the_end = {}, "554 spam"
    with pytest.raises(MailRefusedError, match="554 spam"):
        await sender.send(written)
    box.at_the_end = "452 full"
    with pytest.raises(UpstreamError, match="452 full") as caught:
        await sender.send(written)
    assert not isinstance(caught.value, MailRefusedError)


async def test_a_server_that_is_away_is_a_passing_trouble() -> None:
    settings = Settings(email_host="127.0.0.1", email_port=9, email_use_tls=False)
    with pytest.raises(UpstreamError) as caught:
        await MailSender(settings, timeout_seconds=2).send(write_mail(mail(), SENDER))
    assert not isinstance(caught.value, MailRefusedError)


async def test_encryption_is_never_dropped_silently(box: Mailbox, mailbox: tuple[Mailbox, Settings]) -> None:
    settings = mailbox[1].model_copy(update={"email_use_tls": True})
    with pytest.raises(UpstreamError):
        await MailSender(settings, timeout_seconds=2).send(write_mail(mail(), SENDER))
    assert box.got == []


async def test_without_a_server_nothing_is_sent() -> None:
    sender = MailSender(Settings(email_host=""))
    assert not sender.is_configured
    with pytest.raises(ConfigurationError):
        await sender.send(write_mail(mail(), SENDER))
