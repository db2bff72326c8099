"""The demo services over real HTTP and SMTP, and the demo bots in a real database."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from email.message import EmailMessage

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from cli.demo_services import HOST, DemoWorld, MailCatcher, build_app
from cli.seed import DEMO_BOTS, PLACEHOLDER, demo_flow, seed_demo
from core.settings import Settings
from database.database import Database
from database.repositories import FlowVersionRepository
from flow_schema.flow import Flow
from flow_schema.validation import ValidationContext, validate

MONDAY = date(2027, 3, 1)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The application on a port of its own."""
    listener = socket.create_server((HOST, 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


async def test_orders_are_found_missed_and_now_and_then_unavailable() -> None:
    async with (
        serving(build_app(DemoWorld(failing_every=3), "http://demo")) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        found = await client.get("/orders/cl-1042")
        assert found.status_code == 200
        order = found.json()
        assert (order["status"], order["carrier"], order["total"]) == ("shipped", "Seur", 328.6)
        assert (await client.get("/orders/CL-9999")).status_code == 404
        assert (await client.get("/orders/CL-1042")).status_code == 503
        assert (await client.get("/orders/CL-1042")).status_code == 200


async def test_a_booking_is_made_once_confirmed_by_a_person_and_reported_once() -> None:
    reported: list[dict[str, str]] = []
    bot = FastAPI()

    @bot.post("/callback")
    async def callback(body: dict[str, str]) -> dict[str, str]:
        reported.append(body)
        return {}

    async with (
        serving(bot) as bot_address,
        serving(build_app(DemoWorld(), "http://demo")) as address,
        httpx2.AsyncClient(base_url=address, follow_redirects=True) as client,
    ):
        slots = (await client.get("/slots", params={"day": str(MONDAY), "lang": "en"})).json()["slots"]
        assert slots
        assert all(slot["label"].endswith(("am", "pm")) for slot in slots)
        request = {"day": str(MONDAY), "time": slots[0]["time"], "service": "checkup", "name": "Ana <b>"}
        first = await client.post("/bookings", json=request, headers={"Idempotency-Key": "k1"})
        again = await client.post("/bookings", json=request, headers={"Idempotency-Key": "k1"})
        other = await client.post("/bookings", json=request, headers={"Idempotency-Key": "k2"})
        assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
        booking = first.json()
        assert again.json() == booking
        path = f"/bookings/{booking['id']}"
        assert booking["page_url"] == f"http://demo{path}"
        left = (await client.get("/slots", params={"day": str(MONDAY)})).json()["slots"]
        assert slots[0]["time"] not in [slot["time"] for slot in left]
        answer = await client.put(f"{path}/callback", json={"callback_url": f"{bot_address}/callback"})
        assert answer.status_code == 204
        page = await client.get(path)
        assert "Ana &lt;b&gt;" in page.text
        assert "Confirmar" in page.text
        assert "confirmada" in (await client.post(f"{path}/confirm")).text
        assert "confirmada" in (await client.post(f"{path}/decline")).text
    assert reported == [{"result": "confirmed", "method": "web", "booking": booking["id"]}]


async def test_sundays_have_no_times() -> None:
    sunday = MONDAY + timedelta(days=(7 - MONDAY.isoweekday()) % 7)
    async with (
        serving(build_app(DemoWorld(), "http://demo")) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        assert sunday.isoweekday() == 7
        assert (await client.get("/slots", params={"day": str(sunday)})).json()["slots"] == []


async def test_mail_is_kept_and_shown() -> None:
    from aiosmtpd.smtp import SMTP

    world = DemoWorld()
    mail = await asyncio.get_running_loop().create_server(lambda: SMTP(MailCatcher(world)), HOST, 0)
    port = mail.sockets[0].getsockname()[1]
    message = EmailMessage()
    message["To"], message["From"], message["Subject"] = "ventas@solaria.example", "bot@b.example", "Añadido"
    message.set_content("Ñandú")

    def send() -> None:
        with smtplib.SMTP(HOST, port) as client:
            client.send_message(message)

    await asyncio.to_thread(send)
    mail.close()
    async with (
        serving(build_app(world, "http://demo")) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        kept = (await client.get("/mail.json")).json()
        assert [(one["to"], one["subject"], one["body"].strip()) for one in kept] == [
            ("ventas@solaria.example", "Añadido", "Ñandú")
        ]
        assert "Ñandú" in (await client.get("/mail")).text


@pytest.mark.parametrize("demo", DEMO_BOTS, ids=lambda demo: demo.slug)
def test_demo_flows_have_no_findings_and_speak_both_languages(demo: object) -> None:
    assert isinstance(demo, type(DEMO_BOTS[0]))
    names = [demo.file, *demo.sub_flows]
    flows = {name: Flow.model_validate(demo_flow(name, "http://demo:1")) for name in names}
    context = ValidationContext(flows={name: flows[name] for name in demo.sub_flows}, secrets=frozenset())
    for name in names:
        assert validate(flows[name], context) == [], name
        assert flows[name].all_languages() == ["es", "en"]
        assert PLACEHOLDER not in flows[name].model_dump_json()


async def test_seeding_again_changes_nothing_and_covers_nobodys_version(
    database: Database, database_url: str
) -> None:
    settings = Settings(database_url=database_url, demo_services_url="http://127.0.0.1:9")
    first = await seed_demo(settings)
    assert [(bot.slug, bot.changed) for bot in first] == [(demo.slug, True) for demo in DEMO_BOTS]
    again = await seed_demo(settings)
    assert [(bot.chatbot_id, bot.changed) for bot in again] == [(bot.chatbot_id, False) for bot in first]
    moved = await seed_demo(Settings(database_url=database_url, demo_services_url="http://127.0.0.1:10"))
    assert [bot.changed for bot in moved] == [True, True, True]
    async with database.session() as session:
        from api.organization import FirstOrganization

        organization_id = await FirstOrganization(database).id()
        versions = FlowVersionRepository(session, organization_id)
        own = Flow.model_validate({"name": "Mine", "nodes": [{"id": "start", "type": "start"}]})
        await versions.publish(first[0].chatbot_id, own, note="by hand")
    kept = await seed_demo(settings)
    assert kept[0].changed is True, "the order flow moved back to the first address"
    async with database.session() as session:
        newest = await FlowVersionRepository(session, organization_id).latest(first[0].chatbot_id)
        assert newest is not None
        assert newest.name == "Mine"
