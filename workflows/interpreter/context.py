"""What a step has at hand: its node, the variables, the texts, and the effects under its own keys."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from flow_schema.effects import EffectContext, HttpCall, HttpResult, Mock, ModelAnswer
from flow_schema.expression_functions.dates import zone
from flow_schema.expressions import evaluate, render, render_value
from flow_schema.fields import TemplateReference, localized
from flow_schema.nodes import Node
from flow_schema.nodes.request import HttpRequest, RetryPolicy
from flow_schema.turns import BotMessage, Message, MessageRole, ModelUsage, TextContent
from flow_schema.variables import CoercionError, coerce
from workflows.interpreter.effects import Effects
from workflows.interpreter.graph import FlowGraph
from workflows.interpreter.keys import KeyedEffects
from workflows.interpreter.outcomes import EffectFailed, StepEvent, StepFailed
from workflows.interpreter.phrases import phrase
from workflows.interpreter.rules import as_text
from workflows.interpreter.state import ConversationState, Frame
from workflows.interpreter.transcript import Transcript

MASK = "•••"
LARGE_VALUE = 4_096
MAX_VARIABLES = 400_000
"""Characters of JSON of all variables: the state must fit into one Temporal payload."""
MAX_NOTED = 500
"""Characters of a value that a visit keeps."""
LocalText = str | dict[str, str] | TemplateReference | None


class StepContext:
    """Passed to every step. `event` is None when the node is entered, else why it is called again."""

    def __init__(
        self,
        state: ConversationState,
        frame: Frame,
        graph: FlowGraph,
        main: FlowGraph,
        effects: Effects,
        transcript: Transcript,
        node: Node,
        event: StepEvent | None,
        timezone: str,
    ) -> None:
        self.state = state
        self.frame = frame
        self.graph = graph
        self.settings = graph.flow.settings
        """Of the flow that walks: its schedules and its AI defaults."""
        self.timezone = timezone
        self.main = main
        self.effects: Effects = KeyedEffects(effects, frame)
        self.transcript = transcript
        self.node = node
        self.event = event
        self.local = frame.local

    # --- texts and values -----------------------------------------------------------------------

    @property
    def language(self) -> str:
        return self.state.language

    @property
    def locale(self) -> str:
        """How the visitor writes numbers and days: in the conversation's language as their region has it."""
        spoken, own = self.language, self.state.locale
        return own if "-" not in spoken and own.lower().split("-")[0] == spoken.lower() else spoken

    @property
    def now(self) -> datetime:
        return self.effects.now()

    @property
    def summary(self) -> str:
        """The node's name, for activities and timers."""
        return self.graph.label(self.node.id)

    def names(self, extra: dict[str, Any] | None = None) -> dict[str, Any]:
        """What formulas may read."""
        state = self.state
        names: dict[str, Any] = dict(self.frame.variables)
        names.update(
            conversation={
                "id": state.start.conversation_id,
                "started_at": state.started_at.isoformat(),
                "turns": state.turns,
                "mode": state.start.mode,
                "tags": state.tags,
            },
            visitor=state.visitor,
            page=state.page,
            channel=state.channel,
            language=state.language,
            last_message=state.last_message,
            last_reply=state.last_reply,
        )
        if extra:
            names.update(extra)
        return names

    def text(self, text: LocalText, extra: dict[str, Any] | None = None) -> str:
        """A text in the conversation's language, its formulas filled in."""
        chosen = localized(text, self.language, self.graph.flow.language)
        if "{{" not in chosen:
            return chosen
        return render(chosen, self.names(extra), now=self.now, timezone=self.timezone)

    def optional_text(self, text: LocalText, extra: dict[str, Any] | None = None) -> str | None:
        """As `text`, None where there is none."""
        return None if text is None else self.text(text, extra)

    def template(self, template: str, extra: dict[str, Any] | None = None) -> str:
        """A technical string, its formulas filled in."""
        if "{{" not in template:
            return template
        return render(template, self.names(extra), now=self.now, timezone=self.timezone)

    def value(self, value: Any, extra: dict[str, Any] | None = None) -> Any:
        """JSON with its formulas filled in."""
        return render_value(value, self.names(extra), now=self.now, timezone=self.timezone)

    def formula(self, formula: str, extra: dict[str, Any] | None = None) -> Any:
        """A formula's result."""
        return evaluate(formula, self.names(extra), now=self.now, timezone=self.timezone)

    def phrase(self, key: str, **values: object) -> str:
        """One of the interpreter's own phrases."""
        return phrase(key, self.language, **values)

    def today(self) -> str:
        """The day in the flow's timezone, `YYYY-MM-DD`."""
        return self.now.astimezone(zone(self.timezone)).date().isoformat()

    # --- variables ------------------------------------------------------------------------------

    def set(self, name: str, value: Any) -> None:
        """Sets a variable, coerced to its type. Raises `StepFailed` if it can't be."""
        value = self.fitting(name, value)
        if isinstance(value, str | list | dict) and len(json.dumps(value)) > LARGE_VALUE:
            others = (frame.variables for frame in self.state.frames if frame is not self.frame)
            total = len(json.dumps([{**self.frame.variables, name: value}, *others]))
            if total > MAX_VARIABLES:
                raise StepFailed(
                    f"variable `{name}`: all variables together would take {total:,} characters of JSON, "
                    f"more than {MAX_VARIABLES:,}"
                )
        self.frame.variables[name] = value
        self.frame.changes[name] = noted(value, personal=name in self.graph.personal)

    def fitting(self, name: str, value: Any) -> Any:
        """The value as the variable would hold it. Raises `StepFailed` if it does not fit."""
        variable = self.graph.variables.get(name)
        try:
            return value if variable is None else coerce(value, variable.type)
        except CoercionError as error:
            raise StepFailed(f"variable `{name}`: {error}") from error

    def set_each(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self.set(name, value)

    def personal_values(self) -> list[str]:
        """Values that logs must mask."""
        values = (self.frame.variables.get(name) for name in sorted(self.graph.personal))
        return [as_text(value) for value in values if isinstance(value, str | int | float) and as_text(value)]

    # --- saying ---------------------------------------------------------------------------------

    def say(
        self,
        content: BotMessage,
        *,
        typing: float = 0,
        stream_id: str | None = None,
        usage: ModelUsage | None = None,
    ) -> Message:
        """The bot says something; returns the message with its `seq`."""
        if isinstance(content, TextContent):
            self.state.last_reply = content.text
        elif text := getattr(content, "text", None):
            self.state.last_reply = text
        return self.transcript.add(
            MessageRole.ASSISTANT,
            content,
            self.now,
            node_id=self.node.id,
            typing=typing,
            stream_id=stream_id,
            usage=usage,
        )

    def say_text(self, text: str | None, *, typing: float = 0) -> Message | None:
        """Says a text unless it is empty."""
        if not text or not text.strip():
            return None
        return self.say(TextContent(text=text), typing=typing)

    def used(self, answer: ModelAnswer) -> ModelUsage:
        """Adds a model call to what the visit took; returns what this call took."""
        usage = ModelUsage(
            model=answer.model,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cost_usd=answer.cost_usd,
            milliseconds=answer.milliseconds,
            first_token_milliseconds=answer.first_token_milliseconds,
        )
        record = self.frame.record
        if record is not None:
            record.usage = usage if record.usage is None else added(record.usage, usage)
        return usage

    # --- exits ----------------------------------------------------------------------------------

    def has_edge(self, exit_id: str) -> bool:
        return self.graph.target(self.node.id, exit_id) is not None

    # --- effects --------------------------------------------------------------------------------

    def effect(self) -> EffectContext:
        """The identity of the next effect of this visit, as long as `KeyedEffects` agrees."""
        call = self.frame.calls
        self.frame.calls += 1
        start = self.state.start
        return EffectContext(
            organization_id=start.organization_id,
            chatbot_id=start.chatbot_id,
            conversation_id=start.conversation_id,
            node_id=self.node.id,
            visit=self.frame.visit,
            call=call,
            mode=start.mode,
            language=self.language,
            personal=self.personal_values(),
        )

    async def http(
        self,
        request: HttpRequest,
        retry: RetryPolicy,
        *,
        extra: dict[str, Any] | None = None,
        callback_id: str | None = None,
    ) -> HttpResult:
        """Sends a request made from templates; in a test conversation, the node's mock answers.

        Secrets and the callback's address stay marks here; the activity puts the values in their place.
        """
        marker = self.effects.unique()
        names = dict(extra or {})
        names["secrets"] = {name: f"{marker}:{name}:{marker}" for name in secret_names(request)}
        if callback_id is not None:
            names["callback_url"] = f"{marker}:callback_url:{marker}"
        call = HttpCall(
            context=self.effect(),
            method=request.method,
            url=self.template(request.url, names),
            query={key: self.template(value, names) for key, value in request.query.items()},
            headers={key: self.template(value, names) for key, value in request.headers.items()},
            body_type=request.body_type,
            body=self.value(request.body, names) if request.body_type != "none" else None,
            timeout_seconds=request.timeout.total_seconds(),
            max_response_bytes=request.max_response_kilobytes * 1024,
            retry_on_status=retry.on_status,
            attempts=retry.attempts,
            marker=marker,
            callback_id=callback_id,
        )
        mock = self.state.start.mocks.get(self.node.id)
        if mock is not None:
            return _mocked(mock)
        return await self.effects.http_request(call, retry, self.summary)


def _mocked(mock: Mock) -> HttpResult:
    if mock.fail:
        raise EffectFailed("the mock of this node fails", "mock")
    return HttpResult(status=mock.status, headers=mock.headers, body=mock.body)


_SECRET = re.compile(r"\bsecrets\s*\.\s*([A-Za-z][A-Za-z0-9_]*)")


def secret_names(request: HttpRequest) -> list[str]:
    """The secrets that a request's templates name."""
    return sorted(set(_SECRET.findall(request.model_dump_json())))


def added(before: ModelUsage, usage: ModelUsage) -> ModelUsage:
    """Both together; the cost is null as soon as one price is not known."""
    costs = (before.cost_usd, usage.cost_usd)
    return usage.model_copy(
        update={
            "calls": before.calls + usage.calls,
            "input_tokens": before.input_tokens + usage.input_tokens,
            "output_tokens": before.output_tokens + usage.output_tokens,
            "cost_usd": None if None in costs else sum(cost or 0 for cost in costs),
            "milliseconds": before.milliseconds + usage.milliseconds,
        }
    )


def noted(value: Any, *, personal: bool) -> Any:
    """What a visit keeps of a variable's new value: personal ones masked, large ones cut."""
    if personal and value is not None:
        return MASK
    if isinstance(value, str):
        return value if len(value) <= MAX_NOTED else value[:MAX_NOTED] + "…"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else ""
    return value if len(text) <= MAX_NOTED else text[:MAX_NOTED] + "…"


def without(text: str, values: list[str]) -> str:
    """The text with each of the values masked: anywhere, the short ones only as whole words."""
    for value in sorted(values, key=len, reverse=True):
        around = "" if len(value) > 3 else r"\b"
        text = re.sub(around + re.escape(value) + around, MASK, text)
    return text


def first_line(text: str, limit: int = 200) -> str:
    """The beginning of a text, for details and reasons."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
