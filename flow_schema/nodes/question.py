"""`question`: the bot asks with choices."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from flow_schema.fields import (
    Formula,
    Identifier,
    Model,
    NodeCommon,
    Position,
    PositiveDuration,
    TemplateString,
    Text,
    WritesVariable,
    misuse,
    one_of,
)
from flow_schema.nodes.exits import NEXT, Exit, ExitRule, no_reply_exit, option_exit


class Option(Model):
    """One choice; its exit is `option:<id>`."""

    id: Identifier = Field(title="Id", description="Unique in the question; names the exit `option:<id>`.")
    label: Text = Field(title="Label", description="What the visitor reads.")
    value: str | None = Field(
        default=None, title="Value", description="What is saved; the id if empty.", max_length=500
    )
    description: Text | None = Field(default=None, title="Description", description="A line under the label.")
    image_url: TemplateString | None = Field(
        default=None, title="Image", description="The address of the option's picture."
    )
    synonyms: list[str] = Field(
        default_factory=list,
        title="Synonyms",
        description="Other words that mean this option when a visitor types instead of choosing.",
        max_length=50,
    )


class OptionSource(Model):
    """Makes the options from a list at run time; the answer leaves through `next`.

    The options' ids are their places in the list: `1`, `2` and so on.
    """

    list: Formula = Field(title="List", description="A formula that gives a list of texts or objects.")
    label_key: str | None = Field(
        default=None, title="Label key", description="The key of an object's label.", max_length=64
    )
    value_key: str | None = Field(
        default=None,
        title="Value key",
        description="The key of an object's value; without it the whole entry is saved.",
        max_length=64,
    )
    image_key: str | None = Field(
        default=None, title="Image key", description="The key of an object's picture.", max_length=64
    )
    limit: int = Field(default=50, title="Limit", description="Entries beyond it are left out.", ge=1, le=200)


class Matching(Model):
    """How a typed answer finds its option: exact always, then by number, fuzzy, semantic.

    Labels in every language, values and synonyms count. Exact: without case, accents, punctuation, emoji and
    what stands in brackets. Fuzzy: 1 - mistakes / length of the longer, so one mistake in six letters passes,
    one in three does not. An answer passes too that holds the name of one option as whole words, though not
    after a `no`; that is a part of one name alone; or that is a yes or a no (`claro`, `no, gracias`) where
    one option is. An answer that fits several options is asked again. With several answers, `,`, `y`, `and`,
    `+` and `/` part them, `todas` and `ninguna` are understood, and every part must fit.
    """

    numbers: bool = Field(
        default=True,
        title="By number",
        description="Takes `2`, `la segunda`, `option two` for the second option. Where an option's text "
        "holds numbers, `2` is the option that begins with it.",
    )
    fuzzy: bool = Field(default=True, title="Fuzzy", description="Forgives typing errors.")
    fuzzy_threshold: float = Field(
        default=0.82, title="Fuzzy threshold", description="Similarity needed, 0 to 1.", ge=0.5, le=1
    )
    semantic: bool = Field(
        default=False, title="By meaning", description="Compares meanings when spelling does not match."
    )
    semantic_threshold: float = Field(
        default=0.5, title="Meaning threshold", description="Similarity needed, 0 to 1.", ge=0.1, le=1
    )


class QuestionData(NodeCommon):
    """A question with choices: `options`, or `options_from` a list at run time; exactly one of the two.

    A typed answer that fits no option takes `other` if that exit has an edge (after `retries` repetitions);
    else the question is asked again.
    """

    text: Text = Field(title="Question", description="Markdown; may hold `{{ formulas }}`.")
    options: list[Option] = Field(
        default_factory=list, title="Options", description="The choices, in order.", max_length=100
    )
    options_from: OptionSource | None = Field(
        default=None, title="Options from a list", description="Makes the options at run time instead."
    )
    display: Literal["buttons", "pictures", "cards", "list"] = Field(
        default="buttons", title="Shown as", description="How the widget shows the options."
    )
    multiple: bool = Field(
        default=False,
        title="Several answers",
        description="Whether several options may be chosen; the answer then leaves through `next`.",
    )
    min_choices: int = Field(default=1, title="At least", description="Fewest choices.", ge=0, le=100)
    max_choices: int | None = Field(
        default=None, title="At most", description="Most choices; empty: all.", ge=1, le=100
    )
    searchable: bool = Field(
        default=False, title="Searchable", description="Whether the widget offers a search field."
    )
    save_to: WritesVariable | None = Field(
        default=None,
        title="Save to",
        description="Variable for the chosen value, or the list of values with several answers. "
        "An answer that takes `other` is saved as typed, or as null where the variable can't hold it.",
    )
    matching: Matching = Field(
        default_factory=Matching, title="Matching", description="How typed answers find their option."
    )
    retries: int = Field(
        default=0,
        title="Repetitions",
        description="How often the question is asked again before `other` is taken.",
        ge=0,
        le=20,
    )
    retry_text: Text | None = Field(
        default=None, title="Text on no match", description="Said before the question is asked again."
    )
    no_reply_after: PositiveDuration | None = Field(
        default=None,
        title="No reply after",
        description="Takes `no_reply` after this long without an answer.",
    )

    @model_validator(mode="after")
    def _has_options(self) -> QuestionData:
        problem = one_of("a question", options=bool(self.options), options_from=self.options_from is not None)
        if problem is not None:
            raise problem
        if self.max_choices is not None and self.max_choices < self.min_choices:
            raise misuse("`max_choices` is below `min_choices`", "Raise the one or lower the other.")
        return self


class QuestionNode(Model):
    """Asks with choices and waits for the answer."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "option:<id>",
            "The visitor chose this option; without an edge, `next` is taken.",
        ),
        ExitRule(
            "next",
            "Several answers (`multiple`), options from a list, or an option whose own exit has no edge.",
        ),
        ExitRule(
            "other",
            "The answer fits no option, after `retries` repetitions; also when the list of options is empty. "
            "Without an edge the question is asked again.",
        ),
        ExitRule(
            "no_reply",
            "`no_reply_after` has passed without an answer.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["question"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: QuestionData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        through_next = self.data.multiple or self.data.options_from is not None
        named = [
            option_exit(option.id, option.value or option.id, optional=True)
            for option in self.data.options
            if not through_next
        ]
        exits = [*named, NEXT.model_copy(update={"optional": not through_next})]
        exits.append(Exit(id="other", label="Other answer", optional=True))
        exits.append(no_reply_exit(self.data.no_reply_after))
        return exits

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return exit_id != "other" or self.data.options_from is None
