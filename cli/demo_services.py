"""`versaai demo-services`: the outside world of the demo bots, on this machine.

An order API with a few orders of a furniture shop, which now and then answers 503 so that retries can be
seen; a clinic's calendar whose bookings a person confirms on a page, which then calls the bot back; and a
mail server that delivers nothing and shows what it got. Everything is kept in memory.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from typing import Annotated, Any, Literal

import httpx2
import typer
import uvicorn
from fastapi import FastAPI, Header, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

log = logging.getLogger("versaai.demo")

HOST = "127.0.0.1"
OPENING = {"checkup": ("09:00", 30), "cleaning": ("09:30", 45), "pain": ("08:30", 30)}
SLOTS_A_DAY = 8
HOLD = timedelta(minutes=30)
CALLBACK_ATTEMPTS = 6
MAX_KEPT = 1_000


class BookingRequest(BaseModel):
    """A time to hold."""

    day: date = Field(title="Day", description="The day.")
    time: str = Field(title="Time", description="`HH:MM`.", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    service: str = Field(title="Service", description="What for.", max_length=40)
    name: str = Field(title="Name", description="For whom.", min_length=1, max_length=200)
    lang: str = Field(default="es", title="Language", description="Of the page.", max_length=35)


class CallbackAddress(BaseModel):
    """Where the decision is reported."""

    callback_url: str = Field(title="Callback", description="The one-time address.", max_length=2_000)


@dataclass
class Booking:
    """A held, confirmed or declined time."""

    id: str
    request: BookingRequest
    made_at: datetime
    status: Literal["held", "confirmed", "declined"] = "held"
    callback_url: str | None = None

    def blocks(self, now: datetime) -> bool:
        """Whether nobody else can have the time."""
        return self.status == "confirmed" or (self.status == "held" and now - self.made_at < HOLD)


@dataclass
class DemoWorld:
    """What the services know. `failing_every` is how many order requests pass between two 503s; 0: never."""

    failing_every: int = 5
    bookings: dict[str, Booking] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    """Idempotency key of a booking request -> the booking it made."""
    mails: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=200))
    requests: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1001))

    def stumbles(self) -> bool:
        """Whether this request is one of those that fail."""
        return self.failing_every > 0 and next(self.requests) % self.failing_every == 0


def orders(today: date) -> dict[str, dict[str, Any]]:
    """The shop's orders, dated around `today`, by number."""

    def day(offset: int) -> str:
        return (today + timedelta(days=offset)).isoformat()

    def order(number: str, status: str, lines: list[tuple[str, int, float]], **more: Any) -> dict[str, Any]:
        entries = [{"name": name, "quantity": count, "price": price} for name, count, price in lines]
        total = round(sum(count * price for _, count, price in lines), 2)
        return {"number": number, "status": status, "lines": entries, "total": total, **more}

    found = [
        order("CL-1042", "shipped", [("Silla Nórdica", 4, 59.9), ("Lámpara Arco", 1, 89.0)],
              ordered_on=day(-4), carrier="Seur", tracking="SE4471902ES", expected_on=day(2)),
        order("CL-1043", "preparing", [("Sofá Ribera", 1, 749.0)], ordered_on=day(-1), ships_on=day(3)),
        order("CL-1044", "delivered", [("Mesa Olivo", 1, 320.0), ("Banco Olivo", 2, 110.0)],
              ordered_on=day(-12), carrier="Correos Express", tracking="CE88120034",
              delivered_on=day(-2), received_by="Carmen (portería)"),
        order("CL-1045", "cancelled", [("Estantería Brisa", 1, 139.5)], ordered_on=day(-6),
              cancelled_on=day(-5)),
        order("CL-1046", "shipped", [("Alfombra Duna", 1, 189.0)], ordered_on=day(-3), carrier="MRW",
              tracking="MRW02155987", expected_on=day(1)),
    ]  # fmt: skip
    return {entry["number"]: entry for entry in found}


def times_of(service: str) -> list[str]:
    """The times at which a service is offered, `HH:MM`."""
    opening, minutes = OPENING.get(service, OPENING["checkup"])
    first = datetime.strptime(opening, "%H:%M").replace(tzinfo=UTC)
    return [(first + timedelta(minutes=minutes * step)).strftime("%H:%M") for step in range(SLOTS_A_DAY)]


def free_times(world: DemoWorld, service: str, day: date, now: datetime) -> list[str]:
    """The times left on a day. Which ones are taken from the start follows from the date alone."""
    taken = {
        booking.request.time
        for booking in world.bookings.values()
        if booking.request.day == day and booking.blocks(now)
    }
    step = day.toordinal() % 3
    offered = [time for place, time in enumerate(times_of(service)) if place % 3 != step]
    return [] if day.isoweekday() == 7 else [time for time in offered if time not in taken]


