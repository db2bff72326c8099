"""E-mail about accounts: written in the transaction of what it tells, sent after it, tried again for a day.

Without an SMTP server it stays in the outbox, where `versaai mail` and the page `/mail` show it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from core.account_mails import account_mail
from core.errors import SecretUnreadableError, UnavailableError, UpstreamError
from core.logging import get_logger
from core.mail import InvalidMailError, Mail, MailRefusedError, MailSender, write_mail
from core.settings import Settings
from database.database import Database
from database.people import AccountMailRepository

_PAUSE_SECONDS = 30.0
_LEASE = timedelta(minutes=2)
_MOST_ATTEMPTS = 12
_log = get_logger(__name__)


class AccountMails:
    """Writes and sends. Several processes may share the outbox."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._sender = MailSender(settings)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def are_sent(self) -> bool:
        """Whether there is a server to send through."""
        return self._sender.is_configured

    def start(self) -> None:
        """Send what is due, from now on."""
        if self.are_sent:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop sending; what is left is sent by another process, or after the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def write(self, session: AsyncSession, to: str, kind: str, language: str, **values: object) -> None:
        """Put an e-mail into the outbox; it goes out once the transaction has been committed."""
        mail = account_mail(kind, language, platform=self._settings.app_name, **values)
        await AccountMailRepository(session).add(to=to, subject=mail.subject, body=mail.body)

    def hurry(self) -> None:
        """Look for e-mail to send at once."""
        self._wake.set()

    def link(self, page: str, token: str = "") -> str:
        """Return the address of a page; the token is in the fragment, which no server logs."""
        return f"{self._settings.app_url}/{page}" + (f"#token={token}" if token else "")

    async def _run(self) -> None:
        while True:
            try:
                while await self._send_due():
                    pass
            except UnavailableError as error:
                _log.warning("account e-mail waits for the database", reason=error.detail)
            except Exception:
                _log.exception("account e-mail could not be sent")
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _PAUSE_SECONDS)

    async def _send_due(self) -> int:
        async with self._database.session() as session:
            taken = await AccountMailRepository(session).take_due(10, _LEASE)
        for row, body in taken:
            error, again = await self._send(str(row.id), row.to, row.subject, body, row.attempts)
            async with self._database.session() as session:
                mails = AccountMailRepository(session)
                if error is None:
                    await mails.sent(row.id)
                else:
                    await mails.not_sent(row.id, error, again)
        return len(taken)

    async def _send(
        self, key: str, to: str, subject: str, body: str, attempts: int
    ) -> tuple[str | None, timedelta | None]:
        """Return what went wrong, if anything, and when to try again, if ever."""
        try:
            mail = Mail(key=f"account:{key}", to=[to], subject=subject, body=body)
            await self._sender.send(write_mail(mail, self._settings.default_from_email))
        except (InvalidMailError, MailRefusedError, SecretUnreadableError) as error:
            _log.warning("account e-mail refused", reason=error.detail)
            return error.detail, None
        except UpstreamError as error:
            last = attempts + 1 >= _MOST_ATTEMPTS
            _log.warning("account e-mail not sent", reason=error.detail, given_up=last)
            return error.detail, None if last else timedelta(seconds=min(30 * 2**attempts, 4 * 3600))
        return None, None
