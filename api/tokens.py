"""What visitors hold: tokens bound to one conversation, signed file links, ids of openings.

A visitor token is `vt_` + payload + `.` + signature, both base64url. The payload names the conversation,
the bot and the organization, so that a message needs no look-up in the database before it is taken.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from uuid import UUID

import orjson

from core.crypto import Keyring
from core.errors import AuthenticationError, PermissionDeniedError, SignatureError

VISITOR_TOKEN = "visitor-token"  # noqa: S105 - a purpose, not a secret
OPENING = "opening"
FILE_LINK = "file-link"
_PREFIX = "vt_"
_LONGEST = 1_000


@dataclass(frozen=True)
class Visitor:
    """Who a token stands for; times are seconds since the epoch."""

    conversation_id: UUID
    chatbot_id: UUID
    organization_id: UUID
    issued_at: int
    expires_at: int

    def is_half_spent(self, now: float) -> bool:
        """Tell whether more than half of the token's life is over."""
        return now - self.issued_at > (self.expires_at - self.issued_at) / 2


class Tokens:
    """Makes and reads what the platform signs for visitors."""

    def __init__(
        self, keyring: Keyring, *, lifetime_seconds: int, file_link_seconds: int, api_url: str = ""
    ) -> None:
        self._keyring = keyring
        self._api_url = api_url
        self._lifetime = lifetime_seconds
        self._file_link_seconds = file_link_seconds

    def issue(
        self, conversation_id: UUID, chatbot_id: UUID, organization_id: UUID, now: float | None = None
    ) -> str:
        """Return a token for a conversation, valid for the configured lifetime from `now`."""
        issued = int(time.time() if now is None else now)
        payload = orjson.dumps(
            [
                conversation_id.hex,
                chatbot_id.hex,
                organization_id.hex,
                issued,
                issued + self._lifetime,
            ]
        )
        signature = self._keyring.sign(VISITOR_TOKEN, payload)
        return f"{_PREFIX}{_encode(payload)}.{_encode(signature)}"

    def read(self, token: str, now: float | None = None) -> Visitor:
        """Return whom a token stands for. Raises AuthenticationError: malformed, forged or expired."""
        if not token.startswith(_PREFIX) or len(token) > _LONGEST:
            raise AuthenticationError("The visitor token is malformed.")
        encoded, _, signature = token[len(_PREFIX) :].partition(".")
        try:
            payload = _decode(encoded)
            genuine = self._keyring.verify(VISITOR_TOKEN, payload, _decode(signature))
        except (binascii.Error, ValueError):
            raise AuthenticationError("The visitor token is malformed.") from None
        if not genuine:
            raise AuthenticationError("The visitor token was not made here, or was altered.")
        conversation, chatbot, organization, issued, expires = orjson.loads(payload)
        if (time.time() if now is None else now) >= expires:
            raise AuthenticationError("The visitor token has expired; open a new conversation.")
        return Visitor(UUID(conversation), UUID(chatbot), UUID(organization), issued, expires)

    def read_for(self, token: str, conversation_id: UUID) -> Visitor:
        """Return whom a token stands for, and that it is for this conversation.

        Raises AuthenticationError, and PermissionDeniedError for a token of another conversation.
        """
        visitor = self.read(token)
        if visitor.conversation_id != conversation_id:
            raise PermissionDeniedError("The visitor token belongs to another conversation.")
        return visitor

    def opening_id(self, chatbot_id: UUID, message_id: str) -> UUID:
        """Return the id of the conversation that this opening makes: the same however often it is sent.

        A keyed hash laid out as a UUID of version 8, so that ids can't be computed from outside.
        """
        digest = self._keyring.sign(OPENING, chatbot_id.bytes + message_id.encode())
        value = int.from_bytes(digest[:16])
        value = (value & ~(0xF << 76)) | (0x8 << 76)
        value = (value & ~(0b11 << 62)) | (0b10 << 62)
        return UUID(int=value)

    def file_link(self, file_id: str, now: float | None = None) -> str:
        """Return a link to a file: a whole address, since pages of other sites show it.

        Expiry is rounded up to a quarter of the lifetime, so that repeated answers carry the same link and
        browsers cache what is behind it.
        """
        quarter = max(1, self._file_link_seconds // 4)
        start = int(time.time() if now is None else now)
        expires = (start // quarter + 1) * quarter + self._file_link_seconds
        signature = _encode(self._keyring.sign(FILE_LINK, f"{file_id}:{expires}".encode())[:18])
        return f"{self._api_url}/api/v1/files/{file_id}?exp={expires}&sig={signature}"

    def check_file_link(self, file_id: str, expires: int, signature: str, now: float | None = None) -> None:
        """Raise SignatureError unless the link was made here and is not over."""
        data = f"{file_id}:{expires}".encode()
        wanted = [
            _encode(hmac.digest(key, data, hashlib.sha256)[:18]) for key in self._keyring.keys_for(FILE_LINK)
        ]
        if not any(hmac.compare_digest(one.encode(), signature.encode()) for one in wanted):
            raise SignatureError("The link was not made here, or was altered.")
        if (time.time() if now is None else now) >= expires:
            raise SignatureError("The link is over; read the transcript again for a new one.")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
