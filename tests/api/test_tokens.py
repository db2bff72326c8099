"""Visitor tokens, opening ids and file links: what they bind and when they end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from api.tokens import Tokens
from core.crypto import Keyring
from core.errors import AuthenticationError, PermissionDeniedError, SignatureError

KEY = "k" * 40
CONVERSATION, BOT, ORGANIZATION = (UUID(int=number) for number in (1, 2, 3))


def tokens(*keys: str) -> Tokens:
    return Tokens(Keyring(keys or (KEY,)), lifetime_seconds=1000, file_link_seconds=400)


def test_a_token_says_who_it_is_for_until_it_ends() -> None:
    token = tokens().issue(CONVERSATION, BOT, ORGANIZATION, now=5000)
    visitor = tokens().read(token, now=5999)
    assert (visitor.conversation_id, visitor.chatbot_id, visitor.organization_id) == (
        CONVERSATION,
        BOT,
        ORGANIZATION,
    )
    assert not visitor.is_half_spent(5500)
    assert visitor.is_half_spent(5501)
    with pytest.raises(AuthenticationError, match="expired"):
        tokens().read(token, now=6000)
    fresh = tokens().issue(CONVERSATION, BOT, ORGANIZATION)
    with pytest.raises(PermissionDeniedError):
        tokens().read_for(fresh, UUID(int=9))


def test_a_token_is_signed_as_documented() -> None:
    token = tokens().issue(CONVERSATION, BOT, ORGANIZATION, now=5000)
    payload, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token[3:].split(".")
    )
    assert json.loads(payload) == [CONVERSATION.hex, BOT.hex, ORGANIZATION.hex, 5000, 6000]
    key = HKDF(SHA256(), 32, None, b"versaai/sign/visitor-token").derive(KEY.encode())
    assert signature == hmac.new(key, payload, hashlib.sha256).digest()


def test_tokens_outlive_a_rotation_of_the_key_but_not_its_loss() -> None:
    token = tokens().issue(CONVERSATION, BOT, ORGANIZATION)
    assert tokens("n" * 40, KEY).read(token).conversation_id == CONVERSATION
    with pytest.raises(AuthenticationError):
        tokens("n" * 40).read(token)


@given(st.text(max_size=300))
def test_no_made_up_token_is_taken(text: str) -> None:
    for candidate in (text, "vt_" + text, "vt_" + text + "." + text):
        with pytest.raises(AuthenticationError):
            tokens().read(candidate)


@given(st.integers(0, 200), st.integers(1, 255))
def test_no_altered_token_is_taken(place: int, change: int) -> None:
    token = tokens().issue(CONVERSATION, BOT, ORGANIZATION)
    raw = bytearray(token.encode())
    index = 3 + place % (len(raw) - 3)
    raw[index] = (raw[index] ^ change) & 0x7F or 0x41
    if raw.decode() == token:
        return
    try:
        visitor = tokens().read(raw.decode())
    except AuthenticationError:
        return
    # base64 leaves spare bits in a last character: another spelling of the same bytes is no forgery
    assert visitor == tokens().read(token)


def test_an_opening_is_always_the_same_conversation() -> None:
    first = tokens().opening_id(BOT, "message-1")
    assert first == tokens().opening_id(BOT, "message-1")
    assert (first.version, first.variant) == (8, "specified in RFC 4122")
    others = {
        tokens().opening_id(BOT, "message-2"),
        tokens().opening_id(CONVERSATION, "message-1"),
        tokens("n" * 40).opening_id(BOT, "message-1"),
    }
    assert len(others | {first}) == 4


def test_a_file_link_opens_one_file_for_a_while() -> None:
    link = tokens().file_link("f1", now=1000)
    query = dict(part.split("=") for part in link.split("?")[1].split("&"))
    expires = int(query["exp"])
    assert 1400 <= expires <= 1500
    assert tokens().file_link("f1", now=1001) == link  # so that browsers keep what they have
    tokens().check_file_link("f1", expires, query["sig"], now=expires - 1)
    for file_id, until, now in (("f2", expires, 1000), ("f1", expires + 1, 1000), ("f1", expires, expires)):
        with pytest.raises(SignatureError):
            tokens().check_file_link(file_id, until, query["sig"], now=now)
