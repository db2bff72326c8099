"""`versaai chat` and `versaai replay` as somebody uses them, in processes of their own."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2

from cli.chat_client import ChatClient, TokenStore
from cli.replay import by_visit
from tests.api.conftest import API_KEY, Platform, serve_api
from tests.api.dialogue import GREETING, publish, texts

ROOT = Path(__file__).resolve().parents[2]


async def versaai(folder: Path, *arguments: str, typed: str = "") -> tuple[int, str]:
    """Exit code and output of a command that is typed to."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "VERSAAI_DATA_DIR": str(folder), "COLUMNS": "120"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(typed.encode()), 60)
    return process.returncode or 0, output.decode()


async def test_a_dialogue_in_the_terminal_and_its_replay(
    team: httpx2.AsyncClient, platform: Platform, tmp_path: Path
) -> None:
    bot = await publish(team, GREETING)
    code, output = await versaai(
        tmp_path, "chat", bot["slug"], "--url", platform.url, "--lang", "es", typed="Ana\n/help\n/quit\n"
    )
    assert code == 0, output
    assert all(words in output for words in ("¡Hola!", "¿Cómo te llamas?", "Elige, Ana", "1. Uno", "2. Dos"))
    kept = json.loads((tmp_path / "chats.json").read_text())
    assert (tmp_path / "chats.json").stat().st_mode & 0o077 == 0
    (conversation,) = kept
    code, output = await versaai(
        tmp_path, "chat", bot["slug"], "--url", platform.url, "--conversation", conversation, typed="2\n"
    )
    assert code == 0, output
    assert "Elegiste dos, Ana" in output
    code, output = await versaai(
        tmp_path, "replay", conversation, "--url", platform.url, "--api-key", API_KEY, "--json"
    )
    assert code == 0, output
    story = json.loads(output)
    assert [visit["node_id"] for visit in story["visits"]] == ["start", "hi", "ask", "pick", "two"]
    assert texts(story["messages"])[-1] == "Elegiste dos, Ana"
    code, output = await versaai(
        tmp_path, "replay", conversation, "--url", platform.url, "--api-key", API_KEY
    )
    assert code == 0, output
    assert output.index("¡Hola!") < output.index('name = "Ana"') < output.index("Elegiste dos")


async def test_what_is_missing_is_said(platform: Platform, tmp_path: Path) -> None:
    code, output = await versaai(tmp_path, "chat", "nobody", "--url", platform.url)
    assert (code, "no such bot" in output) == (1, True), output
    code, output = await versaai(
        tmp_path, "chat", "nobody", "--url", platform.url, "--conversation", "unknown"
    )
    assert code == 1, output
    code, output = await versaai(
        tmp_path, "replay", "0" * 32, "--url", platform.url, "--api-key", "vk_wrong-key-000000000000"
    )
    assert (code, "not known" in output) == (1, True), output


async def test_addresses_that_lead_nowhere_are_named(
    team: httpx2.AsyncClient, platform: Platform, tmp_path: Path
) -> None:
    bot = await publish(team, GREETING)
    nowhere = "http://127.0.0.1:1"
    for arguments in (("chat", "bot"), ("replay", "0" * 32)):
        code, output = await versaai(tmp_path, *arguments, "--url", nowhere)
        assert (code, nowhere in output, "versaai up" in output) == (1, True, True), output
        code, output = await versaai(tmp_path, *arguments, "--url", "nonsense")
        assert (code, "http://host:port" in output) == (1, True), output
    code, output = await versaai(tmp_path, "replay", "0190-nope", "--url", platform.url)
    assert (code, "hexadecimal" in output, "pattern" in output) == (1, True, False), output
    code, output = await versaai(tmp_path, "chat", "nobody", "--url", platform.url)
    assert (code, bot["slug"] in output.replace("\n", "")) == (1, True), output


