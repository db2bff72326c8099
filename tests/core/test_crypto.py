"""Encryption, rotation, purpose-separated signatures and token hashes."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from core.crypto import Keyring, token_hash
from core.errors import ConfigurationError, SecretUnreadableError

OLD = "old-" + "a" * 40
NEW = "new-" + "b" * 40


def hkdf_sha256(key: bytes, info: bytes) -> bytes:
    """One block of HKDF without salt, written out from RFC 5869."""
    extracted = hmac.new(b"\0" * 32, key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_round_trip_and_no_plain_text() -> None:
    ring = Keyring([NEW])
    encrypted = ring.encrypt("contraseña ✓")
    assert "contrase" not in encrypted
    assert ring.decrypt(encrypted) == "contraseña ✓"
    assert ring.encrypt("contraseña ✓") != encrypted


def test_signature_is_hmac_under_a_derived_key() -> None:
    key = hkdf_sha256(NEW.encode(), b"versaai/sign/visitor")
    expected = hmac.new(key, b"data", hashlib.sha256).digest()
    assert Keyring([NEW]).sign("visitor", b"data") == expected
    assert Keyring([NEW]).key_for("visitor") == key


def test_rotation_reads_old_and_writes_new() -> None:
    old, both, new = Keyring([OLD]), Keyring([NEW, OLD]), Keyring([NEW])
    encrypted = old.encrypt("secret")
    assert both.decrypt(encrypted) == "secret"
    with pytest.raises(SecretUnreadableError):
        new.decrypt(encrypted)
    rotated = both.rotate(encrypted)
    assert new.decrypt(rotated) == "secret"
    with pytest.raises(SecretUnreadableError):
        old.decrypt(rotated)
    signature = old.sign("visitor", b"data")
    assert both.verify("visitor", b"data", signature)
    assert not new.verify("visitor", b"data", signature)
    assert both.sign("visitor", b"data") == new.sign("visitor", b"data")


def test_purposes_are_separate() -> None:
    ring = Keyring([NEW])
    signature = ring.sign("visitor", b"data")
    assert ring.verify("visitor", b"data", signature)
    assert not ring.verify("callback", b"data", signature)
    assert not ring.verify("visitor", b"datA", signature)
    assert not ring.verify("visitor", b"data", signature[:-1])
    with pytest.raises(ValueError, match="purpose"):
        ring.sign("", b"data")


def test_altered_or_foreign_values_are_refused() -> None:
    ring = Keyring([NEW])
    encrypted = ring.encrypt("secret")
    altered = encrypted[:-6] + ("A" if encrypted[-6] != "A" else "B") + encrypted[-5:]
    for value in (altered, "", "not a token", "ñ"):
        with pytest.raises(SecretUnreadableError):
            ring.decrypt(value)


@pytest.mark.parametrize("keys", [[], [""], ["short"], [NEW, "short"]])
def test_weak_keys_are_refused(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="32 characters"):
        Keyring(keys)


def test_token_hash_is_sha256_in_hex() -> None:
    # FIPS 180-2, appendix B.1
    assert token_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
