"""`recognize_intent`: which of several intents a text is most like."""

from __future__ import annotations

from temporalio import activity

from flow_schema.effects import RECOGNIZE_INTENT, RecognizedIntent, RecognizeIntent
from llm.similarity import best_intent


class IntentActivities:
    """Compares texts with example phrases."""

    @activity.defn(name=RECOGNIZE_INTENT)
    async def recognize_intent(self, request: RecognizeIntent) -> RecognizedIntent:
        """Return the nearest intent at or above the threshold, else none with the nearest one's score.

        An intent without examples is known by its name and description.
        """
        phrases = {
            intent.name: intent.examples or [part for part in (intent.name, intent.description) if part]
            for intent in request.intents
        }
        name, score = best_intent(request.text, phrases, request.context.language, request.threshold)
        return RecognizedIntent(intent=name, confidence=score)
