"""Registering, confirming, signing in and out, passwords: over HTTP, on real tables."""

from __future__ import annotations

import asyncio

import asyncpg

from tests.accounts.conftest import PASSWORD, Installation, Person, problem
from tests.api.conftest import TEAM


async def test_the_first_account_is_a_verified_owner(at: Installation) -> None:
    made = await at.register("First@Example.com")
    assert made.status_code == 201
    assert made.json() == {"status": "active", "email": "first@example.com"}
    person = await at.sign_in("FIRST@example.com")
    assert person.session["user"]["email_verified"]
    [membership] = person.session["organizations"]
    assert (membership["slug"], membership["role"]) == ("default", "owner")
    bots = await person.client.get("/chatbots")
    by_key = await (await at.client(headers=TEAM)).get("/chatbots")
    assert bots.status_code == by_key.status_code == 200


async def test_of_many_who_register_at_once_one_is_first(at: Installation) -> None:
    made = await asyncio.gather(*(at.register(f"p{number}@example.com") for number in range(5)))
    assert sorted(answer.json()["status"] for answer in made) == ["active", *["verify_email"] * 4]


async def test_others_confirm_their_address_first(at: Installation, owner: Person) -> None:
    made = await at.register("luis@example.com", organization_name="Tienda Ñandú", language="es")
    assert made.json()["status"] == "verify_email"
    client = await at.client()
    credentials = {"email": "luis@example.com", "password": PASSWORD}
    problem(await client.post("/auth/login", json=credentials), 401, "email-not-verified")
    [mail] = await at.mails("luis@example.com")
    assert mail.subject == "Confirma tu dirección de correo"
    token = await at.token("luis@example.com")
    for _ in range(2):  # a link scanner may follow it before its reader does
        answer = await client.get("/auth/verify-email", params={"token": token})
        assert answer.json() == {"status": "verified", "email": "luis@example.com"}
    person = await at.sign_in("luis@example.com")
    [membership] = person.session["organizations"]
    assert (membership["name"], membership["slug"], membership["role"]) == (
        "Tienda Ñandú", "tienda-nandu", "owner",
    )  # fmt: skip
    problem(await client.get("/auth/verify-email", params={"token": "ev_wrong"}), 410, "link-over")


async def test_a_known_address_is_not_given_away(at: Installation, owner: Person) -> None:
    new, known = await at.register("new@example.com"), await at.register(owner.email)
    assert new.status_code == known.status_code == 201
    assert new.json()["status"] == known.json()["status"]
    assert [mail.subject for mail in await at.mails(owner.email)] == ["Ya tienes una cuenta"]
    assert (await at.sign_in(owner.email)).id == owner.id  # its password is as it was


async def test_the_newest_registration_of_an_unconfirmed_address_counts(
    at: Installation, owner: Person
) -> None:
    await at.register("eva@example.com", password="un atacante se adelanta")
    early = await at.token("eva@example.com")
    await at.register("eva@example.com")
    client = await at.client()
    late = await at.token("eva@example.com", 2)
    problem(await client.get("/auth/verify-email", params={"token": early}), 410, "link-over")
    assert (await client.get("/auth/verify-email", params={"token": late})).status_code == 200
    stolen = {"email": "eva@example.com", "password": "un atacante se adelanta"}
    problem(await client.post("/auth/login", json=stolen), 401, "wrong-credentials")
    assert (await at.sign_in("eva@example.com")).email == "eva@example.com"


async def test_weak_passwords_are_refused(at: Installation) -> None:
    for password in ("corta", "password123", "aaaaaaaaaaaa", "maria@example.com"):
        document = problem(await at.register("maria@example.com", password=password), 422, "weak-password")
        assert document["errors"][0]["pointer"] == "/password"


async def test_passwords_and_tokens_are_kept_as_hashes(at: Installation, owner: Person) -> None:
    await at.register("luis@example.com")
    token = await at.token("luis@example.com")
    connection = await asyncpg.connect(at.settings.database_url)
    try:
        kept = await connection.fetchval("SELECT password_hash FROM users WHERE email = $1", owner.email)
        assert kept.startswith("$argon2id$")
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        for row in tables:
            content = await connection.fetchval(
                f"SELECT coalesce(string_agg(t::text, ' '), '') FROM \"{row['table_name']}\" AS t"
            )
            for secret in (token, PASSWORD, owner.session["refresh_token"], owner.session["access_token"]):
                assert secret not in content, row["table_name"]
    finally:
        await connection.close()


async def test_refresh_rotates_and_a_reused_token_ends_its_family(at: Installation, owner: Person) -> None:
    client = await at.client()
    first = owner.session["refresh_token"]
    second = (await client.post("/auth/refresh", json={"refresh_token": first})).json()
    assert second["refresh_token"] != first
    assert second["session_id"] == owner.session["session_id"]
    third = (await client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})).json()
    headers = {"Authorization": f"Bearer {third['access_token']}"}
    assert (await client.get("/users/profile", headers=headers)).status_code == 200
    other = await at.sign_in(owner.email)
    problem(await client.post("/auth/refresh", json={"refresh_token": first}), 401, "refresh-token-reused")
    problem(await client.get("/users/profile", headers=headers), 401, "unauthenticated")
    newest = {"refresh_token": third["refresh_token"]}
    assert (await client.post("/auth/refresh", json=newest)).status_code == 401
    assert (await other.client.get("/users/profile")).status_code == 200  # another family lives on


