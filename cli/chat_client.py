"""A visitor of the HTTP API for the terminal: sends until answered, follows events, remembers its tokens."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx2

from cli.programs import typed
from core.errors import VersaError

Json = dict[str, Any]
_BOTS = "/api/v1/widget"
_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 5.0
_REPLY_SECONDS = 45.0


class ApiError(VersaError):
    """The API refused; `detail` is its own sentence, `slug` the problem's name."""

    title = "The API refused"

    def __init__(self, problem: Json) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "The API refused."))
        self.problem_status = int(problem.get("status") or 0)
        self.problem_slug = re.split("[/:]", str(problem.get("type") or ""))[-1]


def checked_url(url: str) -> str:
    """Return the API's address without a slash at its end. Raises ApiError for what is no address."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ApiError({"detail": f"{url!r} is no address; write it as http://host:port."})
    return url.rstrip("/")


def no_answer(url: str, error: Exception) -> ApiError:
    """Return what to say when nothing answers at an address."""
    start = f"Start the platform with `{typed('versaai')} up`, or give its address by --url."
    reason = str(error) or type(error).__name__
    return ApiError({"detail": f"Nothing answers at {url} ({reason}). {start}"})


async def read_json(response: httpx2.Response) -> Json:
    """Return an answer's JSON object. Raises ApiError for an error status."""
    await response.aread()
    try:
        body = response.json()
    except ValueError:
        body = {}
    if response.is_success and isinstance(body, dict):
        return body
    known = body if isinstance(body, dict) else {}
    raise ApiError({"status": response.status_code, "title": f"HTTP {response.status_code}", **known})


class ChatClient:
    """One conversation with one bot. `on_connection(online)` hears of lost and regained connections."""

    def __init__(
        self, http: httpx2.AsyncClient, bot: str, on_connection: Callable[[bool], None] | None = None
    ) -> None:
        self._http = http
        self._root = f"{_BOTS}/{quote(bot, safe='')}"
        self._on_connection = on_connection or (lambda _: None)
        self._online = True
        self.conversation_id: str | None = None
        self.token: str | None = None

    def resume(self, conversation_id: str, token: str) -> None:
        """Go on with an earlier conversation."""
        self.conversation_id, self.token = conversation_id, token

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def config(self) -> Json:
        """Return the bot's public settings, asked once. Raises TransportError when nothing answers."""
        return await self._get("/config")

    async def bots(self) -> list[Json]:
        """Return the bots that anybody may talk to."""
        found: list[Json] = (await read_json(await self._http.get(_BOTS)))["bots"]
        return found

    async def send(self, message: Json, message_id: str | None = None) -> Json:
        """Send one input, under one id, until it is answered; return the reply. Raises ApiError."""
        body: Json = {"message_id": message_id or str(uuid4()), "input": message}
        while True:
            if self.conversation_id is not None:
                body["conversation_id"] = self.conversation_id
            reply = await self._patiently(lambda: self._post("/chat", body))
            self.conversation_id = str(reply["conversation_id"])
            self.token = reply.get("token") or self.token
            if reply["status"] != "processing":
                return reply
            await asyncio.sleep(float(reply.get("retry_after_ms", 1000)) / 1000)

    async def transcript(self, after: int = 0) -> Json:
        """Return the messages after a number, with the conversation's state."""
        messages: list[Json] = []
        while True:
            path = f"/conversations/{self.conversation_id}/messages?after={after}&limit=200"
            page = await self._patiently(lambda path=path: self._get(path))  # type: ignore[misc]
            messages += page["messages"]
            if not page["has_more"]:
                return {**page, "messages": messages}
            after = int(messages[-1]["seq"])

    async def upload(self, place: str) -> Json:
        """Upload a file into the conversation; return what the API knows of it. Raises ApiError, OSError."""
        path = Path(place)
        content = await asyncio.to_thread(lambda: path.expanduser().read_bytes())
        response = await self._http.post(
            f"{self._root}/files",
            data={"conversation_id": self.conversation_id or ""},
            files={"file": (path.name, content)},
            headers=self._headers,
        )
        return await read_json(response)

    async def events(self, cursor: Callable[[], int]) -> AsyncIterator[tuple[str, Json]]:
        """Follow the conversation for ever: (event name, data). Ends when the token is not taken any more."""
        pause = _FIRST_PAUSE
        while True:
            path = f"{self._root}/conversations/{self.conversation_id}/events?after={cursor()}"
            try:
                async with self._http.stream(
                    "GET", path, headers=self._headers, timeout=httpx2.Timeout(10, read=60)
                ) as response:
                    if response.status_code in {401, 403, 404, 410}:
                        return
                    if response.is_success:
                        pause = _FIRST_PAUSE
                        async for event in _events(response):
                            yield event
            except httpx2.TransportError:
                pass
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _get(self, path: str) -> Json:
        return await read_json(await self._http.get(self._root + path, headers=self._headers))

    async def _post(self, path: str, body: Json) -> Json:
        response = await self._http.post(
            self._root + path, json=body, headers=self._headers, timeout=_REPLY_SECONDS
        )
        return await read_json(response)

    async def _patiently(self, call: Callable[[], Awaitable[Json]]) -> Json:
        """Repeat what fails in passing (no connection, 429, 5xx); raise ApiError for the rest."""
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = await call()
            except httpx2.TransportError:
                self._connection(False)
            except ApiError as error:
                if error.problem_status != 429 and error.problem_status < 500:
                    raise
                self._connection(error.problem_status == 429)
            else:
                self._connection(True)
                return answer
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _connection(self, online: bool) -> None:
        if online != self._online:
            self._online = online
            self._on_connection(online)


async def _events(response: httpx2.Response) -> AsyncIterator[tuple[str, Json]]:
    name, data = "message", []
    async for line in response.aiter_lines():
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line:
            if data:
                yield name, json.loads("\n".join(data))
            name, data = "message", []


class TokenStore:
    """Visitor tokens of earlier conversations, in a file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, conversation_id: str) -> str | None:
        """Return the token kept for a conversation."""
        return self._all().get(conversation_id)

    def keep(self, conversation_id: str, token: str) -> None:
        """Keep a token; the newest 200 stay."""
        kept = self._all()
        kept.pop(conversation_id, None)
        kept[conversation_id] = token
        newest = dict(list(kept.items())[-200:])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(newest, file)

    def _all(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
