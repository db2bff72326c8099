"""The second factor and brute force: over HTTP, codes computed apart from the code under test."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import struct
import time
from urllib.parse import parse_qs, urlsplit

from tests.accounts.conftest import PASSWORD, Installation, Person, problem


def code_of(secret: str, step: int = 0) -> str:
    """RFC 6238 in full: the code of the present time step, or of one beside it."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30 + step), hashlib.sha1)
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFF_FFFF
    return f"{number % 1_000_000:06d}"


async def switched_on(person: Person) -> tuple[str, list[str]]:
    setup = await person.client.post("/auth/2fa/setup", json={"password": PASSWORD})
    assert setup.status_code == 200, setup.text
    made = setup.json()
    on = await person.client.post("/auth/2fa/verify", json={"code": code_of(made["secret"], -1)})
    assert on.json() == {"enabled": True}, on.text
    return made["secret"], made["backup_codes"]


async def test_setting_up_shows_secret_picture_and_codes_once(at: Installation, owner: Person) -> None:
    problem(
        await owner.client.post("/auth/2fa/setup", json={"password": "no es esta"}), 403, "wrong-password"
    )
    made = (await owner.client.post("/auth/2fa/setup", json={"password": PASSWORD})).json()
    address = urlsplit(made["uri"])
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query)["secret"] == [made["secret"]]
    assert made["qr_svg"].startswith("data:image/svg+xml")
    assert len(set(made["backup_codes"])) == 10
    assert all(re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", code) for code in made["backup_codes"])
    await at.sign_in(owner.email)  # not on yet
    wrong = await owner.client.post("/auth/2fa/verify", json={"code": "000000"})
    problem(wrong, 422, "invalid")
    on = await owner.client.post("/auth/2fa/verify", json={"code": code_of(made["secret"])})
    assert on.json() == {"enabled": True}
    left = (await owner.client.get("/auth/2fa/backup-codes")).json()
    assert (left["total"], left["remaining"]) == (10, 10)
    assert set(left) == {"total", "remaining", "created_at"}
    again = await owner.client.post("/auth/2fa/setup", json={"password": PASSWORD})
    problem(again, 409, "conflict")


async def test_signing_in_needs_a_code_that_is_good_once(at: Installation, owner: Person) -> None:
    secret, _ = await switched_on(owner)
    client = await at.client()
    body = {"email": owner.email, "password": PASSWORD}
    problem(await client.post("/auth/login", json=body), 401, "two-factor-required")
    wrong = {**body, "code": "123"}
    problem(await client.post("/auth/login", json=wrong), 401, "wrong-credentials")
    code = code_of(secret)
    assert (await client.post("/auth/login", json={**body, "code": code})).status_code == 200
    problem(await client.post("/auth/login", json={**body, "code": code}), 401, "wrong-credentials")
    earlier = code_of(secret, -1)
    problem(await client.post("/auth/login", json={**body, "code": earlier}), 401, "wrong-credentials")


async def test_a_backup_code_is_good_once_and_counted(at: Installation, owner: Person) -> None:
    _, codes = await switched_on(owner)
    client = await at.client()
    body = {"email": owner.email, "password": PASSWORD, "code": codes[3].upper()}
    answers = await asyncio.gather(*(client.post("/auth/login", json=body) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    left = (await owner.client.get("/auth/2fa/backup-codes")).json()
    assert (left["total"], left["remaining"]) == (10, 9)
    proof = {"password": PASSWORD, "code": codes[4]}
    new = (await owner.client.post("/auth/2fa/backup-codes", json=proof)).json()["backup_codes"]
    assert len(new) == 10
    assert not set(new) & set(codes)
    old = {**body, "code": codes[5]}
    problem(await client.post("/auth/login", json=old), 401, "wrong-credentials")
    assert (await client.post("/auth/login", json={**body, "code": new[0]})).status_code == 200


async def test_switching_off_needs_password_and_code(at: Installation, owner: Person) -> None:
    _, codes = await switched_on(owner)
    bad = {"password": PASSWORD, "code": "999999"}
    problem(await owner.client.post("/auth/2fa/disable", json=bad), 403, "wrong-password")
    good = {"password": PASSWORD, "code": codes[0]}
    assert (await owner.client.post("/auth/2fa/disable", json=good)).json() == {"enabled": False}
    await at.sign_in(owner.email)
    problem(await owner.client.post("/auth/2fa/disable", json=good), 409, "conflict")


async def test_guessing_is_slowed_and_the_owner_gets_in(at: Installation, owner: Person) -> None:
    other = await at.account()
    guesser, browser = await at.client(), await at.client()
    good = {"email": owner.email, "password": PASSWORD}
    assert (await browser.post("/auth/login", json=good)).status_code == 200  # a browser that is known
    bad = {"email": owner.email, "password": "no es esta"}
    answers = await asyncio.gather(*(guesser.post("/auth/login", json=bad) for _ in range(12)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(401) <= 7
    assert statuses.count(429) >= 5
    slowed = next(answer for answer in answers if answer.status_code == 429)
    problem(slowed, 429, "sign-in-slowed")
    assert int(slowed.headers["Retry-After"]) >= 1
    problem(await guesser.post("/auth/login", json=good), 429, "sign-in-slowed")
    assert (await browser.post("/auth/login", json=good)).status_code == 200
    elsewhere = {"email": other.email, "password": PASSWORD}
    assert (await guesser.post("/auth/login", json=elsewhere)).status_code == 200


async def test_guessing_is_slowed_alike_for_unknown_accounts(at: Installation, owner: Person) -> None:
    client = await at.client()
    body = {"email": "nobody@example.com", "password": "no es esta"}
    statuses = [(await client.post("/auth/login", json=body)).status_code for _ in range(8)]
    assert statuses[:5] == [401] * 5
    assert 429 in statuses
