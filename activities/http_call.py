"""`http_request`: one call of another server's API, on behalf of a flow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from pydantic import JsonValue
from temporalio import activity

from activities.callbacks import callback_url
from activities.failures import attempt, fail, refuse_in_test, try_again
from activities.heartbeat import beating
from activities.secret_marks import CALLBACK, Marks, Redaction
from core.addresses import ForbiddenAddressError
from core.errors import SecretUnreadableError, TooLargeError, UpstreamError
from core.json_values import dump_json, read_json
from core.logging import get_logger
from core.outbound import InvalidCallError, OutboundClient, OutboundRequest, OutboundResponse
from core.settings import Settings
from flow_schema.effects import HTTP_REQUEST, FailureType, HttpCall, HttpResult
from llm.sdk_errors import retry_after_seconds

SecretReader = Callable[[str, set[str]], Awaitable[dict[str, str]]]
"""Organization id and names -> the values of those names that exist."""

_BODY_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
}
_log = get_logger(__name__)


class HttpActivities:
    """Calls other servers. The same request, byte for byte, on each attempt."""

    def __init__(self, client: OutboundClient, settings: Settings, read_secrets: SecretReader) -> None:
        self._client = client
        self._settings = settings
        self._read_secrets = read_secrets

    @activity.defn(name=HTTP_REQUEST)
    async def http_request(self, call: HttpCall) -> HttpResult:
        """Send the request and return the answer, whatever its status, with secrets taken out.

        A status in `retry_on_status` and troubles of the network are tried again until attempt number
        `attempts`; `Retry-After` is heeded. Fails with `bad-request` (the call as described, an unknown
        secret), `forbidden-address`, or `refused` (no answer after the last attempt, answer too large).
        """
        refuse_in_test(call.context)
        marks = Marks(call.marker)
        values = await self._values(call, marks.names(call))
        redaction = Redaction(values.values())
        try:
            async with beating():
                response = await self._client.send(
                    _build(call, marks, values),
                    timeout_seconds=call.timeout_seconds,
                    max_bytes=call.max_response_bytes,
                )
        except InvalidCallError as error:
            fail(redaction.text(error.detail), FailureType.BAD_REQUEST)
        except ForbiddenAddressError as error:
            fail(redaction.text(error.detail), FailureType.FORBIDDEN_ADDRESS)
        except TooLargeError as error:
            fail(redaction.text(error.detail), FailureType.REFUSED)
        except UpstreamError as error:
            try_again(redaction.text(error.detail), attempts=call.attempts)
        _log.info("HTTP call", node=call.context.node_id, status=response.status, ms=response.milliseconds)
        if response.status in call.retry_on_status and attempt() < call.attempts:
            try_again(
                f"The server answered {response.status}.", after_seconds=retry_after_seconds(response.headers)
            )
        return HttpResult(
            status=response.status,
            headers={name: redaction.text(_header(value)) for name, value in response.headers.items()},
            body=redaction.json(_read(response)),
            milliseconds=response.milliseconds,
            attempts=attempt(),
        )

    async def _values(self, call: HttpCall, names: set[str]) -> dict[str, str]:
        values: dict[str, str] = {}
        if CALLBACK in names:
            if call.callback_id is None:
                fail("The request mentions `callback_url` where there is none.", FailureType.BAD_REQUEST)
            values[CALLBACK] = callback_url(self._settings, call.callback_id)
        wanted = names - {CALLBACK}
        if wanted:
            try:
                values |= await self._read_secrets(call.context.organization_id, wanted)
            except SecretUnreadableError as error:
                fail(error.detail, FailureType.BAD_REQUEST)
        missing = sorted(wanted - values.keys())
        if missing:
            fail(f"There is no secret named {', '.join(missing)}.", FailureType.BAD_REQUEST)
        return values


def _build(call: HttpCall, marks: Marks, values: dict[str, str]) -> OutboundRequest:
    headers = {name: marks.fill(value, values) for name, value in call.headers.items()}
    present = {name.lower() for name in headers}
    body = _write_body(call, marks, values)
    if call.body_type != "none" and "content-type" not in present:
        headers["Content-Type"] = _BODY_TYPES[call.body_type]
    if "idempotency-key" not in present:
        headers["Idempotency-Key"] = call.context.key
    return OutboundRequest(
        method=call.method,
        url=marks.fill_url(call.url, values),
        query=[(marks.fill(name, values), marks.fill(value, values)) for name, value in call.query.items()],
        headers=list(headers.items()),
        body=body,
        confidential=frozenset(
            name.lower() for name, value in call.headers.items() if marks.is_marked(value)
        ),
        confidential_body=marks.is_marked_json(call.body),
    )


def _write_body(call: HttpCall, marks: Marks, values: dict[str, str]) -> bytes:
    try:
        content = marks.fill_json(call.body, values)
        match call.body_type:
            case "none":
                return b""
            case "json":
                return dump_json(content)
            case "text":
                return content.encode("utf-8") if isinstance(content, str) else dump_json(content)
            case "form":
                if not isinstance(content, dict):
                    fail("The body of a form must be an object.", FailureType.BAD_REQUEST)
                return urlencode(_form_fields(content)).encode("ascii")
    except ValueError as error:
        fail(f"The body can't be written: {error}.", FailureType.BAD_REQUEST)


def _form_fields(content: dict[str, JsonValue]) -> list[tuple[str, str]]:
    return [
        (name, _form_text(item))
        for name, value in content.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def _form_text(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump_json(value).decode()


def _read(response: OutboundResponse) -> JsonValue:
    """Read an answer as JSON where it is that, by its type or by its look; else as text, empty as null."""
    text = response.text()
    if not text.strip():
        return None
    if "json" in response.media_type or text.lstrip().startswith(("{", "[")):
        try:
            return read_json(text.removeprefix("\ufeff"))
        except ValueError:
            return text
    return text


def _header(value: str) -> str:
    return value.replace("\x00", "\ufffd")
