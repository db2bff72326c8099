"""`action`: everything a flow does besides talking: variables, waiting, people, e-mail, scripts."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from flow_schema.fields import (
    Duration,
    FlowReference,
    Formula,
    Identifier,
    Language,
    Model,
    NodeCommon,
    NodeReference,
    Position,
    PositiveDuration,
    ScheduleReference,
    ShortText,
    TemplateString,
    TemplateValue,
    Text,
    VariableName,
    WritesVariable,
    misuse,
    one_of,
)
from flow_schema.nodes.exits import ERROR, NEXT, Exit, ExitRule, no_reply_exit


class Assignment(Model):
    """Gives a variable a value: from `formula` or from `value`, not both; neither clears it."""

    variable: WritesVariable = Field(title="Variable", description="The variable to set.")
    formula: Formula | None = Field(
        default=None, title="Formula", description="Such as `price * quantity` or `append(cart, item)`."
    )
    value: TemplateValue = Field(
        default=None, title="Value", description="JSON whose texts may hold `{{ formulas }}`; null clears it."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Assignment:
        if self.formula is not None and self.value is not None:
            raise misuse("an assignment takes `formula` or `value`, and has both", "Remove one of the two.")
        return self


class SetVariables(Model):
    """Sets variables, one after the other."""

    kind: Literal["set_variables"] = Field(title="Kind", description="Sets variables.")
    assignments: list[Assignment] = Field(
        title="Assignments",
        description="Done in order; a later one sees the earlier.",
        min_length=1,
        max_length=50,
    )


class Wait(Model):
    """Waits for a while (`duration`) or until a time (`until`), exactly one; survives every restart."""

    kind: Literal["wait"] = Field(title="Kind", description="Waits.")
    duration: Duration | None = Field(
        default=None, title="For", description="An ISO 8601 duration such as `PT30S` or `P3D`."
    )
    until: Formula | None = Field(
        default=None, title="Until", description="A formula that gives a date or a date and time."
    )
    interruptible: bool = Field(
        default=False,
        title="Visitor may interrupt",
        description="Whether a message of the visitor ends the wait through `reply`.",
    )

    @model_validator(mode="after")
    def _has_one_end(self) -> Wait:
        problem = one_of("a wait", duration=self.duration is not None, until=self.until is not None)
        if problem is not None:
            raise problem
        return self


class GoTo(Model):
    """Continues at another node of the flow."""

    kind: Literal["go_to"] = Field(title="Kind", description="Continues elsewhere.")
    target: NodeReference = Field(title="Node", description="The id of the node to continue at.")


class RunFlow(Model):
    """Runs another flow of the bot and returns."""

    kind: Literal["run_flow"] = Field(title="Kind", description="Runs another flow and returns.")
    flow: FlowReference = Field(title="Flow", description="The flow's name.")
    inputs: dict[VariableName, Formula] = Field(
        default_factory=dict,
        title="Inputs",
        description="Formulas for the other flow's input variables, by their name.",
        max_length=50,
    )
    outputs: dict[VariableName, WritesVariable] = Field(
        default_factory=dict,
        title="Outputs",
        description="The other flow's output variables by name, and where each is saved here.",
        max_length=50,
    )


class Escalate(Model):
    """Asks for a human, waits for the conversation to come back, and goes on with `resolved`."""

    kind: Literal["escalate"] = Field(title="Kind", description="Asks for a human.")
    text: Text | None = Field(default=None, title="Text", description="Said while the visitor waits.")
    team: ShortText | None = Field(default=None, title="Team", description="Who should take it.")
    reason: Text | None = Field(
        default=None, title="Reason", description="Tells the agent why; may hold `{{ formulas }}`."
    )
    priority: Literal["low", "normal", "high", "urgent"] = Field(
        default="normal", title="Priority", description="Its place in the queue."
    )
    timeout: PositiveDuration | None = Field(
        default=None, title="Timeout", description="Takes `timeout` if nobody has taken it by then."
    )
    schedule: ScheduleReference | None = Field(
        default=None,
        title="Schedule",
        description="A schedule of the flow; while it is closed, `timeout` is taken at once.",
    )


class HandOver(Model):
    """Gives the conversation to a human for good: the bot is done, the agent closes it."""

    kind: Literal["hand_over"] = Field(title="Kind", description="Gives it to a human for good.")
    text: Text | None = Field(default=None, title="Text", description="Said to the visitor.")
    team: ShortText | None = Field(default=None, title="Team", description="Who should take it.")
    reason: Text | None = Field(default=None, title="Reason", description="Tells the agent why.")
    priority: Literal["low", "normal", "high", "urgent"] = Field(
        default="normal", title="Priority", description="Its place in the queue."
    )


class SendEmail(Model):
    """Sends an e-mail."""

    kind: Literal["send_email"] = Field(title="Kind", description="Sends an e-mail.")
    to: list[TemplateString] = Field(
        title="To",
        description="Addresses, with commas between them. A formula is one address, whatever it holds, or a "
        "list of them.",
        min_length=1,
        max_length=20,
    )
    cc: list[TemplateString] = Field(
        default_factory=list, title="Cc", description="Addresses, as in `to`.", max_length=20
    )
    reply_to: TemplateString | None = Field(
        default=None, title="Reply to", description="Where answers should go."
    )
    subject: Text = Field(title="Subject", description="One line; may hold `{{ formulas }}`.")
    body: Text = Field(title="Body", description="Markdown; sent as plain text and as HTML.")


class AddTags(Model):
    """Tags the conversation."""

    kind: Literal["tag"] = Field(title="Kind", description="Tags the conversation.")
    add: list[TemplateString] = Field(default_factory=list, title="Add", description="Tags.", max_length=20)
    remove: list[TemplateString] = Field(
        default_factory=list, title="Remove", description="Tags.", max_length=20
    )


class SetLanguage(Model):
    """Changes the conversation's language: to `language`, or to what `formula` gives; exactly one."""

    kind: Literal["set_language"] = Field(title="Kind", description="Changes the language.")
    language: Language | None = Field(default=None, title="Language", description="Such as `es` or `en`.")
    formula: Formula | None = Field(
        default=None, title="Formula", description="A formula that gives the language instead."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> SetLanguage:
        problem = one_of(
            "setting the language", language=self.language is not None, formula=self.formula is not None
        )
        if problem is not None:
            raise problem
        return self


class AskSatisfaction(Model):
    """Asks how satisfied the visitor is, 1 to 5, and keeps the answer with the conversation."""

    kind: Literal["csat"] = Field(title="Kind", description="Asks for satisfaction.")
    text: Text = Field(title="Question", description="What is asked.")
    ask_comment: bool = Field(
        default=True, title="Ask for a comment", description="Whether the widget offers a comment field."
    )
    thanks: Text | None = Field(default=None, title="Thanks", description="Said after the answer.")
    save_to: WritesVariable | None = Field(
        default=None, title="Save to", description="Variable for the rating."
    )
    no_reply_after: PositiveDuration | None = Field(
        default=timedelta(minutes=10), title="No reply after", description="Goes on through `no_reply`."
    )


class RunScript(Model):
    """Runs JavaScript in a sandbox without network, files or waiting.

    The code is the body of a function of `variables`; what it returns is the result. Example:
    `return {total: variables.items.reduce((sum, item) => sum + item.price, 0)}`.
    """

    kind: Literal["script"] = Field(title="Kind", description="Runs JavaScript.")
    code: str = Field(title="Code", description="The body of a function of `variables`.", max_length=20_000)
    save_to: WritesVariable | None = Field(
        default=None, title="Save to", description="Variable for the whole result."
    )
    outputs: dict[VariableName, WritesVariable] = Field(
        default_factory=dict,
        title="Outputs",
        description="Keys of a returned object, and the variable for each.",
        max_length=50,
    )
    timeout_seconds: float = Field(default=2, title="Timeout", description="Seconds.", gt=0, le=30)
    memory_megabytes: int = Field(default=32, title="Memory", description="Megabytes.", ge=8, le=128)


class Redirect(Model):
    """Sends the visitor's browser to a page."""

    kind: Literal["redirect"] = Field(title="Kind", description="Opens a page.")
    url: TemplateString = Field(title="Address", description="`https://...`.", min_length=1)
    new_tab: bool = Field(default=True, title="New tab", description="Whether the chat stays open beside it.")
    text: Text | None = Field(default=None, title="Text", description="Said with the link.")


class End(Model):
    """Ends the conversation, or returns from a sub-flow."""

    kind: Literal["end"] = Field(title="Kind", description="Ends it.")
    text: Text | None = Field(default=None, title="Text", description="Said at the end.")
    whole_conversation: bool = Field(
        default=False,
        title="Whole conversation",
        description="Whether, inside a sub-flow, the whole conversation ends instead of returning.",
    )


Action = Annotated[
    SetVariables
    | Wait
    | GoTo
    | RunFlow
    | Escalate
    | HandOver
    | SendEmail
    | AddTags
    | SetLanguage
    | AskSatisfaction
    | RunScript
    | Redirect
    | End,
    Field(discriminator="kind"),
]


class ActionData(NodeCommon):
    """One action."""

    action: Action = Field(title="Action", description="What is done.")


class ActionNode(Model):
    """Does something besides talking."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "next",
            "Every action but `escalate`, `go_to`, `hand_over` and `end`, when it is done.",
        ),
        ExitRule(
            "reply",
            "`wait`: the visitor wrote something; the exit exists only with `interruptible`.",
        ),
        ExitRule(
            "resolved",
            "`escalate`: an agent gave the conversation back.",
        ),
        ExitRule(
            "timeout",
            "`escalate`: nobody took it within `timeout`, or the schedule is closed.",
        ),
        ExitRule(
            "no_reply",
            "`csat`: `no_reply_after` has passed without a rating.",
        ),
        ExitRule(
            "error",
            "`send_email` and `script`: it fails for good. Without an edge the conversation is stuck.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["action"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: ActionData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        match self.data.action:
            case End() | GoTo() | HandOver():
                return []
            case Wait(interruptible=True):
                return [NEXT, Exit(id="reply", label="Reply")]
            case Escalate():
                return [
                    Exit(id="resolved", label="Resolved"),
                    Exit(id="timeout", label="Timeout", optional=True),
                ]
            case AskSatisfaction(no_reply_after=after):
                return [NEXT, no_reply_exit(after)]
            case SendEmail() | RunScript():
                return [NEXT, ERROR]
            case _:
                return [NEXT]

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        match self.data.action:
            case Wait(duration=duration):
                return duration is None or duration > timedelta(0)
            case Escalate(schedule=schedule):
                return exit_id != "timeout" or schedule is None
            case AskSatisfaction():
                return True
            case _:
                return False
