"""`/mail`: the outbox as a page, for development without an SMTP server.

Its e-mails hold links that sign in. So it is served in development alone, while nothing is sent, to a browser
on this very machine that asks for it itself: not through a proxy, not under another host name, and not for a
page of another site. Everybody else is told that there is no such page.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from core.errors import NotFoundError
from core.settings import AppEnv
from database.people import AccountMailRepository

router = APIRouter(include_in_schema=False)

_LOCAL_ADDRESSES = frozenset({"127.0.0.1", "::1"})
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via")
_LINK = re.compile(r"&lt;(https?://[^\s&<>]+)&gt;")
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"


@router.get("/mail")
async def mail_page(request: Request) -> Response:
    """Show the newest e-mails. Raises NotFoundError for whoever may not see them."""
    parts = request.app.state.resources
    if (
        parts.settings.app_env is AppEnv.production
        or parts.mails.are_sent
        or not asks_at_this_machine(request)
    ):
        raise NotFoundError("There is nothing at this address.")
    async with parts.database.session() as session:
        mails = await AccountMailRepository(session).newest()
    shown = "".join(
        f"<article><h2>{html.escape(mail.subject)}</h2>"
        f"<p><small>{html.escape(mail.to)} · {html.escape(mail.created_at[:19])}</small></p>"
        f"<pre>{_body(mail.body)}</pre></article>"
        for mail in mails
    )
    page = (
        '<!doctype html><html lang="es"><head><meta charset="utf-8"><title>Correo · Mail</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="stylesheet" href="/assets/chat/chat.css">'
        '<link rel="stylesheet" href="/assets/chat/mail.css">'
        '</head><body><main class="home mail"><h1>Correo · Mail</h1>'
        f"{shown or '<p>Nada todavía. Nothing yet.</p>'}</main></body></html>"
    )
    return HTMLResponse(
        page,
        headers={
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
    )


def asks_at_this_machine(request: Request) -> bool:
    """Tell whether a browser on this machine asks, by itself and without a proxy."""
    headers = request.headers
    address = request.client.host if request.client is not None else ""
    host = urlsplit("//" + headers.get("host", "")).hostname
    return (
        address in _LOCAL_ADDRESSES
        and host in _LOCAL_HOSTS
        and not any(name in headers for name in _FORWARDED)
        and "origin" not in headers
        and headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    )


def _body(text: str) -> str:
    return _LINK.sub(r'<a href="\1">\1</a>', html.escape(text))
