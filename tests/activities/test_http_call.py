"""`http_request` against a real server: what is sent, what comes back, what is tried again."""

import base64
import html
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from activities.callbacks import callback_url
from activities.http_call import HttpActivities
from activities.secret_marks import Redaction
from core.addresses import AddressPolicy
from core.outbound import OutboundClient
from core.settings import Settings
from flow_schema.effects import FailureType, HttpCall
from tests.activities.running import ORGANIZATION, context, failure_of, run_attempt
from tests.peers.http_peer import HttpPeer, serve_http_peer

MARKER = "5f0c1d2e3a4b"
SECRETS = {"API_KEY": "s3cr3t-value/+&ñ", "PIN": "73914628", "HOOK": "T00/B00/xyzXYZ", "TINY": "ab"}
SETTINGS = Settings(secret_key="a-key-for-tests-alone-0123456789abcdef", api_url="https://bots.example")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def peer() -> Iterator[HttpPeer]:
    with serve_http_peer() as peer:
        yield peer


@pytest.fixture
async def http(peer: HttpPeer) -> AsyncIterator[HttpActivities]:
    policy = AddressPolicy(allowed_hosts=frozenset({peer.host}))
    client = OutboundClient(policy, max_response_bytes=1_000_000)

    async def read_secrets(organization_id: str, names: set[str]) -> dict[str, str]:
        assert organization_id == ORGANIZATION
        return {name: SECRETS[name] for name in names if name in SECRETS}

    yield HttpActivities(client, SETTINGS, read_secrets)
    await client.close()


def mark(name: str) -> str:
    return f"{MARKER}:{name}:{MARKER}"


def call(url: str, **given: Any) -> HttpCall:
    changes = given.pop("context", {})
    values: dict[str, Any] = {
        "context": context(**changes),
        "method": "GET",
        "url": url,
        "marker": MARKER,
        "timeout_seconds": 5,
    }
    return HttpCall(**(values | given))


async def test_every_attempt_sends_the_same_bytes_under_the_same_key(
    http: HttpActivities, peer: HttpPeer
) -> None:
    peer.answer("/orders", (503, {}, b""), (503, {}, b""), (201, {}, b"{}"))
    order = call(
        f"{peer.url}/orders", method="POST", body_type="json", retry_on_status=[503],
        body={"z": 1, "a": ["ñ", None, 1.5, True], "key": mark("API_KEY")},
    )  # fmt: skip
    for attempt in (1, 2):
        assert (await failure_of(http.http_request, order, attempt=attempt)).type == FailureType.RETRY
    result = await run_attempt(http.http_request, order, attempt=3)
    assert (result.status, result.attempts) == (201, 3)
    sent = peer.to("/orders")
    assert {request.body for request in sent} == {
        f'{{"z":1,"a":["ñ",null,1.5,true],"key":"{SECRETS["API_KEY"]}"}}'.encode()
    }
    assert {request.headers["idempotency-key"] for request in sent} == {
        "0192f0c0-0000-7000-8000-000000000002:3:1"
    }
    assert sent[0].headers["content-type"] == "application/json"


async def test_a_key_of_the_flow_comes_first(http: HttpActivities, peer: HttpPeer) -> None:
    await run_attempt(http.http_request, call(f"{peer.url}/echo", headers={"idempotency-key": "mine"}))
    assert peer.requests[-1].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("body_type", "body", "sent", "content_type"),
    [
        ("none", None, b"", None),
        ("json", None, b"null", "application/json"),
        ("json", [1, "ñ"], '[1,"ñ"]'.encode(), "application/json"),
        ("form", {"a": "x y&z", "b": [1, 2], "c": None, "d": True},
         b"a=x+y%26z&b=1&b=2&c=&d=true", "application/x-www-form-urlencoded"),
        ("text", "línea", "línea".encode(), "text/plain; charset=utf-8"),
        ("text", {"a": 1}, b'{"a":1}', "text/plain; charset=utf-8"),
    ],
)  # fmt: skip
async def test_bodies(
    http: HttpActivities, peer: HttpPeer, body_type: str, body: Any, sent: bytes, content_type: str | None
) -> None:
    await run_attempt(
        http.http_request, call(f"{peer.url}/echo", method="POST", body_type=body_type, body=body)
    )
    assert peer.requests[-1].body == sent
    assert peer.requests[-1].headers.get("content-type") == content_type


