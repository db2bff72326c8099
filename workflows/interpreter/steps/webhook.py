"""`webhook`: posts an event, or waits for a call to a one-time address."""

from __future__ import annotations

from flow_schema.effects import OpenCallback
from flow_schema.nodes.webhook import AwaitCallback, PostEvent, WebhookNode
from flow_schema.references import names_read, uses
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import (
    AwaitEvent,
    CallbackReceived,
    DeadlinePassed,
    EffectFailed,
    Goto,
    Outcome,
    StepFailed,
    VisitorSaid,
)
from workflows.interpreter.steps.api_call import keep, mapped, succeeded


async def webhook(node: WebhookNode, ctx: StepContext) -> Outcome:
    match node.data.webhook:
        case PostEvent() as post:
            return await _post(post, ctx)
        case AwaitCallback() as callback:
            return await _callback(node, callback, ctx)


async def _post(post: PostEvent, ctx: StepContext) -> Outcome:
    try:
        result = await ctx.http(post.request, post.retry)
    except EffectFailed as failure:
        raise StepFailed(failure.message) from failure
    if not succeeded(result, []):
        raise StepFailed(f"the server answered with status {result.status}")
    return Goto("sent")


async def _callback(node: WebhookNode, callback: AwaitCallback, ctx: StepContext) -> Outcome:
    match ctx.event:
        case CallbackReceived(body=body, headers=headers):
            keep(body, 200, headers, callback.mapping, ctx)
            return Goto("received")
        case DeadlinePassed():
            return Goto("timeout")
        case VisitorSaid():
            return Goto("reply")
        case _:
            return await _open(node, callback, ctx)


def why_unfit(event: CallbackReceived, ctx: StepContext) -> str | None:
    """Why a callback can't be taken: its parts don't fit the variables they are meant for. Else None.

    Asked before the one-time address counts as used, so that the caller can correct what it sends.
    """
    node = ctx.node
    if not (isinstance(node, WebhookNode) and isinstance(node.data.webhook, AwaitCallback)):
        return None
    try:
        for name, value in mapped(event.body, 200, event.headers, node.data.webhook.mapping).items():
            ctx.fitting(name, value)
    except StepFailed as failure:
        return failure.message
    return None


async def _open(node: WebhookNode, callback: AwaitCallback, ctx: StepContext) -> Outcome:
    until = ctx.now + callback.timeout
    mock = ctx.state.start.mocks.get(node.id)
    if mock is not None:
        keep(mock.body, mock.status, mock.headers, callback.mapping, ctx)
        return Goto("timeout" if mock.fail else "received")
    callback_id = ctx.local.setdefault("callback_id", ctx.effects.unique())
    opened = await ctx.effects.open_callback(
        OpenCallback(
            context=ctx.effect(), callback_id=callback_id, expires_at=until, reveal=_is_told(callback)
        ),
        ctx.summary,
    )
    text = ctx.optional_text(callback.text, {"callback_url": opened.url})
    if callback.request is not None:
        try:
            result = await ctx.http(callback.request, callback.retry, callback_id=callback_id)
        except EffectFailed as failure:
            raise StepFailed(failure.message) from failure
        if not succeeded(result, []):
            raise StepFailed(f"the server answered with status {result.status}")
    if callback.save_url_to:
        ctx.set(callback.save_url_to, opened.url)
    ctx.say_text(text)
    ctx.state.callback_id = callback_id
    return AwaitEvent("callback", f"a call to the address of “{ctx.summary}”", until, callback.accept_reply)


def _is_told(callback: AwaitCallback) -> bool:
    """Whether the flow itself needs the address; else it stays out of the conversation's history."""
    return callback.save_url_to is not None or any(
        use.path == "/text" and "callback_url" in names_read(use) for use in uses(callback)
    )
