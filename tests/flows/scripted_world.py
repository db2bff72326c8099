"""The world of a scripted dialogue: it answers every effect as the dialogue says and keeps what was asked.

Intents and scripts are pure functions, so without a scripted answer they run for real.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections import deque
from typing import Any

from pydantic import BaseModel

from core.script import ScriptEngine, ScriptError
from flow_schema.effects import (
    CallbackReply,
    EmailMessage,
    EmailSent,
    FailureType,
    FlowBundle,
    Flush,
    Flushed,
    HttpCall,
    HttpResult,
    LoadedFlow,
    LoadFlow,
    ModelAnswer,
    ModelCall,
    OpenCallback,
    OpenedCallback,
    RecognizedIntent,
    RecognizeIntent,
    ScriptResult,
    ScriptRun,
    ToolCall,
)
from flow_schema.flow import Flow, canonical_json, content_hash
from llm.similarity import best_intent
from tests.flows.dialogue import Answer, Case

__all__ = ["CallbackReply", "EffectRefused", "ScriptedWorld", "TryAgain"]

CALLBACK_ADDRESS = "https://bot.example/callbacks/"


class TryAgain(Exception):
    """An attempt failed in passing."""


class EffectRefused(Exception):
    """An effect failed for good, for a reason of `FailureType`."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(message)
        self.type = type_


class ScriptedWorld:
    """One conversation's world. `attempt` answers one attempt of one effect.

    Raises TryAgain and EffectRefused as a real activity raises its errors; repeating is the caller's part.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.answers = {node: deque(answers) for node, answers in case.dialogue.effects.items()}
        self.requests: list[dict[str, Any]] = []
        self.emails: list[dict[str, Any]] = []
        self.model_calls: list[ModelCall] = []
        self.callbacks: list[OpenCallback] = []
        self.flushes: list[Flush] = []

    def flows(self) -> FlowBundle:
        named = {"main": self.case.main, **self.case.sub_flows}
        return FlowBundle(flows={name: pack(name, flow) for name, flow in named.items()})

    async def attempt(self, name: str, argument: BaseModel, attempt: int) -> Any:
        match argument:
            case LoadFlow():
                return self.flows()
            case Flush():
                self.flushes.append(argument)
                return Flushed(messages=len(argument.messages), visits=len(argument.visits))
            case HttpCall():
                return self._http(argument, attempt)
            case ModelCall():
                return self._model(argument)
            case RecognizeIntent():
                return self._intent(argument)
            case EmailMessage():
                return self._email(argument)
            case ScriptRun():
                return await self._script(argument)
            case OpenCallback():
                self.callbacks.append(argument)
                url = f"{CALLBACK_ADDRESS}{argument.callback_id}" if argument.reveal else None
                return OpenedCallback(callback_id=argument.callback_id, url=url)
            case _:
                raise AssertionError(f"no such effect: {name}")

    def callback_id(self, node: str | None) -> str:
        fitting = [opened for opened in self.callbacks if node in (None, opened.context.node_id)]
        assert fitting, f"no callback was opened{f' by {node}' if node else ''}"
        return fitting[-1].callback_id

    def left_over(self) -> dict[str, int]:
        """Scripted answers nobody asked for, by node."""
        return {node: len(answers) for node, answers in self.answers.items() if answers}

    def _next(self, node: str) -> Answer | None:
        answers = self.answers.get(node)
        answer = answers.popleft() if answers else None
        if answer is not None and answer.fail is True:
            raise TryAgain(f"scripted failure of {node}")
        if answer is not None and answer.fail:
            raise EffectRefused(FailureType.REFUSED, str(answer.fail))
        return answer

    def _http(self, call: HttpCall, attempt: int) -> HttpResult:
        self.requests.append(
            {
                "node": call.context.node_id,
                "method": call.method,
                "url": _unmarked(call.url, call.marker),
                "query": _unmarked(call.query, call.marker),
                "headers": _unmarked(call.headers, call.marker),
                "body": _unmarked(call.body, call.marker),
                "key": call.context.key,
                "attempt": attempt,
            }
        )
        answer = self._next(call.context.node_id)
        if answer is None:
            raise AssertionError(f"the dialogue has no answer for the request of {call.context.node_id}")
        if answer.status in call.retry_on_status and attempt < call.attempts:
            raise TryAgain(f"status {answer.status}")
        return HttpResult(status=answer.status, headers=answer.headers, body=answer.body, attempts=attempt)

    def _model(self, call: ModelCall) -> ModelAnswer:
        self.model_calls.append(call)
        answer = self._next(call.context.node_id)
        if answer is None:
            raise AssertionError(f"the dialogue has no answer for the model call of {call.context.node_id}")
        parsed = answer.parsed
        if call.labels:
            parsed = {"label": _label_of(call, answer.label), "confidence": answer.confidence}
        tools = []
        if answer.tool is not None:
            number = len(self.model_calls)
            tools = [ToolCall(id=f"call-{number}", name=answer.tool, arguments=answer.arguments)]
        return ModelAnswer(
            model="scripted/model", text=answer.text, tool_calls=tools, parsed=parsed,
            finish_reason="tool_calls" if tools else "stop", input_tokens=10, output_tokens=5,
        )  # fmt: skip

    def _intent(self, asked: RecognizeIntent) -> RecognizedIntent:
        answer = self._next(asked.context.node_id)
        if answer is not None:
            return RecognizedIntent(
                intent=answer.label, confidence=answer.confidence if answer.label else 0.0
            )
        phrases = {intent.name: intent.examples or [intent.name] for intent in asked.intents}
        name, confidence = best_intent(asked.text, phrases, asked.context.language, asked.threshold)
        return RecognizedIntent(intent=name, confidence=confidence)

    def _email(self, mail: EmailMessage) -> EmailSent:
        self._next(mail.context.node_id)
        self.emails.append(mail.model_dump(mode="json", exclude={"context"}))
        return EmailSent(message_id=f"<{mail.context.key}@bot.example>", accepted=mail.to)

    async def _script(self, run: ScriptRun) -> ScriptResult:
        answer = self._next(run.context.node_id)
        if answer is not None:
            return ScriptResult(value=answer.value)
        engine = ScriptEngine(processes=1)
        try:
            found = await engine.run(
                run.code,
                run.variables,
                timeout_seconds=run.timeout_seconds,
                memory_megabytes=run.memory_megabytes,
            )
        except ScriptError as error:
            raise EffectRefused(FailureType.BAD_REQUEST, str(error)) from error
        finally:
            await engine.close()
        return ScriptResult(value=found.value)


def _label_of(call: ModelCall, wanted: str | None) -> str | None:
    """A class by its id, or by the intent's name with which its description begins."""
    for label in call.labels:
        if wanted is not None and wanted in (label.id, label.description.split(". ")[0].rstrip(".")):
            return label.id
    return None


def pack(name: str, flow: Flow) -> LoadedFlow:
    """A flow as the activity that loads it hands it over."""
    packed = base64.b64encode(zlib.compress(canonical_json(flow))).decode()
    return LoadedFlow(version_id=f"version-{name}", content_hash=content_hash(flow), compressed=packed)


def _unmarked(value: Any, marker: str) -> Any:
    """Marks of secrets and of the callback address as a dialogue writes them: `<NAME>`."""
    if isinstance(value, str):
        mark = re.escape(marker)
        return re.sub(f"{mark}:([A-Za-z0-9_]+):{mark}", r"<\1>", value)
    if isinstance(value, list):
        return [_unmarked(item, marker) for item in value]
    if isinstance(value, dict):
        return {key: _unmarked(item, marker) for key, item in value.items()}
    return value
