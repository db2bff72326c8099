"""How a turn looks in the chat page, moment by moment, and the pages around it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Stage, Watched
from tests.e2e.flows import skips, writer
from tests.e2e.test_chat_page import PATIENCE, entries, fields, see, transcript, write

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FLUSH_MS = 4_000
"""Until the visitor's own messages have come back from the transcript."""
AT_ONCE_MS = 500
TELEPHONE = {"width": 375, "height": 720}
WATCH = """
(() => {
  const log = document.getElementById("log");
  window.moments = [];
  const bubbles = () => [...log.querySelectorAll(".entry:not(.typing, .draft) .bubble")].map((one) => one.innerText);
  const options = () => [...log.querySelectorAll(".control button")].map((one) => one.innerText);
  new MutationObserver(() => window.moments.push({ at: performance.now(), bubbles: bubbles(), options: options() }))
    .observe(log, { childList: true, subtree: true });
})()
"""


async def moments(page: Page) -> list[dict[str, Any]]:
    """What the transcript looked like after each change since WATCH."""
    found: list[dict[str, Any]] = await page.evaluate("window.moments")
    return found


def first(seen: list[dict[str, Any]], part: str, text: str) -> float:
    """When a bubble or an option that holds `text` was there for the first time."""
    return next(float(moment["at"]) for moment in seen if any(text in one for one in moment[part]))


async def test_controls_come_with_the_reply_and_nothing_moves(stage: Stage, visitor: Watched) -> None:
    """Buttons stand there as soon as their question does; no bubble ever changes places."""
    page = await visitor.open(stage.platform.summary["addresses"]["chat:soporte"])
    await see(page, "¿En qué te ayudo?")
    await page.wait_for_timeout(500)
    await page.evaluate(WATCH)
    await page.get_by_role("button", name="Dónde está mi pedido").click()
    await see(page, "¿Cuál es el número de pedido?")
    await write(page, "cl 1042")
    await see(page, "¿Puedo ayudarte en algo más?")
    await expect(page.get_by_role("button", name="No, eso es todo")).to_be_visible()
    await page.wait_for_timeout(FLUSH_MS)
    seen = await moments(page)
    waited = first(seen, "options", "No, eso es todo") - first(
        seen, "bubbles", "¿Puedo ayudarte en algo más?"
    )
    assert waited < AT_ONCE_MS
    final = seen[-1]["bubbles"]
    assert final == await transcript(page)
    for moment in seen:
        places = [final.index(text) for text in moment["bubbles"]]
        assert places == sorted(places), moment["bubbles"]


async def test_the_pressed_label_is_what_was_said(stage: Stage, visitor: Watched) -> None:
    """Skipping and declining read as their buttons do, at once and after a reload."""
    bot = await stage.platform.publish("Omisiones", skips())
    page = await visitor.open(f"{stage.platform.api}/chat/{bot}")
    await page.get_by_role("button", name="Mejor por correo").click()
    await see(page, "¿Aceptas?")
    await page.get_by_role("button", name="No acepto").click()
    await see(page, "¿Cuándo?")
    await page.locator(".control input").fill("2027-03-01")
    await page.locator(".control").get_by_role("button", name="Enviar").click()
    await see(page, "Hecho.")
    expected = [
        "¿Un teléfono?",
        "Mejor por correo",
        "¿Aceptas?",
        "No acepto",
        "¿Cuándo?",
        "1 mar 2027",
        "Hecho.",
    ]
    assert await page.locator("#log .bubble").all_inner_texts() == expected
    await page.wait_for_timeout(FLUSH_MS)
    assert await transcript(page) == expected
    await page.reload()
    await see(page, "Hecho.")
    assert await transcript(page) == expected


async def test_one_place_to_answer(stage: Stage, visitor: Watched) -> None:
    """A question with a field of its own folds the composer; other values are written in the composer."""
    page = await visitor.open(stage.platform.summary["addresses"]["chat:citas"])
    await page.get_by_role("button", name="Limpieza").click()
    await see(page, "¿Qué día te viene bien?")
    await expect(page.locator(".control input[type=date]")).to_be_visible()
    await expect(fields(page)).to_have_count(1)
    await page.get_by_role("button", name="Responder escribiendo").click()
    await write(page, "1/12/2026")
    await see(page, "Estos huecos quedan")
    await page.get_by_role("button", name="Otro día").click()
    await expect(page.locator(".control input[type=date]")).to_be_visible()
    await page.locator(".control input").fill("2026-12-02")
    await page.locator(".control").get_by_role("button", name="Enviar").click()
    await page.locator(".control .option").first.click()
    await see(page, "¿A nombre de quién?")
    await write(page, "Ana Ruiz")
    await see(page, "¿A qué correo")
    await expect(fields(page)).to_have_count(1)
    await expect(page.locator("#text")).to_have_attribute("placeholder", "Escribe tu correo…")
    await expect(page.locator("#text")).to_have_attribute("inputmode", "email")


