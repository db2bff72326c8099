"""The pages that come with the platform: the list of bots, the built-in chat, the API's description.

They load nothing from elsewhere, and their policy allows no script but their own files.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi import Path as PathParameter
from fastapi.responses import RedirectResponse

from core.errors import NotFoundError

FOLDER = Path(__file__).parent / "chat_page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' https: http: data: blob:",
        "media-src 'self' https: http: blob:",
        "frame-src https: http:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
        "require-trusted-types-for 'script'",
    )
)
_PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

router = APIRouter(include_in_schema=False)


@lru_cache(maxsize=64)
def _asset(name: str) -> tuple[bytes, str, str]:
    """Return content, media type and ETag of a file of the page. Raises NotFoundError."""
    known = {path.name: path for path in FOLDER.iterdir() if path.suffix in _TYPES}
    if name not in known:
        raise NotFoundError("There is no such file.")
    content = known[name].read_bytes()
    return content, _TYPES[known[name].suffix], f'"{hashlib.sha256(content).hexdigest()[:20]}"'


def _serve(name: str, known_tag: str | None) -> Response:
    content, media_type, tag = _asset(name)
    headers = {**_PAGE_HEADERS, "ETag": tag, "Cache-Control": "no-cache"}
    if known_tag is not None and tag in known_tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


KnownTag = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("/")
async def home_page(known: KnownTag = None) -> Response:
    return _serve("home.html", known)


@router.get("/chat/{bot}")
async def chat_page(bot: Annotated[str, PathParameter(max_length=100)], known: KnownTag = None) -> Response:
    return _serve("index.html", known)


@router.get("/docs")
async def docs_page(known: KnownTag = None) -> Response:
    return _serve("docs.html", known)


@router.get("/verify-email")
@router.get("/reset-password")
@router.get("/invitation")
async def account_page(known: KnownTag = None) -> Response:
    return _serve("account.html", known)


@router.get("/favicon.ico")
async def favicon() -> Response:
    return RedirectResponse("/assets/chat/icon.svg", status_code=308)


@router.get("/assets/chat/{name}")
async def page_asset(name: Annotated[str, PathParameter(max_length=100)], known: KnownTag = None) -> Response:
    return _serve(name, known)
