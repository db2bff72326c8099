"""Bots as customers draw them, published and played over HTTP by what the documents say alone.

`flows/*.json` hold flows and their dialogues: a turn sends an input and expects texts, or parts of the
messages' contents, in order; or the name of the refusal. What needs more than a dialogue stands below.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest

from tests.api.dialogue import Chat, Json, flow, node, problem, publish, texts
from tests.peers.http_peer import HttpPeer, serve_http_peer

_JSON = {"content-type": "application/json"}
ANA, BOB = {"id": "ana", "name": "Ana"}, {"id": "bob", "name": "Bob"}


@pytest.fixture(scope="session")
def peer() -> Iterator[HttpPeer]:
    """A shop's API: two pages of orders, then the last one."""
    with serve_http_peer() as server:
        pages = [
            {"items": [{"total": 10}, {"total": 20}], "next": 2},
            {"items": [{"total": 30}, {"total": 40}], "next": 3},
            {"items": [{"total": 50}], "next": None},
        ]
        server.answer(
            "/orders", *((200, {**_JSON, "X-Total-Pages": "3"}, json.dumps(page).encode()) for page in pages)
        )
        yield server


def action(node_id: str, kind: str, **given: Any) -> Json:
    """An action node."""
    return node(node_id, "action", action={"kind": kind, **given})


async def act(team: httpx2.AsyncClient, chat: Chat, **given: Any) -> httpx2.Response:
    """Carry out an action of the team."""
    body = {"action_id": str(uuid4()), "action": given}
    return await team.post(f"/api/v1/conversations/{chat.conversation}/actions", json=body)


async def seen(team: httpx2.AsyncClient, chat: Chat) -> Json:
    """Where the conversation is, as the team sees it."""
    answer = await team.get(f"/api/v1/conversations/{chat.conversation}")
    assert answer.status_code == 200, answer.text
    snapshot: Json = answer.json()
    return snapshot


async def started(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, document: Json) -> tuple[Chat, Json]:
    """A conversation on a new bot with that flow, and its greeting."""
    chat = Chat(visitor, (await publish(team, {"language": "en", **document}))["slug"])
    return chat, await chat.open()


def compare(messages: list[Json], expected: list[Any]) -> None:
    """Each message says the expected text, or its content has the expected parts."""
    contents = [message["content"] for message in messages]
    got = [
        content.get("text") if isinstance(wanted, str) else {key: content.get(key) for key in wanted}
        for content, wanted in zip(contents, expected, strict=False)
    ]
    for found, wanted in zip(got, expected, strict=False):
        if isinstance(wanted, dict) and "options" in wanted:
            found["options"] = [{"id": one["id"], "label": one["label"]} for one in found["options"]]
    assert (got, len(contents)) == (expected, len(expected))


def _dialogues() -> list[Any]:
    return [
        pytest.param(text, number, id=f"{path.stem}: {dialogue['name']}")
        for path in sorted((Path(__file__).parent / "flows").glob("*.json"))
        for text in [path.read_text()]
        for number, dialogue in enumerate(json.loads(text)["dialogues"])
    ]


@pytest.mark.parametrize(("text", "number"), _dialogues())
async def test_dialogue(
    text: str, number: int, team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, peer: HttpPeer
) -> None:
    document = json.loads(text.replace("PEER", peer.url))
    slug = f"outside-{uuid4().hex[:10]}"
    assert (await team.post("/api/v1/chatbots", json={"name": slug, "slug": slug})).status_code == 201
    for name, one in sorted(document["flows"].items(), key=lambda item: item[0] == "main"):
        made = await team.post(
            f"/api/v1/chatbots/{slug}/versions", json={"flow": one, "flow_name": name, "deploy": True}
        )
        assert made.status_code == 201, made.text
    dialogue = document["dialogues"][number]
    chat = Chat(visitor, slug)
    opened = await chat.open(**dialogue.get("open", {}))
    compare(opened["messages"], dialogue["greeting"])
    last: Json = opened
    for turn in dialogue["turns"]:
        if "until" in turn:
            page = await chat.ended()
            compare(page["messages"], turn["expect"])
            last = page
            continue
        answer = await chat.post(turn["send"])
        if "refused" in turn:
            assert problem(answer) == turn["refused"]
            continue
        assert answer.status_code == 200, answer.text
        last = answer.json()
        compare(last["messages"], turn["expect"])
        page = await chat.transcript()  # at once after the reply
        assert [message["seq"] for message in page["messages"]] == list(range(1, last["last_seq"] + 1))
    end = dialogue.get("end", {})
    snapshot = await seen(team, chat)
    for name, value in end.get("variables", {}).items():
        assert (name, snapshot["variables"][name]) == (name, value)
    for name in {"status", "language", "tags"} & end.keys():
        assert (name, snapshot[name]) == (name, end[name])


