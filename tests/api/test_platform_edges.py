"""The edges of the API: pages, limits, health, request ids, other origins, and parts that are down."""

from __future__ import annotations

import io
import logging
import re
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import structlog
from pydantic import SecretStr

from api.middleware import BodyRule, RequestGate
from api.pages import FOLDER
from core.logging import configure_logging
from core.settings import LogFormat, Settings
from tests.api.conftest import Platform, serve_api
from tests.api.dialogue import GREETING, Chat, problem, publish


async def test_pages_load_nothing_from_elsewhere(visitor: httpx2.AsyncClient) -> None:
    for path in ("/", "/chat/anything", "/docs"):
        page = await visitor.get(path)
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|\bstyle=|https?://", page.text)
        for asset in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text):
            answer = await visitor.get(asset)
            assert answer.status_code == 200, asset
            again = await visitor.get(asset, headers={"If-None-Match": answer.headers["etag"]})
            assert again.status_code == 304
    assert (await visitor.get("/assets/chat/../app.py")).status_code == 404
    assert (await visitor.get("/assets/chat/%2e%2e%2fapp.py")).status_code == 404


def test_scripts_never_write_markup() -> None:
    for script in FOLDER.glob("*.js"):
        source = script.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source
        )
        for imported in re.findall(r'from "([^"]+)"', source):
            assert (FOLDER / imported).exists(), imported


async def test_the_home_page_lists_what_can_be_talked_to(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    bot = await publish(team, GREETING)
    draft = (await team.post("/api/v1/chatbots", json={"name": "Borrador"})).json()
    slugs = {one["slug"] for one in (await visitor.get("/api/v1/widget")).json()["bots"]}
    assert bot["slug"] in slugs
    assert draft["slug"] not in slugs
    status = await visitor.get(f"/api/v1/widget/{draft['slug']}/status")
    assert status.json() == {"status": "offline", "accepting": False}
    assert (await visitor.get(f"/api/v1/widget/{bot['slug']}/status")).json()["status"] == "online"
    config = (await visitor.get(f"/api/v1/widget/{bot['slug']}/config")).json()
    assert (config["language"], config["languages"], config["triggers"]) == ("es", ["es"], [])
    assert problem(await visitor.get(f"/api/v1/widget/{draft['slug']}/config")) == "not-found"


async def test_health(visitor: httpx2.AsyncClient) -> None:
    for path in ("/health", "/health/live"):
        assert (await visitor.get(path)).json() == {"status": "ok"}
    ready = (await visitor.get("/health/ready")).json()
    assert ready == {"status": "ok", "database": True, "temporal": True, "events": True, "workers": True}


async def test_request_ids_go_out_as_they_came_in(visitor: httpx2.AsyncClient) -> None:
    given = await visitor.get("/health", headers={"X-Request-ID": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    made = await visitor.get("/health", headers={"X-Request-ID": "no good"})
    assert re.fullmatch(r"[0-9a-f]{32}", made.headers["x-request-id"])


async def test_other_sites_may_use_the_widget(visitor: httpx2.AsyncClient) -> None:
    answer = await visitor.options(
        "/api/v1/widget/x/chat",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_visitors_who_send_too_fast_are_told_when_to_go_on(
    team: httpx2.AsyncClient, platform: Platform
) -> None:
    bot = await publish(team, GREETING)
    limited = platform.settings.model_copy(
        update={"rate_limit_visitor_per_minute": 3, "rate_limit_address_per_minute": 8}
    )
    async with serve_api(limited) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        chat = Chat(http, bot["slug"])
        await chat.open()
        answers = [await chat.post({"type": "event", "name": "seen"}) for _ in range(3)]
        answer = answers[-1]
        assert [one.status_code for one in answers] == [200] * 3
        assert '"conversation";r=0' in answer.headers["ratelimit"]
        assert '"conversation";q=3;w=60' in answer.headers["ratelimit-policy"]
        refused = await chat.post({"type": "event", "name": "seen"})
        assert (refused.status_code, problem(refused)) == (429, "rate-limited")
        in_full = 60 + 60 / 3  # the rest of this minute, and of the next as long as three weigh more than two
        assert 1 <= int(refused.headers["retry-after"]) <= in_full
        reads = [await http.get(f"{chat.path}/config") for _ in range(4)]
        assert problem(reads[-1]) == "rate-limited"


async def test_hosts_that_are_not_ours_are_refused(platform: Platform) -> None:
    strict = platform.settings.model_copy(update={"allowed_hosts": ("chat.example",)})
    async with serve_api(strict) as url, httpx2.AsyncClient(base_url=url) as http:
        assert problem(await http.get("/health")) == "bad-request"
        assert (await http.get("/health", headers={"Host": "chat.example:8000"})).status_code == 200


async def test_without_its_servers_the_api_says_so(platform: Platform) -> None:
    lost = Settings(
        secret_key=SecretStr("x" * 40),
        database_url="postgresql://nobody@127.0.0.1:9/none",
        temporal_address="127.0.0.1:9",
        data_dir=platform.settings.data_dir,
    )
    async with serve_api(lost) as url, httpx2.AsyncClient(base_url=url, timeout=30) as http:
        assert (await http.get("/health")).status_code == 200
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "degraded")
        for path in ("/api/v1/widget", f"/api/v1/widget/{uuid4()}/config"):
            answer = await http.get(path)
            assert (answer.status_code, problem(answer)) == (503, "unavailable")
            assert answer.headers["retry-after"]


async def test_tokens_of_callbacks_stay_out_of_the_log(
    platform: Platform,
) -> None:
    """Whatever is written of a request that fails: a 503, and a crash of ours."""
    from api.callbacks import routes

    token = "OiX1AVydJj9OV5Sg4FQK2tYOVdbcO840l8"
    lost = platform.settings.model_copy(
        update={"database_url": "postgresql://nobody@127.0.0.1:9/none", "log_format": LogFormat.json}
    )
    written = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(lost.model_copy(update={"log_level": "DEBUG"}), written)
    try:
        async with serve_api(lost) as url, httpx2.AsyncClient(base_url=url, timeout=30) as http:
            assert (await http.post(f"/api/v1/callbacks/{token}", json={})).status_code == 503
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(routes, "read_content", None)
                assert (await http.post(f"/api/v1/callbacks/{token}", json={})).status_code == 500
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    assert written.getvalue().count("/api/v1/callbacks/[redacted]") >= 2
    assert token not in written.getvalue()


@pytest.mark.parametrize("declared", [True, False])
async def test_a_refused_body_is_read_to_its_end(declared: bool) -> None:
    """A sender that is still writing would else see a reset connection in the place of the answer."""
    chunks = 50
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": taken < chunks}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        assert taken == chunks, "answered before the sender was done"
        sent.append(message)

    async def never(*_: Any) -> None:
        raise AssertionError("it is refused before")

    gate = RequestGate(never, rules=(), default_limit=5_000)
    length = (
        (b"content-length", str(chunks * 1000).encode()) if declared else (b"transfer-encoding", b"chunked")
    )
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "headers": [length],
        "state": {"request_id": "r"},
    }
    await gate(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_an_upload_that_is_too_large_is_read_to_its_end() -> None:
    """The same for bodies that a route reads as a stream."""
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": taken < 50}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def reads(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    gate = RequestGate(reads, rules=(BodyRule(re.compile("^/x$"), 5_000, streamed=True),), default_limit=1)
    headers = [(b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers, "state": {"request_id": "r"}}
    await gate(scope, receive, send)
    assert (taken, sent[0]["status"]) == (50, 413)
