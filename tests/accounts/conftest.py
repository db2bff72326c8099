"""The API over HTTP on a database of the test's own, and people who use it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr

from core.crypto import keyring
from core.settings import AppEnv, Settings, get_settings
from database.database import Database
from database.people import AccountMailRepository
from tests.api.conftest import API_KEY, serve_api

PASSWORD = "nueve caballos azules"


@dataclass
class Installation:
    """A running API, its settings and its tables."""

    url: str
    settings: Settings
    database: Database
    clients: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def client(self, **options: Any) -> httpx2.AsyncClient:
        """A client with cookies of its own."""
        made = httpx2.AsyncClient(base_url=f"{self.url}/api/v1", timeout=30, **options)
        return await self.clients.enter_async_context(made)

    async def mails(self, to: str) -> list[Any]:
        """E-mails to an address, newest first."""
        async with self.database.session() as session:
            return [mail for mail in await AccountMailRepository(session).newest() if mail.to == to]

    async def token(self, to: str, number: int = 1) -> str:
        """The token in the newest e-mail to an address, once there are so many."""
        for _ in range(200):
            found = await self.mails(to)
            if len(found) >= number:
                match = re.search(r"#token=([\w-]+)", found[0].body)
                assert match is not None, found[0].body
                return match[1]
            await asyncio.sleep(0.02)
        raise AssertionError(f"no e-mail to {to}")

    async def register(self, email: str, **more: Any) -> httpx2.Response:
        client = await self.client()
        body = {"email": email, "password": PASSWORD, "first_name": "Ana", "last_name": "Pérez", **more}
        return await client.post("/auth/register", json=body)

    async def account(self, email: str | None = None, **more: Any) -> Person:
        """A confirmed account, signed in with tokens."""
        address = email or f"{uuid4().hex[:12]}@example.com"
        made = await self.register(address, **more)
        assert made.status_code == 201, made.text
        client = await self.client()
        if made.json()["status"] == "verify_email":
            token = await self.token(address)
            assert (await client.get("/auth/verify-email", params={"token": token})).status_code == 200
        return await self.sign_in(address)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> Person:
        client = await self.client()
        answer = await client.post("/auth/login", json={"email": email, "password": password, **more})
        assert answer.status_code == 200, answer.text
        session = answer.json()
        if session["access_token"]:
            client.headers["Authorization"] = f"Bearer {session['access_token']}"
        else:
            client.headers["X-CSRF-Token"] = session["csrf_token"]
        return Person(self, client, email, session)

    async def joined(self, owner: Person, role: str, **grants: Any) -> Person:
        """Another account, a member of the owner's organization alone, in that role."""
        address = f"{uuid4().hex[:12]}@example.com"
        made = await owner.client.post(
            f"/organizations/{owner.organization}/members/invite",
            json={"email": address, "role": role, "permissions": grants.get("permissions", {})},
        )
        assert made.status_code == 201, made.text
        return await self.account(address, invitation=await self.token(address))


@dataclass
class Person:
    """Somebody who is signed in."""

    at: Installation
    client: httpx2.AsyncClient
    email: str
    session: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.session["user"]["id"])

    @property
    def organization(self) -> str:
        return str(self.session["organization_id"])


def settings_for(database_url: str, folder: Any, **more: Any) -> Settings:
    return Settings(
        **{
            "secret_key": SecretStr("a-key-for-tests-alone-0123456789abcdef"),
            "bootstrap_api_key": SecretStr(API_KEY),
            "database_url": database_url,
            "data_dir": folder,
            "app_env": AppEnv.test,
            "database_pool_size": 5,
            "rate_limit_visitor_per_minute": 0,
            "rate_limit_address_per_minute": 0,
            "rate_limit_key_per_minute": 0,
            "rate_limit_sign_in_per_minute": 0,
            "outbound_allow_private": True,
            "temporal_address": "127.0.0.1:1",
            **more,
        }
    )


@asynccontextmanager
async def installed(database_url: str, folder: Any, **more: Any) -> AsyncIterator[Installation]:
    """An installation while the block lasts."""
    assert get_settings().secret_keys, "the fixture `secret_key` comes first"
    assert keyring() is not None
    settings = settings_for(database_url, folder, **more)
    database = Database(database_url, pool_size=2)
    async with serve_api(settings) as url:
        made = Installation(url, settings.model_copy(update={"api_url": url, "app_url": url}), database)
        async with made.clients:
            yield made
    await database.close()


@pytest.fixture
async def at(database_url: str, secret_key: str, tmp_path: Any) -> AsyncIterator[Installation]:
    """An installation without any account."""
    async with installed(database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def owner(at: Installation) -> Person:
    """The first account."""
    return await at.account("owner@example.com")


def problem(answer: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is a problem of a kind."""
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:versaai:problem:{kind}", document
    return document
