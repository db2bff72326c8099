"""Every parameter and every member of every body of the description, with what nobody should send.

Whatever it is, the answer is one that the description has, and none of ours is at fault.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import httpx2
import pytest

from api.app import create_app
from api.organization import FirstOrganization
from database.database import Database
from tests.api.conftest import TEAM, Platform
from tests.api.described import Description
from tests.api.dialogue import GREETING, Chat, publish

TEXTS = [
    "%00", "a%00b", "%ff%fe", "%ED%A0%80", "x" * 5_000, "ñandú", "\u202e", "٣", "-1", "0", "1e9", "9" * 30, "NaN",
    "null", "true", "[]", "{}", "'; DROP TABLE chatbots; --", "{{ 1 }}", "00000000-0000-0000-0000-000000000000",
    "%2e%2e%2f", "%0d%0aX: 1", " ", "2147483648",
]  # fmt: skip
HEADERS = [b"\xb2", b"\xff\xfe", b"x" * 5_000, b"-1", b"9" * 30, b"a b", b"NaN", "ñ".encode(), b""]
VALUES: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 10**400, 1.5, 1e308, "", " ", "\0", "\ud800", "x" * 50_000, "ñ\u202e", "{{", [],
    {}, [None], [[[]]], {"a": {"b": None}}, {"": 0}, {"type": "text"}, ["\0"] * 300,
]  # fmt: skip

NESTED: list[Any] = [None, 2**63, 10**400, "", "\0\ud800", "x" * 50_000, [[]], {"": {}}]


def _examples(description: Description, schema: Any, depth: int = 0) -> Any:
    """A value that looks like a schema's, with each member that it describes."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return _examples(description, description.document["components"]["schemas"][name], depth)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return _examples(description, schema[choice][0], depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object" and depth < 4:
        members = schema.get("properties", {})
        return {name: _examples(description, about, depth + 1) for name, about in members.items()}
    if schema.get("type") == "array" and depth < 4:
        return [_examples(description, schema.get("items", {}), depth + 1)]
    return {"integer": 1, "number": 1, "boolean": True, "string": "abcdefgh"}.get(schema.get("type", ""))


def _changed(value: Any, hostile: list[Any] = VALUES) -> Iterator[Any]:
    """A document with one of its members, at any depth, replaced by each hostile value, or left out."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield {key: one for key, one in value.items() if key != name}
            for other in [*hostile, *_changed(item, NESTED)]:
                yield {**value, name: other}
        yield {**value, "unknown": 1}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            for other in _changed(item, NESTED):
                copied = copy.copy(value)
                copied[index] = other
                yield copied


@pytest.fixture
async def places(team: httpx2.AsyncClient, visitor: httpx2.AsyncClient, api_database: str) -> dict[str, str]:
    """Real names for what paths mention, so that hostile values beside them get far."""
    bot = await publish(team, GREETING)
    chat = Chat(visitor, bot["slug"])
    await chat.open()
    upload = await visitor.post(f"{chat.path}/files", files={"file": ("a", b"a")}, headers=chat.bearer)
    database = Database(api_database, pool_size=1)
    organization = await FirstOrganization(database).id()
    await database.close()
    return {
        "org_id": str(organization),
        **{name: str(uuid4()) for name in ("user_id", "invitation_id", "key_id", "session_id")},
        "chatbot_id": bot["slug"],
        "conversation_id": chat.conversation,
        "file_id": upload.json()["id"],
        "number": "1",
        "token": "x" * 43,
        "name": "HOSTILE",
        "slug": "hostile",
        "visitor_token": chat.token,
    }


def described(platform: Platform) -> Description:
    return Description(create_app(platform.settings).openapi())


def _headers(path: str, places: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {places['visitor_token']}"} if "/widget/" in path else TEAM


async def test_every_parameter(
    platform: Platform, visitor: httpx2.AsyncClient, places: dict[str, str]
) -> None:
    description = described(platform)
    sent = 0
    for path, method, operation in description.operations():
        for parameter in operation.get("parameters", []):
            name, where = parameter["name"], parameter["in"]
            for value in HEADERS if where == "header" else TEXTS:
                filled = {**places, **({name: value} if where == "path" else {})}
                target = path.format(**{key: _encoded(one) for key, one in filled.items()})
                headers = {key.encode(): text.encode() for key, text in _headers(path, places).items()}
                if where == "header":
                    headers[name.encode()] = value if isinstance(value, bytes) else value.encode()
                if where == "query":
                    target += f"?{name}={_encoded(value)}"
                async with visitor.stream(method.upper(), target, headers=headers) as answer:
                    if answer.status_code != 200:
                        await answer.aread()
                        description.check(method, _plain(target), answer)
                    assert answer.status_code < 500, (method, target, headers)
                sent += 1
    assert sent > 800


def _encoded(value: Any) -> str:
    return str(value) if "%" in str(value) else quote(str(value), safe="")


def _plain(target: str) -> str:
    return unquote(target.partition("?")[0], errors="replace")


@pytest.mark.slow
async def test_every_member_of_every_body(
    platform: Platform, visitor: httpx2.AsyncClient, places: dict[str, str]
) -> None:
    description = described(platform)
    sent = 0
    for path, method, operation in description.operations():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if not body.get("schema"):
            continue
        target = path.format(**places)
        headers = {**_headers(path, places), "Content-Type": "application/json"}
        given = _examples(description, body["schema"])
        for document in [*VALUES, *_changed(given)]:
            if isinstance(document, dict):
                for member in ("message_id", "action_id"):
                    if document.get(member) == "abcdefgh":
                        document[member] = uuid4().hex
            content = json.dumps(document).encode()
            answer = await visitor.request(method.upper(), target, content=content, headers=headers)
            assert answer.status_code < 500, (method, target, content[:300], answer.text[:300])
            description.check(method, target, answer)
            sent += 1
    assert sent > 500


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"\x00", b"nul", b'{"a":', b"[" * 5_000, b'{"a": 1e400}', b'{"a": "\\ud800"}', b'"' + b"x" * 500_000,
     b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xef\xbb\xbf{}", b"[" + b"1," * 100_000 + b"1]"],
    ids=range(13),
)  # fmt: skip
async def test_every_body_that_is_none(
    platform: Platform, visitor: httpx2.AsyncClient, places: dict[str, str], content: bytes
) -> None:
    description = described(platform)
    for path, method, operation in description.operations():
        if "requestBody" not in operation:
            continue
        for media_type in (
            "application/json",
            "multipart/form-data; boundary=x",
            "text/plain",
            "nonsense",
            "",
        ):
            target = path.format(**places)
            headers = {**_headers(path, places), "Content-Type": media_type}
            answer = await visitor.request(method.upper(), target, content=content, headers=headers)
            assert answer.status_code < 500, (method, target, media_type, answer.text[:300])
            description.check(method, target, answer)