async def test_a_booking_in_english_says_one_time_everywhere(
    stage: Stage, browser: Browser, visitor: Watched
) -> None:
    """Button, summary and the clinic's page say the same time; the page shows all that was said."""
    page = await visitor.open(stage.platform.summary["addresses"]["chat:citas"] + "?lang=en")
    await page.get_by_role("button", name="Cleaning").click()
    for day in ("2026-12-03", "2026-12-04"):
        await page.locator(".control input").fill(day)
        await page.locator(".control").get_by_role("button", name="Send").click()
        await expect(page.get_by_role("button", name="Another day")).to_be_visible()
        if day == "2026-12-03":
            await page.get_by_role("button", name="Another day").click()
    chosen = await page.locator(".control .option").first.inner_text()
    assert chosen.endswith((" am", " pm"))
    await page.locator(".control .option").first.click()
    await see(page, "Under which name?")
    await write(page, "Bob")
    await see(page, "Which e-mail")
    await write(page, "bob@example.com")
    await see(page, "Shall I book it?")
    assert f"at {chosen}, for Bob" in (await transcript(page))[-1]
    await page.get_by_role("button", name="Yes, book it").click()
    await see(page, "I'm holding it")
    clinic = await visitor.open(str(await page.locator("#log a").last.get_attribute("href")))
    await expect(clinic.locator("body")).to_contain_text(f"at {chosen}")
    await clinic.get_by_role("button", name="Confirm").click()
    await see(page, "See you soon!")
    assert any(f"at {chosen}" in text for text in await transcript(page) if text.startswith("Confirmed!"))
    before = await transcript(page)
    await page.reload()
    await see(page, "See you soon!")
    assert await transcript(page) == before


async def test_a_new_conversation_hears_nothing_of_the_old(stage: Stage, visitor: Watched) -> None:
    """What was on its way in the conversation that was left neither shows in the new one nor is sent to it."""
    bot = await stage.platform.publish("Escritora que se deja", writer())
    page = await visitor.open(f"{stage.platform.api}/chat/{bot}")
    await see(page, "Pregúntame algo.")
    for number in range(2):
        await write(page, f"algo que ya no quiero saber, {number}")
        await page.wait_for_timeout(100)
    await page.get_by_role("button", name="Conversación nueva").click()
    await see(page, "Pregúntame algo.")
    await page.wait_for_timeout(FLUSH_MS)
    assert await transcript(page) == ["Pregúntame algo."]
    await write(page, "hola")
    await see(page, "You said: hola")
    await expect(entries(page)).to_have_text(
        ["Pregúntame algo.", "hola", "You said: hola", "Pregúntame algo."]
    )

    await visitor.context.set_offline(True)
    await write(page, "perdido")
    await expect(page.locator("#banner")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name="Conversación nueva").click()
    await visitor.context.set_offline(False)
    await see(page, "Pregúntame algo.")
    await page.wait_for_timeout(FLUSH_MS)
    assert await transcript(page) == ["Pregúntame algo."]


@pytest.mark.parametrize("language", ["es", "en"])
async def test_names_fit_on_a_telephone(stage: Stage, visitor: Watched, language: str) -> None:
    """The bot's name is whole; the button beside it is an icon with a name."""
    for slug in ("soporte", "presupuestos", "citas"):
        page = await visitor.open(f"{stage.platform.summary['addresses'][f'chat:{slug}']}?lang={language}")
        await page.set_viewport_size({"width": 375, "height": 720})
        await expect(page.locator("#log .bubble").first).to_be_visible()
        again = "Conversación nueva" if language == "es" else "New conversation"
        box = await page.get_by_role("button", name=again).bounding_box()
        assert box is not None
        assert box["width"] < 60
        name = page.locator("#name")
        assert await name.evaluate("(one) => one.innerText.length > 3 && one.scrollWidth <= one.clientWidth")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_an_unknown_bot_is_said_to_be_unknown(stage: Stage, visitor: Watched) -> None:
    """No composer, no header: a sentence and the way to the bots there are."""
    page = await visitor.open(f"{stage.platform.api}/chat/nadie")
    await expect(page.get_by_role("heading", name="Este bot no existe")).to_be_visible()
    await expect(page.locator("#text")).to_have_count(0)
    await expect(page.get_by_role("button")).to_have_count(0)
    await page.get_by_role("link", name="Ver todos los bots").click()
    await expect(page.get_by_role("link", name="Clínica Mirasol")).to_be_visible()


async def test_the_list_of_bots_reads_in_both_languages(stage: Stage, visitor: Watched) -> None:
    """Titles stand in line, and each demo bot says what it does in Spanish and in English."""
    page = await visitor.open(stage.platform.api)
    await page.set_viewport_size({"width": 1200, "height": 800})
    card = page.get_by_role("link", name="Clínica Mirasol")
    await expect(card).to_contain_text("Reserva cita")
    await expect(card).to_contain_text("Books a visit")
    for part in (".avatar", "strong"):
        tops = await page.locator(f".bots li {part}").evaluate_all(
            "(all) => all.map((one) => one.getBoundingClientRect().top - one.closest('li').getBoundingClientRect().top)"
        )
        assert len(tops) >= 3
        assert all(abs(one - other) < 1 for one, other in pairwise(tops))


async def test_faces_need_no_font(stage: Stage, visitor: Watched) -> None:
    """The scale of satisfaction is drawn, not written in emoji."""
    page = await visitor.open(stage.platform.summary["addresses"]["chat:soporte"])
    await page.get_by_role("button", name="Devoluciones").click()
    await page.get_by_role("button", name="No, eso es todo").click()
    await see(page, "¿Qué tal te he atendido?")
    await expect(fields(page)).to_have_count(1)
    faces = page.locator(".stars button")
    await expect(faces).to_have_count(5)
    assert await faces.all_inner_texts() == [""] * 5
    drawn = await faces.locator("svg path").evaluate_all("(all) => all.map((one) => one.getAttribute('d'))")
    assert len(set(drawn)) == 5


async def test_the_api_page_shows_code_as_code(stage: Stage, visitor: Watched) -> None:
    """Tables of the API's description hold no raw backticks."""
    page = await visitor.open(f"{stage.platform.api}/docs")
    await expect(page.locator("details").first).to_be_visible()
    cells = await page.locator("td").all_text_contents()
    assert len(cells) > 100
    assert [cell for cell in cells if "`" in cell or cell == "Successful Response"] == []
