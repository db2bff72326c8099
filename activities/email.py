"""`send_email`: by SMTP, or into the outbox for reading where no server is configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.failures import fail, try_again
from activities.heartbeat import beating
from core.errors import UpstreamError
from core.mail import InvalidMailError, Mail, MailRefusedError, MailSender, WrittenMail, write_mail
from core.settings import Settings
from flow_schema.effects import SEND_EMAIL, EmailMessage, EmailSent, FailureType

Outbox = Callable[[str, WrittenMail], Awaitable[None]]
"""Keeps an e-mail of an organization once, by its Message-ID."""


class EmailActivities:
    """Sends e-mail, at least once, with a Message-ID that all attempts share."""

    def __init__(self, sender: MailSender, settings: Settings, outbox: Outbox) -> None:
        self._sender = sender
        self._settings = settings
        self._outbox = outbox

    @activity.defn(name=SEND_EMAIL)
    async def send_email(self, message: EmailMessage) -> EmailSent:
        """Send, and return who was accepted; a test conversation writes the e-mail and sends nothing.

        Fails with `bad-request` (an address that is none) or `refused` (the server said no for good);
        other troubles are tried again by the workflow's policy.
        """
        mail = Mail(
            key=message.context.key,
            to=message.to,
            cc=message.cc,
            reply_to=message.reply_to,
            subject=message.subject,
            body=message.body,
        )
        try:
            written = write_mail(mail, self._settings.default_from_email)
        except InvalidMailError as error:
            fail(error.detail, FailureType.BAD_REQUEST)
        if message.context.mode == "test":
            return EmailSent(message_id=written.message_id, accepted=written.recipients)
        if not self._sender.is_configured:
            await self._outbox(message.context.organization_id, written)
            return EmailSent(message_id=written.message_id, accepted=written.recipients)
        try:
            async with beating():
                accepted = await self._sender.send(written)
        except MailRefusedError as error:
            fail(error.detail, FailureType.REFUSED)
        except UpstreamError as error:
            try_again(error.detail)
        return EmailSent(message_id=written.message_id, accepted=accepted)