async def test_secrets_go_where_their_marks_stand(http: HttpActivities, peer: HttpPeer) -> None:
    await run_attempt(
        http.http_request,
        call(
            f"{peer.url}/hooks/{mark('HOOK')}?k={mark('API_KEY')}",
            method="POST",
            query={"q": mark("PIN")},
            headers={"Authorization": f"Bearer {mark('PIN')}"},
            body_type="form",
            body={"pin": f"<{mark('PIN')}>"},
        ),
    )
    request = peer.requests[-1]
    assert request.path == "/hooks/T00/B00/xyzXYZ"
    assert request.query == "k=s3cr3t-value%2F%2B%26%C3%B1&q=73914628"
    assert request.headers["authorization"] == "Bearer 73914628"
    assert request.body == b"pin=%3C73914628%3E"


async def test_a_secret_may_be_the_whole_address(http: HttpActivities, peer: HttpPeer) -> None:
    SECRETS["BASE"] = f"{peer.url}/echo?fixed=1"
    await run_attempt(http.http_request, call(mark("BASE")))
    assert (peer.requests[-1].path, peer.requests[-1].query) == ("/echo", "fixed=1")


async def test_the_callback_address_is_put_in_and_never_shown(http: HttpActivities, peer: HttpPeer) -> None:
    expected = callback_url(SETTINGS, "callback-7")
    assert expected.startswith("https://bots.example/api/v1/callbacks/")
    request = call(
        f"{peer.url}/echo", method="POST", body_type="json", body={"notify": mark("callback_url")},
        callback_id="callback-7",
    )  # fmt: skip
    result = await run_attempt(http.http_request, request)
    assert peer.requests[-1].json() == {"notify": expected}
    assert expected not in result.model_dump_json()
    without = request.model_copy(update={"callback_id": None})
    assert (await failure_of(http.http_request, without)).type == FailureType.BAD_REQUEST


async def test_an_unknown_secret_is_named(http: HttpActivities, peer: HttpPeer) -> None:
    before = len(peer.requests)
    error = await failure_of(http.http_request, call(f"{peer.url}/echo", headers={"X": mark("NOBODY")}))
    assert (error.type, error.non_retryable) == (FailureType.BAD_REQUEST, True)
    assert "NOBODY" in error.message
    assert len(peer.requests) == before


async def test_visitors_can_not_write_marks(http: HttpActivities, peer: HttpPeer) -> None:
    body = {"said": "guess:API_KEY:guess secrets.API_KEY {{ secrets.API_KEY }}"}
    await run_attempt(http.http_request, call(f"{peer.url}/echo", method="POST", body_type="json", body=body))
    assert peer.requests[-1].json() == body


ECHOES = [
    "s3cr3t-value/+&ñ",
    "s3cr3t-value%2F%2B%26%C3%B1",
    "s3cr3t-value/%2B%26%C3%B1",
    base64.b64encode("s3cr3t-value/+&ñ".encode()).decode(),
    base64.urlsafe_b64encode("s3cr3t-value/+&ñ".encode()).decode().rstrip("="),
    "s3cr3t-value\\/+&\\u00f1",
]


@pytest.mark.parametrize("form", ECHOES)
async def test_secrets_are_taken_out_of_answers(http: HttpActivities, peer: HttpPeer, form: str) -> None:
    body = f'{{"a": "x {form} y", "{form}": [1], "deep": [{{"pin": 73914628, "n": 173914628, "m": 7391}}]}}'
    peer.answer("/leak", (200, {"content-type": "application/json", "x-echo": "k 73914628"}, body.encode()))
    headers = {"K": mark("API_KEY"), "P": mark("PIN")}
    result = await run_attempt(http.http_request, call(f"{peer.url}/leak", headers=headers))
    assert result.body == {"a": "x *** y", "***": [1], "deep": [{"pin": "***", "n": "***", "m": 7391}]}
    assert result.headers["x-echo"] == "k ***"
    peer.answer("/leak", (200, {"content-type": "text/plain"}, b"pin: 73914628."))
    assert (
        await run_attempt(http.http_request, call(f"{peer.url}/leak", headers=headers))
    ).body == "pin: ***."


