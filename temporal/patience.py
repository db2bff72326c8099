"""Calls to the server that are repeated until they succeed, fail for good or their time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from core.errors import UnavailableError
from flow_schema.turns import Refusal
from temporal.refusals import ConversationClosedError, exception_for, refusal_of

_T = TypeVar("_T")

_PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
FIRST_PAUSE = 0.03
_LONGEST_PAUSE = 1.0


@dataclass
class Trouble:
    """Whether the last try failed before the server answered, so that nothing was accepted."""

    present: bool = False


async def within(seconds: float, call: Callable[[], Awaitable[_T]]) -> _T:
    """Run `call` with `persist` for at most `seconds`. Raises UnavailableError when the time is over."""
    attempt = asyncio.ensure_future(persist(call, seconds))
    done, _ = await asyncio.wait({attempt}, timeout=seconds)
    if not done:
        attempt.cancel()
        raise UnavailableError("The conversation did not answer in time; send the same again.", retry_after=2)
    return attempt.result()


async def persist(call: Callable[[], Awaitable[_T]], seconds: float, trouble: Trouble | None = None) -> _T:
    """Call until it succeeds or fails for good, at most for `seconds`; pauses grow up to a second."""
    trouble = trouble or Trouble()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return await call()
        except WorkflowUpdateFailedError as error:
            refusal = refusal_of(error.cause)
            if refusal is None:
                if getattr(error.cause, "type", None) != "AcceptedUpdateCompletedWorkflow":
                    raise UnavailableError("The conversation failed to answer.", retry_after=5) from error
                raise ConversationClosedError("The conversation has ended.") from error
            if refusal is not Refusal.DRAINING or loop.time() + pause > deadline:
                raise exception_for(refusal, getattr(error.cause, "message", "")) from error
        except WorkflowAlreadyStartedError as error:
            raise ConversationClosedError("The conversation has ended.") from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from error
            trouble.present = True
            if loop.time() + pause > deadline:
                raise late() from error
        except RuntimeError as error:  # the first connection of a lazy client failed
            trouble.present = True
            if loop.time() + pause > deadline:
                raise late() from error
        except RPCError as error:
            trouble.present = True
            if not _passes(error) or loop.time() + pause > deadline:
                raise from_rpc(error) from error
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _passes(error: RPCError) -> bool:
    """Tell whether the same call may succeed later.

    That includes an update that the server knows no more, though its workflow runs: it was taken when the
    server or a worker died, before it was in the history.
    """
    lost_update = error.status is RPCStatusCode.NOT_FOUND and error.message.startswith("update ")
    return lost_update or error.status in _PASSING


def late() -> UnavailableError:
    """What to say when the server does not answer in time."""
    return UnavailableError("The conversation server does not answer; send the same again.", retry_after=2)


def from_rpc(error: RPCError) -> Exception:
    """What an error of the server means for the caller."""
    if error.status is RPCStatusCode.NOT_FOUND:
        return ConversationClosedError("The conversation has ended, or does not exist.")
    if error.status is RPCStatusCode.ALREADY_EXISTS:
        return ConversationClosedError("The conversation has ended.")
    return late()
