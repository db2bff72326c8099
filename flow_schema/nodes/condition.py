"""`condition`: takes the first branch that holds."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from flow_schema.fields import (
    Formula,
    Identifier,
    Model,
    ModelName,
    NodeCommon,
    Position,
    ScheduleReference,
    ShortText,
    TemplateValue,
    WritesVariable,
    misuse,
)
from flow_schema.nodes.exits import Exit, ExitRule, branch_exit

Operator = Literal[
    "is",
    "is_not",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "matches",
    "greater",
    "greater_or_equal",
    "less",
    "less_or_equal",
    "between",
    "in",
    "not_in",
    "empty",
    "not_empty",
]


class Rule(Model):
    """Compares a value. Text is compared without case and accents; numbers and dates in texts are read as
    such, times without an offset in the flow's timezone."""

    type: Literal["rule"] = Field(default="rule", title="Type", description="A single comparison.")
    left: Formula = Field(
        title="Value", description="A variable's name or a formula, such as `order.status`."
    )
    operator: Operator = Field(
        title="Operator",
        description="`matches` takes a regular expression (RE2), `between` a list of two, `in` a list; "
        "`empty` and `not_empty` take nothing.",
    )
    right: TemplateValue = Field(
        default=None, title="Compared with", description="A value whose texts may hold `{{ formulas }}`."
    )


class RuleGroup(Model):
    """All or any of its rules and groups."""

    type: Literal["group"] = Field(default="group", title="Type", description="A group of comparisons.")
    match: Literal["all", "any"] = Field(
        default="all", title="Match", description="Whether all must hold, or any."
    )
    rules: list[RuleEntry] = Field(
        title="Rules", description="Comparisons and groups.", min_length=1, max_length=50
    )


def _rule_form(value: Any) -> str | None:
    """A group says so, or has `rules`; everything else is a comparison."""
    if isinstance(value, dict):
        named = value.get("type", "group" if "rules" in value else "rule")
        return named if isinstance(named, str) else None
    return getattr(value, "type", None)


RuleEntry = Annotated[
    Annotated[Rule, Tag("rule")] | Annotated[RuleGroup, Tag("group")],
    Discriminator(
        _rule_form,
        custom_error_type="rule_form",
        custom_error_message="Input should be a comparison, or a group (`type` is `rule` or `group`)",
    ),
]


class RulesTest(Model):
    """Holds when all (or any) of the rules hold."""

    kind: Literal["rules"] = Field(title="Kind", description="Comparisons.")
    match: Literal["all", "any"] = Field(
        default="all", title="Match", description="Whether all must hold, or any."
    )
    rules: list[RuleEntry] = Field(
        title="Rules", description="Comparisons and groups.", min_length=1, max_length=50
    )


class ExpressionTest(Model):
    """Holds when the formula is true."""

    kind: Literal["expression"] = Field(title="Kind", description="A formula.")
    formula: Formula = Field(title="Formula", description="Such as `amount > 100 and country == 'ES'`.")


class IntentTest(Model):
    """Holds when the visitor's text means this intent."""

    kind: Literal["intent"] = Field(title="Kind", description="What the visitor wants.")
    intent: ShortText = Field(
        title="Intent", description="A short name, such as `order status`.", min_length=1
    )
    description: str | None = Field(
        default=None,
        title="Description",
        description="Tells a language model what it means.",
        max_length=1_000,
    )
    examples: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        default_factory=list,
        title="Examples",
        description="Phrases of visitors, in every language of the flow.",
        max_length=200,
    )


class BusinessHoursTest(Model):
    """Holds while the schedule of the flow's settings is open."""

    kind: Literal["business_hours"] = Field(title="Kind", description="Whether it is open now.")
    schedule: ScheduleReference = Field(
        title="Schedule", description="The id of a schedule in the flow's settings."
    )


class SplitTest(Model):
    """Holds for a random share of the conversations; a visitor stays in the share once drawn."""

    kind: Literal["split"] = Field(title="Kind", description="A random share, for A/B tests.")
    percent: float = Field(
        title="Share", description="Percent; the shares of one node add up to at most 100.", gt=0, le=100
    )


BranchTest = Annotated[
    RulesTest | ExpressionTest | IntentTest | BusinessHoursTest | SplitTest, Field(discriminator="kind")
]


class Branch(Model):
    """One way out; its exit is `branch:<id>`."""

    id: Identifier = Field(title="Id", description="Unique in the node; names the exit `branch:<id>`.")
    label: ShortText | None = Field(
        default=None, title="Label", description="What the editor and analytics show."
    )
    test: BranchTest = Field(title="When", description="What must hold.")


class IntentSettings(Model):
    """How intents are recognized."""

    text: Formula = Field(
        default="last_message", title="Text", description="A formula that gives the text to understand."
    )
    method: Literal["similarity", "model"] = Field(
        default="similarity",
        title="Method",
        description="Similarity to the example phrases, or a language model.",
    )
    model: ModelName | None = Field(
        default=None, title="Model", description="`provider/model`; empty: the bot's."
    )
    threshold: float = Field(
        default=0.35, title="Threshold", description="Confidence needed, 0 to 1.", ge=0, le=1
    )
    save_to: WritesVariable | None = Field(
        default=None, title="Save to", description="Variable for the recognized intent's name."
    )


class ConditionData(NodeCommon):
    """Branches in order; the first that holds is taken, else `else`."""

    branches: list[Branch] = Field(
        title="Branches", description="Tried from first to last.", min_length=1, max_length=50
    )
    intents: IntentSettings = Field(
        default_factory=IntentSettings,
        title="Intents",
        description="How intent branches are recognized.",
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> ConditionData:
        total = sum(branch.test.percent for branch in self.branches if isinstance(branch.test, SplitTest))
        if total > 100.000001:
            raise misuse(
                f"the shares of the splits add up to {total:g} %, more than 100 %", "Lower some of them."
            )
        return self


class ConditionNode(Model):
    """Chooses a way without saying anything."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "branch:<id>",
            "The first branch whose test holds.",
        ),
        ExitRule(
            "else",
            "No branch holds.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["condition"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: ConditionData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        branches = [branch_exit(branch.id, branch.label or branch.id) for branch in self.data.branches]
        return [*branches, Exit(id="else", label="Else")]

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return False


RuleGroup.model_rebuild()
RulesTest.model_rebuild()