async def terminal_chat(folder: Path, *arguments: str) -> tuple[asyncio.subprocess.Process, int]:
    """A chat on a pseudo-terminal of its own, and the descriptor of its other side."""
    ours, theirs = pty.openpty()

    def own_the_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "chat", *arguments),
        cwd=ROOT,
        env={**os.environ, "VERSAAI_DATA_DIR": str(folder), "COLUMNS": "100", "LINES": "40", "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=own_the_terminal,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    return process, ours


async def seen(terminal: int, words: str) -> None:
    """Wait until the terminal shows `words`."""
    shown = b""
    async with asyncio.timeout(30):
        while words.encode() not in shown:
            with suppress(BlockingIOError):
                shown += os.read(terminal, 65_536)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def chatting(
    folder: Path, platform: Platform, bot: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A chat that waits for its first line."""
    process, terminal = await terminal_chat(folder, bot, "--url", platform.url, "--lang", "es")
    try:
        await seen(terminal, "/quit leaves")
        yield process, terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(terminal)


async def test_a_number_typed_late_is_a_choice(
    team: httpx2.AsyncClient, platform: Platform, tmp_path: Path
) -> None:
    bot = await publish(team, GREETING)
    async with chatting(tmp_path, platform, bot["slug"]) as (process, terminal):
        os.write(terminal, b"Ana\n")
        await seen(terminal, "2. Dos")
        await asyncio.sleep(4)  # the event of the message before it has come by then
        os.write(terminal, b"half a line\x152\n")
        await seen(terminal, "Elegiste dos, Ana")
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_ctrl_c_ends_a_chat_at_once(
    team: httpx2.AsyncClient, platform: Platform, tmp_path: Path
) -> None:
    bot = await publish(team, GREETING)
    async with chatting(tmp_path, platform, bot["slug"]) as (process, terminal):
        os.write(terminal, b"half a li")
        await seen(terminal, "half a li")
        os.write(terminal, b"\x03")
        async with asyncio.timeout(5):
            assert await process.wait() == 130


async def test_ctrl_c_needs_no_further_line_from_a_pipe(
    team: httpx2.AsyncClient, platform: Platform, tmp_path: Path
) -> None:
    bot = await publish(team, GREETING)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "chat", bot["slug"], "--url", platform.url),
        cwd=ROOT,
        env={**os.environ, "VERSAAI_DATA_DIR": str(tmp_path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while b"/quit" not in await process.stdout.readline():
            pass
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(5):
        assert await process.wait() == 130


async def test_a_message_survives_a_restart_of_the_api(team: httpx2.AsyncClient, platform: Platform) -> None:
    bot = await publish(team, GREETING)
    heard: list[bool] = []
    server = serve_api(platform.settings)
    port = int(server.url.rsplit(":", 1)[1])
    async with httpx2.AsyncClient(base_url=server.url, timeout=5) as http:
        client = ChatClient(http, bot["slug"], heard.append)
        async with server:
            await client.send({"type": "start"})
        sending = asyncio.create_task(client.send({"type": "text", "text": "Ana"}))
        while not heard:
            await asyncio.sleep(0.02)
        async with serve_api(platform.settings, port):
            reply = await asyncio.wait_for(sending, 20)
            page = await client.transcript()
    assert texts(reply["messages"]) == ["Elige, Ana"]
    assert heard == [False, True]
    assert texts(page["messages"]).count("Ana") == 1


def test_messages_are_put_to_the_visits_that_said_them() -> None:
    def visit(number: int, node: str, second: int) -> dict[str, Any]:
        return {"number": number, "node_id": node, "entered_at": f"2026-01-01T00:00:{second:02}Z"}

    def message(seq: int, role: str, node: str | None, second: int) -> dict[str, Any]:
        return {"seq": seq, "role": role, "node_id": node, "created_at": f"2026-01-01T00:00:{second:02}Z"}

    visits = [visit(1, "a", 1), visit(2, "b", 1), visit(3, "a", 5)]
    messages = [
        message(1, "assistant", "a", 1),
        message(2, "assistant", "b", 1),
        message(3, "user", None, 5),
        message(4, "assistant", "a", 5),
    ]
    grouped = [
        (found and found["number"], [one["seq"] for one in said])
        for found, said in by_visit(visits, messages)
    ]
    assert grouped == [(1, [1]), (2, [2, 3]), (3, [4])]


def test_tokens_are_kept_and_the_oldest_forgotten(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "deep" / "chats.json")
    for number in range(205):
        store.keep(f"c{number}", f"t{number}")
    assert (store.read("c204"), store.read("c5"), store.read("c4")) == ("t204", "t5", None)
    (tmp_path / "deep" / "chats.json").write_text("not json")
    assert store.read("c204") is None
