"""The short way of a message and the documented route give the same answers."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.widget.schemas import ChatRequest
from api.widget.shortcut import ChatShortcut
from tests.api.dialogue import GREETING, Chat, publish

SHORT, LONG = "application/json", "application/json; charset=utf-8"
DIFFERENT = {"date", "x-request-id", "content-length", "ratelimit"}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The message ids that took the short way."""
    from api.widget import shortcut

    ids: list[str] = []
    read = shortcut._read

    def watched(request: Any, body: Any) -> ChatRequest | None:
        plain = read(request, body)
        if plain is not None:
            ids.append(str(plain.message_id))
        return plain

    monkeypatch.setattr(shortcut, "_read", watched)
    return ids


def seen(answer: httpx2.Response) -> tuple[int, dict[str, str], Any]:
    """What has to be the same."""
    body = answer.json()
    for member in ("token", "request_id"):
        body.pop(member, None)
    headers = {name: value for name, value in answer.headers.items() if name not in DIFFERENT}
    return answer.status_code, headers, body


async def test_both_ways_give_the_same(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, taken: list[str]
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    opened = await chat.open()
    taken.clear()
    bearer = {"Authorization": f"Bearer {chat.token}"}
    name = {"message_id": str(uuid4()), "input": {"type": "text", "text": "Ana"}}
    other = {**name, "input": {"type": "text", "text": "Eva"}}
    stale = {
        "message_id": str(uuid4()),
        "input": {"type": "choice", "options": ["a"], "prompt": opened["last_seq"]},
    }
    for body, headers in (
        (name, bearer),
        ({**name, "token": chat.token}, {}),
        (name, bearer | {"Origin": "https://shop.example"}),
        (other, bearer),
        (stale, bearer),
        (name, {"Authorization": "Bearer vt_nonsense"}),
        ({"message_id": "short", "input": {"type": "text", "text": "Ana"}}, bearer),
    ):
        document = json.dumps(body)
        answers = [
            await visitor.post(f"{chat.path}/chat", content=document, headers=headers | {"Content-Type": way})
            for way in (SHORT, LONG)
        ]
        assert seen(answers[0]) == seen(answers[1])
    assert taken == [str(body["message_id"]) for body in (name, name, name, other, stale, name)]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"message_id": "12345678", "input": {"type": "start"}', {}),
        (b"\xff", {}),
        (b'{"message_id": "12345678", "input": {"type": "start"}, "more": 1}', {}),
        (b'{"input": {"type": "start"}}', {"Idempotency-Key": "12345678"}),
        (b'{"message_id": "12345678", "input": {"type": "start"}}', {"Authorization": "Basic YTpi"}),
        (b"", {}),
    ],
)
async def test_what_is_not_plainly_in_order_takes_the_documented_route(
    team: httpx2.AsyncClient,
    visitor: httpx2.AsyncClient,
    taken: list[str],
    content: bytes,
    headers: dict[str, str],
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    answer = await visitor.post(
        f"{chat.path}/chat", content=content, headers={"Content-Type": SHORT, **headers}
    )
    assert not taken
    assert "x-request-id" in answer.headers
    assert answer.status_code < 500


def test_it_takes_messages_alone() -> None:
    scope = {"type": "http", "method": "POST", "path": "/api/v1/widget/soporte/chat"}
    assert ChatShortcut().matches(scope)[0].name == "FULL"
    for change in ({"method": "GET"}, {"path": "/api/v1/widget/soporte/status"}, {"type": "websocket"}):
        assert ChatShortcut().matches(scope | change)[0].name == "NONE"
