"""E-mail: composed so that nothing in it can forge a header or a script, and sent by SMTP.

Values come from visitors. A line break in one would begin a header, and so would an encoded word that holds
one (RFC 2047: `=?utf-8?q?=0D=0ABcc:...?=`), since Python's own headers decode such words when they are set.
Line breaks become spaces, what looks like an encoded word is encoded once more so that readers see it as it
was typed, and the bytes are read back before anything is sent.

Delivery is at least once: a server may have taken a message whose answer we never saw. The Message-ID is made
from a key that all attempts share, so that receivers can drop the second copy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, Policy, compat32
from email.utils import format_datetime, parseaddr

import aiosmtplib
from email_validator import EmailNotValidError, validate_email
from markdown_it import MarkdownIt

from core.errors import ConfigurationError, RequestError, UpstreamError
from core.settings import Settings

LONGEST_SUBJECT = 300
LONGEST_BODY = 200_000
MOST_RECIPIENTS = 50
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")
_ENCODED_WORD = "=?"
"""How an encoded word begins."""
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NAMED = re.compile(r"([^<>]*)<([^<>]*)>\s*")
_PAGE = '<!doctype html><html><head><meta charset="utf-8"></head><body>{body}</body></html>'


class InvalidMailError(RequestError):
    """The e-mail can't be written: an address that is none, too many of them, too long a text."""

    slug = "invalid-mail"
    title = "This e-mail can't be written"


class MailRefusedError(UpstreamError):
    """The mail server refused for good; the same e-mail would be refused again."""

    slug = "mail-refused"
    title = "The mail server refused the e-mail"


@dataclass(frozen=True)
class Mail:
    """An e-mail to write. Addresses are `a@b.c` or `Name <a@b.c>`; `body` is Markdown."""

    key: str
    to: Sequence[str]
    subject: str
    body: str
    cc: Sequence[str] = ()
    reply_to: str | None = None


@dataclass(frozen=True)
class WrittenMail:
    """An e-mail as it goes out. `recipients` are bare addresses, each once."""

    message: EmailMessage
    message_id: str
    recipients: list[str]
    text: str
    html: str


def message_id(key: str, sender: str) -> str:
    """Return the Message-ID for a key: the same for each attempt, telling nothing of the key."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def render_markdown(text: str) -> str:
    """Return Markdown as an HTML page. HTML in it is shown as text; images and script links are left out."""
    return _PAGE.format(body=_MARKDOWN.render(text))


def write_mail(mail: Mail, sender: str) -> WrittenMail:
    """Compose an e-mail in plain text and HTML. Raises InvalidMailError."""
    if len(mail.body) > LONGEST_BODY:
        raise InvalidMailError(f"The e-mail is longer than {LONGEST_BODY} characters.")
    to = [_address(text) for text in mail.to]
    cc = [_address(text) for text in mail.cc]
    recipients = list(dict.fromkeys(address.addr_spec for address in [*to, *cc]))
    if not to or len(recipients) > MOST_RECIPIENTS:
        raise InvalidMailError(f"An e-mail needs 1 to {MOST_RECIPIENTS} addresses.")
    html = render_markdown(mail.body)
    identifier = message_id(mail.key, sender)
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = _addresses("From", [_sender(sender)])
        message["To"] = _addresses("To", to)
        if cc:
            message["Cc"] = _addresses("Cc", cc)
        if mail.reply_to:
            message["Reply-To"] = _addresses("Reply-To", [_address(mail.reply_to)])
        message["Subject"] = _text("Subject", _one_line(mail.subject)[:LONGEST_SUBJECT])
        message["Message-ID"] = identifier
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.body, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        _check_headers(message)
    except (MessageError, ValueError, LookupError) as error:
        raise InvalidMailError(f"The e-mail can't be written: {type(error).__name__}.") from None
    return WrittenMail(message, identifier, recipients, mail.body, html)


class MailSender:
    """Sends through the configured SMTP server, one connection an e-mail."""

    def __init__(self, settings: Settings, *, timeout_seconds: float = 30) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds

    @property
    def is_configured(self) -> bool:
        """Whether there is a server to send through."""
        return bool(self._settings.email_host)

    async def send(self, mail: WrittenMail) -> list[str]:
        """Hand over an e-mail; returns the addresses that the server took, at least one.

        Raises ConfigurationError without a server, MailRefusedError (for good) and UpstreamError (passing).
        """
        settings = self._settings
        if not self.is_configured:
            raise ConfigurationError("EMAIL_HOST is not set.")
        server = aiosmtplib.SMTP(
            hostname=settings.email_host,
            port=settings.email_port,
            use_tls=settings.email_use_ssl,
            start_tls=settings.email_use_tls,
            username=settings.email_host_user or None,
            password=settings.email_host_password.get_secret_value() or None,
            timeout=self._timeout_seconds,
        )
        try:
            async with server:
                refused, _ = await server.send_message(mail.message, recipients=mail.recipients)
        except aiosmtplib.SMTPRecipientsRefused as error:
            answers = [(refusal.code, refusal.message) for refusal in error.recipients]
            raise _failure(*max(answers, default=(451, ""), key=lambda answer: -answer[0])) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            if error.code >= 500:
                raise MailRefusedError(f"The mail server refuses the login ({error.code}).") from None
            raise UpstreamError(f"The mail server can't check the login now ({error.code}).") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _failure(error.code, error.message) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise UpstreamError(f"The mail server can't be reached ({type(error).__name__}).") from None
        return [address for address in mail.recipients if address not in refused]


def _failure(code: int, said: str) -> UpstreamError:
    first = _one_line(said)[:200]
    if 500 <= code < 600:
        return MailRefusedError(f"The mail server refused the e-mail ({code} {first}).")
    return UpstreamError(f"The mail server can't take the e-mail now ({code} {first}).")


class _EncodedHeader(str):
    """A header that is written as it is given: `encoded`, ASCII, folded; reads as the text itself.

    The library takes an object with a name and a `fold` as it is, instead of parsing it once more.
    """

    name: str
    encoded: str

    def __new__(cls, name: str, text: str, encoded: str) -> _EncodedHeader:
        header = super().__new__(cls, text)
        header.name, header.encoded = name, encoded
        return header

    def fold(self, *, policy: Policy) -> str:
        """Return the header's lines, as the library asks for them."""
        return f"{self.name}: {self.encoded}\n".replace("\n", policy.linesep)


