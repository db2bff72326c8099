"""Single sign-on against a real OpenID provider process; the test is the browser."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.accounts.conftest import Installation, Person, installed, problem
from tests.conftest import free_port
from tests.peers.oidc_provider import CLIENT_ID, CLIENT_SECRET

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def issuer() -> Iterator[str]:
    """Address of a running provider."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.peers.oidc_provider", str(port)], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx2.get(f"{url}/keys")
            break
        except httpx2.TransportError:
            assert process.poll() is None and time.monotonic() < deadline  # noqa: PT018
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
async def provider(at: Installation, issuer: str) -> AsyncIterator[httpx2.AsyncClient]:
    """The provider, told where the installation is."""
    async with httpx2.AsyncClient(base_url=issuer) as client:
        await behave(client, at)
        yield client


async def behave(client: httpx2.AsyncClient, at: Installation, **how: Any) -> None:
    body = {"redirect_uri": f"{at.url}/api/v1/auth/sso/callback", **how}
    assert (await client.post("/behave", json=body)).status_code == 204


async def configure(owner: Person, issuer: str, **more: Any) -> httpx2.Response:
    body = {
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "domains": ["corp.example"],
        **more,
    }
    return await owner.client.put(f"/organizations/{owner.organization}/sso", json=body)


async def to_provider(browser: httpx2.AsyncClient, path: str = "/auth/sso/default") -> str:
    begun = await browser.get(path)
    assert begun.status_code == 302, begun.text
    return str(begun.headers["location"])


async def walk(
    browser: httpx2.AsyncClient, email: str, path: str = "/auth/sso/default", **form: str
) -> httpx2.Response:
    """From the beginning to the answer of the callback."""
    address = await to_provider(browser, path)
    page = await browser.get(address)
    assert "<form" in page.text
    back = await browser.post(address, data={"email": email, **form})
    assert back.status_code == 303, back.text
    return await browser.get(back.headers["location"])


async def test_somebody_new_comes_in_through_the_provider(
    at: Installation, owner: Person, issuer: str, provider: httpx2.AsyncClient
) -> None:
    configured = await configure(owner, issuer, default_role="agent")
    assert configured.status_code == 200, configured.text
    assert configured.json()["has_client_secret"] is True
    assert CLIENT_SECRET not in configured.text
    assert configured.json()["login_url"] == f"{at.url}/api/v1/auth/sso/default"
    browser = await at.client()
    arrived = await walk(browser, "olga@corp.example", "/auth/sso/default?return_to=/inbox%3Fa%3D1")
    assert arrived.status_code == 302, arrived.text
    assert arrived.headers["location"] == f"{at.url}/inbox?a=1"
    session = (await browser.get("/auth/session")).json()
    assert session["user"]["email"] == "olga@corp.example"
    assert (session["user"]["first_name"], session["user"]["last_name"]) == ("Olga", "Ibáñez")
    assert [membership["role"] for membership in session["organizations"]] == ["agent"]
    assert (await browser.get("/chatbots")).status_code == 200
    again = await at.client()
    await walk(again, "olga@corp.example")
    assert (await again.get("/auth/session")).json()["user"]["id"] == session["user"]["id"]


async def test_the_request_carries_pkce_state_and_nonce(
    at: Installation, owner: Person, issuer: str, provider: httpx2.AsyncClient
) -> None:
    await configure(owner, issuer)
    first, second = [parse_qs(urlsplit(await to_provider(await at.client())).query) for _ in range(2)]
    assert first["code_challenge_method"] == ["S256"]
    assert len(first["code_challenge"][0]) == 43
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]


