"""`versaai bench turns` in its smoke size: a whole platform, every phase, the figures' shape."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cli.benchmark.http_connection import ConnectionBrokenError, HttpConnection
from cli.benchmark.measures import quantile
from cli.benchmark.report import TurnsReport
from cli.benchmark.verification import RowsDifferError, compare
from cli.benchmark.visitors import Conversation

ROOT = Path(__file__).resolve().parents[2]


async def test_a_smoke_run_gives_every_figure_andcompares_every_row(tmp_path: Path) -> None:
    output = tmp_path / "turns.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "bench", "turns", "--quick", "--json", "--output", str(output),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    report = TurnsReport.model_validate_json(printed)
    assert json.loads(output.read_text()) == json.loads(printed)
    assert report.quick
    levels = {"1", "10", "50"}
    assert set(report.turns_per_second) == set(report.p50_ms) == set(report.p95_ms) == levels
    assert {"temporal", "postgres", "worker", "api", "driver"} == set(report.cpu_ms_per_turn)
    assert report.levels["50"].turns.requests == 3 * report.levels["50"].conversations
    assert report.idle_2000_p50_change is None
    dialogues = 2 + sum(level.conversations for level in report.levels.values())
    loops = 20 + report.idle.conversations + 2
    assert report.verified.conversations == dialogues + loops
    # Eight messages a dialogue; in a loop the opening's one, then three a turn.
    turns = report.verified.replies - 3 * dialogues - loops
    assert report.verified.rows == 8 * dialogues + loops + 3 * turns


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([5.0], 0.95, 5.0), ([1.0, 2.0, 3.0], 0.5, 2.0), ([4.0, 1.0], 0.5, 2.5), (list(range(101)), 0.95, 95.0)],
)
def test_quantiles(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == pytest.approx(expected)


def row(seq: int, role: str, text: str, message_id: str | None = None) -> dict[str, Any]:
    body = json.dumps({"type": "text", "text": text})
    return {"seq": seq, "role": role, "body": body, "client_message_id": message_id}


@pytest.mark.parametrize(
    ("rows", "fits"),
    [
        ([row(1, "assistant", "a"), row(2, "user", "x", "m1"), row(3, "assistant", "b")], True),
        ([row(1, "assistant", "a"), row(2, "user", "x", "m1"), row(3, "assistant", "c")], False),
        ([row(1, "assistant", "a"), row(2, "user", "x", "m2"), row(3, "assistant", "b")], False),
        ([row(1, "assistant", "a"), row(3, "assistant", "b")], False),
    ],
)
def test_rows_must_equal_what_was_told(rows: list[dict[str, Any]], fits: bool) -> None:
    conversation = Conversation("c", turns=2, last_seq=3, said={1: "a", 3: "b"}, heard={"m1": "x"})
    if fits:
        compare(conversation, rows)
    else:
        with pytest.raises(RowsDifferError):
            compare(conversation, rows)


@pytest.fixture
async def raw_server() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers each request with the next of the given pieces, each in a write of its own."""
    pieces: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(2)  # `{}`
            if not pieces:
                break
            for byte in pieces.pop(0).split(b"|"):
                writer.write(byte)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", pieces
    server.close()


async def test_answers_are_read_whole_however_they_are_cut(raw_server: tuple[str, list[bytes]]) -> None:
    url, pieces = raw_server
    pieces += [
        b"HTTP/1.1 200 OK\r\nContent-Len|gth: 5\r\nX: y\r\n|\r\nab|cde",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
    ]
    connection = await HttpConnection.open(url)
    assert await connection.post("/", {}) == (200, b"abcde")
    assert await connection.post("/", {}) == (404, b"no")
    with pytest.raises(ConnectionBrokenError):
        await connection.post("/", {})
    pieces.append(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz")
    assert await connection.post("/", {}) == (200, b"z")  # opened anew
    connection.close()
