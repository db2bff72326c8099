"""Writes what a conversation says to the tables: in batches, in the background, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from flow_schema.effects import Flush
    from flow_schema.turns import Message
    from workflows.effects import flush_transcript
    from workflows.interpreter.session import Session

FLUSH_AFTER = timedelta(seconds=2)
FLUSH_MESSAGES = 64
"""Reached in a burst alone: a visitor who reads and types is written by the clock."""
MOST_TRAVELLING = 50
TRAVELLING_BYTES = 100_000
PAUSE_AFTER_REFUSAL = timedelta(seconds=30)


class Outbox:
    """The session's outbox and the batch on its way to the tables.

    The writing has a task of its own, so that stopping a step that waits for it never stops the writing.
    """

    def __init__(self, session: Session, written: Callable[[], None]) -> None:
        self.session = session
        self.marked = 0
        """Length of the history when the last batch was sent off."""
        self._written = written
        self.due: datetime | None = None
        """Never set while there is nothing to write: a time that is over would be waited for for ever."""
        self.batch: Flush | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def writing(self) -> bool:
        return self.batch is not None

    def messages(self) -> list[Message]:
        """Everything that is not known to be in the tables."""
        taken = self.batch.messages if self.batch is not None else []
        return [*taken, *self.session.state.outbox_messages]

    def may_travel(self) -> bool:
        """Whether what is not written yet is little enough to move to a new run in the state."""
        state = self.session.state
        if self.writing or len(state.outbox_messages) > MOST_TRAVELLING:
            return False
        return sum(len(message.model_dump_json()) for message in state.outbox_messages) <= TRAVELLING_BYTES

    def hurry(self) -> None:
        """What nobody receives as a reply reaches its readers through the tables: write it at once."""
        if self.session.has_outbox():
            self.due = workflow.now()

    def is_due(self) -> bool:
        """Whether a batch can and should be written now."""
        if self.writing or not self.session.has_outbox():
            return False
        return len(self.session.state.outbox_messages) >= FLUSH_MESSAGES or (
            self.due is not None and self.due <= workflow.now()
        )

    def next_time(self) -> datetime | None:
        """When a batch will be due, unless one is being written."""
        return None if self.writing else self.due

    def start_if_due(self) -> None:
        """Writes in the background what is full or has waited long enough."""
        if self.session.has_outbox() and self.due is None:
            self.due = workflow.now() + FLUSH_AFTER
        if self.is_due():
            self.start()

    def start(self) -> bool:
        """Writes in the background whatever there is; whether anything is being written."""
        if not self.writing and self.session.has_outbox():
            self.batch, self.due = self.session.take_outbox(), None
            self.marked = workflow.info().get_current_history_length()
            self._task = asyncio.create_task(self._write(self.batch))
        return self.writing

    async def written(self) -> None:
        """Returns when everything said so far is in the tables."""
        while self.start():
            await workflow.wait_condition(lambda: not self.writing)

    async def _write(self, batch: Flush) -> None:
        """Repeats even what the tables refuse for good: an operator can mend them, but not a lost message."""
        while True:
            try:
                await flush_transcript(batch, f"write {len(batch.messages)} messages")
                break
            except ActivityError:
                await workflow.sleep(PAUSE_AFTER_REFUSAL, summary="write the transcript again")
        self.batch = None
        self._written()
