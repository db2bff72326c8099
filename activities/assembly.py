"""Every activity with what it needs, ready for workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from activities.callbacks import CallbackActivities
from activities.email import EmailActivities
from activities.flows import FlowActivities
from activities.http_call import HttpActivities
from activities.intent import IntentActivities
from activities.llm import ModelActivities
from activities.script import ScriptActivities
from activities.stores import DatabaseStores, TokenStreams
from activities.transcript import TranscriptActivities
from core.errors import UnavailableError
from core.events import EventBus
from core.logging import get_logger
from core.mail import MailSender
from core.outbound import OutboundClient
from core.script import ScriptEngine
from core.settings import Settings
from database.database import Database
from database.streams import StreamText
from flow_schema.effects import ACTIVITIES
from llm.credentials import credentials_from_settings
from llm.registry import ProviderRegistry

_log = get_logger(__name__)


@dataclass(frozen=True)
class Activities:
    """Activity functions by the names of the contract."""

    functions: dict[str, Callable[..., Any]]

    def on_queue(self, queue: str) -> list[Callable[..., Any]]:
        """Return the activities of a task queue."""
        return [function for name, function in self.functions.items() if ACTIVITIES[name][2] == queue]


def assemble(
    settings: Settings,
    *,
    database: Database,
    events: EventBus,
    streams: StreamText,
    outbound: OutboundClient,
    registry: ProviderRegistry,
    scripts: ScriptEngine,
) -> Activities:
    """Connect the activities with given parts. Raises ValueError if they are not those of the contract."""
    stores = DatabaseStores(database)
    mail = MailSender(settings)
    functions: dict[str, Callable[..., Any]] = {
        "load_flow": FlowActivities(database).load_flow,
        "flush_transcript": TranscriptActivities(database, events).flush_transcript,
        "open_callback": CallbackActivities(settings, stores.keep_callback).open_callback,
        "recognize_intent": IntentActivities().recognize_intent,
        "http_request": HttpActivities(outbound, settings, stores.read_secrets).http_request,
        "send_email": EmailActivities(mail, settings, stores.keep_email).send_email,
        "run_script": ScriptActivities(scripts).run_script,
        "call_model": ModelActivities(
            registry, stores.read_transcript, TokenStreams(streams).open, settings.default_model
        ).call_model,
    }
    if functions.keys() != ACTIVITIES.keys():
        raise ValueError(f"activities and contract differ: {functions.keys() ^ ACTIVITIES.keys()}")
    return Activities(functions)


@asynccontextmanager
async def open_activities(settings: Settings) -> AsyncIterator[Activities]:
    """Open everything that the activities of a worker need, and close it at the end.

    A script process starts in the background, so that the first script does not wait for it.
    """
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url,
            pool_size=settings.database_pool_size,
            overflow=settings.database_pool_overflow,
        )
        stack.push_async_callback(database.close)
        events = EventBus(settings.database_url, receives=False)
        stack.push_async_callback(events.close)
        await events.start()
        streams = StreamText(database, events)
        stack.push_async_callback(streams.close)
        outbound = OutboundClient.from_settings(settings)
        stack.push_async_callback(outbound.close)
        registry = ProviderRegistry(credentials_from_settings(settings))
        stack.push_async_callback(registry.close)
        scripts = ScriptEngine()
        stack.push_async_callback(scripts.close)
        warming = asyncio.create_task(_warm(scripts), name="warm-scripts")
        stack.push_async_callback(_cancel, warming)
        yield assemble(
            settings,
            database=database,
            events=events,
            streams=streams,
            outbound=outbound,
            registry=registry,
            scripts=scripts,
        )


async def _warm(scripts: ScriptEngine) -> None:
    try:
        await scripts.warm()
    except (UnavailableError, OSError, TimeoutError) as error:
        _log.warning("Scripts can't be run", reason=str(error))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
