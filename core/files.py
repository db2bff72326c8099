"""Files of visitors and agents: streamed to a folder or an S3 bucket, typed by what they hold.

What a file is called and what the browser says of it are claims; `sniff` looks at the first bytes. Whatever a
browser could run is only ever offered for download.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote, urlsplit

import obstore
import puremagic
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from core.errors import NotFoundError, TooLargeError, UnavailableError
from core.settings import Settings

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig

PART_BYTES = 5 * 1024 * 1024
"""S3's smallest part; what an upload holds in memory."""
HEAD_BYTES = 4096
"""What `sniff` wants to see."""
UNKNOWN: Final = "application/octet-stream"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_INLINE: Final = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "application/pdf", "text/plain",
     "audio/mpeg", "audio/mp4", "audio/ogg", "audio/wav", "audio/webm", "video/mp4", "video/webm",
     "video/ogg"}
)  # fmt: skip
_SIGNATURES: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"{\\rtf", "application/rtf"),
)
_ZIPPED: Final = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".epub": "application/epub+zip",
}
_TEXTS: Final = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
}
_MARKUP = re.compile(
    r"<\s*(?:!doctype\s+html|html|head|body|script|iframe|style|meta|base|object|embed|form|img|a|div)\b",
    re.IGNORECASE,
)
_SVG = re.compile(r"<\s*(?:\w+:)?svg\b", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True)
class StoredObject:
    """What was written: bytes, and their SHA-256 in hex."""

    size: int
    sha256: str


class FileStore:
    """Keeps bytes under keys: `a/b/c` of letters, digits, dots, dashes and underscores."""

    def __init__(self, store: LocalStore | S3Store | MemoryStore) -> None:
        self._store = store

    @classmethod
    def from_settings(cls, settings: Settings) -> FileStore:
        """Open what `files_url` names; a folder is made if it isn't there."""
        url = urlsplit(settings.files_url)
        if url.scheme == "file":
            folder = Path(unquote(url.path))
            return cls(LocalStore(folder, mkdir=True, automatic_cleanup=True))
        if url.scheme == "memory":
            return cls(MemoryStore())
        options: dict[str, Any] = {"region": settings.aws_s3_region_name}
        if settings.aws_access_key_id.get_secret_value():
            options["access_key_id"] = settings.aws_access_key_id.get_secret_value()
            options["secret_access_key"] = settings.aws_secret_access_key.get_secret_value()
        if settings.aws_s3_endpoint_url:
            options["endpoint"] = settings.aws_s3_endpoint_url
        client_options: ClientConfig = {
            "allow_http": settings.aws_s3_endpoint_url.startswith("http://"), "timeout": "60s"
        }  # fmt: skip
        prefix = url.path.strip("/") or None
        return cls(S3Store(url.netloc, prefix=prefix, client_options=client_options, **options))

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes], max_bytes: int) -> StoredObject:
        """Write a stream, never more than a few parts of it in memory; all or nothing.

        Raises TooLargeError beyond `max_bytes`, UnavailableError when the storage fails.
        """
        counted = _Counted(chunks, max_bytes)
        try:
            await obstore.put_async(
                self._store, _checked(key), counted.pieces(), chunk_size=PART_BYTES, max_concurrency=2
            )
        except Exception as error:
            if counted.failure is not None:
                raise counted.failure from None
            if isinstance(error, BaseError | OSError):
                raise UnavailableError("The file storage does not take the file.") from error
            raise
        return StoredObject(counted.size, counted.digest.hexdigest())

    async def get_stream(self, key: str, span: tuple[int, int] | None = None) -> AsyncIterator[bytes]:
        """Return the bytes in pieces, or those from a place up to before another.

        Raises NotFoundError at once; UnavailableError if storage fails.
        """
        options: GetOptions = {} if span is None else {"range": span}
        try:
            found = await obstore.get_async(self._store, _checked(key), options=options)
        except FileNotFoundError:
            raise NotFoundError("There is no such file.") from None
        except (BaseError, OSError) as error:
            raise UnavailableError("The file storage does not answer.") from error
        return _pieces(found)

    async def delete(self, key: str) -> None:
        """Delete; nothing happens if it isn't there."""
        try:
            await obstore.delete_async(self._store, _checked(key))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise UnavailableError("The file storage does not answer.") from error


def sniff(head: bytes, filename: str = "") -> str:
    """Return the media type of a file by its first bytes (`HEAD_BYTES` of them suffice).

    The name decides only between types that look alike: which text, which kind of ZIP. Text that a browser
    might take for a page or a drawing is called that, whatever its name.
    """
    suffix = Path(filename.lower()).suffix
    for offset, signature, media_type in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return media_type
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _ZIPPED.get(suffix, "application/zip")
    text = _as_text(head)
    if text is not None:
        return _sniff_text(text, suffix)
    try:
        found = puremagic.from_string(head, mime=True)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    return found if re.fullmatch(r"[\w.+-]+/[\w.+-]+", found) and not found.startswith("text/") else UNKNOWN


def safe_disposition(media_type: str) -> Literal["inline", "attachment"]:
    """Tell whether a browser may show a file of this type in place: only what it can't run."""
    return "inline" if media_type.partition(";")[0].strip().lower() in _INLINE else "attachment"


def _as_text(head: bytes) -> str | None:
    if not head:
        return None
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) // 2 * 2].decode("utf-16", errors="replace")
    else:
        try:
            text = head.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            cut_in_a_character = error.start >= len(head) - 3 and len(head) >= 4
            if cut_in_a_character:
                text = head[: error.start].decode("utf-8-sig")
            else:
                text = head.decode("latin-1")
                if re.search(r"[\x7f-\x9f]", text):
                    return None
    return None if _CONTROLS.search(text) else text


def _sniff_text(text: str, suffix: str) -> str:
    if _SVG.search(text):
        return "image/svg+xml"
    if _MARKUP.search(text):
        return "text/html"
    if text.lstrip().startswith("<?xml"):
        return "application/xml"
    return _TEXTS.get(suffix, "text/plain")


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or len(key) > 512:
        raise ValueError(f"not a key of a file: {key[:80]!r}")
    return key


async def _pieces(found: obstore.GetResult) -> AsyncIterator[bytes]:
    try:
        async for piece in found.stream(min_chunk_size=256 * 1024):
            yield bytes(piece)
    except (BaseError, OSError) as error:
        raise UnavailableError("The file storage broke off.") from error


class _Counted:
    """A stream that counts and hashes what passes, and stops at a limit."""

    def __init__(self, chunks: AsyncIterable[bytes], max_bytes: int) -> None:
        self._chunks = chunks
        self._max_bytes = max_bytes
        self.size = 0
        self.digest = hashlib.sha256()
        self.failure: BaseException | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                self.size += len(chunk)
                if self.size > self._max_bytes:
                    raise TooLargeError(f"The file is larger than {self._max_bytes} bytes.")
                self.digest.update(chunk)
                yield chunk
        except BaseException as error:
            self.failure = error
            raise
