"""The workers on a real Temporal server and a real database."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import JsonValue
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities.assembly import Activities, open_activities
from activities.http_call import HttpActivities
from activities.llm import ModelActivities
from core.settings import Settings
from database.database import Database
from flow_schema.effects import (
    ACTIVITIES,
    CALL_MODEL,
    CONVERSATION_QUEUE,
    EFFECTS_QUEUE,
    HTTP_REQUEST,
    RUN_SCRIPT,
    FailureType,
    HttpCall,
    ModelAnswer,
    ModelCall,
    PromptMessage,
    ScriptRun,
)
from llm.credentials import ProviderCredentials
from llm.registry import ProviderRegistry
from temporal.client import connect, poller_identities
from temporal.converter import data_converter
from temporal.worker import build_workers, run_worker, run_workers
from tests.activities.running import context
from tests.peers.http_peer import HttpPeer, serve_http_peer
from tests.peers.llm_peer import PeerAnswer, create_llm_peer, serve_llm_peer


@workflow.defn(name="OneEffect", sandboxed=False)
class OneEffect:
    """Runs one activity, until it is told to give up."""

    def __init__(self) -> None:
        self._stop = False

    @workflow.run
    async def run(self, name: str, argument: dict[str, JsonValue], attempts: int) -> JsonValue:
        handle = workflow.start_activity(
            name,
            argument,
            task_queue=ACTIVITIES[name][2],
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20), maximum_attempts=attempts),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: self._stop or handle.done())
        if not handle.done():
            handle.cancel()
            with suppress(ActivityError):
                await handle
            return "cancelled"
        result: JsonValue = await handle
        return result

    @workflow.signal
    def stop(self) -> None:
        self._stop = True


@pytest.fixture
async def client(temporal_server: str) -> Client:
    return await connect(Settings(temporal_address=temporal_server), data_converter=data_converter())


@asynccontextmanager
async def working(client: Client, functions: dict[str, Callable[..., Any]]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    settings = Settings(worker_shutdown_seconds=1)
    workers = build_workers(client, settings, Activities(functions), workflows=[OneEffect])
    running = asyncio.create_task(run_workers(workers, stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def start(client: Client, name: str, argument: Any, attempts: int = 3) -> Any:
    return await client.start_workflow(
        "OneEffect",
        args=[name, argument.model_dump(mode="json"), attempts],
        id=f"one-effect-{uuid4()}",
        task_queue=CONVERSATION_QUEUE,
        execution_timeout=timedelta(seconds=60),
    )


@pytest.fixture(scope="module")
def peer() -> Iterator[HttpPeer]:
    with serve_http_peer() as peer:
        yield peer


async def test_a_repair_hint_travels_to_the_next_attempt(client: Client) -> None:
    app = create_llm_peer()
    answers = [PeerAnswer(text='{"n": "one"}'), PeerAnswer(text='{"n": 1}')]
    app.state.script = lambda _call: answers.pop(0)
    with serve_llm_peer(app) as address:
        registry = ProviderRegistry(
            ProviderCredentials(openai_api_key="sk-x", openai_base_url=f"{address}/v1")
        )
        activities = ModelActivities(registry, None, None)  # type: ignore[arg-type]
        schema = {
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
            "additionalProperties": False,
        }  # fmt: skip
        call = ModelCall(
            context=context(), model="openai/gpt-4o-mini", response_schema=schema,
            messages=[PromptMessage(role="user", content="one")],
        )  # fmt: skip
        async with working(client, {CALL_MODEL: activities.call_model}):
            handle = await start(client, CALL_MODEL, call)
            answer = ModelAnswer.model_validate(await handle.result())
        await registry.close()
    assert answer.parsed == {"n": 1}
    first, second = app.state.calls
    assert len(second.body["messages"]) == len(first.body["messages"]) + 2
    assert '"n": "one"' in second.body["messages"][-2]["content"]


async def test_a_cancelled_effect_stops(client: Client, peer: HttpPeer) -> None:
    from core.addresses import AddressPolicy
    from core.outbound import OutboundClient

    outbound = OutboundClient(AddressPolicy(allow_private=True), max_response_bytes=1000)
    ended = asyncio.Event()

    class Watched(HttpActivities):
        @activity.defn(name=HTTP_REQUEST)
        async def http_request(self, call: HttpCall) -> Any:
            try:
                return await HttpActivities.http_request(self, call)
            except asyncio.CancelledError:
                ended.set()
                raise

    activities = Watched(outbound, Settings(), None)  # type: ignore[arg-type]
    call = HttpCall(
        context=context(), method="GET", url=f"{peer.url}/slow?seconds=50", marker="m", timeout_seconds=55
    )
    async with working(client, {HTTP_REQUEST: activities.http_request}):
        handle = await start(client, HTTP_REQUEST, call)
        while not peer.to("/slow"):
            await asyncio.sleep(0.02)
        await handle.signal("stop")
        assert await handle.result() == "cancelled"
        assert ended.is_set()
    await outbound.close()


async def test_what_nobody_expected_leaves_no_text_in_history(client: Client) -> None:
    attempts = []

    @activity.defn(name=RUN_SCRIPT)
    async def broken(_run: ScriptRun) -> None:
        attempts.append(1)
        try:
            raise ValueError("the password is hunter2")
        except ValueError as error:
            raise RuntimeError("INSERT ... VALUES ('hunter2')") from error

    run = ScriptRun(context=context(), code="", variables={}, timeout_seconds=1, memory_megabytes=16)
    async with working(client, {RUN_SCRIPT: broken}):
        handle = await start(client, RUN_SCRIPT, run, attempts=2)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert len(attempts) == 2
    assert isinstance(caught.value.cause, ActivityError)
    failure = caught.value.cause.cause
    assert isinstance(failure, ApplicationError)
    assert failure.type == FailureType.RETRY
    assert "RuntimeError" in failure.message
    history = await handle.fetch_history()
    assert "hunter2" not in history.to_json()


async def test_every_activity_of_the_contract_is_served(database: Database, temporal_server: str) -> None:
    settings = Settings(database_url=database.url, temporal_address=temporal_server)
    async with open_activities(settings) as activities:
        assert activities.functions.keys() == ACTIVITIES.keys()
        for name, function in activities.functions.items():
            found = activity._Definition.must_from_callable(function)
            given, returned, queue = ACTIVITIES[name]
            assert (found.name, found.arg_types, found.ret_type) == (name, [given], returned)
            assert function in activities.on_queue(queue)


async def test_the_process_serves_both_queues_until_it_is_told_to_stop(
    database: Database, temporal_server: str
) -> None:
    settings = Settings(
        database_url=database.url, temporal_address=temporal_server, worker_shutdown_seconds=1
    )
    running = asyncio.create_task(run_worker(settings))
    client = await connect(settings)
    for queue in (CONVERSATION_QUEUE, EFFECTS_QUEUE):
        while not await poller_identities(client, queue):
            assert not running.done()
            await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_killed_worker_is_soon_missed(database: Database, temporal_server: str) -> None:
    """The server itself remembers its polls for minutes."""
    settings = {"DATABASE_URL": database.url, "VERSAAI_TEMPORAL_ADDRESS": temporal_server}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "worker"), env={**os.environ, **settings, "SECRET_KEY": "k" * 40}
    )
    client = await connect(Settings(temporal_address=temporal_server))

    async def serves() -> bool:
        identities = await poller_identities(client, EFFECTS_QUEUE)
        return any(identity.startswith(f"{process.pid}@") for identity in identities)

    try:
        async with asyncio.timeout(30):
            while not await serves():
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        assert await serves()
    finally:
        process.kill()
        await process.wait()
    async with asyncio.timeout(15):
        while await serves():
            await asyncio.sleep(0.2)


async def test_a_worker_that_can_not_work_says_so(temporal_server: str, database: Database) -> None:
    settings = Settings(
        database_url=database.url, temporal_address=temporal_server, temporal_namespace="not-there"
    )
    with pytest.raises(RuntimeError, match=r"(?i)namespace"):
        await asyncio.wait_for(run_worker(settings), 30)
