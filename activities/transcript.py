"""`flush_transcript`: copies a conversation's outbox into the tables and tells those who watch."""

from __future__ import annotations

from temporalio import activity

from activities.failures import fail, try_again
from core.errors import NotFoundError, UnavailableError
from core.events import EventBus, StatusEvent, messages_event
from database.database import Database
from database.transcript_writer import write_transcript
from flow_schema.effects import FLUSH_TRANSCRIPT, FailureType, Flush, Flushed


class TranscriptActivities:
    """Writes the read model."""

    def __init__(self, database: Database, events: EventBus) -> None:
        self._database = database
        self._events = events

    @activity.defn(name=FLUSH_TRANSCRIPT)
    async def flush_transcript(self, flush: Flush) -> Flushed:
        """Write the batch, then announce it. Both can be repeated: rows are unique, readers know `seq`.

        Fails for good (`refused`) only when the bot or its flow version was deleted meanwhile.
        """
        try:
            flushed = await write_transcript(self._database, flush)
        except UnavailableError as error:
            try_again(error.detail)
        except NotFoundError as error:
            fail(error.detail, FailureType.REFUSED)
        self._announce(flush)
        return flushed

    def _announce(self, flush: Flush) -> None:
        record = flush.record
        if flush.messages:
            messages = [message.model_dump(mode="json") for message in flush.messages]
            self._events.publish(record.conversation_id, messages_event(messages))
        agent = None if record.agent_id is None else {"id": record.agent_id}
        waiting = None if record.waiting is None else record.waiting.model_dump(mode="json")
        self._events.publish(
            record.conversation_id, StatusEvent(record.status.value, record.last_seq, waiting, agent)
        )