@pytest.mark.parametrize(
    "how",
    [
        {"claims": {"nonce": "another"}},
        {"claims": {"aud": "another"}},
        {"claims": {"iss": "https://another.example"}},
        {"claims": {"exp": 1_000_000_000}},
        {"claims": {"email_verified": False}},
        {"claims": {"email": "olga@elsewhere.example"}},
        {"claims": {"azp": "another"}},
        {"key": "other"},
        {"alg": "HS256"},
        {"iss": "https://another.example"},
    ],
    ids=str,
)
async def test_what_can_not_be_believed_is_refused(
    at: Installation, owner: Person, issuer: str, provider: httpx2.AsyncClient, how: dict[str, Any]
) -> None:
    await configure(owner, issuer)
    await behave(provider, at, **how)
    browser = await at.client()
    problem(await walk(browser, "olga@corp.example"), 403, "sso-failed")
    assert (await browser.get("/auth/session")).status_code == 401


async def test_an_answer_is_good_once_and_in_one_browser(
    at: Installation, owner: Person, issuer: str, provider: httpx2.AsyncClient
) -> None:
    await configure(owner, issuer)
    browser, victim = await at.client(), await at.client()
    address = await to_provider(browser)
    back = (await browser.post(address, data={"email": "olga@corp.example"})).headers["location"]
    problem(await victim.get(back), 403, "sso-failed")
    problem(await browser.get(back), 403, "sso-failed")  # used up by the first who came
    problem(await walk(await at.client(), "olga@corp.example", deny="1"), 403, "sso-failed")


async def test_the_provider_speaks_for_its_organization_alone(
    at: Installation, owner: Person, issuer: str, provider: httpx2.AsyncClient
) -> None:
    """Whoever runs one organization's provider gets into nobody's account elsewhere."""
    victim = await at.account("victim@corp.example", organization_name="Ajena")
    await configure(owner, issuer)
    problem(await walk(await at.client(), victim.email), 403, "sso-failed")
    path = f"/organizations/{owner.organization}/members/invite"
    await owner.client.post(path, json={"email": victim.email, "role": "viewer"})
    await victim.client.post("/invitations/accept", json={"token": await at.token(victim.email, 2)})
    browser = await at.client()
    assert (await walk(browser, victim.email)).status_code == 302
    session = (await browser.get("/auth/session")).json()
    browser.headers["X-CSRF-Token"] = session["csrf_token"]
    assert [one["organization_id"] for one in session["organizations"]] == [owner.organization]
    problem(await browser.get(f"/organizations/{victim.organization}"), 404, "not-found")
    problem(await browser.post(f"/organizations/{victim.organization}/switch"), 403, "forbidden")
    for method, where, body in (
        ("PUT", "/users/profile", {"first_name": "X"}),
        ("POST", "/auth/change-password", {"current_password": "x", "new_password": "y" * 12}),
        ("POST", "/auth/2fa/setup", {"password": "x"}),
        ("DELETE", "/auth/sessions", None),
    ):
        problem(await browser.request(method, where, json=body), 403, "forbidden")
    assert len((await browser.get("/users/profile")).json()["organizations"]) == 1
    listed = (await browser.get("/auth/sessions")).json()["sessions"]
    assert len(listed) == 1


async def test_a_removed_member_is_out_and_a_new_issuer_needs_its_secret(
    at: Installation, owner: Person, issuer: str, provider: httpx2.AsyncClient
) -> None:
    await configure(owner, issuer, creates_accounts=True)
    browser = await at.client()
    await walk(browser, "olga@corp.example")
    user_id = (await browser.get("/auth/session")).json()["user"]["id"]
    path = f"/organizations/{owner.organization}"
    assert (await owner.client.delete(f"{path}/members/{user_id}")).status_code == 204
    assert (await browser.get("/auth/session")).status_code == 401
    kept = await configure(owner, issuer, client_secret=None)
    assert kept.json()["has_client_secret"] is True
    assert (await configure(owner, issuer + "/none")).status_code == 502
    assert (await owner.client.delete(f"{path}/sso")).status_code == 204
    problem(await browser.get("/auth/sso/default"), 404, "not-found")


async def test_a_provider_on_a_private_address_needs_a_setting(
    database_url: str, secret_key: str, tmp_path: Path, issuer: str
) -> None:
    async with installed(database_url, tmp_path, outbound_allow_private=False) as at:
        owner = await at.account("owner@example.com")
        refused = await configure(owner, issuer)
        assert refused.status_code in {400, 403, 422}, refused.text
