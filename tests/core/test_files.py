"""File storage on a real folder, and types told by content."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import NotFoundError, TooLargeError
from core.files import FileStore, safe_disposition, sniff
from core.settings import Settings

MEGABYTE = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files of visitors"


@pytest.fixture
def store(folder: Path) -> FileStore:
    return FileStore.from_settings(Settings(media_root=folder))


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(store: FileStore, key: str) -> bytes:
    return b"".join([piece async for piece in await store.get_stream(key)])


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_what_is_put_is_what_is_read(store: FileStore, folder: Path) -> None:
    pieces = [bytes([number % 251]) * 700_001 for number in range(17)]
    stored = await store.put_stream("org/conversation/file-1", chunks(*pieces), 20 * MEGABYTE)
    content = b"".join(pieces)
    assert stored.size == len(content) == 17 * 700_001
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert await read(store, "org/conversation/file-1") == content
    assert (folder / "org/conversation/file-1").read_bytes() == content


async def test_a_stream_is_taken_piece_by_piece(store: FileStore) -> None:
    seen = 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal seen
        while seen < 1000:
            seen += 1
            yield b"x" * MEGABYTE

    with pytest.raises(TooLargeError):
        await store.put_stream("big", large(), 8 * MEGABYTE)
    assert seen == 9


async def test_nothing_remains_of_a_file_that_is_too_large_or_broken_off(
    store: FileStore, folder: Path
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * MEGABYTE
        raise ConnectionResetError("the browser went away")

    with pytest.raises(TooLargeError):
        await store.put_stream("a/too-large", chunks(*[b"x" * MEGABYTE] * 12), 11 * MEGABYTE)
    with pytest.raises(ConnectionResetError):
        await store.put_stream("a/broken", broken(), 20 * MEGABYTE)
    assert files_in(folder) == []


async def test_the_limit_itself_fits(store: FileStore) -> None:
    assert (await store.put_stream("exact", chunks(b"12345"), 5)).size == 5
    assert (await store.put_stream("empty", chunks(), 5)).size == 0
    assert await read(store, "empty") == b""


async def test_deleting_is_final_and_repeatable(store: FileStore) -> None:
    await store.put_stream("gone", chunks(b"x"), 5)
    await store.delete("gone")
    await store.delete("gone")
    with pytest.raises(NotFoundError):
        await store.get_stream("gone")


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a/.x", "a b", "a\x00", "a/"]
)
async def test_keys_can_not_leave_the_folder(store: FileStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await store.put_stream(key, chunks(b"x"), 5)
    with pytest.raises(ValueError, match="not a key"):
        await store.get_stream(key)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@pytest.mark.parametrize(
    ("head", "name", "media_type", "disposition"),
    [
        (PNG, "a.png", "image/png", "inline"),
        (PNG, "a.html", "image/png", "inline"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "a.jpg", "image/jpeg", "inline"),
        (b"GIF89a\x01\x00\x01\x00", "", "image/gif", "inline"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "", "image/webp", "inline"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "", "audio/wav", "inline"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a.pdf", "application/pdf", "inline"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00", "a.mp4", "video/mp4", "inline"),
        (b"PK\x03\x04\x14\x00", "a.docx",
         "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "attachment"),
        (b"PK\x03\x04\x14\x00", "a.jpg", "application/zip", "attachment"),
        (b"MZ\x90\x00\x03", "photo.png", "application/vnd.microsoft.portable-executable", "attachment"),
        ("¿Qué tal?\n".encode(), "nota.txt", "text/plain", "inline"),
        ("señal".encode("latin-1"), "nota.txt", "text/plain", "inline"),
        (("á" * 3000).encode()[:4095], "nota.txt", "text/plain", "inline"),
        ("hola".encode("utf-16"), "nota.txt", "text/plain", "inline"),
        (b"a,b\n1,2\n", "a.csv", "text/csv", "attachment"),
        (b'{"a": 1}', "a.json", "application/json", "attachment"),
        (b"<!DOCTYPE html><p>x", "a.txt", "text/html", "attachment"),
        (b"hello <script>alert(1)</script>", "a.txt", "text/html", "attachment"),
        (b"\n\n <svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "a.png",
         "image/svg+xml", "attachment"),
        (b"<?xml version='1.0'?><x/>", "a.txt", "application/xml", "attachment"),
        ("<html>".encode("utf-16"), "a.txt", "text/html", "attachment"),
        (b"\xef\xbb\xbf<html>", "a.txt", "text/html", "attachment"),
        (b"alert(1)", "a.js", "text/javascript", "attachment"),
        (b"alert(1)", "A.HTML", "text/html", "attachment"),
        (b"", "a.png", "application/octet-stream", "attachment"),
        (b"\x00\x01\x02\x03\x04\x05", "a.png", "application/octet-stream", "attachment"),
    ],
)  # fmt: skip
def test_types_are_told_by_content(head: bytes, name: str, media_type: str, disposition: str) -> None:
    assert sniff(head, name) == media_type
    assert safe_disposition(media_type) == disposition


def test_parameters_do_not_make_a_type_safe() -> None:
    assert safe_disposition("text/html; image/png") == "attachment"
    assert safe_disposition("IMAGE/PNG; x=y") == "inline"