async def test_of_two_refreshes_at_once_one_wins(at: Installation, owner: Person) -> None:
    client = await at.client()
    body = {"refresh_token": owner.session["refresh_token"]}
    answers = await asyncio.gather(*(client.post("/auth/refresh", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers)[-3:] == [401, 401, 401]


async def test_signing_out_ends_the_session(at: Installation, owner: Person) -> None:
    assert (await owner.client.post("/auth/logout")).status_code == 204
    assert (await owner.client.get("/users/profile")).status_code == 401
    body = {"refresh_token": owner.session["refresh_token"]}
    assert (await owner.client.post("/auth/refresh", json=body)).status_code == 401


async def test_a_forgotten_password(at: Installation, owner: Person) -> None:
    client = await at.client()
    known = await client.post("/auth/forgot-password", json={"email": owner.email})
    unknown = await client.post("/auth/forgot-password", json={"email": "nobody@example.com"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    token = await at.token(owner.email)
    weak = {"token": token, "password": "corta"}
    problem(await client.post("/auth/reset-password", json=weak), 422, "weak-password")
    new = {"token": token, "password": "otra frase bien larga"}
    assert (await client.post("/auth/reset-password", json=new)).status_code == 200
    problem(await client.post("/auth/reset-password", json=new), 410, "link-over")
    assert (await owner.client.get("/users/profile")).status_code == 401  # every session has ended
    old = {"email": owner.email, "password": PASSWORD}
    problem(await client.post("/auth/login", json=old), 401, "wrong-credentials")
    await at.sign_in(owner.email, "otra frase bien larga")
    assert await at.mails("nobody@example.com") == []


async def test_a_changed_password_ends_other_sessions(at: Installation, owner: Person) -> None:
    other = await at.sign_in(owner.email)
    body = {"current_password": "no es esta", "new_password": "otra frase bien larga"}
    problem(await owner.client.post("/auth/change-password", json=body), 403, "wrong-password")
    body["current_password"] = PASSWORD
    assert (await owner.client.post("/auth/change-password", json=body)).status_code == 200
    assert (await owner.client.get("/users/profile")).status_code == 200
    assert (await other.client.get("/users/profile")).status_code == 401


async def test_sessions_are_listed_and_revocable(at: Installation, owner: Person) -> None:
    other = await at.sign_in(owner.email)
    listed = (await owner.client.get("/auth/sessions")).json()["sessions"]
    assert {entry["id"]: entry["current"] for entry in listed} == {
        owner.session["session_id"]: True,
        other.session["session_id"]: False,
    }
    path = f"/auth/sessions/{other.session['session_id']}"
    stranger = await at.account()
    problem(await stranger.client.delete(path), 404, "not-found")
    assert (await owner.client.delete(path)).status_code == 204
    assert (await other.client.get("/users/profile")).status_code == 401
    problem(await owner.client.delete(path), 404, "not-found")
    await at.sign_in(owner.email)
    assert (await owner.client.delete("/auth/sessions")).status_code == 204
    assert len((await owner.client.get("/auth/sessions")).json()["sessions"]) == 1


async def test_a_browser_has_a_cookie_and_a_csrf_token(at: Installation, owner: Person) -> None:
    browser = await at.sign_in(owner.email, session="cookie")
    assert browser.session["access_token"] is None
    assert browser.session["refresh_token"] is None
    token = browser.client.headers.pop("X-CSRF-Token")
    assert browser.client.cookies["versaai_csrf"] == token
    assert (await browser.client.get("/users/profile")).status_code == 200
    change = {"first_name": "Eva"}
    problem(await browser.client.put("/users/profile", json=change), 403, "csrf")
    for wrong in ("x", (await at.sign_in(owner.email, session="cookie")).session["csrf_token"]):
        answer = await browser.client.put("/users/profile", json=change, headers={"X-CSRF-Token": wrong})
        problem(answer, 403, "csrf")
    right = {"X-CSRF-Token": token}
    assert (await browser.client.put("/users/profile", json=change, headers=right)).status_code == 200
    problem(await browser.client.post("/auth/refresh", json={}), 403, "csrf")
    renewed = await browser.client.post("/auth/refresh", json={}, headers=right)
    assert renewed.json()["csrf_token"] == token
    assert (await browser.client.post("/auth/logout", headers=right)).status_code == 204
    assert (await browser.client.get("/users/profile")).status_code == 401


async def test_the_session_cookie_is_hidden_from_scripts(at: Installation, owner: Person) -> None:
    client = await at.client()
    credentials = {"email": owner.email, "password": PASSWORD, "session": "cookie"}
    answer = await client.post("/auth/login", json=credentials)
    lines = {line.split("=")[0]: line.lower() for line in answer.headers.get_list("set-cookie")}
    assert "httponly" in lines["versaai_session"]
    assert "samesite=lax" in lines["versaai_session"]
    assert "httponly" not in lines["versaai_csrf"]
    assert "httponly" in lines["versaai_device"]


async def test_tokens_of_others_are_refused(at: Installation, owner: Person) -> None:
    client = await at.client()
    good = owner.session["access_token"]
    header, payload, signature = good.split(".")
    for token in (
        f"{header}.{payload}.{signature[:-2]}AA",
        f"eyJhbGciOiJub25lIn0.{payload}.",
        "not-a-token",
        owner.session["refresh_token"],
    ):
        answer = await client.get("/users/profile", headers={"Authorization": f"Bearer {token}"})
        problem(answer, 401, "unauthenticated")
    answer = await client.get("/users/profile", headers=TEAM)
    problem(answer, 403, "forbidden")
