"""Uploads and what their links serve: parts of files, names, limits, the end of a conversation."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from api.files.service import clean_name
from tests.api.conftest import Platform, serve_api
from tests.api.dialogue import GREETING, Chat, Json, problem, publish

VIDEO = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 300


async def upload(chat: Chat, content: bytes, name: str = "a.mp4") -> httpx2.Response:
    return await chat.http.post(f"{chat.path}/files", files={"file": (name, content)}, headers=chat.bearer)


@pytest.fixture
async def chat(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> Chat:
    opened = Chat(visitor, (await publish(team, GREETING))["slug"])
    await opened.open()
    return opened


@pytest.fixture
async def video(chat: Chat) -> str:
    answer = await upload(chat, VIDEO)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


async def test_links_are_whole_addresses(platform: Platform, chat: Chat, video: str) -> None:
    """Pages of other sites show them, where a path would lead to those sites."""
    assert video.startswith(f"{platform.url}/api/v1/files/")
    async with httpx2.AsyncClient() as elsewhere:
        assert (await elsewhere.get(video)).content == VIDEO


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=0-", 0, None), ("bytes=5-9", 5, 10), ("bytes=-10", -10, None),
     ("bytes=100-99999999", 100, None), ("Bytes=7-7", 7, 8), ("bytes=-99999999", 0, None),
     (f"bytes={len(VIDEO) - 1}-", -1, None)],
)  # fmt: skip
async def test_parts_of_a_file(
    visitor: httpx2.AsyncClient, video: str, asked: str, start: int, end: int
) -> None:
    answer = await visitor.get(video, headers={"Range": asked})
    expected = VIDEO[start:end]
    first = len(VIDEO) + start if start < 0 else start
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(VIDEO)}"
    assert answer.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-2", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes=0-1;x", "0-1"],
)
async def test_what_is_no_single_part_gives_the_whole_file(
    visitor: httpx2.AsyncClient, video: str, asked: str
) -> None:
    answer = await visitor.get(video, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, VIDEO)
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", [f"bytes={len(VIDEO)}-", "bytes=999999999-", "bytes=-0"])
async def test_parts_beyond_the_end(visitor: httpx2.AsyncClient, video: str, asked: str) -> None:
    answer = await visitor.get(video, headers={"Range": asked})
    assert (answer.status_code, problem(answer)) == (416, "range-not-satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(VIDEO)}"


async def test_what_a_browser_has_is_not_sent_again(visitor: httpx2.AsyncClient, video: str) -> None:
    tag = (await visitor.get(video)).headers["etag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await visitor.get(video, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await visitor.get(video, headers={"If-None-Match": '"other"'})).status_code == 200
    part = {"Range": "bytes=0-9"}
    assert (await visitor.get(video, headers={**part, "If-Range": tag})).status_code == 206
    assert (await visitor.get(video, headers={**part, "If-Range": '"other"'})).status_code == 200


async def test_head_tells_what_get_would(visitor: httpx2.AsyncClient, video: str) -> None:
    whole, head = await visitor.get(video), await visitor.head(video)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges", "content-disposition"):
        assert head.headers[name] == whole.headers[name]
    assert (await visitor.head(video.replace("sig=", "sig=x"))).status_code == 401


async def test_a_conversation_that_has_ended_takes_no_files(team: httpx2.AsyncClient, chat: Chat) -> None:
    await chat.say("Ana")
    await chat.post({"type": "choice", "options": ["a"]})
    await chat.ended()
    late = await upload(chat, VIDEO)
    assert (late.status_code, problem(late)) == (410, "conversation-closed")
    form = await chat.http.post(f"{chat.path}/files", files={"file": ("a", b"a")}, data={"token": chat.token})
    assert form.status_code == 410
    agent = await team.post(f"/api/v1/conversations/{chat.conversation}/files", files={"file": ("a", b"a")})
    assert agent.status_code == 410


async def test_a_conversation_holds_so_many_files_and_bytes(
    team: httpx2.AsyncClient, platform: Platform
) -> None:
    bot = await publish(team, GREETING)
    small = platform.settings.model_copy(
        update={"max_conversation_files": 3, "max_conversation_file_bytes": 1000}
    )
    async with serve_api(small) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        full, heavy = Chat(http, bot["slug"]), Chat(http, bot["slug"])
        await full.open()
        await heavy.open()
        at_once = await asyncio.gather(*(upload(full, b"abc") for _ in range(6)))
        assert sorted(answer.status_code for answer in at_once) == [201] * 3 + [413] * 3
        refused = next(answer for answer in at_once if answer.status_code == 413)
        assert (problem(refused), refused.json()["limit"]) == ("too-large", 3)
        sizes = [(await upload(heavy, b"x" * size)).status_code for size in (600, 401, 400)]
        assert sizes == [201, 413, 201]
        kept = [
            path for path in (small.data_dir / "files").rglob(f"*{full.conversation}/*") if path.is_file()
        ]
        assert len(kept) == 3, "what was refused is not kept"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a%22b%22.png", 'a"b".png'),
        ("a%0D%0Ab.png", "ab.png"),
        ("100%25.png", "100%25.png"),
        ("a%2Fb.png", "a%2Fb.png"),
        ("../f\u202eoto.png", "foto.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
def test_names_are_read_as_browsers_write_them(sent: str, kept: str) -> None:
    """In a part's file name browsers write quotes and line breaks as %22, %0D and %0A, and nothing else."""
    assert clean_name(sent) == kept


async def test_agents_files_are_the_teams_own(team: httpx2.AsyncClient, chat: Chat) -> None:
    sent: Json = (
        await team.post(
            f"/api/v1/conversations/{chat.conversation}/files", files={"file": ("a.txt", b"hola")}
        )
    ).json()
    assert (await chat.http.get(sent["url"])).text == "hola"
