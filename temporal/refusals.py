"""What a conversation's refusals become on this side: one exception of the common tree for each kind.

::

    GoneError
    ├── ConversationClosedError       410 conversation-closed      it ended; nothing more is taken
    └── CallbackUsedError             410 callback-used            used with another body, or too late
    ConflictError
    ├── StalePromptError              409 stale-prompt             a button of an earlier question
    ├── ClaimedByAnotherError         409 claimed-by-another-agent
    ├── NotWithAgentError             409 not-with-agent           nobody has claimed it
    └── NotStuckError                 409 not-stuck
    UnprocessableError
    ├── WrongKindError                422 wrong-kind               carries `accepts` where it is known
    ├── UnknownOptionError            422 unknown-option
    ├── UnknownNodeError              422 unknown-node
    ├── UnknownExitError              422 unknown-exit
    └── BadVariableError              422 bad-variable
    RateLimitedError
    └── TooManyPendingError           429 too-many-pending

`message-id-reused` and `message-too-large` are core's MessageReusedError and TooLargeError.
"""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from core.errors import (
    ConflictError,
    GoneError,
    MessageReusedError,
    RateLimitedError,
    TooLargeError,
    UnavailableError,
    UnprocessableError,
    VersaError,
)
from flow_schema.turns import Refusal


class ConversationClosedError(GoneError):
    """The conversation has ended, or is not known any more."""

    slug = "conversation-closed"
    title = "The conversation is closed"


class CallbackUsedError(GoneError):
    """The one-time address was used before with another body, or its time is over."""

    slug = "callback-used"
    title = "The callback address can't be used any more"


class StalePromptError(ConflictError):
    """A button of an earlier question was pressed."""

    slug = "stale-prompt"
    title = "The question is not open any more"


class ClaimedByAnotherError(ConflictError):
    """Another agent has the conversation."""

    slug = "claimed-by-another-agent"
    title = "Another agent has the conversation"


class NotWithAgentError(ConflictError):
    """No agent has claimed the conversation."""

    slug = "not-with-agent"
    title = "No agent has the conversation"


class NotStuckError(ConflictError):
    """Only a stuck or waiting step can be retried or skipped."""

    slug = "not-stuck"
    title = "The conversation is not stuck"


class WrongKindError(UnprocessableError):
    """The conversation waits for another kind of input."""

    slug = "wrong-kind"
    title = "Another kind of input is expected"


class UnknownOptionError(UnprocessableError):
    """The question has no such option."""

    slug = "unknown-option"
    title = "No such option"


class UnknownNodeError(UnprocessableError):
    """The flow has no such node."""

    slug = "unknown-node"
    title = "No such node"


class UnknownExitError(UnprocessableError):
    """The node has no such exit."""

    slug = "unknown-exit"
    title = "No such exit"


class BadVariableError(UnprocessableError):
    """The flow has no such variable, or the value doesn't fit its type."""

    slug = "bad-variable"
    title = "Bad variable"


class TooManyPendingError(RateLimitedError):
    """The conversation has as many unanswered messages as it takes."""

    slug = "too-many-pending"
    title = "Too many messages wait for an answer"


class AnsweredElsewhereError(VersaError):
    """The running conversation doesn't hold the reply any more; the tables do. Never leaves the platform."""


REFUSALS: dict[Refusal, type[VersaError]] = {
    Refusal.CLOSED: ConversationClosedError,
    Refusal.TOO_LARGE: TooLargeError,
    Refusal.WRONG_KIND: WrongKindError,
    Refusal.UNKNOWN_OPTION: UnknownOptionError,
    Refusal.STALE_PROMPT: StalePromptError,
    Refusal.TOO_MANY_PENDING: TooManyPendingError,
    Refusal.ID_REUSED: MessageReusedError,
    Refusal.NOT_YOURS: ClaimedByAnotherError,
    Refusal.NOT_WITH_AGENT: NotWithAgentError,
    Refusal.NOT_STUCK: NotStuckError,
    Refusal.UNKNOWN_NODE: UnknownNodeError,
    Refusal.UNKNOWN_EXIT: UnknownExitError,
    Refusal.BAD_VARIABLE: BadVariableError,
    Refusal.CALLBACK_USED: CallbackUsedError,
    Refusal.ANSWERED_BEFORE: AnsweredElsewhereError,
    Refusal.DRAINING: UnavailableError,
}


def refusal_of(error: BaseException) -> Refusal | None:
    """Return which refusal a failed update carries, or None when it failed for another reason."""
    if not isinstance(error, ApplicationError) or error.type is None:
        return None
    try:
        return Refusal(error.type)
    except ValueError:
        return None


def exception_for(refusal: Refusal, detail: str) -> VersaError:
    """Return the exception of a refusal, its detail being the conversation's own words."""
    return REFUSALS[refusal](detail)
