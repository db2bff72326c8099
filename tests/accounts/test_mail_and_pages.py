"""The outbox as page and command, SMTP, avatars, deletion of accounts."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from core.settings import AppEnv
from tests.accounts.conftest import PASSWORD, Installation, Person, installed, problem
from tests.core.test_mail import Mailbox, mailbox  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parents[2]


async def test_the_page_shows_the_outbox_to_this_machine_alone(at: Installation, owner: Person) -> None:
    await at.register("luis@example.com", first_name="<script>alert(1)</script>")
    token = await at.token("luis@example.com")
    async with httpx2.AsyncClient() as browser:
        page = await browser.get(f"{at.url}/mail")
        assert page.status_code == 200
        assert f'href="{at.url}/verify-email#token={token}"' in page.text
        assert "<script" not in page.text
        for headers in (
            {"Host": "versaai.example"},
            {"X-Forwarded-For": "203.0.113.7"},
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Via": "1.1 proxy"},
        ):
            refused = await browser.get(f"{at.url}/mail", headers=headers)
            assert refused.status_code == 404, headers
            assert token not in refused.text
        for path in ("/verify-email", "/reset-password", "/invitation"):
            page = await browser.get(at.url + path)
            assert page.status_code == 200
            assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_production_has_no_such_page(database_url: str, secret_key: str, tmp_path: Path) -> None:
    production = installed(database_url, tmp_path, app_env=AppEnv.production)
    async with production as at, httpx2.AsyncClient() as browser:
        assert (await browser.get(f"{at.url}/mail")).status_code == 404


async def test_the_command_shows_the_outbox(at: Installation, owner: Person) -> None:
    await at.register("luis@example.com")
    token = await at.token("luis@example.com")
    shown = await asyncio.to_thread(run, at, "mail", "--to", "luis@example.com")
    assert token in shown.stdout, shown.stderr
    assert "Confirma tu dirección" in shown.stdout


async def test_the_command_changes_a_plan(at: Installation, owner: Person) -> None:
    shown = await asyncio.to_thread(run, at, "plan", "default", "pro")
    assert shown.stdout.strip() == "default: pro", shown.stderr
    path = f"/organizations/{owner.organization}"
    assert (await owner.client.get(path)).json()["subscription_plan"] == "pro"
    assert (await asyncio.to_thread(run, at, "plan", "nobody", "pro")).returncode == 1
    assert (await asyncio.to_thread(run, at, "plan", "default", "golden")).returncode == 2


def run(at: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DATABASE_URL": at.settings.database_url,
        "SECRET_KEY": at.settings.secret_key.get_secret_value(),
        "VERSAAI_DATA_DIR": str(at.settings.data_dir),
    }
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


async def test_with_a_server_mail_is_sent_and_its_link_not_kept(
    database_url: str,
    secret_key: str,
    tmp_path: Path,
    mailbox: tuple[Mailbox, Any],  # noqa: F811
) -> None:
    box, mail_settings = mailbox
    more = {"email_host": "127.0.0.1", "email_port": mail_settings.email_port, "email_use_tls": False}
    async with installed(database_url, tmp_path, **more) as at:
        await at.account("owner@example.com")
        await at.register("luis@example.com", language="en")
        [kept] = await at.mails("luis@example.com")
        for _ in range(200):
            if kept.state == "sent":
                break
            await asyncio.sleep(0.05)
            [kept] = await at.mails("luis@example.com")
        assert (kept.state, kept.body) == ("sent", "")
        [(recipients, message)] = box.got
        assert recipients == ["luis@example.com"]
        assert message["Subject"] == "Confirm your e-mail address"
        plain = message.get_body(("plain",))
        assert plain is not None
        assert f"{at.url}/verify-email#token=ev_" in plain.get_content()
        async with httpx2.AsyncClient() as browser:
            assert (await browser.get(f"{at.url}/mail")).status_code == 404


def picture(kind: str = "PNG", size: tuple[int, int] = (600, 300), **more: Any) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(written, kind, **more)
    return written.getvalue()


async def test_an_avatar_is_written_anew(at: Installation, owner: Person) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    content = picture("JPEG", exif=exif) + b"<script>alert(1)</script>"
    files = {"file": ("a.html", content, "text/html")}
    made = await owner.client.post("/users/upload-avatar", files=files)
    assert made.status_code == 200, made.text
    url = made.json()["avatar_url"]
    assert (await owner.client.get("/users/profile")).json()["avatar_url"] == url
    async with httpx2.AsyncClient() as browser:
        shown = await browser.get(url)
        assert shown.headers["content-type"] == "image/webp", shown.json()["detail"]
        assert b"secret" not in shown.content
        assert b"script" not in shown.content
        with Image.open(io.BytesIO(shown.content)) as image:
            assert (image.format, image.size) == ("WEBP", (256, 256))
        again = await owner.client.post("/users/upload-avatar", files={"file": ("b", picture("GIF"))})
        assert again.status_code == 200
        assert (await browser.get(url)).status_code == 404  # the picture before is gone
        assert (await browser.get(f"{at.url}/api/v1/avatars/..%2Fsecrets.webp")).status_code == 404
    assert (await owner.client.delete("/users/avatar")).status_code == 204
    assert (await owner.client.get("/users/profile")).json()["avatar_url"] is None


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not-an-image"),
        (b"", 415, "not-an-image"),
        (picture()[:100], 415, "not-an-image"),
        (picture("PNG", (20_000, 10_000)), 413, "too-large"),
        (b"\0" * 300_000, 413, "too-large"),
    ],
    ids=["svg", "empty", "cut", "bomb", "big"],
)
async def test_what_is_no_picture_is_refused(
    database_url: str, secret_key: str, tmp_path: Path, content: bytes, status: int, kind: str
) -> None:
    async with installed(database_url, tmp_path, max_avatar_bytes=262_144) as at:
        owner = await at.account("owner@example.com")
        refused = await owner.client.post("/users/upload-avatar", files={"file": ("a.png", content)})
        problem(refused, status, kind)


async def test_an_account_is_deleted_with_what_is_its_own(at: Installation, owner: Person) -> None:
    body = {"password": PASSWORD}
    refused = problem(await owner.client.request("DELETE", "/users/account", json=body), 409, "last-owner")
    assert [entry["id"] for entry in refused["organizations"]] == [owner.organization]
    member = await at.joined(owner, "editor")
    bot = await member.client.post("/chatbots", json={"name": "De alguien"})
    assert bot.status_code == 201
    wrong = {"password": "no es esta"}
    problem(await member.client.request("DELETE", "/users/account", json=wrong), 403, "wrong-password")
    assert (await member.client.request("DELETE", "/users/account", json=body)).status_code == 204
    assert (await member.client.get("/users/profile")).status_code == 401
    client = await at.client()
    answer = await client.post("/auth/login", json={"email": member.email, "password": PASSWORD})
    problem(answer, 401, "wrong-credentials")
    assert (await owner.client.get(f"/chatbots/{bot.json()['id']}")).status_code == 200
    members = (await owner.client.get(f"/organizations/{owner.organization}/members")).json()["members"]
    assert [entry["user_id"] for entry in members] == [owner.id]


async def test_the_profile_changes_in_part(at: Installation, owner: Person) -> None:
    changed = await owner.client.put("/users/profile", json={"phone": "+34 600 000 000", "language": "en"})
    assert (changed.json()["phone"], changed.json()["first_name"]) == ("+34 600 000 000", "Ana")
    cleared = await owner.client.put("/users/profile", json={"phone": None})
    assert (cleared.json()["phone"], cleared.json()["language"]) == (None, "en")
    for wrong in ({"first_name": None}, {"email": "x@example.com"}, {"first_name": "a\u0007b"}):
        problem(await owner.client.put("/users/profile", json=wrong), 422, "invalid")
