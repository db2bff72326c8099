"""The built-in chat page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import Stage, Watched
from tests.e2e.flows import every_input, writer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PATIENCE = 20_000
LONG_PATIENCE = 60_000
Picture = Callable[[Page, str], Awaitable[None]]


def entries(page: Page) -> Locator:
    """What stands in the transcript, without what is being typed."""
    return page.locator("#log .entry[data-seq] .bubble")


def fields(page: Page) -> Locator:
    """Where something can be written."""
    return page.locator("input:visible, textarea:visible")


async def transcript(page: Page) -> list[str]:
    return await entries(page).all_inner_texts()


async def write(page: Page, text: str) -> None:
    await page.locator("#text").fill(text)
    await page.keyboard.press("Enter")


async def see(page: Page, text: str, patience: int = PATIENCE) -> None:
    """Wait for a message; what is still being written doesn't count."""
    await expect(page.locator("#log [data-seq]").get_by_text(text).last).to_be_visible(timeout=patience)


async def test_support_in_spanish_by_buttons_and_text(
    stage: Stage, visitor: Watched, picture: Picture
) -> None:
    """An order's status, found by a button and a typed number; a reload and a second tab show the same."""
    address = stage.platform.summary["addresses"]["chat:soporte"]
    page = await visitor.open(address)
    await see(page, "¿En qué te ayudo?")
    await page.get_by_role("button", name="Dónde está mi pedido").click()
    await see(page, "¿Cuál es el número de pedido?")
    await write(page, "cl 1042")
    await see(page, "CL-1042 va de camino")
    await expect(page.get_by_role("button", name="No, eso es todo")).to_be_visible()
    await page.wait_for_function(
        "() => { const log = document.getElementById('log');"
        " return log.scrollHeight - log.scrollTop - log.clientHeight < 2; }"
    )
    await picture(page, "chat.png")
    before = await transcript(page)
    assert before[2] == "Dónde está mi pedido"
    assert before[4] == "cl 1042"

    await page.reload()
    await see(page, "CL-1042 va de camino")
    assert await transcript(page) == before

    second = await visitor.open(address)
    await see(second, "CL-1042 va de camino")
    assert await transcript(second) == before
    await second.get_by_role("button", name="No, eso es todo").click()
    await see(second, "¿Qué tal te he atendido?")
    await see(page, "¿Qué tal te he atendido?")
    await page.get_by_role("button", name="5 de 5").click()
    await page.locator(".control").get_by_role("button", name="Enviar").click()
    for one in (page, second):
        await see(one, "Que tengas un buen día.")
        await expect(one.locator("#text")).to_be_disabled()
    assert await transcript(page) == await transcript(second)


async def test_an_answer_appears_while_it_is_written(stage: Stage, visitor: Watched) -> None:
    """First the dots, then a growing draft, then the message in its place."""
    bot = await stage.platform.publish("Escritora", writer())
    page = await visitor.open(f"{stage.platform.api}/chat/{bot}")
    await see(page, "Pregúntame algo.")
    await write(page, "cuéntame despacio algo largo sobre las sillas de madera de pino")
    await expect(page.locator("#log .typing")).to_be_visible(timeout=PATIENCE)
    draft = page.locator("#log .draft .bubble")
    await expect(draft).to_contain_text("You said", timeout=PATIENCE)
    early = await draft.inner_text()
    await see(page, "You said: cuéntame despacio algo largo sobre las sillas de madera de pino")
    assert len(early) < len("You said: cuéntame despacio algo largo sobre las sillas de madera de pino")
    await expect(page.locator("#log .draft, #log .typing")).to_have_count(0)
    assert [text for text in await transcript(page) if text.startswith("You said")] == [
        "You said: cuéntame despacio algo largo sobre las sillas de madera de pino"
    ]


async def test_what_is_written_offline_is_sent_later(stage: Stage, visitor: Watched) -> None:
    """The page says that it is cut off, keeps what is written, and sends it once, in order."""
    bot = await stage.platform.publish("Escritora sin red", writer())
    page = await visitor.open(f"{stage.platform.api}/chat/{bot}")
    await see(page, "Pregúntame algo.")
    await visitor.context.set_offline(True)
    await write(page, "uno")
    await expect(page.locator("#banner")).to_be_visible(timeout=PATIENCE)
    await write(page, "dos")
    await expect(page.locator("#log .entry.pending")).to_have_count(2)
    await visitor.context.set_offline(False)
    await see(page, "You said: dos", LONG_PATIENCE)
    await expect(page.locator("#banner")).to_be_hidden(timeout=PATIENCE)
    await expect(page.locator("#log .entry.pending")).to_have_count(0)
    assert [text for text in await transcript(page) if text in ("uno", "dos")] == ["uno", "dos"]
    await page.reload()
    await see(page, "You said: dos")
    assert [text for text in await transcript(page) if text in ("uno", "dos")] == ["uno", "dos"]


