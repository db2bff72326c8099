"""`input`: the bot collects one typed value."""

# ruff: noqa: N815 (names of React Flow)
from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from flow_schema.fields import (
    COUNTRY_PATTERN,
    TIME_PATTERN,
    Formula,
    Identifier,
    Model,
    NodeCommon,
    Pattern,
    Position,
    PositiveDuration,
    Text,
    WritesVariable,
)
from flow_schema.nodes.exits import NEXT, Exit, ExitRule, no_reply_exit


class TextField(Model):
    """Any text."""

    kind: Literal["text"] = Field(title="Kind", description="Any text.")
    multiline: bool = Field(default=False, title="Several lines", description="A larger field.")
    min_length: int = Field(default=1, title="Shortest", description="Characters.", ge=0, le=8_000)
    max_length: int = Field(default=4_000, title="Longest", description="Characters.", ge=1, le=8_000)
    pattern: Pattern | None = Field(
        default=None,
        title="Pattern",
        description="A regular expression (RE2 syntax) that the whole text must match.",
    )


class NumberField(Model):
    """A number; `1.234,5` and `1,234.5` are read by the conversation's language."""

    kind: Literal["number"] = Field(title="Kind", description="A number.")
    min: float | None = Field(default=None, title="Smallest", description="Smallest number allowed.")
    max: float | None = Field(default=None, title="Largest", description="Largest number allowed.")
    integer: bool = Field(default=False, title="Whole number", description="Whether fractions are refused.")


class EmailField(Model):
    """An e-mail address, saved in lower case of its domain."""

    kind: Literal["email"] = Field(title="Kind", description="An e-mail address.")


class PhoneField(Model):
    """A telephone number, saved as E.164 (`+34911234567`)."""

    kind: Literal["phone"] = Field(title="Kind", description="A telephone number.")
    region: str = Field(
        default="ES",
        title="Region",
        description="ISO 3166 country assumed for numbers without a country code.",
        pattern=COUNTRY_PATTERN,
    )


class UrlField(Model):
    """A web address; `https://` is assumed when missing."""

    kind: Literal["url"] = Field(title="Kind", description="A web address.")


class DateField(Model):
    """A day, saved as `YYYY-MM-DD`."""

    kind: Literal["date"] = Field(title="Kind", description="A day.")
    earliest: Formula | None = Field(
        default=None, title="Earliest", description="A formula such as `today()`."
    )
    latest: Formula | None = Field(default=None, title="Latest", description="A formula.")


class TimeField(Model):
    """A time of day, saved as `HH:MM`."""

    kind: Literal["time"] = Field(title="Kind", description="A time of day.")
    earliest: str | None = Field(default=None, title="Earliest", description="`HH:MM`.", pattern=TIME_PATTERN)
    latest: str | None = Field(default=None, title="Latest", description="`HH:MM`.", pattern=TIME_PATTERN)


class DateRangeField(Model):
    """Two days, saved as `{"start": "YYYY-MM-DD", "end": "YYYY-MM-DD"}`."""

    kind: Literal["date_range"] = Field(title="Kind", description="A first and a last day.")
    earliest: Formula | None = Field(default=None, title="Earliest", description="A formula.")
    latest: Formula | None = Field(default=None, title="Latest", description="A formula.")
    max_days: int | None = Field(default=None, title="Longest", description="Days.", ge=1, le=3650)


class RatingField(Model):
    """A whole number from 1 to `max`."""

    kind: Literal["rating"] = Field(title="Kind", description="A rating.")
    max: int = Field(default=5, title="Highest", description="The best rating.", ge=2, le=10)
    shape: Literal["stars", "numbers", "smileys"] = Field(
        default="stars", title="Shape", description="How the widget shows it."
    )


class FileField(Model):
    """One or several uploaded files, saved as a list of `{id, name, type, size}`."""

    kind: Literal["file"] = Field(title="Kind", description="Uploaded files.")
    accept: list[str] = Field(
        default_factory=list,
        title="Allowed types",
        description="Media types such as `image/*` or `application/pdf`; empty: any allowed by the server.",
        max_length=30,
    )
    max_files: int = Field(default=1, title="At most", description="Number of files.", ge=1, le=10)
    max_megabytes: float = Field(default=10, title="Largest", description="Megabytes a file.", gt=0, le=100)


class SignatureField(Model):
    """A drawn signature, uploaded as an image; saved like one file."""

    kind: Literal["signature"] = Field(title="Kind", description="A drawn signature.")


class ConsentField(Model):
    """A yes or no to a stated text, saved as true or false."""

    kind: Literal["consent"] = Field(title="Kind", description="Agreement to a text.")
    statement: Text = Field(title="Statement", description="What is agreed to; Markdown.")
    must_accept: bool = Field(
        default=True, title="Must be accepted", description="Whether a no counts as an invalid answer."
    )


InputField = Annotated[
    TextField
    | NumberField
    | EmailField
    | PhoneField
    | UrlField
    | DateField
    | TimeField
    | DateRangeField
    | RatingField
    | FileField
    | SignatureField
    | ConsentField,
    Field(discriminator="kind"),
]


class InputData(NodeCommon):
    """Collects one value.

    An invalid answer is asked for again, `retries` times, and then takes `invalid` if that exit has an edge;
    without one it is asked for again, without limit.
    """

    text: Text = Field(title="Prompt", description="What the bot says to ask for the value.")
    field: InputField = Field(title="Field", description="The kind of value and its limits.")
    save_to: WritesVariable = Field(title="Save to", description="Variable for the value.")
    placeholder: Text | None = Field(
        default=None, title="Placeholder", description="Shown in the empty field."
    )
    error_text: Text | None = Field(
        default=None,
        title="Error text",
        description="Said when an answer is invalid; empty: a text that fits the kind.",
    )
    retries: int = Field(
        default=2, title="Repetitions", description="Invalid answers before `invalid` is taken.", ge=0, le=20
    )
    required: bool = Field(default=True, title="Required", description="Whether the visitor may not skip it.")
    skip_label: Text | None = Field(
        default=None, title="Skip button", description="The skip button's text where it is not required."
    )
    no_reply_after: PositiveDuration | None = Field(
        default=None,
        title="No reply after",
        description="Takes `no_reply` after this long without an answer.",
    )


class InputNode(Model):
    """Asks for one value, checks it and saves it."""

    exit_rules: ClassVar[tuple[ExitRule, ...]] = (
        ExitRule(
            "next",
            "The value is saved, or the visitor skipped it (then it is null).",
        ),
        ExitRule(
            "invalid",
            "More than `retries` invalid answers. Without an edge the value is asked for again.",
        ),
        ExitRule(
            "no_reply",
            "`no_reply_after` has passed without an answer.",
        ),
    )

    id: Identifier = Field(title="Id", description="Unique in the flow.")
    type: Literal["input"] = Field(title="Kind", description="The node's kind.")
    position: Position = Field(default_factory=Position, title="Position", description="On the canvas.")
    parentId: Identifier | None = Field(default=None, title="Group", description="The group it is drawn in.")
    data: InputData = Field(title="Data", description="What the node does.")

    def exits(self) -> list[Exit]:
        return [
            NEXT,
            Exit(id="invalid", label="Invalid", optional=True),
            no_reply_exit(self.data.no_reply_after),
        ]

    def waits(self, exit_id: str) -> bool:
        """Whether it waits (for a visitor, an agent, a call, a timer) before leaving through `exit_id`."""
        return True
