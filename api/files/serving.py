"""Serves a stored file as players and browsers ask for it: whole, in part, or not again."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.resources import Resources
from core.errors import RangeNotSatisfiableError
from core.files import safe_disposition
from database.tables import StoredFile

_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


async def serve(parts: Resources, file: StoredFile, request: Request) -> Response:
    """Return the answer to a request for a file. Raises RangeNotSatisfiableError, NotFoundError."""
    tag = f'"{file.sha256[:32]}"'
    headers = _headers(file, tag)
    if _names(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    headers["Content-Type"] = _content_type(file.media_type)
    if request.method == "HEAD":
        return Response(status_code=200, headers={**headers, "Content-Length": str(file.size)})
    span = None
    if request.headers.get("if-range", tag) == tag:
        span = wanted_span(request.headers.get("range"), file.size)
    start, end = span or (0, file.size)
    headers["Content-Length"] = str(end - start)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    content = await parts.files.get_stream(file.storage_key, span)
    return StreamingResponse(content, status_code=206 if span is not None else 200, headers=headers)


def wanted_span(header: str | None, size: int) -> tuple[int, int] | None:
    """Return start and end (after the last byte) of what a `Range` header asks for; None: the whole file.

    By RFC 9110, section 14: what is malformed, or asks for several parts, is answered with the whole file.
    Raises RangeNotSatisfiableError when the part begins after the end of the file.
    """
    found = _RANGE.fullmatch(header) if header is not None else None
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiableError(f"The file has {size} bytes.", size=size)
    return start, end


def _names(header: str | None, tag: str) -> bool:
    """Tell whether an `If-None-Match` header names the file, by the weak comparison."""
    return header is not None and any(
        part.strip().removeprefix("W/") in {tag, "*"} for part in header.split(",")
    )


def _content_type(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _headers(file: StoredFile, tag: str) -> dict[str, str]:
    ascii_name = file.name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    return {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'{safe_disposition(file.media_type)}; filename="{ascii_name}"; '
        f"filename*=UTF-8''{quote(file.name, safe='')}",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "private, max-age=3600",
        "ETag": tag,
        "Referrer-Policy": "no-referrer",
    }
