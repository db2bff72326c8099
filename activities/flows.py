"""`load_flow`: the flow version that a conversation is pinned to, with every flow that it runs."""

from __future__ import annotations

import base64
import zlib
from collections import OrderedDict
from typing import TypeVar
from uuid import UUID

from temporalio import activity

from activities.failures import fail, try_again
from core.errors import NotFoundError, UnavailableError
from database.database import Database
from database.repositories import FlowVersionRepository
from database.tables import FlowVersion
from flow_schema.effects import LOAD_FLOW, FailureType, FlowBundle, LoadedFlow, LoadFlow
from flow_schema.flow import Flow, canonical_json

_MAX_BUNDLE = 1_900_000
"""Characters of all compressed flows together; Temporal takes 2 MB a payload."""
_CACHED = 256
Key = TypeVar("Key")
Value = TypeVar("Value")


class FlowActivities:
    """Reads published flows. Versions never change, so one without sub-flows is kept once read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bundles: OrderedDict[tuple[str, str, str], FlowBundle] = OrderedDict()
        self._compressed: OrderedDict[UUID, LoadedFlow] = OrderedDict()

    @activity.defn(name=LOAD_FLOW)
    async def load_flow(self, request: LoadFlow) -> FlowBundle:
        """Return `main` and each sub-flow by name, all with the version they are pinned to from now on.

        A flow that isn't there, or is too large, fails for good (`bad-request`).
        """
        key = (request.organization_id, request.chatbot_id, request.flow_version_id)
        bundle = self._bundles.get(key)
        if bundle is None:
            bundle = await self._load(request)
            if len(bundle.flows) == 1:
                _keep(self._bundles, key, bundle)
        else:
            self._bundles.move_to_end(key)
        if request.content_hash and bundle.flows["main"].content_hash != request.content_hash:
            fail(
                f"Flow version {request.flow_version_id} has another content than the conversation expects.",
                FailureType.BAD_REQUEST,
            )
        return bundle

    async def _load(self, request: LoadFlow) -> FlowBundle:
        try:
            version_id = UUID(request.flow_version_id)
            pinned = {slug: UUID(pinned_id) for slug, pinned_id in request.sub_flows.items()}
            async with self._database.session() as session:
                repository = FlowVersionRepository(session, UUID(request.organization_id))
                loaded = await repository.load_with_sub_flows(version_id, pinned)
        except UnavailableError as error:
            try_again(error.detail)
        except NotFoundError as error:
            fail(error.detail, FailureType.BAD_REQUEST)
        except ValueError:
            fail(f"Flow version {request.flow_version_id} can't be read.", FailureType.BAD_REQUEST)
        if str(loaded["main"][0].chatbot_id) != request.chatbot_id:
            fail(
                f"Flow version {request.flow_version_id} belongs to another bot than {request.chatbot_id}.",
                FailureType.BAD_REQUEST,
            )
        flows = {slug: self._compress(version, flow) for slug, (version, flow) in loaded.items()}
        size = sum(len(flow.compressed) for flow in flows.values())
        if size > _MAX_BUNDLE:
            fail(
                f"The flow and the {len(flows) - 1} flows that it runs are too large together: "
                f"{size:,} bytes compressed, the limit is {_MAX_BUNDLE:,}.",
                FailureType.BAD_REQUEST,
            )
        return FlowBundle(flows=flows)

    def _compress(self, version: FlowVersion, flow: Flow) -> LoadedFlow:
        kept = self._compressed.get(version.id)
        if kept is None:
            packed = base64.b64encode(zlib.compress(canonical_json(flow), level=6)).decode("ascii")
            kept = LoadedFlow(
                version_id=str(version.id), content_hash=version.content_hash, compressed=packed
            )
            _keep(self._compressed, version.id, kept)
        return kept


def _keep(cache: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    cache[key] = value
    while len(cache) > _CACHED:
        cache.popitem(last=False)
