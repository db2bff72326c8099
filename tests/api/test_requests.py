"""What requests carry beside their content: parameters, credentials, origins, limits, charsets, methods."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest

from core.errors import render_problems_page
from tests.api.conftest import TEAM, Platform, serve_api
from tests.api.dialogue import GREETING, Chat, flow, node, problem, publish, texts

ORIGIN = {"Origin": "https://shop.example"}
WAITS = flow(
    [
        node("start", "start"),
        node(
            "wait",
            "webhook",
            webhook={
                "kind": "wait",
                "text": "{{ callback_url }}",
                "timeout": "P1D",
                "mapping": [{"variable": "city", "path": "city"}],
            },
        ),
        node("done", "message", text="Ciudad: {{ city }}"),
    ],
    [("start", "next", "wait"), ("wait", "received", "done")],
    variables=[{"name": "city", "type": "string"}],
)


async def waiting(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> tuple[Chat, str]:
    """A conversation that waits, and the path of its callback."""
    chat = Chat(visitor, (await publish(team, WAITS))["slug"])
    address = texts((await chat.open())["messages"])[0]
    return chat, "/api/v1/callbacks/" + address.rsplit("/", 1)[-1]


@pytest.mark.parametrize(
    "path",
    ["versions?flow_name=%00", "versions?flow_name=a%00b", "versions?flow_name=Main", "versions/1?flow_name=%00",
     "versions?cursor=%00", "versions?cursor=nonsense", "conversations?cursor=1", "conversations?status=%00",
     "conversations?mode=live%0A"],
)  # fmt: skip
async def test_odd_parameters_are_told_where_they_are(team: httpx2.AsyncClient, path: str) -> None:
    bot = await publish(team, GREETING)
    answer = await team.get(f"/api/v1/chatbots/{bot['slug']}/{path}")
    assert (answer.status_code, problem(answer)) == (422, "invalid")
    parameter = path.partition("?")[2].partition("=")[0]
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"query.{parameter}"]


@pytest.mark.parametrize("last", ["\xb2", "٣", "-1", "1.5", "0x1", "9" * 100, "99999999999", "", "abc"])
async def test_a_last_event_id_of_nobody_is_passed_over(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, last: str
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    path = f"{chat.path}/conversations/{chat.conversation}/events?after=1"
    headers = {b"Authorization": f"Bearer {chat.token}".encode(), b"Last-Event-ID": last.encode()}
    async with visitor.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        seen = await _first_message(response)
    assert seen == 2


async def test_the_largest_last_event_id_is_a_cursor(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    path = f"{chat.path}/conversations/{chat.conversation}/events"
    headers = {**chat.bearer, "Last-Event-ID": "9999999999"}
    async with visitor.stream("GET", path, headers=headers) as response:
        async for line in response.aiter_lines():
            if line.startswith("event:"):
                assert line == "event: status"
                break


async def _first_message(response: httpx2.Response) -> int:
    async for line in response.aiter_lines():
        if found := re.match(r'data:.*"seq":(\d+)', line):
            return int(found[1])
    raise AssertionError("the stream ended")


async def test_pages_of_other_sites_can_read_refusals(platform: Platform) -> None:
    strict = platform.settings.model_copy(
        update={"allowed_hosts": ("chat.example",), "cors_allowed_origins": ("https://shop.example",)}
    )
    async with serve_api(strict) as url, httpx2.AsyncClient(base_url=url) as http:
        ours = {**ORIGIN, "Host": "chat.example", "Content-Type": "application/json"}
        chat = "/api/v1/widget/x/chat"
        answers = [
            await http.post(chat, content=b"x" * 2_000_000, headers=ours),
            await http.post(chat, content=b'{"a": "\xff"}', headers=ours),
            await http.post(chat, content=b"[" * 200, headers=ours),
            await http.get("/health", headers=ORIGIN),
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("api.bots.BotDirectory.find", None)
            answers.append(await http.get("/api/v1/widget/x/config", headers=ours))
        assert [answer.status_code for answer in answers] == [413, 400, 400, 400, 500]
        for answer in answers:
            problem(answer)
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("origin", "method", "named"),
    [("https://evil.example", "POST", "origin"), (ORIGIN["Origin"], "TRACE", "method")],
)
async def test_refused_preflights_are_problems(
    platform: Platform, origin: str, method: str, named: str
) -> None:
    strict = platform.settings.model_copy(update={"cors_allowed_origins": (ORIGIN["Origin"],)})
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    async with serve_api(strict) as url, httpx2.AsyncClient(base_url=url) as http:
        answer = await http.options("/api/v1/widget/x/chat", headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:versaai:problem:bad-request"
    assert named in answer.json()["detail"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("header", ["Basic YTpi", "abc", "Bearer", "Digest x=1", "Token vt_abc"])
@pytest.mark.parametrize("given", [{"type": "text", "text": "hola"}, {"type": "start"}])
async def test_credentials_of_another_kind_open_nothing(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, header: str, given: dict[str, Any]
) -> None:
    bot = await publish(team, GREETING)
    answer = await visitor.post(
        f"/api/v1/widget/{bot['slug']}/chat",
        json={"message_id": str(uuid4()), "input": given},
        headers={"Authorization": header},
    )
    assert (answer.status_code, problem(answer)) == (401, "unauthenticated")


async def test_every_counted_answer_tells_what_is_left(team: httpx2.AsyncClient, platform: Platform) -> None:
    bot = await publish(team, GREETING)
    limited = platform.settings.model_copy(
        update={
            "rate_limit_visitor_per_minute": 50,
            "rate_limit_address_per_minute": 60,
            "rate_limit_key_per_minute": 70,
        }
    )
    async with serve_api(limited) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        chat = Chat(http, bot["slug"])
        await chat.open()
        said = await chat.post({"type": "event", "name": "seen"})
        assert re.search(r'"address";r=\d+', said.headers["ratelimit"])
        assert re.search(r'"conversation";r=49', said.headers["ratelimit"])
        assert '"address";q=60;w=60' in said.headers["ratelimit-policy"]
        root = f"{chat.path}/conversations/{chat.conversation}"
        team_root = f"/api/v1/conversations/{chat.conversation}"
        for name, answer in (
            ("address", await http.get(f"{root}/messages", headers=chat.bearer)),
            ("address", await http.get(f"{root}/messages")),
            ("address", await http.get("/api/v1/widget")),
            ("address", await http.post("/api/v1/callbacks/" + "x" * 40, json={})),
            ("key", await http.get(f"{team_root}/messages", headers=TEAM)),
            ("key", await http.get("/api/v1/chatbots/nobody", headers=TEAM)),
        ):
            assert answer.headers["ratelimit"].startswith(f'"{name}";r='), answer.request.url
        async with http.stream("GET", f"{root}/events", headers=chat.bearer) as response:
            assert response.headers["ratelimit"].startswith('"address";r=')


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/widget", 200),
        ("POST", "/api/v1/callbacks/" + "x" * 40, 404),
        ("GET", "/api/v1/chatbots", 401),
        ("POST", "/api/v1/widget/nobody/files", 415),
    ],
)
async def test_who_asks_too_often_is_refused(platform: Platform, method: str, path: str, status: int) -> None:
    """The address counts for what needs no credentials, and for wrong ones: keys can't be tried out."""
    limited = platform.settings.model_copy(update={"rate_limit_address_per_minute": 3})
    headers = {"X-API-Key": "vk_wrong"} if path.endswith("chatbots") else {}
    async with serve_api(limited) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        answers = [await http.request(method, path, headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status] * 3 + [429]
    assert (problem(answers[-1]), "retry-after" in answers[-1].headers) == ("rate-limited", True)


async def test_refusals_of_the_framework_are_of_the_same_tree(visitor: httpx2.AsyncClient) -> None:
    page = render_problems_page()
    nowhere = await visitor.get("/api/v1/nowhere")
    wrong = await visitor.request("PATCH", "/api/v1/widget/x/chat")
    known = await visitor.get("/api/v1/widget/nobody/config")
    assert nowhere.json()["title"] == known.json()["title"] == "Not found"
    assert (wrong.status_code, problem(wrong), wrong.headers["allow"]) == (405, "method-not-allowed", "POST")
    for answer in (nowhere, wrong):
        kind, status, title = problem(answer), answer.status_code, answer.json()["title"]
        assert f"| `{kind}` | {status} | {title} |" in page


async def test_a_callback_with_too_many_fields_is_refused(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    _, path = await waiting(team, visitor)
    many = "&".join(f"f{number}=1" for number in range(201))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        await visitor.get(f"{path}?{many}"),
        await visitor.post(path, content=many.encode(), headers=form),
    ):
        assert (answer.status_code, problem(answer)) == (400, "bad-request")
        assert "200 fields" in answer.json()["detail"]
    assert (await visitor.get(f"{path}?{many[: many.rindex('&')]}")).status_code == 200


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("", quote("Málaga").encode()),
        ("; charset=utf-8", "Málaga".encode()),
        ("; charset=UTF8", quote("Málaga").encode()),
        ("; charset=ISO-8859-1", quote("Málaga", encoding="latin-1").encode()),
        ("; charset=iso-8859-1", "Málaga".encode("latin-1")),
        ('; charset="windows-1252"', quote("Málaga", encoding="cp1252").encode()),
        ("; boundary=x; charset=windows-1252", "Málaga".encode("cp1252")),
    ],
)
async def test_forms_are_read_in_their_own_charset(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, charset: str, body: bytes
) -> None:
    chat, path = await waiting(team, visitor)
    headers = {"Content-Type": f"application/x-www-form-urlencoded{charset}"}
    answer = await visitor.post(path, content=b"city=" + body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert texts((await chat.ended())["messages"])[-1] == "Ciudad: Málaga"


@pytest.mark.parametrize(
    "charset", ["klingon", "idna", "punycode", "utf-7", "unicode_escape", "base64", "x" * 500]
)
async def test_charsets_that_are_none_are_refused(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, charset: str
) -> None:
    _, path = await waiting(team, visitor)
    headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    answer = await visitor.post(path, content=b"city=a", headers=headers)
    assert (answer.status_code, problem(answer)) == (415, "unsupported-media")


async def test_a_callback_may_hold_what_no_table_can(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat, path = await waiting(team, visitor)
    assert (await visitor.get(f"{path}?city=a%00b")).status_code == 200
    assert texts((await chat.ended())["messages"])[-1] == "Ciudad: a\ufffdb"


async def test_a_bots_slug_can_not_be_taken_for_an_id(team: httpx2.AsyncClient) -> None:
    other = await publish(team, GREETING)
    for slug in (
        other["id"],
        other["id"].replace("-", ""),
        f"{other['id'][:3]}-{other['id'][3:].replace('-', '')}",
    ):
        answer = await team.post("/api/v1/chatbots", json={"name": "x", "slug": slug})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/slug"), slug
        named = (await team.post("/api/v1/chatbots", json={"name": slug})).json()
        assert named["slug"].startswith("bot-")


async def test_a_secret_can_not_hide_the_address_of_a_waiting_step(team: httpx2.AsyncClient) -> None:
    answer = await team.put("/api/v1/secrets/callback_url", json={"value": "x"})
    assert (answer.status_code, problem(answer)) == (422, "invalid")
    assert answer.json()["errors"][0]["pointer"] == "path.name"
    assert (await team.put("/api/v1/secrets/callback_url2", json={"value": "x"})).status_code == 204


async def test_lengths_of_secrets_are_told_in_characters(team: httpx2.AsyncClient) -> None:
    for value, words in (("", "at least 1 characters"), ("x" * 20_001, "at most 20000 characters")):
        answer = await team.put("/api/v1/secrets/LONG", json={"value": value})
        assert words in answer.json()["errors"][0]["detail"]
        assert not value or value not in answer.text


async def test_long_messages_are_refused_as_the_settings_say(
    team: httpx2.AsyncClient, platform: Platform
) -> None:
    bot = await publish(team, GREETING)
    short = platform.settings.model_copy(update={"max_message_chars": 10})
    async with serve_api(short) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        chat = Chat(http, bot["slug"])
        assert (await http.get(f"{chat.path}/config")).json()["limits"]["max_text"] == 10
        body = {"message_id": str(uuid4()), "input": {"type": "start", "text": "x" * 11}}
        opening = await http.post(f"{chat.path}/chat", json=body)
        await chat.open(text="x" * 10)
        refused = await chat.post({"type": "text", "text": "x" * 11})
        for answer in (opening, refused):
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/input/text")
        assert (await chat.post({"type": "text", "text": "ñ" * 10})).status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [("gpt-4o", "openai/gpt-4o"), ("claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
     ("qwen2.5:7b", "ollama/qwen2.5:7b"), ("llama3-8b-8192", "groq/llama3-8b-8192"),
     ("openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"), ("mistral/from-next-year", "mistral/from-next-year"),
     ("", None)],
)  # fmt: skip
async def test_a_bots_model_goes_by_any_of_its_names(
    team: httpx2.AsyncClient, given: str, kept: str | None
) -> None:
    made = (await team.post("/api/v1/chatbots", json={"name": "Modelo", "ai_model": given})).json()
    assert made["ai_model"] == kept
    asks = flow([node("start", "start"), node("hi", "message", text="a")], [("start", "next", "hi")])
    await team.post(f"/api/v1/chatbots/{made['id']}/versions", json={"flow": asks})
    version = (await team.get(f"/api/v1/chatbots/{made['id']}/versions/1")).json()
    assert version["flow"].get("settings", {}).get("ai", {}).get("model") == kept


async def test_a_model_of_nobody_is_refused(team: httpx2.AsyncClient) -> None:
    for name in ("nonsense", "nobody/model", "builtin/other"):
        answer = await team.post("/api/v1/chatbots", json={"name": "x", "ai_model": name})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/ai_model")
        assert "provider/model" in answer.json()["errors"][0]["detail"]
