"""Repositories: what they do, and that no method of theirs reaches another organization."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

import database.repositories as repositories
from core.errors import ConflictError, NotFoundError, SecretUnreadableError, UnavailableError
from core.settings import get_settings
from database import public_lookup
from database.database import Database
from database.people import SessionRepository, UserRepository
from database.repositories import (
    ApiKeyRepository,
    CallbackRepository,
    ChatbotRepository,
    ConversationRepository,
    EmailOutboxRepository,
    FileRepository,
    FlowVersionRepository,
    InvitationRepository,
    MemberRepository,
    OrganizationRepository,
    ResponseTemplateRepository,
    SecretRepository,
    SsoRepository,
    TranscriptRepository,
    UsageRepository,
)
from database.repositories.files import FileRoom
from database.transcript_writer import write_transcript
from flow_schema.effects import StoredReply
from flow_schema.turns import ConversationStatus

LATER = datetime(2027, 1, 1, tzinfo=UTC)

Crossing = Callable[[Any, Any], Awaitable[Any]]
"""Takes a repository scoped to another organization and our rows; returns what it sees of them."""


async def _not_found(awaitable: Awaitable[Any]) -> None:
    with pytest.raises(NotFoundError):
        await awaitable


CROSSINGS: dict[type[Any], dict[str, tuple[Crossing, Any]]] = {
    ChatbotRepository: {
        "list": (lambda r, o: r.list(), []),
        "get": (lambda r, o: _not_found(r.get(o.chatbot_id)), None),
        "get_by_slug": (lambda r, o: r.get_by_slug("only-ours"), None),
        "create": (lambda r, o: _conflict(r.create(name="x", slug="x", chatbot_id=o.chatbot_id)), None),
        "deploy": (lambda r, o: _not_found(r.deploy(o.chatbot_id, o.version_id)), None),
    },
    FlowVersionRepository: {
        "publish": (lambda r, o: _not_found(r.publish(o.chatbot_id, o.flow)), None),
        "list": (lambda r, o: r.list(o.chatbot_id), []),
        "get": (lambda r, o: _not_found(r.get(o.version_id)), None),
        "get_by_number": (lambda r, o: _not_found(r.get_by_number(o.chatbot_id, 1)), None),
        "latest": (lambda r, o: r.latest(o.chatbot_id), None),
        "slugs": (lambda r, o: r.slugs(o.chatbot_id), set()),
        "load_with_sub_flows": (lambda r, o: _not_found(r.load_with_sub_flows(o.version_id)), None),
    },
    ConversationRepository: {
        "find": (lambda r, o: r.find(o.conversation_id), None),
        "get": (lambda r, o: _not_found(r.get(o.conversation_id)), None),
        "list": (lambda r, o: r.list(chatbot_id=o.chatbot_id, mode=None), []),
    },
    TranscriptRepository: {
        "messages": (lambda r, o: r.messages(o.conversation_id), []),
        "newest": (lambda r, o: r.newest(o.conversation_id, limit=9), []),
        "by_seq": (lambda r, o: r.by_seq(o.conversation_id, [1]), []),
        "visits": (lambda r, o: r.visits(o.conversation_id), []),
        "reply": (lambda r, o: r.reply(o.conversation_id, "m-000001"), None),
        "count_replies": (lambda r, o: r.count_replies(o.conversation_id), 0),
    },
    SecretRepository: {
        "set": (lambda r, o: r.set("THEIRS", "x"), None),
        "delete": (lambda r, o: r.delete("OURS"), False),
        "names": (lambda r, o: r.names(), []),
        "reveal": (lambda r, o: r.reveal(["OURS"]), {}),
    },
    CallbackRepository: {
        "open": (
            lambda r, o: r.open("cb-1", o.conversation_id, token_hash="t" * 64, expires_at=LATER),
            None,
        ),
        "get": (lambda r, o: r.get("cb-1"), None),
        "find_by_token_hash": (lambda r, o: r.find_by_token_hash("a" * 64), None),
        "mark_used": (lambda r, o: r.mark_used("cb-1"), False),
    },
    FileRepository: {
        "add": (
            lambda r, o: _not_found(
                r.add(
                    chatbot_id=o.chatbot_id,
                    conversation_id=o.conversation_id,
                    name="a",
                    media_type="text/plain",
                    size=1,
                    sha256="0" * 64,
                    storage_key="other",
                )
            ),
            None,
        ),
        "check_room": (lambda r, o: r.check_room(o.conversation_id, FileRoom(1, 1), size=1), None),
        "get": (lambda r, o: _not_found(r.get(o.file_id)), None),
        "list_by_ids": (lambda r, o: r.list_by_ids([o.file_id]), []),
    },
    ResponseTemplateRepository: {
        "list": (lambda r, o: r.list(), {}),
        "texts": (lambda r, o: r.texts({"saludo"}), {}),
        "set": (lambda r, o: r.set("saludo", "otro"), None),
        "delete": (lambda r, o: r.delete("saludo"), False),
    },
    OrganizationRepository: {
        "get": (lambda r, o: _id_of(r.get()), "theirs"),
        "lock": (lambda r, o: r.lock(), None),
        "change": (lambda r, o: _id_of(r.change(name="x")), "theirs"),
        "delete": (lambda r, o: r.delete(), None),
        "running_conversations": (lambda r, o: r.running_conversations(), []),
        "file_keys": (lambda r, o: r.file_keys(), []),
    },
    MemberRepository: {
        "list": (lambda r, o: r.list(), []),
        "get": (lambda r, o: _not_found(r.get(o.user_id)), None),
        "add": (lambda r, o: r.add(o.user_id, "viewer"), True),
        "change": (lambda r, o: r.change(o.user_id, role="viewer"), None),
        "remove": (lambda r, o: r.remove(o.user_id), None),
        "count": (lambda r, o: r.count(), 0),
        "other_owners": (lambda r, o: r.other_owners(o.file_id), 0),
    },
    InvitationRepository: {
        "put": (lambda r, o: _id_of(r.put(**o.invitation("i" * 64))), "theirs"),
        "list": (lambda r, o: r.list(), []),
        "withdraw": (lambda r, o: r.withdraw(o.invitation_id), False),
    },
    ApiKeyRepository: {
        "add": (lambda r, o: _id_of(r.add(**o.key("k" * 64))), "theirs"),
        "list": (lambda r, o: r.list(), []),
        "revoke": (lambda r, o: r.revoke(o.key_id), False),
        "touch": (lambda r, o: r.touch(o.key_id), None),
    },
    SsoRepository: {
        "provider": (lambda r, o: r.provider(), None),
        "put": (
            lambda r, o: _id_of(r.put(issuer="i", client_id="c", client_secret="", domains=[])),
            "theirs",
        ),
        "remove": (lambda r, o: r.remove(), False),
        "forget_identities": (lambda r, o: r.forget_identities(o.provider_id), None),
        "begin": (lambda r, o: _refused(r.begin(o.provider_id, **o.attempt("s" * 64))), None),
        "user_of": (lambda r, o: r.user_of(o.provider_id, "subject"), None),
        "link": (lambda r, o: _refused(r.link(o.provider_id, "other", o.user_id)), None),
    },
    UsageRepository: {
        "fold": (lambda r, o: r.fold(), None),
        "read": (lambda r, o: _messages(r.read()), 0),
    },
    EmailOutboxRepository: {
        "add": (lambda r, o: r.add(message_id="<1@x>", to=["b@x.test"], subject="s", text="t"), True),
        "list": (lambda r, o: r.list(), []),
    },
}


async def _conflict(awaitable: Awaitable[Any]) -> None:
    with pytest.raises(ConflictError):
        await awaitable


async def _id_of(awaitable: Awaitable[Any]) -> str:
    """Tell that a row is of the organization that is asked."""
    row = await awaitable
    return "ours" if getattr(row, "slug", None) == "ours" else "theirs"


async def _refused(awaitable: Awaitable[Any]) -> None:
    with pytest.raises(IntegrityError):
        await awaitable


async def _messages(awaitable: Awaitable[Any]) -> int:
    return int((await awaitable).messages)


class _OurRows:
    """One row of each kind, of the organization that is not asked."""

    def __init__(self, tenant: Any, make: Any) -> None:
        self.tenant = tenant
        self.chatbot_id = tenant.chatbot_id
        self.version_id = tenant.version_id
        self.conversation_id = make.id()
        self.file_id = make.id()
        self.flow = make.flow()
        self.user_id = make.id()
        self.invitation_id: Any = None
        self.key_id: Any = None
        self.provider_id: Any = None

    def invitation(self, token_hash: str) -> dict[str, Any]:
        return {
            "email": "a@x.test", "role": "viewer", "permissions": {}, "token_hash": token_hash,
            "expires_at": LATER, "invited_by": None,
        }  # fmt: skip

    def key(self, key_hash: str) -> dict[str, Any]:
        return {
            "name": "k", "hint": "vk_", "key_hash": key_hash, "scopes": [], "created_by": None, "expires_at": None,
        }  # fmt: skip

    def attempt(self, state_hash: str) -> dict[str, Any]:
        return {
            "state_hash": state_hash, "browser_hash": "b", "nonce": "n", "code_verifier": "v",
            "return_to": "/", "expires_at": LATER,
        }  # fmt: skip

    async def fill_access(self, database: Database) -> None:
        """Members, keys, invitations, single sign-on, sessions and counters."""
        organization = self.tenant.organization_id
        async with database.session() as session:
            await UserRepository(session).add(
                id=self.user_id, email="a@x.test", password_hash="!", first_name="A", last_name="B"
            )
            await MemberRepository(session, organization).add(self.user_id, "owner")
            self.invitation_id = (
                await InvitationRepository(session, organization).put(**self.invitation("o" * 64))
            ).id
            self.key_id = (await ApiKeyRepository(session, organization).add(**self.key("o" * 64))).id
            sso = SsoRepository(session, organization)
            self.provider_id = (await sso.put(issuer="i", client_id="c", client_secret="", domains=[])).id
            await sso.begin(self.provider_id, **self.attempt("o" * 64))
            await sso.link(self.provider_id, "subject", self.user_id)
            await SessionRepository(session).add(
                user_id=self.user_id, organization_id=organization, kind="token", expires_at=LATER
            )
            await UsageRepository(session, organization).fold()
        await write_transcript(database, self.tenant.flush(self.conversation_id, [2]))

    async def fill(self, database: Database, make: Any) -> None:
        reply = StoredReply(
            message_id="m-000001", body_hash="h", status=ConversationStatus.ACTIVE, last_seq=1, first_seq=1
        )
        batch = self.tenant.flush(self.conversation_id, [1], [make.visit(1)], [reply])
        await write_transcript(database, batch)
        organization = self.tenant.organization_id
        async with database.session() as session:
            await ChatbotRepository(session, organization).create(name="Only", slug="only-ours")
            await SecretRepository(session, organization).set("OURS", "value")
            await CallbackRepository(session, organization).open(
                "cb-1", self.conversation_id, token_hash="a" * 64, expires_at=LATER
            )
            await FileRepository(session, organization).add(
                chatbot_id=self.chatbot_id,
                conversation_id=self.conversation_id,
                name="a.txt",
                media_type="text/plain",
                size=1,
                sha256="0" * 64,
                storage_key="key",
                file_id=self.file_id,
            )
            await ResponseTemplateRepository(session, organization).set("saludo", {"es": "Hola"})
            await EmailOutboxRepository(session, organization).add(
                message_id="<1@x>", to=["a@x.test"], subject="s", text="t"
            )
        await self.fill_access(database)


async def _dump(database: Database, organization_id: Any) -> dict[str, list[str]]:
    """Every row of an organization, as text."""
    async with database.statement() as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.columns "
            "WHERE column_name = 'organization_id' AND table_schema = 'public' ORDER BY 1"
        )
        return {
            row["table_name"]: [
                found["row"]
                for found in await connection.fetch(
                    f"SELECT t::text AS row FROM {row['table_name']} t WHERE organization_id = $1 ORDER BY 1",
                    organization_id,
                )
            ]
            for row in tables
        }


def test_every_repository_method_is_crossed() -> None:
    for name in repositories.__all__:
        repository = getattr(repositories, name)
        methods = {
            method
            for method, function in inspect.getmembers(repository, inspect.isfunction)
            if not method.startswith("_")
        }
        assert methods == CROSSINGS[repository].keys(), name


async def test_no_method_reaches_another_organization(database: Database, ours: Any, make: Any) -> None:
    rows = _OurRows(ours, make)
    await rows.fill(database, make)
    before = await _dump(database, ours.organization_id)
    assert [table for table in before if not before[table]] == []
    async with database.session() as session:
        stranger = await public_lookup.ensure_organization(session, slug="stranger", name="Stranger")
    for repository, crossings in CROSSINGS.items():
        for method, (crossing, expected) in crossings.items():
            async with database.session() as session:
                seen = await crossing(repository(session, stranger.id), rows)
                assert seen == expected, f"{repository.__name__}.{method}"
                await session.rollback()
    assert await _dump(database, ours.organization_id) == before


async def test_writes_of_another_organization_leave_ours_alone(
    database: Database, ours: Any, theirs: Any, make: Any
) -> None:
    rows = _OurRows(ours, make)
    await rows.fill(database, make)
    before = await _dump(database, ours.organization_id)
    async with database.session() as session:
        await SecretRepository(session, theirs.organization_id).set("OURS", "another")
        await ResponseTemplateRepository(session, theirs.organization_id).set("saludo", "otro")
        await CallbackRepository(session, theirs.organization_id).open(
            "cb-1", rows.conversation_id, token_hash="b" * 64, expires_at=LATER
        )
        await CallbackRepository(session, theirs.organization_id).mark_used("cb-1")
    assert await _dump(database, ours.organization_id) == before


async def test_rows_can_not_refer_to_another_organization(database: Database, ours: Any, theirs: Any) -> None:
    """Even SQL that forgets to scope is stopped by the composite foreign keys."""
    async with database.statement() as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                "UPDATE chatbots SET deployed_version_id = $1 WHERE id = $2",
                theirs.version_id,
                ours.chatbot_id,
            )
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                "INSERT INTO conversations (id, organization_id, chatbot_id, flow_version_id, session_id) "
                "VALUES (gen_random_uuid(), $1, $2, $3, 's')",
                ours.organization_id,
                ours.chatbot_id,
                theirs.version_id,
            )


async def test_versions_are_numbered_and_immutable(database: Database, ours: Any, make: Any) -> None:
    async def publish(text: str, slug: str = "main") -> int:
        async with database.session() as session:
            repository = FlowVersionRepository(session, ours.organization_id)
            return (await repository.publish(ours.chatbot_id, make.flow(text), flow_slug=slug)).number

    assert await asyncio.gather(*(publish(f"v{n}") for n in range(4))) != []
    async with database.session() as session:
        repository = FlowVersionRepository(session, ours.organization_id)
        versions = await repository.list(ours.chatbot_id, flow_slug="main")
        assert sorted(version.number for version in versions) == [1, 2, 3, 4, 5]
        assert await publish("x", "sub") == 1
        latest = await repository.latest(ours.chatbot_id)
        assert latest is not None
        assert latest.number == 5
        assert await repository.slugs(ours.chatbot_id) == {"main", "sub"}
    for change in ("flow = '{}'", "content_hash = 'x'", "number = 9", "flow_slug = 'other'"):
        async with database.statement() as connection:
            with pytest.raises(asyncpg.RestrictViolationError, match="published"):
                await connection.execute(f"UPDATE flow_versions SET {change} WHERE id = $1", ours.version_id)
    async with database.statement() as connection:
        await connection.execute("UPDATE flow_versions SET note = 'ok' WHERE id = $1", ours.version_id)


async def test_sub_flows_load_pinned_or_newest(database: Database, ours: Any, make: Any) -> None:
    async with database.session() as session:
        repository = FlowVersionRepository(session, ours.organization_id)
        first = await repository.publish(ours.chatbot_id, make.flow("a1", ["beta"]), flow_slug="alpha")
        second = await repository.publish(ours.chatbot_id, make.flow("a2", ["beta"]), flow_slug="alpha")
        beta = await repository.publish(ours.chatbot_id, make.flow("b", ["main", "alpha"]), flow_slug="beta")
        main = await repository.publish(ours.chatbot_id, make.flow("m", ["alpha"]))
        newest = await repository.load_with_sub_flows(main.id)
        assert {slug: version.id for slug, (version, _) in newest.items()} == {
            "main": main.id,
            "alpha": second.id,
            "beta": beta.id,
        }
        pinned = await repository.load_with_sub_flows(main.id, {"alpha": first.id})
        assert pinned["alpha"][0].id == first.id
        assert pinned["alpha"][1] == make.flow("a1", ["beta"])
        lost = await repository.publish(ours.chatbot_id, make.flow("l", ["nowhere"]))
        with pytest.raises(NotFoundError, match="nowhere"):
            await repository.load_with_sub_flows(lost.id)
        with pytest.raises(NotFoundError, match="alpha"):
            await repository.load_with_sub_flows(main.id, {"alpha": beta.id})


async def test_deploying(database: Database, ours: Any, make: Any) -> None:
    async with database.session() as session:
        bots = ChatbotRepository(session, ours.organization_id)
        versions = FlowVersionRepository(session, ours.organization_id)
        other = await bots.create(name="Otro", slug="otro")
        foreign = await versions.publish(other.id, make.flow())
        sub = await versions.publish(ours.chatbot_id, make.flow(), flow_slug="sub")
        for version in (foreign, sub):
            with pytest.raises(ConflictError):
                await bots.deploy(ours.chatbot_id, version.id)
        newer = await versions.publish(ours.chatbot_id, make.flow("nuevo"))
        bot = await bots.deploy(ours.chatbot_id, newer.id)
        assert (bot.deployed_version_id, bot.status) == (newer.id, "active")
        with pytest.raises(ConflictError):
            await bots.create(name="Otro", slug="otro")


async def test_deleting_a_bot_takes_everything_of_it(database: Database, ours: Any, make: Any) -> None:
    rows = _OurRows(ours, make)
    await rows.fill(database, make)
    async with database.statement() as connection:
        await connection.execute("DELETE FROM chatbots WHERE id = $1", ours.chatbot_id)
        for table in ("conversations", "messages", "node_visits", "replies", "flow_versions", "files"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_secrets_are_encrypted_at_rest(
    database: Database, ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.session() as session:
        secrets = SecretRepository(session, ours.organization_id)
        await secrets.set("SHOP_KEY", "sk-first")
        await secrets.set("SHOP_KEY", "sk-very-secret")
        await secrets.set("OTHER", "x")
    async with database.statement() as connection:
        rows = await connection.fetch("SELECT s::text AS row FROM secrets s ORDER BY name")
    assert len(rows) == 2
    assert not any("sk-very-secret" in row["row"] for row in rows)
    async with database.session() as session:
        secrets = SecretRepository(session, ours.organization_id)
        assert await secrets.names() == ["OTHER", "SHOP_KEY"]
        assert await secrets.reveal(["SHOP_KEY", "ABSENT"]) == {"SHOP_KEY": "sk-very-secret"}
        assert await secrets.delete("OTHER")
        assert not await secrets.delete("OTHER")
        monkeypatch.setenv("SECRET_KEY", "another-key-0123456789-0123456789-abc")
        get_settings.cache_clear()
        with pytest.raises(SecretUnreadableError):
            await secrets.reveal(["SHOP_KEY"])


async def test_callbacks_are_used_once(database: Database, ours: Any, make: Any) -> None:
    conversation = make.id()
    async with database.session() as session:
        callbacks = CallbackRepository(session, ours.organization_id)
        await callbacks.open("c:1:1", conversation, token_hash="1" * 64, expires_at=LATER)
        await callbacks.open("c:1:1", conversation, token_hash="2" * 64, expires_at=LATER + timedelta(1))
        assert await public_lookup.callback_of_token(session, "1" * 64) is None
        found = await public_lookup.callback_of_token(session, "2" * 64)
        assert found is not None
        assert (found.organization_id, found.conversation_id) == (ours.organization_id, conversation)
        assert await callbacks.mark_used("c:1:1")
        assert not await callbacks.mark_used("c:1:1")
        await callbacks.open("c:1:1", conversation, token_hash="3" * 64, expires_at=LATER)
        assert await public_lookup.callback_of_token(session, "3" * 64) is None


async def test_email_is_kept_once(database: Database, ours: Any) -> None:
    async with database.session() as session:
        emails = EmailOutboxRepository(session, ours.organization_id)
        assert await emails.add(message_id="<1@x>", to=["a@x.test"], subject="s", text="t", html="<p>t</p>")
        assert not await emails.add(message_id="<1@x>", to=["a@x.test"], subject="s", text="t")
        assert [email.to for email in await emails.list()] == [["a@x.test"]]


async def test_transcripts_page(database: Database, ours: Any, make: Any) -> None:
    conversation = make.id()
    await write_transcript(database, ours.flush(conversation, range(1, 10)))
    async with database.session() as session:
        transcript = TranscriptRepository(session, ours.organization_id)

        def numbers(messages: list[Any]) -> list[int]:
            return [message.seq for message in messages]

        assert numbers(await transcript.messages(conversation, after_seq=2, limit=3)) == [3, 4, 5]
        assert numbers(await transcript.newest(conversation, limit=3)) == [7, 8, 9]
        assert numbers(await transcript.newest(conversation, limit=3, up_to=4)) == [2, 3, 4]
        assert numbers(await transcript.by_seq(conversation, [9, 1, 77])) == [1, 9]


async def test_an_error_rolls_the_session_back(database: Database, ours: Any) -> None:
    async def fail_halfway() -> None:
        async with database.session() as session:
            await SecretRepository(session, ours.organization_id).set("LOST", "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_halfway()
    async with database.session() as session:
        assert await SecretRepository(session, ours.organization_id).names() == []


async def test_closed_connections_are_replaced(database: Database) -> None:
    async with database.statement() as connection:
        await connection.fetchval("SELECT 1")
    async with database.statement() as first, database.statement() as second:
        pid = second.get_server_pid()
        await first.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(UnavailableError):
            async with database.statement():
                await second.fetchval("SELECT 1")
    for _ in range(5):
        async with database.session() as session:
            assert await public_lookup.organization_by_slug(session, "none") is None


async def test_a_server_that_is_not_there() -> None:
    absent = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(UnavailableError):
        async with absent.session() as session:
            await public_lookup.organization_by_slug(session, "none")
    with pytest.raises(UnavailableError):
        async with absent.statement():
            pass
    await absent.close()


async def test_other_database_errors_stay_what_they_are(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.session() as session:
            await ChatbotRepository(session, "not-a-uuid").list()  # type: ignore[arg-type]


async def test_a_bot_runs_no_version_of_another_bot(database: Database, ours: Any) -> None:
    """Not even by a statement that passes the repository by."""
    async with database.session() as session:
        other = await ChatbotRepository(session, ours.organization_id).create(name="Otro", slug="otro")
    async with database.statement() as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                "UPDATE chatbots SET deployed_version_id = $1 WHERE id = $2", ours.version_id, other.id
            )
        await connection.execute(
            "UPDATE chatbots SET deployed_version_id = $1 WHERE id = $2", ours.version_id, ours.chatbot_id
        )