def build_app(world: DemoWorld, base_url: str) -> FastAPI:
    """The services as one application. `base_url` is its own address, for links."""
    app = FastAPI(title="VersaAI demo services", docs_url="/docs", redoc_url=None)

    @app.get("/", response_class=HTMLResponse)
    async def home() -> str:
        numbers = ", ".join(f"<code>{number}</code>" for number in orders(_today()))
        return _page(
            "Servicios de demostración",
            f"<p>Pedidos de Casa Ligera: {numbers}.</p>"
            "<p>Citas de la Clínica Mirasol: las reserva el bot y se confirman en su página.</p>"
            f'<p><a href="/mail">Correo recibido</a> ({len(world.mails)})</p>',
        )

    @app.get("/orders/{number}")
    async def get_order(number: str) -> JSONResponse:
        if world.stumbles():
            return JSONResponse({"detail": "temporarily unavailable"}, 503, headers={"Retry-After": "1"})
        found = orders(_today()).get(number.strip().upper())
        if found is None:
            return JSONResponse({"detail": "unknown order", "number": number[:40]}, 404)
        return JSONResponse(found)

    @app.get("/slots")
    async def get_slots(day: date, service: str = "checkup", lang: str = "es") -> dict[str, Any]:
        free = free_times(world, service, day, datetime.now(UTC))
        return {
            "day": day.isoformat(),
            "slots": [{"time": time, "label": _clock(time, lang)} for time in free],
        }

    @app.post("/bookings", status_code=201)
    async def post_booking(
        request: BookingRequest,
        response: Response,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Any:
        known = world.bookings.get(world.by_key.get(idempotency_key or "", ""))
        if known is not None:
            response.status_code = 200
            return _booking_view(known, base_url)
        if request.time not in free_times(world, request.service, request.day, datetime.now(UTC)):
            return JSONResponse({"detail": "the time is taken"}, 409)
        booking = Booking(id=f"MS-{next(world.numbers)}", request=request, made_at=datetime.now(UTC))
        world.bookings[booking.id] = booking
        if idempotency_key:
            world.by_key[idempotency_key] = booking.id
        for kept in (world.bookings, world.by_key):
            while len(kept) > MAX_KEPT:
                del kept[next(iter(kept))]
        return _booking_view(booking, base_url)

    @app.put("/bookings/{booking_id}/callback", status_code=204)
    async def put_callback(booking_id: str, address: CallbackAddress) -> Response:
        booking = world.bookings.get(booking_id)
        if booking is None:
            return JSONResponse({"detail": "unknown booking"}, 404)
        booking.callback_url = address.callback_url
        if booking.status != "held":
            await _report(booking)
        return Response(status_code=204)

    @app.delete("/bookings/{booking_id}", status_code=204)
    async def delete_booking(booking_id: str) -> Response:
        found = world.bookings.pop(booking_id, None)
        return Response(status_code=204 if found is not None else 404)

    @app.get("/bookings/{booking_id}", response_class=HTMLResponse)
    async def booking_page(booking_id: str) -> HTMLResponse:
        booking = world.bookings.get(booking_id)
        if booking is None:
            return HTMLResponse(_page("Reserva", "<p>Esta reserva ya no existe.</p>"), 404)
        return HTMLResponse(_page("Clínica Mirasol", _booking_form(booking)))

    @app.post("/bookings/{booking_id}/{decision}", response_class=HTMLResponse)
    async def decide(booking_id: str, decision: Literal["confirm", "decline"]) -> Response:
        booking = world.bookings.get(booking_id)
        if booking is None:
            return HTMLResponse(_page("Reserva", "<p>Esta reserva ya no existe.</p>"), 404)
        if booking.status == "held":
            if not booking.blocks(datetime.now(UTC)):
                return HTMLResponse(_page("Reserva", "<p>La reserva ha caducado.</p>"), 410)
            booking.status = "confirmed" if decision == "confirm" else "declined"
            await _report(booking)
        return RedirectResponse(f"/bookings/{booking_id}", status_code=303)

    @app.get("/guia", response_class=HTMLResponse)
    async def guide() -> str:
        return _page("Guía del autoconsumo 2027", "<p>Aquí iría la guía en PDF.</p>")

    @app.get("/carta", response_class=HTMLResponse)
    async def letter() -> str:
        return _page(
            "Carta a la propiedad",
            "<p>Estimada propiedad:</p><p>Solicito su permiso para instalar placas solares en el tejado.</p>",
        )

    @app.get("/mail", response_class=HTMLResponse)
    async def mail_page() -> str:
        entries = "".join(
            f"<article><h2>{html.escape(mail['subject'])}</h2>"
            f"<p>{html.escape(mail['to'])} · {html.escape(mail['received_at'])}</p>"
            f"<pre>{html.escape(mail['body'])}</pre></article>"
            for mail in reversed(world.mails)
        )
        return _page("Correo recibido", entries or "<p>Todavía nada.</p>")

    @app.get("/mail.json")
    async def mail_json() -> list[dict[str, str]]:
        return list(world.mails)

    return app


async def _report(booking: Booking) -> None:
    """Call the bot back, again for a while if it can't be reached; the address works once."""
    if booking.callback_url is None:
        return
    result = {"result": booking.status, "method": "web", "booking": booking.id}
    pause = 0.5
    async with httpx2.AsyncClient(timeout=10) as client:
        for _ in range(CALLBACK_ATTEMPTS):
            try:
                answer = await client.post(booking.callback_url, json=result)
                if answer.status_code < 500:
                    return
                log.warning("the bot answered %s to %s", answer.status_code, booking.id)
            except httpx2.HTTPError as error:
                log.warning("the bot can't be reached for %s: %s", booking.id, error)
            await asyncio.sleep(pause)
            pause *= 2


def _today() -> date:
    return datetime.now(UTC).date()


def _clock(time: str, language: str) -> str:
    if language.split("-")[0] != "en":
        return time
    hour, minute = map(int, time.split(":"))
    return f"{(hour - 1) % 12 + 1}:{minute:02d} {'am' if hour < 12 else 'pm'}"


def _booking_view(booking: Booking, base_url: str) -> dict[str, Any]:
    return {
        "id": booking.id,
        "status": booking.status,
        "page_url": f"{base_url}/bookings/{booking.id}",
        "expires_at": (booking.made_at + HOLD).isoformat(timespec="seconds"),
    }


_WORDS = {
    "es": ("Cita el {day:%d/%m/%Y} a las {time}, a nombre de {name}.", "Confirmar", "Rechazar",
           "La cita está confirmada. Ya puedes volver al chat.", "Has rechazado la cita."),
    "en": ("Appointment on {day:%Y-%m-%d} at {time}, for {name}.", "Confirm", "Decline",
           "The appointment is confirmed. You can go back to the chat.", "You declined the appointment."),
}  # fmt: skip


def _booking_form(booking: Booking) -> str:
    request = booking.request
    words = _WORDS["en" if request.lang.startswith("en") else "es"]
    what, confirm, decline, confirmed, declined = words
    time = _clock(request.time, request.lang)
    text = html.escape(what.format(day=request.day, time=time, name=request.name))
    if booking.status != "held":
        return (
            f"<p>{text}</p><p><strong>{confirmed if booking.status == 'confirmed' else declined}</strong></p>"
        )
    return (
        f"<p>{text}</p>"
        f'<form method="post" action="/bookings/{booking.id}/confirm"><button>{confirm}</button></form>'
        f'<form method="post" action="/bookings/{booking.id}/decline">'
        f'<button class="quiet">{decline}</button></form>'
    )


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="es"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}
button {{ font: inherit; padding: .6rem 1.4rem; border: 0; border-radius: .5rem; background: #0b6b53;
 color: #fff; cursor: pointer }}
button.quiet {{ background: none; color: #444; text-decoration: underline }}
form {{ display: inline-block; margin-right: .5rem }}
pre {{ white-space: pre-wrap; background: #f4f4f2; padding: 1rem; border-radius: .5rem }}
</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"""


class MailCatcher:
    """Takes every mail and keeps it where `/mail` shows it; aiosmtpd's handler."""

    def __init__(self, world: DemoWorld) -> None:
        self._world = world

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd
        message = message_from_bytes(envelope.content, policy=policy.default)
        body = message.get_body(preferencelist=("plain", "html"))
        self._world.mails.append(
            {
                "to": ", ".join(envelope.rcpt_tos),
                "from": envelope.mail_from or "",
                "subject": str(message.get("Subject", "")),
                "message_id": str(message.get("Message-ID", "")),
                "body": body.get_content() if body is not None else "",
                "received_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        return "250 OK"


async def serve(http_port: int, smtp_port: int, failing_every: int) -> None:
    """Run both servers until they are stopped."""
    from aiosmtpd.smtp import SMTP

    world = DemoWorld(failing_every=failing_every)
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(
        lambda: SMTP(MailCatcher(world), hostname="demo", enable_SMTPUTF8=True), HOST, smtp_port
    )
    app = build_app(world, f"http://{HOST}:{http_port}")
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=http_port, log_level="warning"))
    try:
        await server.serve()
    finally:
        mail.close()


def demo_services(
    http_port: Annotated[int, typer.Option("--http-port", min=1, max=65_535, help="Of the pages.")] = 8010,
    smtp_port: Annotated[int, typer.Option("--smtp-port", min=1, max=65_535, help="Of the mail.")] = 8025,
    failing_every: Annotated[
        int, typer.Option("--failing-every", min=0, help="Which order requests answer 503; 0: none.")
    ] = 5,
) -> None:
    """Run what the demo bots talk to: an order API, a booking page, and a mail server that keeps all mail."""
    asyncio.run(serve(http_port, smtp_port, failing_every))
