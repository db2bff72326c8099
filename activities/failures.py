"""How an activity fails: always as an ApplicationError whose type says whether trying again can help.

Causes never travel along: a message of a library may hold an address with a key in it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from temporalio import activity
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from core.errors import RequestError, VersaError
from core.logging import get_logger
from flow_schema.effects import EffectContext, FailureType

MALFORMED_OUTPUT = "malformed-output"
"""A model's answer did not fit its schema; repeated once, with the error in front of the model."""
LONGEST_DELAY = timedelta(minutes=10)
"""The most that another server may make us wait before the next attempt."""
_log = get_logger(__name__)


def fail(message: str, kind: str, *, details: tuple[object, ...] = ()) -> NoReturn:
    """Fail for good."""
    raise ApplicationError(message, *details, type=kind, non_retryable=True) from None


def try_again(
    message: str,
    *,
    after_seconds: float | None = None,
    kind: str = FailureType.RETRY,
    attempts: int | None = None,
) -> NoReturn:
    """Fail for now; Temporal repeats the activity by its retry policy, not before `after_seconds`.

    `attempts` is the last attempt's number where the caller knows it: on that one the failure is final and
    of type `refused`, so that the flow sees one kind of end.
    """
    if attempts is not None and attempt() >= attempts:
        fail(message, FailureType.REFUSED)
    delay = None if after_seconds is None else min(timedelta(seconds=max(0.0, after_seconds)), LONGEST_DELAY)
    raise ApplicationError(message, type=kind, next_retry_delay=delay) from None


def attempt() -> int:
    """The present attempt's number, from 1."""
    return activity.info().attempt


def refuse_in_test(context: EffectContext) -> None:
    """Keep a test conversation from touching the world: the workflow answers such calls from its mocks."""
    if context.mode == "test":
        fail("Test conversations need a mock for this node.", FailureType.BAD_REQUEST)


class FailureInterceptor(Interceptor):
    """Turns whatever an activity did not expect into a passing failure without cause or text.

    A driver's exception quotes the statement with its values; the log has it, history must not.
    """

    def intercept_activity(  # the names of both arguments are the base class's
        self,
        next: ActivityInboundInterceptor,  # noqa: A002
    ) -> ActivityInboundInterceptor:
        return _FailureInbound(next)


class _FailureInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except FailureError:
            raise
        except RequestError as error:
            fail(error.detail, FailureType.BAD_REQUEST)
        except VersaError as error:
            try_again(error.detail)
        except Exception as error:
            _log.exception("An activity failed unexpectedly", activity=activity.info().activity_type)
            try_again(f"Unexpected {type(error).__name__} in {activity.info().activity_type}.")