def _text(name: str, text: str) -> str:
    if _ENCODED_WORD not in text:
        return text
    return _EncodedHeader(name, text, _encoded(text, len(name) + 2))


def _addresses(name: str, addresses: list[Address]) -> list[Address] | _EncodedHeader:
    if not any(_ENCODED_WORD in address.display_name for address in addresses):
        return addresses
    written = [
        f"{_encoded(address.display_name, 1)}\n <{address.addr_spec}>"
        if address.display_name
        else address.addr_spec
        for address in addresses
    ]
    return _EncodedHeader(name, ", ".join(map(str, addresses)), ",\n ".join(written))


def _encoded(text: str, before: int) -> str:
    """Return a text as encoded words, folded; `before` is how much of the first line is taken."""
    return Header(text, "utf-8", header_name="x" * before).encode()


def _check_headers(message: EmailMessage) -> None:
    """Read the message back and refuse it unless its headers are those that were set, each one line.

    Raises InvalidMailError; the last guard, for what the library might do with a value.
    """
    read = message_from_bytes(message.as_bytes(), policy=compat32)
    values = (
        str(make_header(decode_header(re.sub(r"\r?\n(?=[ \t])", "", value)))) for value in read.values()
    )
    if read.keys() != message.keys() or any(_CONTROLS.search(value) for value in values):
        raise InvalidMailError("The e-mail can't be written: a header would hold a line break.")


def _address(text: str) -> Address:
    named = _NAMED.fullmatch(text)
    name, plain = (named.group(1).strip(' "'), named.group(2)) if named else ("", text.strip())
    try:
        if _ENCODED_WORD in plain:
            raise ValueError("an encoded word is no address")
        checked = validate_email(plain, check_deliverability=False, test_environment=True)
        return Address(_one_line(name), addr_spec=checked.ascii_email or checked.normalized)
    except (EmailNotValidError, MessageError, ValueError, IndexError):
        raise InvalidMailError(f"{text.strip()[:100]!r} is not an e-mail address.") from None


def _sender(text: str) -> Address:
    name, plain = parseaddr(text)
    try:
        return Address(_one_line(name), addr_spec=plain)
    except (MessageError, ValueError, IndexError):
        raise ConfigurationError("DEFAULT_FROM_EMAIL is not an e-mail address.") from None


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
