"""`open_callback`: the one-time address that another system posts to, to wake a conversation.

The token is derived from the callback's id, so that every attempt, and the HTTP call that hands the address
out, come to the same one without its ever being stored or passing through the workflow's history.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from functools import lru_cache

from temporalio import activity

from core.crypto import Keyring, token_hash
from core.settings import Settings
from flow_schema.effects import OPEN_CALLBACK, OpenCallback, OpenedCallback

CALLBACK_PATH = "/api/v1/callbacks/"
_PURPOSE = "callback"

CallbackStore = Callable[[OpenCallback, str], Awaitable[None]]
"""Keeps an open callback under the hash of its token; doing it twice changes nothing."""


@lru_cache(maxsize=4)
def _keyring(secret_keys: tuple[str, ...]) -> Keyring:
    return Keyring(secret_keys)


def callback_token(settings: Settings, callback_id: str) -> str:
    """Return the token of a callback: 43 characters, safe in a URL."""
    signature = _keyring(settings.secret_keys).sign(_PURPOSE, callback_id.encode())
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode("ascii")


def callback_url(settings: Settings, callback_id: str) -> str:
    """Return the public address of a callback."""
    return f"{settings.api_url}{CALLBACK_PATH}{callback_token(settings, callback_id)}"


class CallbackActivities:
    """Opens callbacks."""

    def __init__(self, settings: Settings, store: CallbackStore) -> None:
        self._settings = settings
        self._store = store

    @activity.defn(name=OPEN_CALLBACK)
    async def open_callback(self, request: OpenCallback) -> OpenedCallback:
        """Store the token's hash; return the address only where the workflow needs it itself."""
        token = callback_token(self._settings, request.callback_id)
        await self._store(request, token_hash(token))
        url = callback_url(self._settings, request.callback_id) if request.reveal else None
        return OpenedCallback(callback_id=request.callback_id, url=url)
