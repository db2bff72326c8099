"""What an engineer reads of a conversation in the Temporal Web UI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Error, Page, expect

from cli.chat_client import ChatClient
from tests.e2e.conftest import Stage
from tests.e2e.flows import waits

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PATIENCE = 30_000
Picture = Callable[..., Awaitable[None]]
BESIDE_MENU = {"left": 256, "top": 48}
"""Where the page begins beside the UI's own menus."""


@dataclass(frozen=True)
class Wait:
    """What is chosen, and what the page must say."""

    choice: str | None
    status: str
    node: str
    reason: str


WAITS = {
    "visitor": Wait(None, "active", "Qué esperar", "visitor"),
    "timer": Wait("timer", "waiting", "Tres días de espera", "timer"),
    "callback": Wait("callback", "waiting", "Confirmación del banco", "callback"),
    "agent": Wait("agent", "escalated", "Pasar a una persona", "agent"),
    "stuck": Wait("stuck", "stuck", "Consultar pedido", "operator"),
}


@pytest.fixture(scope="module")
async def conversations(stage: Stage) -> dict[str, str]:
    """A conversation that waits for each thing, by what it waits for; their ids."""
    stage.http_peer.answer("/orders", (404, {}, b"no such order"))
    bot = await stage.platform.publish("Esperas", waits(f"{stage.http_peer.url}/orders"))
    found = {}
    async with stage.platform.client() as http:
        for name, wait in WAITS.items():
            client = ChatClient(http, bot)
            reply = await client.send({"type": "start", "language": "es"})
            if wait.choice is not None:
                prompt = reply["waiting"]["prompt"]
                choice: dict[str, Any] = {"type": "choice", "options": [wait.choice], "prompt": prompt}
                reply = await client.send(choice)
            assert reply["status"] == wait.status
            found[name] = str(client.conversation_id)
    return found


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on a desk."""
    context = await browser.new_context(locale="en-US", viewport={"width": 1280, "height": 1200})
    opened = await context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    await context.close()


@pytest.mark.parametrize("name", list(WAITS))
async def test_the_details_say_where_it_stands_and_why(
    stage: Stage, conversations: dict[str, str], page: Page, picture: Picture, name: str
) -> None:
    """Node, reason for waiting, path and variables; personal ones masked."""
    wait = WAITS[name]
    address = f"{stage.platform.temporal_ui}/namespaces/default/workflows"
    workflow_id = f"conversation/{conversations[name]}"
    await page.goto(f"{address}/{quote(workflow_id, safe='')}")
    await page.wait_for_url("**/timeline*")
    await page.goto(page.url.split("/timeline")[0] + "/user-metadata")
    await expect(page.locator("main")).to_contain_text(workflow_id)
    text = await _text_with(page, f"Esperas: {wait.status}")
    stands = text[text.index("Stands at") :]
    assert stands.startswith(f"Stands at {wait.node} (")
    assert f"Waits for {wait.reason}" in stands
    visited = stands[stands.index("Path") : stands.index("Variables")]
    expected = ["Inicio → next", "Qué esperar" if wait.choice is None else f"Qué esperar → option:{name}"]
    assert all(step in visited for step in expected), visited
    assert wait.node in visited
    assert 'topic = "mesas"' in stands
    assert "12345678Z" not in text
    if name == "stuck":
        assert "404" in stands
    await picture(page, f"temporal-{name}.png", **BESIDE_MENU)


async def _text_with(page: Page, wanted: str) -> str:
    """The text of that frame of the page which holds `wanted`; Markdown is shown in frames of its own."""
    for _ in range(PATIENCE // 200):
        for frame in page.frames[1:]:
            with suppress(Error):  # a frame is made anew whenever the page has read the details again
                text = " ".join((await frame.locator("body").inner_text(timeout=1000)).split())
                if wanted in text:
                    return text
        await asyncio.sleep(0.2)
    pytest.fail(f"no frame says {wanted}")


async def test_conversations_are_found_by_what_they_wait_for(
    stage: Stage, conversations: dict[str, str], page: Page, picture: Picture
) -> None:
    """The list, filtered by a search attribute."""
    address = f"{stage.platform.temporal_ui}/namespaces/default/workflows"
    for status, names in {
        "stuck": ["stuck"],
        "escalated": ["agent"],
        "waiting": ["timer", "callback"],
    }.items():
        query = f'VersaStatus="{status}"'
        await page.goto(f"{address}?query={quote(query)}")
        rows = page.locator("tbody tr", has_text="conversation/")
        await expect(rows).to_have_count(len(names), timeout=PATIENCE)
        for name in names:
            await expect(rows.filter(has_text=conversations[name])).to_have_count(1)
    await picture(page, "temporal-search.png", **BESIDE_MENU)


async def test_timers_and_activities_carry_the_names_of_nodes(
    stage: Stage, conversations: dict[str, str], page: Page, picture: Picture
) -> None:
    """The timeline reads like the flow."""
    address = f"{stage.platform.temporal_ui}/namespaces/default/workflows"
    for name, label in {"timer": "Tres días de espera", "stuck": "Consultar pedido: GET"}.items():
        await page.goto(f"{address}/{quote(f'conversation/{conversations[name]}', safe='')}")
        await expect(page.get_by_text(label).first).to_be_visible(timeout=PATIENCE)
        if name == "stuck":
            await page.get_by_role("heading", name="Timeline").scroll_into_view_if_needed()
            await page.mouse.move(640, 600)
            await page.mouse.wheel(0, 2000)
            await picture(page, "temporal-timeline.png", **BESIDE_MENU)