@pytest.mark.parametrize(
    "part",
    [
        "api-1",
        "worker-1",
        pytest.param("temporal", marks=pytest.mark.slow),
        pytest.param("postgres", marks=pytest.mark.slow),
    ],
)
async def test_a_process_killed_in_mid_turn_is_not_noticed(stage: Stage, visitor: Watched, part: str) -> None:
    """The answer comes, once, whichever process dies while it is written."""
    bot = await stage.platform.publish(f"Escritora, {part}", writer())
    page = await visitor.open(f"{stage.platform.api}/chat/{bot}")
    await see(page, "Pregúntame algo.")
    await write(page, f"sigue aunque muera {part} mientras escribes")
    await expect(page.locator("#log .draft .bubble")).to_contain_text("You", timeout=PATIENCE)
    old = stage.platform.kill(part)
    assert old is not None
    await see(page, f"You said: sigue aunque muera {part} mientras escribes", LONG_PATIENCE)
    await stage.platform.restarted(part, old)
    await write(page, "otra")
    await see(page, "You said: otra", LONG_PATIENCE)
    expected = [
        "Pregúntame algo.",
        f"sigue aunque muera {part} mientras escribes",
        f"You said: sigue aunque muera {part} mientras escribes",
        "Pregúntame algo.",
        "otra",
        "You said: otra",
        "Pregúntame algo.",
    ]
    await expect(entries(page)).to_have_text(expected, timeout=LONG_PATIENCE)
    await stage.platform.healthy()


async def test_every_input_can_be_used(stage: Stage, visitor: Watched, tmp_path: Path) -> None:
    """Each field, choice and rating is answered with its own control, as a visitor would."""
    bot = await stage.platform.publish("Todas las entradas", every_input())
    page = await visitor.open(f"{stage.platform.api}/chat/{bot}")

    async def fill(asked: str, given: str) -> None:
        """Answer in the only field there is."""
        await see(page, f"¿{asked}?")
        await expect(fields(page)).to_have_count(1)
        await fields(page).fill(given)
        await page.get_by_role("button", name="Enviar").click()

    await fill("text", "Ana")
    await fill("number", "42")
    await fill("email", "ana@ejemplo.es")
    await see(page, "¿phone?")
    await page.get_by_role("button", name="Omitir").click()
    await fill("url", "ejemplo.es/silla")
    await see(page, "¿date?")
    await page.get_by_role("button", name="Responder escribiendo").click()
    await write(page, "hace mucho tiempo")
    await expect(page.locator(".control input")).to_be_visible()
    await fill("date", "2027-03-01")
    await fill("time", "10:30")
    await see(page, "¿range?")
    await page.get_by_label("Desde").fill("2027-03-02")
    await page.get_by_label("Hasta").fill("2027-03-05")
    await page.locator(".control").get_by_role("button", name="Enviar").click()
    await see(page, "¿rating?")
    await page.get_by_role("button", name="4 de 5").click()
    await see(page, "¿file?")
    note = tmp_path / "nota.txt"
    note.write_text("Una nota.\n")
    await page.locator(".control input[type=file]").set_input_files(note)
    await see(page, "¿signature?")
    await _sign(page)
    await see(page, "¿consent?")
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button", name="Acepto", exact=True).click()
    await see(page, "¿Qué materiales?")
    for name in ("Madera", "Vidrio"):
        await page.get_by_role("button", name=name).click()
    await page.locator(".control").get_by_role("button", name="Enviar").click()
    await see(page, "¿Cuál sobre todo?")
    await page.get_by_role("searchbox").fill("vid")
    await expect(page.locator(".control .option:visible")).to_have_count(1)
    await page.get_by_role("button", name="Vidrio").click()
    await see(page, "¿Con qué aspecto?")
    await page.get_by_role("button", name="Metal").click()
    await see(page, "Elige una tarjeta.")
    await page.get_by_role("button", name="La prefiero").click()
    await see(page, "¿Qué tal?")
    await page.get_by_role("button", name="2 de 5").click()
    await page.get_by_label("Comentario (opcional)").fill("Muchas preguntas")
    await page.locator(".control").get_by_role("button", name="Enviar").click()
    await see(page, "Gracias por todo.")

    conversation = await page.evaluate(
        "Object.keys(localStorage).map((key) => JSON.parse(localStorage[key]).conversation).find(Boolean)"
    )
    values = await _variables(stage, conversation)
    assert (values["text"], values["number"], values["email"]) == ("Ana", 42, "ana@ejemplo.es")
    assert (values["phone"], values["url"]) == (None, "https://ejemplo.es/silla")
    assert (values["date"], values["time"]) == ("2027-03-01", "10:30")
    assert values["range"] == {"start": "2027-03-02", "end": "2027-03-05"}
    assert (values["rating"], values["consent"], values["stars"]) == (4, True, 2)
    assert [file["name"] for file in values["file"]] == ["nota.txt"]
    assert values["signature"]["type"] == "image/png"
    assert values["several"] == ["madera", "vidrio"]
    assert (values["search"], values["pictures"], values["card"]) == ("vidrio", "metal", "mesa")
    before = await transcript(page)
    await page.reload()
    await see(page, "Gracias por todo.")
    assert await transcript(page) == before
    assert not [text for text in before if re.search(r"undefined|NaN|\[object", text)]


async def _sign(page: Page) -> None:
    await page.locator("canvas.pad").hover()  # waits until the page has come to rest
    box = await page.locator("canvas.pad").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 20, box["y"] + 60)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 120, box["y"] + 20, steps=5)
    await page.mouse.move(box["x"] + 200, box["y"] + 80, steps=5)
    await page.mouse.up()
    await page.locator(".control").get_by_role("button", name="Enviar").click()


async def _variables(stage: Stage, conversation: str) -> dict[str, Any]:
    async with stage.platform.client(headers=stage.platform.key) as http:
        answer = await http.get(f"/api/v1/conversations/{conversation}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["variables"]
    return found