async def test_a_split_keeps_its_visitors(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    options = [{"id": "again", "label": "Again"}]
    bot = await publish(
        team,
        flow(
            [
                node("start", "start"),
                node(
                    "split",
                    "condition",
                    branches=[
                        {"id": side, "test": {"kind": "split", "percent": 50}} for side in ("left", "right")
                    ],
                ),
                *(node(side, "question", text=side, options=options) for side in ("left", "right")),
            ],
            [
                ("start", "next", "split"),
                *(("split", f"branch:{side}", side) for side in ("left", "right")),
                *((side, "option:again", "split") for side in ("left", "right")),
            ],
        ),
    )
    drawn = set()
    for _ in range(16):
        chat = Chat(visitor, bot["slug"])
        side = texts((await chat.open())["messages"])[0]
        drawn.add(side)
        again = (await chat.post({"type": "choice", "options": ["again"]})).json()
        assert texts(again["messages"]) == [side]
    assert drawn == {"left", "right"}  # wrong once in thirty thousand runs


async def test_three_hundred_nodes(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    asks = [
        node(f"n{number}", "input", text=f"ask {number}", field={"kind": "text"}, save_to="word")
        if number % 50 == 0
        else node(f"n{number}", "message", text=f"{number} 😀 {{{{ {number} * 2 }}}}")
        for number in range(300)
    ]
    chat, greeting = await started(
        team,
        visitor,
        flow(
            [node("start", "start"), *asks],
            [("start", "next", "n0"), *((f"n{n}", "next", f"n{n + 1}") for n in range(299))],
            variables=[{"name": "word"}],
        ),
    )
    assert texts(greeting["messages"]) == ["ask 0"]
    reply = greeting
    for turn in range(6):
        reply = await chat.say(f"answer {turn}")
        first = turn * 50 + 1
        said = [f"{number} 😀 {number * 2}" for number in range(first, first + 49)]
        assert texts(reply["messages"])[:49] == said
    assert reply["status"] == "ended"
    page = await chat.transcript()
    assert page["last_seq"] == 306


async def test_personal_values_are_masked_and_can_be_corrected(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat, _ = await started(
        team,
        visitor,
        flow(
            [
                node("start", "start"),
                node("card", "input", text="Card?", field={"kind": "text"}, save_to="card"),
                action(
                    "tail", "set_variables", assignments=[{"variable": "tail", "formula": "right(card, 4)"}]
                ),
                node("use", "question", text="Use {{ card }}?", options=[{"id": "yes", "label": "Yes"}]),
                node("used", "message", text="Used {{ card }}"),
            ],
            [
                ("start", "next", "card"),
                ("card", "next", "tail"),
                ("tail", "next", "use"),
                ("use", "next", "used"),
            ],
            variables=[{"name": "card", "personal": True}, {"name": "tail"}],
        ),
    )
    assert texts((await chat.say("4111222233334444"))["messages"]) == ["Use 4111222233334444?"]
    snapshot = await seen(team, chat)
    assert snapshot["variables"]["tail"] == "4444"
    shown = json.dumps([snapshot["variables"]["card"], snapshot["path"][1]["changes"]])
    assert "4111" not in shown
    assert problem(await act(team, chat, kind="set_variables", variables={"nope": 1})) == "bad-variable"
    assert (await act(team, chat, kind="set_variables", variables={"card": "5"})).status_code == 200
    assert texts((await chat.say("yes"))["messages"]) == ["Used 5"]


async def test_a_failed_call_waits_for_an_operator_and_keeps_its_key(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, peer: HttpPeer
) -> None:
    path = f"/pay-{uuid4().hex[:6]}"
    peer.answer(path, (500, _JSON, b"{}"))
    await team.put("/api/v1/secrets/SHOP_KEY", json={"value": "s3cr3t-of-the-shop"})
    chat, greeting = await started(
        team,
        visitor,
        flow(
            [
                node("start", "start"),
                node(
                    "pay",
                    "api_call",
                    request={
                        "method": "POST",
                        "url": peer.url + path,
                        "headers": {"Authorization": "Bearer {{ secrets.SHOP_KEY }}"},
                        "body_type": "json",
                        "body": {"amount": "{{ 40 + 2 }}"},
                    },
                    retry={"attempts": 2, "first_wait": "PT0.05S"},
                    mapping=[{"variable": "done", "path": "echo"}],
                ),
                action("end", "end", text="Paid {{ done }}"),
            ],
            [("start", "next", "pay"), ("pay", "success", "end")],
            variables=[{"name": "done"}],
            settings={"stuck_text": "A person will look into it"},
        ),
    )
    assert (texts(greeting["messages"]), greeting["status"]) == (["A person will look into it"], "stuck")
    assert "500" in (await seen(team, chat))["waiting"]["reason"]
    waiting = await chat.say("anybody?")
    assert (waiting["messages"], waiting["status"]) == ([], "stuck")
    assert problem(await act(team, chat, kind="jump", node_id="nowhere")) == "unknown-node"
    assert problem(await act(team, chat, kind="skip", exit="branch:x")) == "unknown-exit"
    peer.answer(path, (200, _JSON, b'{"echo": "s3cr3t-of-the-shop!"}'))
    retried = (await act(team, chat, kind="retry")).json()
    assert (texts(retried["messages"]), retried["status"]) == (["Paid ***!"], "ended")
    calls = peer.to(path)
    assert len(calls) == 3
    assert len({call.headers["idempotency-key"] for call in calls}) == 1
    assert {call.headers["authorization"] for call in calls} == {"Bearer s3cr3t-of-the-shop"}
    assert {call.body for call in calls} == {b'{"amount":42}'}


async def test_an_error_exit_tells_what_failed(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, peer: HttpPeer
) -> None:
    path = f"/flaky-{uuid4().hex[:6]}"
    peer.answer(path, (503, {}, b""), (429, {}, b""), (200, _JSON, b'{"try": 3}'))
    call = {"retry": {"attempts": 3, "first_wait": "PT0.05S"}, "save_error_to": "failure"}
    _, greeting = await started(
        team,
        visitor,
        flow(
            [
                node("start", "start"),
                node(
                    "one",
                    "api_call",
                    request={"url": peer.url + path},
                    mapping=[{"variable": "attempt", "path": "try"}],
                    **call,
                ),
                node("two", "api_call", request={"url": peer.url + "/missing"}, success_status=[404], **call),
                node("three", "api_call", request={"url": peer.url + "/missing"}, **call),
                node("tell", "message", text="{{ attempt }}: {{ failure.status }}"),
                node(
                    "four",
                    "api_call",
                    request={"url": peer.url + "/echo"},
                    mapping=[{"variable": "attempt", "path": "headers"}],
                    **call,
                ),
                action("wrong", "end", text="wrong"),
                action("end", "end", text="{{ failure.status }} {{ failure.body.method }}"),
            ],
            [
                ("start", "next", "one"),
                ("one", "success", "two"),
                ("one", "error", "wrong"),
                ("two", "success", "three"),
                ("two", "error", "wrong"),
                ("three", "success", "wrong"),
                ("three", "error", "tell"),
                ("tell", "next", "four"),
                ("four", "success", "wrong"),
                ("four", "error", "end"),
            ],
            variables=[{"name": "attempt", "type": "number"}, {"name": "failure", "type": "object"}],
        ),
    )
    assert texts(greeting["messages"]) == ["3: 404", "200 GET"]


async def test_a_flow_that_goes_round_is_stopped_and_mended(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat, greeting = await started(
        team,
        visitor,
        flow(
            [
                node("start", "start"),
                action(
                    "count", "set_variables", assignments=[{"variable": "i", "formula": "default(i, 0) + 1"}]
                ),
                node(
                    "more",
                    "condition",
                    branches=[{"id": "more", "test": {"kind": "expression", "formula": "i < 500"}}],
                ),
                action("back", "go_to", target="count"),
                action("end", "end", text="{{ i }}"),
            ],
            [
                ("start", "next", "count"),
                ("count", "next", "more"),
                ("more", "branch:more", "back"),
                ("more", "else", "end"),
            ],
            variables=[{"name": "i", "type": "number"}],
        ),
    )
    assert greeting["status"] == "stuck"
    assert "200" in (await seen(team, chat))["waiting"]["reason"]
    assert (await act(team, chat, kind="set_variables", variables={"i": "499"})).status_code == 200
    assert texts((await act(team, chat, kind="retry")).json()["messages"]) == ["500"]


def _escalation(**given: Any) -> Json:
    return flow(
        [
            node("start", "start"),
            node("ask", "input", text="Problem?", field={"kind": "text"}, save_to="problem"),
            action("human", "escalate", text="One moment", reason="{{ problem }}", **given),
            action("solved", "end", text="Solved: {{ answer }}"),
            action("nobody", "end", text="Nobody is here"),
        ],
        [
            ("start", "next", "ask"),
            ("ask", "next", "human"),
            ("human", "resolved", "solved"),
            ("human", "timeout", "nobody"),
        ],
        variables=[{"name": "problem"}, {"name": "answer"}],
    )


async def test_agents_race_talk_and_hand_back(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    chat, _ = await started(team, visitor, _escalation(timeout="PT1H"))
    assert texts((await chat.say("it broke"))["messages"]) == ["One moment"]
    assert (await seen(team, chat))["waiting"]["reason"] == "it broke"
    claims = await asyncio.gather(*(act(team, chat, kind="claim", agent=agent) for agent in (ANA, BOB)))
    assert sorted(claim.status_code for claim in claims) == [200, 409]
    winner, loser = (ANA, BOB) if claims[0].status_code == 200 else (BOB, ANA)
    assert problem(await act(team, chat, kind="say", agent=loser, text="me?")) == "claimed-by-another-agent"
    assert problem(await act(team, chat, kind="retry")) == "not-stuck"
    path = f"/api/v1/conversations/{chat.conversation}/messages"
    body = {"action_id": str(uuid4()), "agent": winner, "text": "Hello **there**"}
    first, second = await team.post(path, json=body), await team.post(path, json=body)
    assert (first.status_code, first.json()) == (200, second.json())
    assert problem(await team.post(path, json={**body, "text": "other"})) == "message-id-reused"
    assert problem(await team.post(path, json={**body, "text": " ", "action_id": str(uuid4())})) == "invalid"
    assert (await chat.say("thanks"))["messages"] == []
    refused = await act(team, chat, kind="hand_back", agent=winner, variables={"nope": 1})
    assert problem(refused) == "bad-variable"
    back = await act(team, chat, kind="hand_back", agent=winner, variables={"answer": "replaced"})
    assert texts(back.json()["messages"])[-1] == "Solved: replaced"
    page = await chat.transcript()
    assert [message["role"] for message in page["messages"]] == [
        "assistant", "user", "assistant", "system", "agent", "user", "system", "assistant",
    ]  # fmt: skip
    late = await team.post(path, json={**body, "action_id": str(uuid4())})
    assert problem(late) == "conversation-closed"


async def test_an_escalation_that_nobody_takes(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    chat, _ = await started(team, visitor, _escalation(timeout="PT1S"))
    await chat.say("it broke")
    assert texts((await chat.ended())["messages"])[-1] == "Nobody is here"


def _payment(peer: HttpPeer, **given: Any) -> Json:
    return flow(
        [
            node("start", "start"),
            node(
                "wait",
                "webhook",
                webhook={
                    "kind": "wait",
                    "text": "Pay at {{ callback_url }}",
                    "save_url_to": "url",
                    "request": {
                        "method": "POST",
                        "url": f"{peer.url}/echo",
                        "body_type": "json",
                        "body": {"callback": "{{ callback_url }}"},
                    },
                    "mapping": [
                        {"variable": "amount", "path": "payment.amount"},
                        {"variable": "signature", "source": "headers", "path": '"x-signature"'},
                        {"variable": "cookie", "source": "headers", "path": "cookie"},
                    ],
                    **given,
                },
            ),
            node("paid", "input", text="Paid {{ amount }}: {{ signature }}|{{ cookie }}. Name?",
                 field={"kind": "text"}, save_to="name"),
            action("end", "end", text="Bye {{ name }}"),
            action("late", "end", text="Too late"),
        ],
        [
            ("start", "next", "wait"),
            ("wait", "received", "paid"),
            ("wait", "timeout", "late"),
            ("paid", "next", "end"),
        ],
        variables=[
            {"name": "url"}, {"name": "amount", "type": "number"}, {"name": "signature"}, {"name": "cookie"},
            {"name": "name"},
        ],
    )  # fmt: skip


async def test_a_callback_once_and_again_and_another(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, peer: HttpPeer
) -> None:
    chat, greeting = await started(team, visitor, _payment(peer))
    published = (await seen(team, chat))["variables"]["url"]
    assert texts(greeting["messages"]) == [f"Pay at {published}"]
    assert published in peer.to("/echo")[-1].body.decode()
    url = urlsplit(published).path  # the worker's settings name another host than this test's API
    assert (await chat.say("done?"))["messages"] == []
    assert problem(await visitor.post(url, content=b"{bad", headers=_JSON)) == "bad-request"
    assert problem(await visitor.post(url, content=b"\xff", headers=_JSON)) == "bad-request"
    assert problem(await visitor.post(url[:-4] + "AAAA", json={})) == "not-found"
    unfit = await visitor.post(url, json={"payment": {"amount": "much"}})
    assert (unfit.status_code, "amount" in unfit.json()["detail"]) == (422, True)
    good = {"payment": {"amount": "12,5"}}
    headers = {"X-Signature": "t=1,v1=ab", "Cookie": "session=1"}
    for _ in range(2):
        assert (await visitor.post(url, json=good, headers=headers)).status_code == 200
    assert problem(await visitor.post(url, json={"payment": {"amount": 99}})) == "callback-used"
    assert texts((await chat.transcript())["messages"])[-1] == "Paid 12.5: t=1,v1=ab|. Name?"
    assert texts((await chat.say("Ana"))["messages"]) == ["Bye Ana"]


async def test_callbacks_that_race_and_one_that_never_comes(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, peer: HttpPeer
) -> None:
    chat, _ = await started(team, visitor, _payment(peer))
    url = urlsplit((await seen(team, chat))["variables"]["url"]).path
    calls = await asyncio.gather(
        *(visitor.post(url, json={"payment": {"amount": number}}) for number in range(8))
    )
    assert sorted(call.status_code for call in calls) == [200, *[410] * 7]
    winner = [call.status_code for call in calls].index(200)
    assert (await seen(team, chat))["variables"]["amount"] == winner
    slow, _ = await started(team, visitor, _payment(peer, timeout="PT1S"))
    url = urlsplit((await seen(team, slow))["variables"]["url"]).path
    assert texts((await slow.ended())["messages"])[-1] == "Too late"
    assert problem(await visitor.post(url, json={})) == "callback-used"


async def test_files_and_a_signature(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    document = flow(
        [
            node("start", "start"),
            node("id", "input", text="Your id", save_to="files",
                 field={"kind": "file", "accept": ["image/*"], "max_files": 2, "max_megabytes": 0.05}),
            node("sign", "input", text="Sign", save_to="signature", field={"kind": "signature"}),
            action("end", "end", text="{{ map_key(files, 'name') }} {{ signature.type }}"),
        ],
        [("start", "next", "id"), ("id", "next", "sign"), ("sign", "next", "end")],
        variables=[{"name": "files", "type": "list"}, {"name": "signature", "type": "object"}],
    )  # fmt: skip
    chat, _ = await started(team, visitor, document)
    stranger, _ = await started(team, visitor, document)
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 100

    async def upload(name: str, data: bytes, owner: Chat = chat) -> str:
        sent = await visitor.post(f"{owner.path}/files", files={"file": (name, data)}, headers=owner.bearer)
        assert sent.status_code == 201, sent.text
        return str(sent.json()["id"])

    async def send(*ids: str) -> httpx2.Response:
        return await chat.post({"type": "files", "files": list(ids)})

    foreign = await upload("foreign.png", png, stranger)
    assert problem(await send(foreign)) == problem(await send("nope")) == "invalid"
    for name, data in (("page.png", b"<script>alert(1)</script>"), ("big.png", png + b"x" * 60_000)):
        refused = (await send(await upload(name, data))).json()
        assert refused["messages"][-1]["content"]["text"] == "Your id"
    good = await upload("ID 😀.png", png)
    assert texts((await send(good)).json()["messages"]) == ["Sign"]
    assert texts((await send(await upload("s.png", png))).json()["messages"]) == ["ID 😀.png image/png"]
    shown = [m["content"]["files"][0] for m in (await chat.transcript())["messages"] if m["role"] == "user"]
    assert (await visitor.get(shown[-1]["url"])).content == png
    assert problem(await visitor.get(shown[-1]["url"][:-3] + "abc")) in {"bad-signature", "unauthenticated"}


async def test_a_burst_is_answered_in_order_and_together_with_a_debounce(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    nodes = [
        node("start", "start"),
        node("ask", "input", text="Say", field={"kind": "text"}, save_to="word"),
        action(
            "keep", "set_variables", assignments=[{"variable": "words", "formula": "append(words, word)"}]
        ),
        node("tell", "message", text="{{ words }}"),
    ]
    edges = [
        ("start", "next", "ask"),
        ("ask", "next", "keep"),
        ("keep", "next", "tell"),
        ("tell", "next", "ask"),
    ]
    variables = [{"name": "word"}, {"name": "words", "type": "list"}]
    chat, _ = await started(team, visitor, flow(nodes, edges, variables=variables))
    ids = [str(uuid4()) for _ in range(10)]

    async def insist(number: int) -> Json:
        while True:
            answer = await chat.post({"type": "text", "text": str(number)}, ids[number])
            if answer.status_code == 200:
                reply: Json = answer.json()
                return reply
            assert problem(answer) == "too-many-pending"
            assert int(answer.headers["retry-after"]) >= 1
            await asyncio.sleep(0.1)

    replies = await asyncio.gather(*(insist(number) for number in range(10)))
    page = await chat.transcript()
    said = [message["content"]["text"] for message in page["messages"] if message["role"] == "user"]
    assert sorted(said) == [str(number) for number in range(10)]
    lists = sorted((texts(reply["messages"])[0] for reply in replies), key=len)
    assert lists == [", ".join(said[: count + 1]) for count in range(10)]
    same = await asyncio.gather(*(chat.post({"type": "text", "text": "3"}, ids[3]) for _ in range(5)))
    assert {answer.text for answer in same} == {same[0].text}
    assert same[0].json()["messages"] == replies[3]["messages"]
    assert problem(await chat.post({"type": "text", "text": "other"}, ids[3])) == "message-id-reused"

    calm, _ = await started(
        team, visitor, flow(nodes, edges, variables=variables, settings={"debounce": "PT0.5S"})
    )
    answers = await asyncio.gather(*(calm.say(text) for text in ("one", "two", "three")))
    spoken = [answer for answer in answers if answer["messages"]]
    assert len(spoken) == 1
    assert sorted(spoken[0]["messages"][0]["content"]["text"].split("\n")) == ["one", "three", "two"]
    others = {answer["answered_by"] for answer in answers if not answer["messages"]}
    assert others == {spoken[0]["message_id"]}


async def test_what_has_just_ended_can_be_read(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    document = flow([node("start", "start"), action("end", "end", text="Bye")], [("start", "next", "end")])
    bot = await publish(team, document)
    for _ in range(8):
        chat = Chat(visitor, bot["slug"])
        assert (await chat.open())["status"] == "ended"
        snapshot, page, path = await asyncio.gather(
            seen(team, chat),
            chat.transcript(),
            team.get(f"/api/v1/conversations/{chat.conversation}/path"),
        )
        assert snapshot["status"] == page["status"] == "ended"
        assert texts(page["messages"]) == ["Bye"]
        assert [visit["node_id"] for visit in path.json()["visits"]] == ["start", "end"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"input": {"type": "value", "value": NaN}}', "NaN"),
        (b'{"input": {"type": "value", "value": ' + b"9" * 5000 + b"}}", "too many digits"),
        (b"[]", "it should be an object"),
        (b'{"input": {"type": "text", "text": 5}}', "/input/text: it should be text"),
        (b'{"input": {"type": "text"}}', "/input/text: it is missing"),
        (b'{"input": {"text": "x"}}', "/input: its field `type` is missing"),
        (b'{"input": {"type": "dance"}}', "`dance` is not a known value of `type`"),
        (b'{"input": {"type": "choice", "options": "a"}}', "/input/options: it should be a list"),
    ],
)
async def test_refusals_say_what_is_wrong_and_where(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, content: bytes, words: str
) -> None:
    bot = await publish(team, flow([node("start", "start"), node("m", "message", text="x")],
                                   [("start", "next", "m")]))  # fmt: skip
    answer = await visitor.post(f"/api/v1/widget/{bot['slug']}/chat", content=content, headers=_JSON)
    assert answer.status_code in {400, 422}
    problem(answer)
    assert words in answer.json()["detail"]
    assert "dictionary" not in answer.text
