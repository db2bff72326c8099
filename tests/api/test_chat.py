"""Chats over HTTP, from publishing to the end, with everything real behind."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID, uuid4

import httpx2

from api.tokens import Tokens
from core.crypto import Keyring
from tests.api.conftest import SECRET_KEY, Platform, serve_api
from tests.api.dialogue import GREETING, Chat, Json, flow, node, problem, publish, texts


async def test_a_dialogue_from_start_to_end(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    bot = await publish(team, GREETING)
    chat = Chat(visitor, bot["slug"])
    opened = await chat.open()
    assert texts(opened["messages"]) == ["¡Hola!", "¿Cómo te llamas?"]
    assert opened["waiting"]["prompt"] == opened["messages"][1]["seq"]
    asked = await chat.say("Ana")
    question = asked["messages"][0]["content"]
    assert (question["type"], question["text"]) == ("choices", "Elige, Ana")
    assert [option["label"] for option in question["options"]] == ["Uno", "Dos"]
    chosen = await chat.post({"type": "choice", "options": ["b"], "prompt": asked["messages"][0]["seq"]})
    assert texts(chosen.json()["messages"]) == ["Elegiste dos, Ana"]
    assert chosen.json()["status"] == "ended"
    page = await chat.transcript()
    assert [message["seq"] for message in page["messages"]] == list(range(1, page["last_seq"] + 1))
    assert [message["role"] for message in page["messages"]] == [
        "assistant", "assistant", "user", "assistant", "user", "assistant",
    ]  # fmt: skip


async def test_a_first_text_opens_a_conversation(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    bot = await publish(team, GREETING)
    answer = await visitor.post(
        f"/api/v1/widget/{bot['id']}/chat",
        json={"message_id": str(uuid4()), "input": {"type": "text", "text": "buenas"}},
    )
    assert answer.status_code == 200, answer.text
    assert UUID(answer.json()["conversation_id"]).version == 8
    assert answer.json()["token"].startswith("vt_")


async def test_repeating_a_message_gives_the_same_reply_and_changes_nothing(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    opening = str(uuid4())
    body = {"message_id": opening, "input": {"type": "start"}}
    first, second = await asyncio.gather(
        visitor.post(f"{chat.path}/chat", json=body), visitor.post(f"{chat.path}/chat", json=body)
    )
    assert first.json()["conversation_id"] == second.json()["conversation_id"]
    assert first.json()["messages"] == second.json()["messages"]
    chat.conversation, chat.token = first.json()["conversation_id"], first.json()["token"]
    identifier = str(uuid4())
    replies = [await chat.say("Ana", identifier) for _ in range(3)]
    assert replies[0] == replies[1] == replies[2]
    other = await chat.post({"type": "text", "text": "Eva"}, identifier)
    assert (other.status_code, problem(other)) == (409, "message-id-reused")
    assert (await chat.transcript())["last_seq"] == replies[0]["last_seq"]


async def test_a_repeated_message_is_answered_from_the_tables_after_the_end(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    opening = str(uuid4())
    body = {"message_id": opening, "input": {"type": "start"}}
    opened = (await visitor.post(f"{chat.path}/chat", json=body)).json()
    chat.conversation, chat.token = opened["conversation_id"], opened["token"]
    named = str(uuid4())
    asked = await chat.say("Ana", named)
    assert (await chat.post({"type": "choice", "options": ["a"]})).json()["status"] == "ended"
    await chat.ended()
    late = await chat.post({"type": "text", "text": "¿hay alguien?"})
    assert late.status_code == 410
    assert problem(late) == "conversation-closed"
    again = await chat.say("Ana", named)
    assert again["messages"] == asked["messages"]
    assert (again["status"], again["last_seq"]) == (asked["status"], asked["last_seq"])
    reopened = (await visitor.post(f"{chat.path}/chat", json=body)).json()
    assert reopened["messages"] == opened["messages"]
    reused = await chat.post({"type": "text", "text": "Eva"}, named)
    assert reused.status_code == 409


async def test_an_opening_can_be_repeated_for_a_while(team: httpx2.AsyncClient, platform: Platform) -> None:
    bot = await publish(team, GREETING)
    short = platform.settings.model_copy(update={"opening_token_seconds": 3})
    body = {"message_id": str(uuid4()), "input": {"type": "start"}}
    async with serve_api(short) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        path = f"/api/v1/widget/{bot['slug']}/chat"
        first, again = await http.post(path, json=body), await http.post(path, json=body)
        assert (first.json()["messages"], again.status_code) == (again.json()["messages"], 200)
        await asyncio.sleep(3)
        async with asyncio.timeout(15):
            while (late := await http.post(path, json=body)).status_code == 200:
                await asyncio.sleep(0.1)  # until the conversation is written
    assert (late.status_code, problem(late)) == (410, "gone")


async def test_a_token_is_renewed_in_the_second_half_of_its_life(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    tokens = Tokens(Keyring([SECRET_KEY]), lifetime_seconds=1000, file_link_seconds=100)
    mine = tokens.read(chat.token)
    for age, renewed in ((400, False), (600, True)):
        chat.token = tokens.issue(
            mine.conversation_id, mine.chatbot_id, mine.organization_id, now=time.time() - age
        )
        given = (await chat.post({"type": "event", "name": "seen"})).json()["token"]
        assert (given is not None) == renewed
        chat.token = given or chat.token
    fresh = tokens.read(chat.token)
    assert fresh.conversation_id == mine.conversation_id
    assert not fresh.is_half_spent(time.time())


async def test_the_id_may_come_in_a_header(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    bot = await publish(team, GREETING)
    answer = await visitor.post(
        f"/api/v1/widget/{bot['slug']}/chat",
        json={"input": {"type": "start"}},
        headers={"Idempotency-Key": "from-a-header-1"},
    )
    assert answer.status_code == 200
    assert answer.json()["message_id"] == "from-a-header-1"


async def test_a_conversation_keeps_its_version_when_another_is_published(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    bot = await publish(team, GREETING)
    chat = Chat(visitor, bot["slug"])
    await chat.open()
    other = flow([node("start", "start"), node("hi", "message", text="Otra cosa")], [("start", "next", "hi")])
    published = await team.post(f"/api/v1/chatbots/{bot['id']}/versions", json={"flow": other})
    assert published.json()["number"] == 2
    assert texts((await chat.say("Ana"))["messages"]) == ["Elige, Ana"]
    fresh = await Chat(visitor, bot["slug"]).open()
    assert texts(fresh["messages"]) == ["Otra cosa"]


async def test_an_agent_takes_over_and_hands_back(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    chat = Chat(visitor, (await publish(team, GREETING))["slug"])
    await chat.open()
    root = f"/api/v1/conversations/{chat.conversation}"
    ana = {"id": "ana", "name": "Ana"}
    said = {"action_id": str(uuid4()), "agent": ana, "text": "Soy Ana"}
    unclaimed = await team.post(f"{root}/messages", json={**said, "claim": False, "action_id": str(uuid4())})
    assert (unclaimed.status_code, problem(unclaimed)) == (409, "not-with-agent")
    first = await team.post(f"{root}/messages", json=said)
    assert first.status_code == 200, first.text
    assert (first.json()["status"], first.json()["agent"]["name"]) == ("escalated", "Ana")
    assert (await team.post(f"{root}/messages", json=said)).json() == first.json()
    other = {**said, "action_id": str(uuid4()), "agent": {"id": "eva", "name": "Eva"}}
    assert (await team.post(f"{root}/messages", json=other)).status_code == 409
    recorded = await chat.say("hola Ana")
    assert recorded["messages"] == []
    action = {"kind": "hand_back", "agent": ana, "variables": {"name": "Luis"}}
    back = await team.post(f"{root}/actions", json={"action_id": str(uuid4()), "action": action})
    assert back.status_code == 200, back.text
    page = await chat.transcript()
    assert "Soy Ana" in texts(page["messages"])
    jump = {"kind": "jump", "node_id": "pick"}
    moved = await team.post(f"{root}/actions", json={"action_id": str(uuid4()), "action": jump})
    assert texts(moved.json()["messages"]) == ["Elige, Luis"]
    nowhere = {"action_id": str(uuid4()), "action": {"kind": "jump", "node_id": "nowhere"}}
    assert problem(await team.post(f"{root}/actions", json=nowhere)) == "unknown-node"


async def test_the_team_reads_snapshot_transcript_and_path(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    bot = await publish(team, GREETING)
    chat = Chat(visitor, bot["slug"])
    await chat.open()
    await chat.say("Ana")
    root = f"/api/v1/conversations/{chat.conversation}"
    running = (await team.get(root)).json()
    assert (running["node_id"], running["variables"]["name"]) == ("pick", "Ana")
    assert running["waiting"]["kind"] == "visitor"
    path = (await team.get(f"{root}/path")).json()
    assert [visit["node_id"] for visit in path["visits"]] == ["start", "hi", "ask", "pick"]
    assert path["visits"][2]["changes"] == {"name": "Ana"}
    assert path["visits"][2]["node_kind"] == "input"
    page = (await team.get(f"{root}/messages", params={"limit": 2})).json()
    assert (len(page["messages"]), page["has_more"]) == (2, True)
    await chat.post({"type": "choice", "options": ["a"]})
    await chat.ended()
    ended = (await team.get(root)).json()
    assert ended["status"] == "ended"
    assert ended["variables"]["name"] == "Ana"
    assert ended["turns"] == 3
    listed = (await team.get(f"/api/v1/chatbots/{bot['id']}/conversations")).json()
    assert [row["conversation_id"] for row in listed["conversations"]] == [chat.conversation]


async def test_files_belong_to_their_conversation(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    asks = flow(
        [
            node("start", "start"),
            node("ask", "input", text="Tu foto", field={"kind": "file"}, save_to="photo"),
            node("thanks", "message", text="Gracias"),
        ],
        [("start", "next", "ask"), ("ask", "next", "thanks")],
        variables=[{"name": "photo", "type": "list"}],
    )
    bot = await publish(team, asks)
    chat, stranger = Chat(visitor, bot["slug"]), Chat(visitor, bot["slug"])
    await chat.open()
    await stranger.open()
    picture = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
    upload = await visitor.post(
        f"{chat.path}/files", files={"file": ("../f\u202eoto.png", picture)}, headers=chat.bearer
    )
    assert upload.status_code == 201, upload.text
    info = upload.json()
    assert (info["name"], info["media_type"], info["size"]) == ("foto.png", "image/png", len(picture))
    page = await visitor.post(
        f"{chat.path}/files", files={"file": ("a.png", b"<html><script>1</script>")}, headers=chat.bearer
    )
    evil = await visitor.get(page.json()["url"])
    assert evil.headers["content-disposition"].startswith("attachment")
    large = await visitor.post(
        f"{chat.path}/files", files={"file": ("big.bin", b"x" * 250_000)}, headers=chat.bearer
    )
    assert large.status_code == 413
    foreign = await stranger.post({"type": "files", "files": [info["id"]]})
    assert foreign.status_code == 422
    taken = await chat.post({"type": "files", "files": [info["id"]]})
    assert texts(taken.json()["messages"]) == ["Gracias"], taken.text
    shown = next(
        message for message in (await chat.transcript())["messages"] if message["content"]["type"] == "files"
    )
    link = shown["content"]["files"][0]["url"]
    served = await visitor.get(link)
    assert (served.content, served.headers["content-type"]) == (picture, "image/png")
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
    assert (await visitor.get(link.replace("sig=", "sig=x"))).status_code == 401
    assert (await visitor.post(f"{chat.path}/files", files={"file": ("a", b"a")})).status_code == 401


async def test_a_callback_wakes_its_conversation_once(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    wait = {
        "kind": "wait",
        "text": "{{ callback_url }}",
        "timeout": "P1D",
        "mapping": [{"variable": "payment", "path": "status"}],
    }
    waits = flow(
        [
            node("start", "start"),
            node("wait", "webhook", webhook=wait),
            node("paid", "message", text="Recibido: {{ payment }}"),
        ],
        [("start", "next", "wait"), ("wait", "received", "paid")],
        variables=[{"name": "payment", "type": "string"}],
    )
    chat = Chat(visitor, (await publish(team, waits))["slug"])
    opened = await chat.open()
    path = "/api/v1/callbacks/" + texts(opened["messages"])[0].rsplit("/", 1)[-1]
    assert (await visitor.post("/api/v1/callbacks/" + "x" * 43, json={})).status_code == 404
    late = await visitor.put(path, content=b"\xff", headers={"Content-Type": "text/plain"})
    assert late.status_code == 400
    first = await visitor.post(path, json={"status": "paid"})
    assert (first.status_code, first.json()) == (200, {"outcome": "received"}), first.text
    page = await chat.ended()
    assert texts(page["messages"])[1:] == ["Recibido: paid"]
    again = await visitor.post(path, json={"status": "paid"})
    assert (again.status_code, again.json()) == (200, {"outcome": "received"})
    other = await visitor.post(path, json={"status": "refused"})
    assert (other.status_code, problem(other)) == (410, "callback-used")


async def test_conversations_are_listed_newest_first(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    bot = await publish(team, GREETING)
    opened = []
    for _ in range(5):
        chat = Chat(visitor, bot["slug"])
        await chat.open()
        opened.append(chat.conversation)
    listing = f"/api/v1/chatbots/{bot['id']}/conversations"
    for _ in range(200):
        if len((await team.get(listing)).json()["conversations"]) == 5:
            break
        await asyncio.sleep(0.05)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await team.get(listing, params=params)).json()
        seen += [row["conversation_id"] for row in page["conversations"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == opened[::-1]


async def test_the_list_says_whom_an_escalated_conversation_wants(
    team: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    wanted = {
        "kind": "escalate",
        "team": "Cobros",
        "reason": "Factura de {{ 6 * 7 }} €",
        "priority": "urgent",
    }
    bot = await publish(
        team,
        flow([node("start", "start"), node("human", "action", action=wanted)], [("start", "next", "human")]),
    )
    await Chat(visitor, bot["slug"]).open()
    rows: list[Json] = []
    for _ in range(200):
        answer = await team.get(f"/api/v1/chatbots/{bot['id']}/conversations", params={"status": "escalated"})
        if rows := answer.json()["conversations"]:
            break
        await asyncio.sleep(0.05)
    escalation = rows[0]["escalation"]
    assert escalation.pop("since")
    assert escalation == {
        "kind": "escalate",
        "team": "Cobros",
        "reason": "Factura de 42 €",
        "priority": "urgent",
        "claimed_at": None,
    }
