"""Connections to Temporal, and what commands ask of a server without knowing its API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetSystemInfoRequest,
    ListWorkersRequest,
)
from temporalio.client import Client, Interceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from core.errors import UnavailableError
from core.settings import Settings

_PROBE_TIMEOUT = timedelta(seconds=3)
HEARTBEAT_INTERVAL = timedelta(seconds=1)
"""How often our workers tell the server that they live."""
_LATE = timedelta(seconds=3)
"""A worker that is so late with two heartbeats is gone; its own clock tells when it sent one."""
_WORKERS_PAGE = 1000


async def connect(
    settings: Settings,
    *,
    data_converter: DataConverter = pydantic_data_converter,
    interceptors: Sequence[Interceptor] = (),
    lazy: bool = False,
    runtime: Runtime | None = None,
) -> Client:
    """Connect to the configured Temporal server and namespace.

    `data_converter` is the plain pydantic one unless the caller brings one with a codec; `lazy` postpones
    the connection to the first call, so that a process starts before its server does; `runtime` takes the
    place of the SDK's default one. Raises UnavailableError when nothing answers.
    """
    api_key = settings.temporal_api_key.get_secret_value()
    try:
        return await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            api_key=api_key or None,
            tls=settings.temporal_tls or bool(api_key),
            data_converter=data_converter,
            interceptors=interceptors,
            lazy=lazy,
            runtime=runtime,
        )
    except RuntimeError as error:
        raise UnavailableError(
            f"No Temporal server answers at {settings.temporal_address}: {error}"
        ) from error


async def is_serving(client: Client) -> bool:
    """Tell whether the server answers for the client's namespace; any failure within 3 s counts as no."""
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=_PROBE_TIMEOUT
        )
    except (RPCError, RuntimeError):
        return False
    return True


async def server_version(client: Client) -> str:
    """Return the server's version, such as `1.32.0`. Raises RPCError when it doesn't answer."""
    answer = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=_PROBE_TIMEOUT)
    return answer.server_version


async def namespace_retention(client: Client) -> timedelta | None:
    """Return how long closed workflows are kept, or None when the namespace does not exist."""
    try:
        answer = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=_PROBE_TIMEOUT
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()


async def missing_search_attributes(client: Client, wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Return those of `wanted` (name, type name) that the namespace lacks or knows with another type."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=_PROBE_TIMEOUT
    )
    return [name for name, kind in wanted if answer.custom_attributes.get(name) != _indexed_type(kind)]


async def register_search_attributes(client: Client, wanted: Sequence[tuple[str, str]]) -> None:
    """Register those of `wanted` that the namespace lacks; needs operator rights on the server."""
    missing = set(await missing_search_attributes(client, wanted))
    if not missing:
        return
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for name, kind in wanted:
        if name in missing:
            request.search_attributes[name] = _indexed_type(kind)
    await client.operator_service.add_search_attributes(request)


async def poller_identities(client: Client, task_queue: str) -> list[str]:
    """Return the identities (`pid@host` by default) of the workers that serve a queue.

    Workflow and activity pollers count alike. The server remembers who polled for some minutes: one that has
    polled in the last minute counts, unless it sends heartbeats and has stopped to.
    """
    identities: set[str] = set()
    oldest = datetime.now(UTC) - timedelta(minutes=1)
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
            ),
            timeout=_PROBE_TIMEOUT,
        )
        identities.update(
            poller.identity
            for poller in answer.pollers
            if poller.last_access_time.ToDatetime(tzinfo=UTC) >= oldest
        )
    if not identities:
        return []
    alive = await _alive_until(client, task_queue)
    now = datetime.now(UTC)
    return sorted(identity for identity in identities if alive.get(identity, now) >= now)


async def _alive_until(client: Client, task_queue: str) -> dict[str, datetime]:
    """Until when each worker of a queue counts as alive by its heartbeats; without those that sent only one,
    whose interval nobody knows. Empty where the server keeps no heartbeats."""
    try:
        answer = await client.workflow_service.list_workers(
            ListWorkersRequest(
                namespace=client.namespace, page_size=_WORKERS_PAGE, query=f"TaskQueue='{task_queue}'"
            ),
            timeout=_PROBE_TIMEOUT,
        )
    except RPCError:
        return {}
    alive: dict[str, datetime] = {}
    for worker in (info.worker_heartbeat for info in answer.workers_info):
        interval = worker.elapsed_since_last_heartbeat.ToTimedelta()
        if worker.task_queue == task_queue and interval:
            until = worker.heartbeat_time.ToDatetime(tzinfo=UTC) + 2 * interval + _LATE
            alive[worker.worker_identity] = max(until, alive.get(worker.worker_identity, until))
    return alive


def _indexed_type(kind: str) -> IndexedValueType.ValueType:
    words = {"KeywordList": "KEYWORD_LIST"}.get(kind, kind.upper())
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{words}")
