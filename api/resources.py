"""What the routes work with: made once a process, closed with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from api.access_tokens import AccessTokens
from api.account_mail import AccountMails
from api.bots import BotDirectory
from api.organization import FirstOrganization
from api.plans import Plans
from api.presence import Presence
from api.rate_limits import RateLimits
from api.tokens import Tokens
from api.transcripts import Transcripts
from core.crypto import Keyring
from core.events import EventBus
from core.files import FileStore
from core.logging import get_logger
from core.outbound import OutboundClient
from core.settings import Settings
from database.database import Database
from database.streams import StreamText
from temporal.gateway import ConversationGateway

_log = get_logger(__name__)


@dataclass
class Background:
    """Work that goes on after an answer was sent; waited for on shutdown."""

    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def run(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Start `work`; a failure is logged under the name `what`."""
        task = asyncio.create_task(self._guarded(work, what))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None], what: str) -> None:
        try:
            await work
        except Exception as error:
            _log.warning("work after an answer failed", work=what, reason=str(error))

    async def close(self, seconds: float = 2.0) -> None:
        """Give what still runs some time, then cancel it."""
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


@dataclass
class Resources:
    """The process's parts, as the routes find them at `request.app.state.resources`."""

    settings: Settings
    keyring: Keyring
    tokens: Tokens
    access_tokens: AccessTokens
    limits: RateLimits
    database: Database
    events: EventBus
    files: FileStore
    gateway: ConversationGateway
    organization: FirstOrganization
    mails: AccountMails
    plans: Plans
    outbound: OutboundClient
    bots: BotDirectory
    transcripts: Transcripts
    presence: Presence
    streams: StreamText
    background: Background
