"""One platform with the demo bots and one Chromium for all tests of a session.

Without Chromium the tests are skipped; with VERSAAI_REQUIRE_E2E=1 they fail. VERSAAI_CHROMIUM names another
browser than the one on the path. With VERSAAI_E2E_IMAGES=1 the pictures of the documentation are made anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, FloatRect, Page, async_playwright

from tests.peers.http_peer import HttpPeer, serve_http_peer
from tests.peers.llm_peer import create_llm_peer, serve_llm_peer
from tests.stack.platform import ROOT, Platform, own_folder, running_platform

IMAGES = ROOT / "docs" / "images"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_PATIENCE_MS = 20_000


@dataclass
class Stage:
    """The platform, and the servers that its flows call."""

    platform: Platform
    http_peer: HttpPeer


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    found = os.environ.get("VERSAAI_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = "no Chromium: install it (`apt-get install chromium`) or name one in VERSAAI_CHROMIUM"
        if os.environ.get("VERSAAI_REQUIRE_E2E") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
async def stage(chromium: str) -> AsyncIterator[Stage]:
    """`versaai up --demo` with a model that types slowly enough to be watched."""
    model = create_llm_peer(latency_seconds=0.6, chunk_seconds=0.15)
    keep = bool(os.environ.get("VERSAAI_TEST_KEEP"))
    with serve_llm_peer(model) as model_url, serve_http_peer() as peer, own_folder(keep) as folder:
        environment = {
            "OPENAI_API_KEY": "sk-local-peer",
            "OPENAI_BASE_URL": f"{model_url}/v1",
            "VERSAAI_OUTBOUND_ALLOWED_HOSTS": peer.host,
        }
        async with running_platform(folder, "--demo", environment=environment) as platform:
            yield Stage(platform, peer)


@pytest.fixture(scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A headless Chromium."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield opened
        await opened.close()


@dataclass
class Watched:
    """A browser context whose pages must not complain."""

    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    async def open(self, address: str) -> Page:
        page = await self.context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        await page.goto(address)
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        # A request that fails is told by the browser itself; the page is expected to live with it.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


@pytest.fixture
async def visitor(browser: Browser) -> AsyncIterator[Watched]:
    """A visitor from Spain on a telephone-sized window; any error on a page's console fails the test."""
    context = await browser.new_context(locale="es-ES", viewport={"width": 480, "height": 860})
    watched = Watched(context)
    yield watched
    await context.close()
    assert watched.complaints == []


@pytest.fixture
def picture() -> Callable[..., Awaitable[None]]:
    """Keeps a screenshot for the documentation if asked for; else it is made in vain."""

    async def take(page: Page, name: str, left: int = 0, top: int = 0) -> None:
        size = page.viewport_size or {"width": 1280, "height": 720}
        clip = FloatRect(x=left, y=top, width=size["width"] - left, height=size["height"] - top)
        content = await page.screenshot(type="png", animations="disabled", caret="hide", clip=clip)
        if os.environ.get("VERSAAI_E2E_IMAGES") == "1":
            await asyncio.to_thread(_write, IMAGES / name, content)

    return take


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
