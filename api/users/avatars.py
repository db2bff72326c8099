"""Pictures of people: whatever was uploaded is decoded, cut to a square and written anew.

What is served holds pixels alone: no metadata, no second meaning that a browser could find in the bytes.
"""

from __future__ import annotations

import asyncio
import io
import re
import warnings
from collections.abc import AsyncIterator

from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import TooLargeError, UnsupportedMediaError

SIDE = 256
MEDIA_TYPE = "image/webp"
NAME = re.compile(r"[A-Za-z0-9_-]{20,60}")
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_MOST_PIXELS = 40_000_000
_gate = asyncio.Semaphore(2)


class NotAnImageError(UnsupportedMediaError):
    """The file is no picture that can be read: PNG, JPEG, WebP or GIF."""

    slug = "not-an-image"
    title = "This is not a picture"


async def square(content: bytes) -> bytes:
    """Return a picture as a WebP of 256 by 256 pixels. Raises NotAnImageError, TooLargeError."""
    async with _gate:
        return await asyncio.to_thread(_square, content)


def _square(content: bytes) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise TooLargeError(f"A picture has at most {_MOST_PIXELS:,} pixels.")
                picture.draft("RGB", (SIDE, SIDE))
                upright = ImageOps.exif_transpose(picture)
                mode = "RGBA" if upright.has_transparency_data else "RGB"
                fitted = ImageOps.fit(upright.convert(mode), (SIDE, SIDE), Image.Resampling.LANCZOS)
        clean = Image.new(mode, fitted.size)
        clean.paste(fitted)
        written = io.BytesIO()
        clean.save(written, "WEBP", quality=85, method=4)
    except TooLargeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLargeError(f"A picture has at most {_MOST_PIXELS:,} pixels.") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError):
        raise NotAnImageError("Send a PNG, JPEG, WebP or GIF picture that can be read.") from None
    return written.getvalue()


async def whole(content: bytes) -> AsyncIterator[bytes]:
    """Give bytes as a stream."""
    yield content


def storage_key(name: str) -> str:
    """Return where the picture of that name lies."""
    return f"avatars/{name}.webp"
