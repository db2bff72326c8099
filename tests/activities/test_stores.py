"""What activities read and keep, on a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from activities.stores import DatabaseStores, TokenStreams
from core.events import EventBus, TokensEvent
from core.ids import uuid7
from core.mail import Mail, write_mail
from database.database import Database
from database.public_lookup import callback_of_token, ensure_organization
from database.repositories import EmailOutboxRepository, SecretRepository
from database.streams import StreamText
from flow_schema.effects import OpenCallback
from tests.activities.running import CONVERSATION, context


@pytest.fixture
async def organizations(database: Database) -> tuple[UUID, UUID]:
    async with database.session() as session:
        ours = await ensure_organization(session, slug="ours", name="Ours")
        theirs = await ensure_organization(session, slug="theirs", name="Theirs")
    return ours.id, theirs.id


async def test_secrets_of_others_do_not_exist(database: Database, organizations: tuple[UUID, UUID]) -> None:
    ours, theirs = organizations
    async with database.session() as session:
        await SecretRepository(session, ours).set("API_KEY", "value of ours")
        await SecretRepository(session, theirs).set("OTHER", "value of theirs")
    stores = DatabaseStores(database)
    assert await stores.read_secrets(str(ours), {"API_KEY", "OTHER"}) == {"API_KEY": "value of ours"}


async def test_a_callback_is_found_by_its_token_hash(
    database: Database, organizations: tuple[UUID, UUID]
) -> None:
    ours, _ = organizations
    request = OpenCallback(
        context=context(organization_id=str(ours)),
        callback_id="cb-1",
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        reveal=False,
    )
    for _ in range(2):
        await DatabaseStores(database).keep_callback(request, "a" * 64)
    async with database.session() as session:
        found = await callback_of_token(session, "a" * 64)
    assert found is not None
    assert (found.id, str(found.conversation_id), found.organization_id) == ("cb-1", CONVERSATION, ours)


async def test_an_email_is_kept_once(database: Database, organizations: tuple[UUID, UUID]) -> None:
    ours, _ = organizations
    mail = Mail(
        key="c:1:1", to=["ana@example.com"], cc=["luis@example.com"], subject="Año\nnuevo", body="*x*"
    )
    for _ in range(2):
        await DatabaseStores(database).keep_email(str(ours), write_mail(mail, "bot@shop.example"))
    async with database.session() as session:
        (kept,) = await EmailOutboxRepository(session, ours).list()
    assert kept.to == ["ana@example.com", "luis@example.com"]
    assert (kept.subject, kept.text) == ("Año nuevo", "*x*")
    assert "<em>x</em>" in (kept.html or "")


async def test_tokens_reach_those_who_watch_and_a_reset_starts_anew(
    database: Database, database_url: str
) -> None:
    events = EventBus(database_url)
    await events.start()
    streams = StreamText(database, events, publish_seconds=0.01, store_seconds=0.02)
    where = context(conversation_id=str(uuid7()))
    shown: dict[int, str] = {}
    async with events.subscribe(where.conversation_id) as subscription:
        async with TokenStreams(streams).open(where, 2) as sink:
            await sink.text("Ho")
            await sink.text("la")
            await sink.reset("failed")
            await sink.text("Buenas")
            while not await streams.current(where.conversation_id):
                event = await subscription.next(0.05)
                if isinstance(event, TokensEvent):
                    shown[event.attempt] = shown.get(event.attempt, "")[: event.offset] + event.text
            (current,) = await streams.current(where.conversation_id)
            assert (current.stream_id, current.text) == (where.key, "Buenas")
        while shown.get(max(shown, default=0)) != "Buenas":
            event = await subscription.next(5)
            assert isinstance(event, TokensEvent)
            shown[event.attempt] = shown.get(event.attempt, "")[: event.offset] + event.text
        assert await streams.current(where.conversation_id) == []
    await streams.close()
    await events.close()