QUOTED = "pa\"ss\\word<ñ>'/+€"
AS_LATIN_1 = QUOTED.encode().decode("latin-1")
WRAPPED = json.dumps({"you sent": QUOTED})


@pytest.mark.parametrize(
    "echo",
    [
        json.dumps({"e": QUOTED}, ensure_ascii=False),
        json.dumps({"e": WRAPPED}),
        json.dumps({"e": json.dumps({"you sent": QUOTED}, ensure_ascii=False)}),
        json.dumps({"e": json.dumps({"got": WRAPPED})}),
        json.dumps({"e": WRAPPED.replace("/", "\\/").replace("u00f1", "u00F1").replace("u20ac", "u20AC")}),
        json.dumps({"e": AS_LATIN_1}),
        json.dumps({"e": json.dumps({"got": AS_LATIN_1})}),
        json.dumps({"e": QUOTED.encode().decode("cp1252")}),
        json.dumps({"e": f"<p>{html.escape(QUOTED)}</p>"}),
        json.dumps({"e": f"<p>{html.escape(QUOTED, quote=False)}</p>"}),
        json.dumps({"e": html.escape(WRAPPED)}),
        json.dumps({"e": quote(QUOTED).lower()}),
        json.dumps({"e": quote_plus(QUOTED)}),
        json.dumps({"e": quote(QUOTED, safe="", encoding="cp1252")}),
        json.dumps({"e": base64.b64encode(QUOTED.encode("cp1252")).decode()}),
    ],
)
async def test_secrets_are_taken_out_however_they_are_spelled(
    http: HttpActivities, peer: HttpPeer, echo: str
) -> None:
    """The echo is written by the standard library; only its wrapping may be left."""
    SECRETS["QUOTED"] = QUOTED
    peer.answer("/leak", (200, {"content-type": "application/json; charset=utf-8"}, echo.encode()))
    request = call(f"{peer.url}/leak", method="POST", body_type="json", body={"k": mark("QUOTED")})
    result = await run_attempt(http.http_request, request)
    assert isinstance(result.body, dict)
    shown = str(result.body["e"])
    assert "***" in shown
    assert not any(part in shown for part in ("pa", "ss", "word")), shown


async def test_a_long_secret_costs_no_long_time() -> None:
    key = "-----BEGIN KEY-----\n" + 'a"\\ñ/' * 4_000
    began = time.perf_counter()
    assert Redaction([key]).text(f"x {json.dumps(key)} y") == 'x "***" y'
    assert time.perf_counter() - began < 2


async def test_secrets_are_taken_out_of_errors(
    http: HttpActivities, caplog: pytest.LogCaptureFixture
) -> None:
    SECRETS["HOST"] = "hidden-host.invalid"
    for url in (
        f"http://{mark('HOST')}/x",
        f"http://127.0.0.1:9/{mark('API_KEY')}",
        f"ftp://{mark('HOST')}/",
    ):
        error = await failure_of(http.http_request, call(url, headers={"K": mark("PIN")}))
        for text in (str(error), repr(error), caplog.text):
            assert not any(value in text for value in ("hidden-host", "s3cr3t", "73914628"))


