"""A payment service without idempotency: it does whatever it is asked, each time, and writes all of it down.

It answers slowly, calls back the addresses it is given until it is heard, and refuses a part of the requests
the first time. Its answers depend on the request's body alone, so that a repetition reads the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


@dataclass(frozen=True)
class Payment:
    """One request as it arrived; `at` is seconds since the epoch."""

    path: str
    key: str
    body: bytes
    at: float


@dataclass
class PaymentServer:
    """What the service has seen."""

    url: str = ""
    requests: list[Payment] = field(default_factory=list)
    callbacks: list[str] = field(default_factory=list)
    """What was heard of each callback: the API's `outcome`."""
    callback_attempts: int = 0
    refused: int = 0

    def by_key(self) -> dict[str, list[Payment]]:
        """Requests by their idempotency key."""
        found: dict[str, list[Payment]] = {}
        for request in self.requests:
            found.setdefault(request.key, []).append(request)
        return found


def create_payment_server(
    record: PaymentServer, *, latency: tuple[float, float], callback_after: tuple[float, float], seed: int
) -> FastAPI:
    """Return the app. `latency` and `callback_after` are ranges in seconds."""
    chance = random.Random(seed)
    calling: set[asyncio.Task[None]] = set()
    seen: set[str] = set()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(timeout=30) as http:
            app.state.http = http
            yield
            for task in calling:
                task.cancel()

    app = FastAPI(lifespan=lifespan)

    async def call_back(address: str, body: dict[str, str]) -> None:
        await asyncio.sleep(chance.uniform(*callback_after))
        while True:
            record.callback_attempts += 1
            try:
                answer = await app.state.http.post(address, json=body)
                if answer.status_code < 500 and answer.status_code != 429:
                    told = answer.json() if answer.content else {}
                    record.callbacks.append(
                        str(told.get("outcome") or told.get("type") or answer.status_code)
                    )
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.5)

    @app.post("/{kind}")
    async def take(kind: str, request: Request) -> JSONResponse:
        raw = await request.body()
        key = request.headers.get("idempotency-key", "")
        record.requests.append(Payment(f"/{kind}", key, raw, time.time()))
        body = json.loads(raw)
        await asyncio.sleep(chance.uniform(*latency))
        if key not in seen and int(hashlib.sha256(key.encode()).hexdigest(), 16) % 10 == 0:
            seen.add(key)
            record.refused += 1
            return JSONResponse({"error": "busy"}, 503)
        if isinstance(body.get("callback"), str):
            told = {"state": "accepted", "amount": str(body.get("amount"))}
            task = asyncio.create_task(call_back(body["callback"], told))
            calling.add(task)
            task.add_done_callback(calling.discard)
        return JSONResponse({"reference": f"{kind}-{reference_of(raw)}"}, 201)

    return app


def reference_of(body: bytes) -> str:
    """The reference of a request: a hash of its content, without the address to call back."""
    told = {key: value for key, value in json.loads(body).items() if key != "callback"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]


@contextmanager
def serve_payments(
    *,
    latency: tuple[float, float] = (0.05, 0.4),
    callback_after: tuple[float, float] = (0.3, 1.5),
    seed: int = 1,
) -> Iterator[PaymentServer]:
    """Run the service in a thread, on a free port, for the length of the block."""
    record = PaymentServer()
    app = create_payment_server(record, latency=latency, callback_after=callback_after, seed=seed)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the payment server did not start")
        time.sleep(0.01)
    record.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield record
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
