"""The transcript reaches the tables once, whole, and only forwards."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.errors import NotFoundError
from database.database import Database
from database.repositories import ConversationRepository, TranscriptRepository
from database.transcript_writer import write_transcript
from flow_schema.effects import StoredReply
from flow_schema.turns import ConversationStatus, Message, Visit

CONTENTS: list[dict[str, Any]] = [
    {"type": "text", "text": "Hola **Ana** 👋 \\u0000 no es NUL"},
    {"type": "image", "url": "https://x.test/a.png", "alt": "Una foto"},
    {"type": "embed", "url": "https://x.test/", "height": 300},
    {
        "type": "cards",
        "cards": [{"title": "A", "text": "uno", "buttons": [{"label": "Ver", "reply": "ver"}]}],
    },
    {
        "type": "choices",
        "text": "¿Cuál?",
        "options": [{"id": "a", "label": "Azul"}, {"id": "b", "label": "Rojo", "description": "oscuro"}],
        "multiple": True,
        "max_choices": 2,
    },
    {"type": "input", "text": "¿Correo?", "field": {"kind": "email"}, "required": False, "skip_label": "No"},
    {"type": "csat", "text": "¿Qué tal?"},
    {"type": "redirect", "url": "https://x.test/fin", "text": "Adiós"},
    {"type": "notice", "code": "agent_joined", "text": "Ana está aquí"},
    {"type": "selection", "options": [{"id": "a", "label": "Azul"}], "text": "Azul"},
    {"type": "value", "value": {"start": "2026-01-01", "n": 12345678901234567890, "f": 0.1}, "text": "enero"},
    {"type": "files", "files": [{"id": "f1", "name": "a.pdf", "media_type": "application/pdf", "size": 3}]},
    {"type": "event", "name": "cart", "data": {"items": [1, None, {"x": "y"}]}},
]
PLAIN = [
    "Hola **Ana** 👋 \\u0000 no es NUL",
    "Una foto\nhttps://x.test/a.png",
    "https://x.test/",
    "- A: uno",
    "¿Cuál?\n- Azul\n- Rojo",
    "¿Correo?",
    "¿Qué tal?",
    "Adiós\nhttps://x.test/fin",
    "Ana está aquí",
    "Azul",
    "enero",
    "a.pdf",
    "cart",
]


async def _stored(
    database: Database, tenant: Any, conversation_id: UUID
) -> tuple[list[Message], list[Visit]]:
    async with database.session() as session:
        transcript = TranscriptRepository(session, tenant.organization_id)
        messages = await transcript.messages(conversation_id, limit=1000)
        return messages, await transcript.visits(conversation_id)


async def test_every_kind_of_message_comes_back_as_it_was(database: Database, ours: Any, make: Any) -> None:
    conversation = make.id()
    said = [
        make.message(
            number,
            content=content,
            client_message_id=f"client-{number:04}",
            reply_to="client-0001",
            node_id="nodo",
            stream_id=f"{conversation}:{number}:1" if number % 2 else None,
            typing_seconds=0.75 if number % 3 else 0,
            agent={"id": "7", "name": "Ana", "avatar_url": None} if number % 2 else None,
            role=["user", "assistant", "agent", "system"][number % 4],
        )
        for number, content in enumerate(CONTENTS, start=1)
    ]
    batch = ours.flush(conversation).model_copy(update={"messages": said})
    await write_transcript(database, batch)
    assert (await _stored(database, ours, conversation))[0] == said
    async with database.statement() as connection:
        rows = await connection.fetch("SELECT content FROM messages ORDER BY seq")
    assert [row["content"] for row in rows] == PLAIN


async def test_the_same_batch_twice(database: Database, ours: Any, make: Any) -> None:
    conversation = make.id()
    reply = StoredReply(
        message_id="m-000001",
        body_hash="h",
        status=ConversationStatus.ACTIVE,
        last_seq=2,
        first_seq=2,
        seqs=[2],
    )
    batch = ours.flush(conversation, [1, 2], [make.visit(1), make.visit(2, left=False)], [reply])
    first = await write_transcript(database, batch)
    assert (first.messages, first.visits) == (2, 2)
    before = await _stored(database, ours, conversation)
    second = await write_transcript(database, batch)
    assert (second.messages, second.visits) == (0, 0)
    assert await _stored(database, ours, conversation) == before
    assert before == (batch.messages, batch.visits)
    async with database.session() as session:
        transcript = TranscriptRepository(session, ours.organization_id)
        assert await transcript.reply(conversation, "m-000001") == reply
        assert await transcript.reply(conversation, "m-000002") is None


async def test_overlapping_batches_in_every_order(database: Database, ours: Any, make: Any) -> None:
    """Whatever order (and repetition) the batches arrive in, the rows end as after the ordered run."""
    batches = [
        lambda c: ours.flush(c, [1, 2], [make.visit(1), make.visit(2, left=False)], status="active"),
        lambda c: ours.flush(
            c, [1, 2, 3], [make.visit(2, changes={"a": 1}), make.visit(3, left=False)], status="waiting"
        ),
        lambda c: ours.flush(c, [3, 4, 5], [make.visit(3, error="no")], status="ended", tags=["vip"]),
    ]
    orders = [*itertools.permutations(range(3)), (0, 0, 1, 0, 2, 1), (2, 1, 2, 0, 0)]
    for order in orders:
        conversation = make.id()
        for index in order:
            await write_transcript(database, batches[index](conversation))
        messages, visits = await _stored(database, ours, conversation)
        assert messages == [make.message(seq) for seq in range(1, 6)], order
        assert visits == [make.visit(1), make.visit(2, changes={"a": 1}), make.visit(3, error="no")], order
        async with database.session() as session:
            row = await ConversationRepository(session, ours.organization_id).get(conversation)
        assert (row.status, row.last_seq, row.tags) == ("ended", 5, ["vip"]), order
        assert row.last_activity == make.START + timedelta(seconds=5)


async def test_a_visit_twice_in_one_batch(database: Database, ours: Any, make: Any) -> None:
    conversation = make.id()
    done = make.visit(1, changes={"name": "Ana"})
    for visits in ([make.visit(1, left=False), done], [done, make.visit(1, left=False)]):
        await write_transcript(database, ours.flush(conversation, [], visits))
        assert (await _stored(database, ours, conversation))[1] == [done]
        conversation = make.id()


async def test_what_postgresql_can_not_hold_does_not_stop_a_conversation(
    database: Database, ours: Any, make: Any
) -> None:
    conversation = make.id()
    said = make.message(1, content={"type": "text", "text": "a\0b \\u0000 \\\0"})
    odd = make.message(2, content={"type": "value", "value": 10**40, "text": "much"})
    batch = ours.flush(
        conversation,
        session_id="s" * 500,
        user_identifier="u" * 500,
        satisfaction_rating=9,
        variables={"x": "\0", "y": float("inf")},
        user_metadata={"agent": "\ud7ff" * 3},
    ).model_copy(update={"messages": [said, odd]})
    await write_transcript(database, batch)
    messages, _ = await _stored(database, ours, conversation)
    assert messages[0].content.model_dump()["text"] == "a\ufffdb \\u0000 \\\ufffd"
    assert messages[1].content.model_dump()["value"] == 10**40
    async with database.session() as session:
        row = await ConversationRepository(session, ours.organization_id).get(conversation)
    assert (len(row.session_id), len(row.user_identifier or "")) == (100, 255)
    assert (row.satisfaction_rating, row.variables) == (None, {"x": "\ufffd", "y": None})


async def test_another_organizations_conversation_is_not_written(
    database: Database, ours: Any, theirs: Any, make: Any
) -> None:
    conversation = make.id()
    await write_transcript(database, ours.flush(conversation, [1], status="active"))
    with pytest.raises(NotFoundError):
        await write_transcript(database, theirs.flush(conversation, [1, 2], status="ended"))
    record = theirs.record(conversation, 9, status="ended")
    await write_transcript(database, theirs.flush(conversation).model_copy(update={"record": record}))
    messages, _ = await _stored(database, ours, conversation)
    assert messages == [make.message(1)]
    async with database.session() as session:
        row = await ConversationRepository(session, ours.organization_id).get(conversation)
    assert (row.status, row.organization_id) == ("active", ours.organization_id)


async def test_a_batch_for_a_bot_that_is_gone(database: Database, ours: Any, make: Any) -> None:
    record = ours.record(make.id()).model_copy(update={"chatbot_id": str(uuid4())})
    with pytest.raises(NotFoundError, match="is gone"):
        await write_transcript(database, ours.flush(make.id()).model_copy(update={"record": record}))


async def test_random_batches_end_as_the_ordered_run(database: Database, ours: Any, make: Any) -> None:
    chance = random.Random(7)
    for _ in range(5):
        conversation = make.id()
        total = chance.randint(5, 40)
        cuts = sorted({0, total, *(chance.randint(1, total) for _ in range(5))})
        batches = [
            ours.flush(
                conversation,
                range(max(1, start - chance.randint(0, 3)), end + 1),
                [make.visit(number, left=number < end) for number in range(max(1, start), end + 1)],
            )
            for start, end in itertools.pairwise(cuts)
        ]
        arriving = batches + chance.choices(batches, k=4)
        chance.shuffle(arriving)
        for batch in arriving:
            await write_transcript(database, batch)
        messages, visits = await _stored(database, ours, conversation)
        assert messages == [make.message(seq) for seq in range(1, total + 1)]
        assert [entry.number for entry in visits] == list(range(1, total + 1))
        assert all(entry.left_at for entry in visits[:-1])