@pytest.mark.parametrize(
    ("headers", "content", "expected"),
    [
        ({"content-type": "application/json"}, b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        ({"content-type": "application/problem+json"}, b'{"a": 1}', {"a": 1}),
        ({}, b' [1, 2]\n', [1, 2]),
        ({"content-type": "text/html"}, b'{"a": 1}', {"a": 1}),
        ({"content-type": "application/json"}, b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ({"content-type": "application/json"}, b'{"a": 1', '{"a": 1'),
        ({"content-type": "application/json"}, b"", None),
        ({"content-type": "application/json"}, b"12", 12),
        ({"content-type": "text/plain"}, b"12", "12"),
        ({}, b"12345678901234567890123", "12345678901234567890123"),
        ({}, b"[12345678901234567890123]", [12345678901234567890123]),
        ({}, b"[NaN]", "[NaN]"),
        ({}, b"[1e999]", "[1e999]"),
        ({}, b'["a\\u0000b\\ud800"]', ["a\ufffdb\ufffd"]),
        ({}, b"a\x00b", "a\ufffdb"),
        ({}, b"[" * 5000, "[" * 5000),
        ({}, b"[" * 300 + b"]" * 300, "[" * 300 + "]" * 300),
    ],
)  # fmt: skip
async def test_answers_are_read(
    http: HttpActivities, peer: HttpPeer, headers: dict[str, str], content: bytes, expected: Any
) -> None:
    peer.answer("/read", (200, headers, content))
    assert (await run_attempt(http.http_request, call(f"{peer.url}/read"))).body == expected


@pytest.mark.parametrize(
    ("header", "delay"),
    [
        ("7", timedelta(seconds=7)),
        ("100000", timedelta(minutes=10)),
        ("-5", None),
        ("soon", None),
        (None, None),
    ],
)
async def test_retry_after_is_heeded_within_bounds(
    http: HttpActivities, peer: HttpPeer, header: str | None, delay: timedelta | None
) -> None:
    peer.answer("/busy", (429, {} if header is None else {"retry-after": header}, b"busy"))
    error = await failure_of(http.http_request, call(f"{peer.url}/busy", retry_on_status=[429]))
    assert (error.type, error.non_retryable, error.next_retry_delay) == (FailureType.RETRY, False, delay)


async def test_the_last_attempt_returns_whatever_came(http: HttpActivities, peer: HttpPeer) -> None:
    peer.answer("/busy", (429, {}, b"busy"))
    request = call(f"{peer.url}/busy", retry_on_status=[429], attempts=2)
    result = await run_attempt(http.http_request, request, attempt=2)
    assert (result.status, result.body) == (429, "busy")
    not_listed = await run_attempt(http.http_request, call(f"{peer.url}/busy", retry_on_status=[500]))
    assert not_listed.status == 429


async def test_troubles_of_the_network_end_as_refused(http: HttpActivities, peer: HttpPeer) -> None:
    for url in (f"{peer.url}/half", f"{peer.url}/slow"):
        request = call(url, timeout_seconds=0.3, attempts=2)
        first = await failure_of(http.http_request, request, attempt=1)
        last = await failure_of(http.http_request, request, attempt=2)
        assert (first.type, first.non_retryable) == (FailureType.RETRY, False)
        assert (last.type, last.non_retryable) == (FailureType.REFUSED, True)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("http://localhost:{port}/echo", FailureType.FORBIDDEN_ADDRESS),
        ("http://169.254.169.254/latest/meta-data/", FailureType.FORBIDDEN_ADDRESS),
        ("{peer}/redirect?to=http://[::1]/", FailureType.FORBIDDEN_ADDRESS),
        ("{peer}/large?bytes=600000", FailureType.REFUSED),
        ("{peer}/gzip?bytes=90000000", FailureType.REFUSED),
        ("file:///etc/passwd", FailureType.BAD_REQUEST),
    ],
)
async def test_final_failures(http: HttpActivities, peer: HttpPeer, path: str, kind: str) -> None:
    url = path.format(port=peer.port, peer=peer.url)
    error = await failure_of(http.http_request, call(url))
    assert (error.type, error.non_retryable) == (kind, True)


async def test_broken_requests_of_the_flow_are_final(http: HttpActivities, peer: HttpPeer) -> None:
    for given in (
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"Host": "elsewhere"}},
        {"body_type": "form", "body": "text"},
    ):
        error = await failure_of(http.http_request, call(f"{peer.url}/echo", **given))
        assert (error.type, error.non_retryable) == (FailureType.BAD_REQUEST, True)


async def test_a_test_conversation_stays_inside(http: HttpActivities, peer: HttpPeer) -> None:
    before = len(peer.requests)
    error = await failure_of(http.http_request, call(f"{peer.url}/echo", context={"mode": "test"}))
    assert (error.type, error.non_retryable) == (FailureType.BAD_REQUEST, True)
    assert "mock" in error.message
    assert len(peer.requests) == before
