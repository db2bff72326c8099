"""Whatever is sent, the answer is a problem document that says what is wrong, never a 5xx."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from api.tokens import Tokens
from core.crypto import Keyring
from tests.api.conftest import API_KEY, SECRET_KEY, Platform
from tests.api.dialogue import GREETING, Chat, flow, node, problem, publish

JSON = {"Content-Type": "application/json"}


def start(**more: Any) -> bytes:
    return json.dumps({"message_id": str(uuid4()), "input": {"type": "start"}, **more}).encode()


def deep(levels: int) -> bytes:
    return (
        b'{"message_id": "abcdefgh", "input": {"type": "value", "value": '
        + b"[" * levels
        + b"]" * levels
        + b"}}"
    )


@pytest.fixture
async def chat(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> Chat:
    opened = Chat(visitor, (await publish(team, GREETING))["slug"])
    await opened.open()
    return opened


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b'{"message_id": "abcdefgh", "input": {"type": "' + b"x" * 10_000_000 + b'"}}', 413, "too-large"),
        (b'{"message_id": "abcdefgh", "input": {"type": "text", "text": "\xff"}}', 400, "bad-request"),
        (deep(1000), 400, "bad-request"),
        (deep(101), 400, "bad-request"),
        (b"{", 400, "bad-request"),
        (b"", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b'{"message_id": "abcdefgh", "input": {"type": "value", "value": NaN}}', 400, "bad-request"),
        (b'{"message_id": "abcdefgh", "input": {"type": "value", "value": 1e999}}', 400, "bad-request"),
        (start(unknown=1), 422, "invalid"),
        (start(message_id="short"), 422, "invalid"),
        (start(message_id="with space"), 422, "invalid"),
        (start(message_id=None), 422, "invalid"),
        (start(input={"type": "dance"}), 422, "invalid"),
        (start(input={"type": "text", "text": ""}), 422, "invalid"),
        (start(input={"type": "text", "text": "x" * 8_001}), 422, "invalid"),
        (start(input={"type": "start", "language": "not a language"}), 422, "invalid"),
        (start(input={"type": "choice", "options": ["a"]}), 401, "unauthenticated"),
        (start(conversation_id=str(uuid4())), 401, "unauthenticated"),
        (start(conversation_id="nonsense"), 422, "invalid"),
        (start(token="vt_forged.token"), 401, "unauthenticated"),
        (start(token="x" * 2000), 422, "invalid"),
    ],
)  # fmt: skip
async def test_bad_openings(
    chat: Chat, visitor: httpx2.AsyncClient, content: bytes, status: int, slug: str
) -> None:
    answer = await visitor.post(f"{chat.path}/chat", content=content, headers=JSON)
    assert (answer.status_code, problem(answer)) == (status, slug), answer.text[:500]


async def test_an_undeclared_large_body_is_refused(chat: Chat, visitor: httpx2.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(200):
            yield b"x" * 10_000

    answer = await visitor.post(f"{chat.path}/chat", content=chunks(), headers=JSON)
    assert (answer.status_code, problem(answer)) == (413, "too-large")


async def test_other_content_types_are_refused(chat: Chat, visitor: httpx2.AsyncClient) -> None:
    answer = await visitor.post(f"{chat.path}/chat", data={"message_id": "abcdefgh"})
    assert (answer.status_code, problem(answer)) == (415, "unsupported-media")


async def test_nested_a_hundred_levels_is_still_read(chat: Chat, visitor: httpx2.AsyncClient) -> None:
    answer = await visitor.post(f"{chat.path}/chat", content=deep(98), headers=JSON | chat.bearer)
    assert answer.status_code != 400, answer.text
    assert answer.status_code < 500


async def test_brackets_in_a_text_are_no_nesting(chat: Chat) -> None:
    answer = await chat.post({"type": "text", "text": '["' + "[" * 500 + "\\"})
    assert answer.status_code == 200, answer.text


async def test_what_no_table_can_hold_is_replaced(chat: Chat) -> None:
    answer = await chat.http.post(
        f"{chat.path}/chat",
        content=b'{"message_id": "nul-00001", "input": {"type": "text", "text": "a\\u0000\\ud800b"}}',
        headers=JSON | chat.bearer,
    )
    assert answer.status_code == 200, answer.text
    page = await chat.transcript()
    assert "a\ufffd\ufffdb" in [message["content"].get("text") for message in page["messages"]]


async def test_tokens_of_others_and_expired_ones(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, chat: Chat
) -> None:
    other = Chat(visitor, (await publish(team, GREETING))["slug"])
    await other.open()
    body = {"message_id": str(uuid4()), "input": {"type": "text", "text": "hola"}}
    foreign_bot = await visitor.post(f"{chat.path}/chat", json=body, headers=other.bearer)
    assert (foreign_bot.status_code, problem(foreign_bot)) == (403, "forbidden")
    foreign = await visitor.post(
        f"{chat.path}/chat", json={**body, "conversation_id": other.conversation}, headers=chat.bearer
    )
    assert (foreign.status_code, problem(foreign)) == (403, "forbidden")
    tokens = Tokens(Keyring([SECRET_KEY]), lifetime_seconds=100, file_link_seconds=100)
    config = (await visitor.get(f"{chat.path}/config")).json()
    stale = tokens.issue(UUID(chat.conversation), UUID(config["chatbot_id"]), uuid4(), now=1_000_000)
    expired = await visitor.post(f"{chat.path}/chat", json=body, headers={"Authorization": f"Bearer {stale}"})
    assert (expired.status_code, problem(expired)) == (401, "unauthenticated")
    for altered in (chat.token[:-2] + "AA", chat.token + "x", "vt_", "vt_.", "vt_é.é"):
        refused = await visitor.post(f"{chat.path}/chat", json={**body, "token": altered})
        assert (refused.status_code, problem(refused)) == (401, "unauthenticated"), altered


@pytest.mark.parametrize(
    ("given", "status", "slug"),
    [
        ({"type": "choice", "options": ["a"]}, 422, "wrong-kind"),
        ({"type": "files", "files": [str(uuid4())]}, 422, "invalid"),
        ({"type": "files", "files": ["../etc"]}, 422, "invalid"),
        ({"type": "start"}, 422, "wrong-kind"),
        ({"type": "value", "value": "x" * 40_000}, 413, "message-too-large"),
    ],
)
async def test_inputs_that_do_not_fit(chat: Chat, given: dict[str, Any], status: int, slug: str) -> None:
    answer = await chat.post(given)
    assert answer.status_code == status, answer.text
    assert problem(answer) in {slug, "too-large"}
    assert (await chat.say("Ana"))["messages"], "the conversation goes on"


async def test_options_that_do_not_fit(chat: Chat) -> None:
    asked = await chat.say("Ana")
    unknown = await chat.post({"type": "choice", "options": ["z"]})
    assert (unknown.status_code, problem(unknown)) == (422, "unknown-option")
    stale = await chat.post({"type": "choice", "options": ["a"], "prompt": asked["last_seq"] - 1})
    assert (stale.status_code, problem(stale)) == (409, "stale-prompt")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/widget/nobody/config", 404),
        ("GET", "/api/v1/widget/nobody/status", 404),
        ("GET", f"/api/v1/widget/{uuid4()}/config", 404),
        ("GET", "/api/v1/widget/%00/config", 422),
        ("GET", "/api/v1/widget/" + "x" * 500 + "/config", 422),
        ("DELETE", "/api/v1/widget/nobody/chat", 405),
        ("GET", f"/api/v1/files/{uuid4()}", 422),
        ("GET", f"/api/v1/files/{uuid4()}?sig=x&exp=1", 401),
        ("GET", "/api/v1/callbacks/short", 422),
        ("GET", "/api/v1/callbacks/" + "x" * 43, 404),
        ("GET", "/api/v1/chatbots", 401),
        ("GET", f"/api/v1/conversations/{uuid4()}", 401),
    ],
)
async def test_unknown_places(visitor: httpx2.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await visitor.request(method, path)
    assert answer.status_code == status, answer.text
    problem(answer)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"/api/v1/conversations/{uuid4()}", None, 404),
        ("GET", "/api/v1/conversations/not-an-id", None, 422),
        ("GET", f"/api/v1/conversations/{uuid4()}/messages?after=-1", None, 422),
        ("GET", f"/api/v1/conversations/{uuid4()}/messages?limit=100000", None, 422),
        ("GET", f"/api/v1/conversations/{uuid4()}/path?after=99999999999999999999", None, 422),
        ("POST", f"/api/v1/conversations/{uuid4()}/messages", {"text": "x", "action_id": "abcdefgh"}, 404),
        ("POST", f"/api/v1/conversations/{uuid4()}/messages", {"text": " ", "action_id": "abcdefgh"}, 422),
        ("POST", f"/api/v1/conversations/{uuid4()}/actions", {"action": {"kind": "explode"}}, 422),
        ("GET", "/api/v1/chatbots/nobody", None, 404),
        ("GET", "/api/v1/chatbots?cursor=zzz", None, 422),
        ("POST", "/api/v1/chatbots", {"name": ""}, 422),
        ("POST", "/api/v1/chatbots", {"name": "x", "slug": "Not A Slug"}, 422),
        ("POST", "/api/v1/chatbots/nobody/versions", {"flow": {}}, 404),
        ("GET", "/api/v1/chatbots/nobody/versions/1", None, 404),
        ("POST", "/api/v1/flows/validate", {"flow": []}, 422),
        ("POST", "/api/v1/flows/validate", {"flow": {}, "chatbot_id": "nobody"}, 404),
        ("PUT", "/api/v1/secrets/not%20a%20name", {"value": "x"}, 422),
        ("PUT", "/api/v1/secrets/NAME", {"value": ""}, 422),
        ("DELETE", "/api/v1/secrets/NEVER_THERE", None, 404),
        ("PUT", "/api/v1/response-templates/adios", {"text": {}}, 422),
        ("PUT", "/api/v1/response-templates/adios", {"text": {"no such": "x"}}, 422),
    ],
)
async def test_bad_requests_of_the_team(
    team: httpx2.AsyncClient, method: str, path: str, body: Any, status: int
) -> None:
    answer = await team.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    problem(answer)


async def test_wrong_keys_are_refused(platform: Platform) -> None:
    for headers in (
        {"X-API-Key": "vk_wrong"},
        {"Authorization": "Bearer " + API_KEY[:-1]},
        {"Authorization": "Basic x"},
    ):
        async with platform.client(headers=headers) as client:
            answer = await client.get("/api/v1/chatbots")
            assert (answer.status_code, problem(answer)) == (401, "unauthenticated")
    async with platform.client(headers={"X-API-Key": API_KEY}) as client:
        assert (await client.get("/api/v1/chatbots")).status_code == 200


async def test_a_flow_with_errors_is_refused_with_every_finding(team: httpx2.AsyncClient) -> None:
    made = (await team.post("/api/v1/chatbots", json={"name": "Errores"})).json()
    bad = flow(
        [node("start", "start"), node("a", "message", text="{{ nobody }}"), node("a", "message", text="b")],
        [("start", "next", "a"), ("a", "nonsense", "gone")],
    )
    answer = await team.post(f"/api/v1/chatbots/{made['id']}/versions", json={"flow": bad})
    assert (answer.status_code, problem(answer)) == (422, "flow-invalid")
    codes = {finding["code"] for finding in answer.json()["findings"]}
    assert {"duplicate-id", "unknown-variable", "unknown-exit", "unknown-node"} <= codes
    listed = (await team.get(f"/api/v1/chatbots/{made['id']}/versions")).json()
    assert listed["versions"] == []
