"""`api_call`: sends a request and keeps parts of the answer."""

from __future__ import annotations

from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from flow_schema.effects import HttpResult
from flow_schema.nodes.api_call import ApiCallNode
from flow_schema.nodes.request import ResponseMapping
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import EffectFailed, Goto, Outcome, StepFailed


async def api_call(node: ApiCallNode, ctx: StepContext) -> Outcome:
    data = node.data
    try:
        result = await ctx.http(data.request, data.retry)
    except EffectFailed as failure:
        raise StepFailed(failure.message, {"status": None, "body": None}) from failure
    if not succeeded(result, data.success_status):
        raise StepFailed(
            f"the server answered with status {result.status}", {"status": result.status, "body": result.body}
        )
    try:
        keep(result.body, result.status, result.headers, data.mapping, ctx)
    except StepFailed as failure:
        raise StepFailed(failure.message, {"status": result.status, "body": result.body}) from failure
    return Goto("success")


def succeeded(result: HttpResult, statuses: list[int]) -> bool:
    """Whether the status is one of `statuses`, or 200 to 299 where none are given."""
    return result.status in statuses if statuses else 200 <= result.status < 300


def keep(
    body: Any, status: int, headers: dict[str, str], mapping: list[ResponseMapping], ctx: StepContext
) -> None:
    """Saves the mapped parts. A path that leads nowhere saves null."""
    ctx.set_each(mapped(body, status, headers, mapping))


def mapped(body: Any, status: int, headers: dict[str, str], mapping: list[ResponseMapping]) -> dict[str, Any]:
    """The parts of an answer by the variable they are meant for."""
    sources: dict[str, Any] = {"body": body, "status": status, "headers": headers}
    return {entry.variable: find(sources[entry.source], entry.path) for entry in mapping}


def find(source: Any, path: str) -> Any:
    """What a JMESPath expression finds. Raises `StepFailed` if it can't be applied."""
    try:
        return jmespath.search(path, source)
    except JMESPathError as error:
        raise StepFailed(f"the path `{path}` can't be applied: {error}") from error
