"""The field types that node data is made of.

Each type that holds something a validator, a translator or an editor must understand carries a `Holds`
mark. Walking a node by these marks (see `references.py`) finds every text, formula, variable and secret of
a flow without knowing the node kinds, and the same mark reaches the JSON Schema as `x-holds`, so that an
editor draws the fitting control.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StringConstraints,
    Tag,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
SLUG_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"
ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
LANGUAGE_PATTERN = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
TIME_PATTERN = r"^([01]\d|2[0-3]):[0-5]\d$"
TIME_OF_DAY_PATTERN = r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"
DAY_PATTERN = r"^\d{4}-\d{2}-\d{2}$"
COUNTRY_PATTERN = r"^[A-Z]{2}$"
DURATION_PATTERN = (
    r"^P(?=[0-9T])([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?"
    r"(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]+)?S)?)?$"
)
PATTERN_WORDS = {
    NAME_PATTERN: "a letter, then up to 63 letters, digits or `_`, without accents and spaces",
    SLUG_PATTERN: "small letters, digits and `-`, such as `opening-hours`, at most 64",
    ID_PATTERN: "letters, digits, `_` and `-`, at most 64, without accents and spaces",
    LANGUAGE_PATTERN: "a language such as `es` or `en-US`",
    TIME_PATTERN: "a time `HH:MM` such as `09:30`",
    TIME_OF_DAY_PATTERN: "a time `HH:MM` such as `09:30`, or `24:00`",
    DAY_PATTERN: "a day `YYYY-MM-DD` such as `2026-12-31`",
    COUNTRY_PATTERN: "the two capital letters of a country, such as `ES`",
    DURATION_PATTERN: "a duration such as `PT30S`, `PT5M` or `P3D`",
}
"""What messages say instead of a pattern; every pattern of the flow language is here."""
_DURATION: Final = re.compile(DURATION_PATTERN, re.ASCII)
MAX_TEXT = 8_000
MAX_FORMULA = 2_000


class Role(StrEnum):
    """What a marked field holds."""

    TEXT = "text"
    """A text for people: translated, with `{{ formulas }}`, or a reference to a response template."""
    TEMPLATE = "template"
    """One technical string with `{{ formulas }}`: an address, a header."""
    VALUE = "value"
    """JSON whose strings may hold `{{ formulas }}`."""
    FORMULA = "formula"
    VARIABLE_WRITE = "variable-write"
    """The name of a declared variable that the node sets."""
    VARIABLE_READ = "variable-read"
    FLOW = "flow"
    NODE = "node"
    SCHEDULE = "schedule"
    OUTCOME_TEXT = "model-instructions"
    """A text like `TEXT`, but for a language model instead of people."""
    MODEL = "model"
    """A language model, `provider/model`."""
    COLLECTION = "collection"
    """A collection of documents."""
    PATTERN = "pattern"
    """A regular expression in RE2 syntax."""
    JMESPATH = "jmespath"
    JSON_SCHEMA = "json-schema"
    TIMEZONE = "timezone"


@dataclass(frozen=True)
class Holds:
    """Marks a field with what it holds; becomes `x-holds` in the JSON Schema."""

    role: Role
    secrets: bool = False
    """Whether `secrets.NAME` may appear."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        schema["x-holds"] = self.role.value
        if self.secrets:
            schema["x-secrets"] = True
        return schema


class Model(BaseModel):
    """Configuration that every part of the flow language shares.

    Unknown keys are errors, and so are values of another type than the schema says (`"3"`, `"yes"`).
    """

    provides: ClassVar[frozenset[str]] = frozenset()
    """Names that formulas anywhere below this model may read, beside variables and `RESERVED_NAMES`."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        ser_json_timedelta="iso8601",
        strict=True,
        use_enum_values=False,
        validate_default=False,
    )


class TemplateReference(Model):
    """Stands for a reusable text of the organization; publishing replaces it by that text."""

    template: Annotated[str, StringConstraints(pattern=SLUG_PATTERN)] = Field(
        title="Response template", description="The name of the response template."
    )


Language = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)]
Translations = Annotated[
    dict[Language, Annotated[str, StringConstraints(max_length=MAX_TEXT)]], Field(min_length=1, max_length=50)
]


def _text_form(value: Any) -> str | None:
    """Which of the three forms of a text a value has, so that an error speaks of that form alone."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, TemplateReference) or (isinstance(value, dict) and "template" in value):
        return "template"
    return "translations" if isinstance(value, dict) else None


_TEXT_FORMS = Discriminator(
    _text_form,
    custom_error_type="text_form",
    custom_error_message='Input should be a text, an object of language to text, or {"template": name}',
)
_Template = Annotated[TemplateReference, Tag("template")]
Text = Annotated[
    Annotated[str, StringConstraints(max_length=MAX_TEXT), Tag("string")]
    | Annotated[Translations, Tag("translations")]
    | _Template,
    _TEXT_FORMS,
    Holds(Role.TEXT),
]
Instructions = Annotated[
    Annotated[str, StringConstraints(max_length=MAX_TEXT * 4), Tag("string")]
    | Annotated[Translations, Tag("translations")]
    | _Template,
    _TEXT_FORMS,
    Holds(Role.OUTCOME_TEXT),
]
TemplateString = Annotated[str, StringConstraints(max_length=MAX_TEXT), Holds(Role.TEMPLATE)]
SecretTemplateString = Annotated[
    str, StringConstraints(max_length=MAX_TEXT), Holds(Role.TEMPLATE, secrets=True)
]
TemplateValue = Annotated[JsonValue, Holds(Role.VALUE)]
SecretTemplateValue = Annotated[JsonValue, Holds(Role.VALUE, secrets=True)]
Formula = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_FORMULA, strip_whitespace=True), Holds(Role.FORMULA)
]
VariableName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
WritesVariable = Annotated[str, StringConstraints(pattern=NAME_PATTERN), Holds(Role.VARIABLE_WRITE)]
ReadsVariable = Annotated[str, StringConstraints(pattern=NAME_PATTERN), Holds(Role.VARIABLE_READ)]
FlowReference = Annotated[str, StringConstraints(pattern=SLUG_PATTERN), Holds(Role.FLOW)]
NodeReference = Annotated[str, StringConstraints(pattern=ID_PATTERN), Holds(Role.NODE)]
ScheduleReference = Annotated[str, StringConstraints(pattern=SLUG_PATTERN), Holds(Role.SCHEDULE)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=120), Holds(Role.MODEL)]
"""`provider/model`, such as `openai/gpt-4o-mini`."""
CollectionReference = Annotated[str, StringConstraints(min_length=1, max_length=200), Holds(Role.COLLECTION)]
Pattern = Annotated[str, StringConstraints(max_length=500), Holds(Role.PATTERN)]
JmesPath = Annotated[str, StringConstraints(min_length=1, max_length=500), Holds(Role.JMESPATH)]
JsonSchema = Annotated[dict[str, Any], Field(max_length=50), Holds(Role.JSON_SCHEMA)]
Timezone = Annotated[str, StringConstraints(min_length=1, max_length=64), Holds(Role.TIMEZONE)]
Identifier = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
ShortText = Annotated[str, StringConstraints(max_length=200)]


@dataclass(frozen=True)
class DurationLimits:
    """Tells the JSON Schema the form and limits of a duration, for which it has no keywords of its own."""

    minimum: str
    maximum: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        schema.update(
            {
                "pattern": DURATION_PATTERN,
                "x-minimum": self.minimum,
                "x-maximum": self.maximum,
                "examples": ["PT30S", "P3D"],
            }
        )
        return schema


def _iso_duration(value: Any) -> Any:
    """Pydantic alone would take numbers of seconds and forms such as `3 days` and `00:30:00`."""
    if isinstance(value, timedelta) or (isinstance(value, str) and _DURATION.fullmatch(value)):
        return value
    raise PydanticCustomError("duration_form", "it should be a duration such as `PT30S`, `PT5M` or `P3D`")


_IsoDuration = Annotated[timedelta, Field(strict=False), BeforeValidator(_iso_duration)]
Duration = Annotated[
    _IsoDuration, Field(ge=timedelta(0), le=timedelta(days=3650)), DurationLimits("PT0S", "P3650D")
]
"""An ISO 8601 duration such as `PT30S`, `PT15M`, `P3D`; at most ten years."""
PositiveDuration = Annotated[
    _IsoDuration, Field(ge=timedelta(seconds=1), le=timedelta(days=3650)), DurationLimits("PT1S", "P3650D")
]
"""A duration of at least one second."""


def one_of(what: str, **given: bool) -> PydanticCustomError | None:
    """What is wrong where exactly one of several fields belongs, in terms of those that are there.

    `given` says of each field whether it has a value.
    """
    names = [f"`{name}`" for name in given]
    present = [f"`{name}`" for name, has_value in given.items() if has_value]
    if len(present) == 1:
        return None
    if not present:
        return misuse(f"{what} needs {' or '.join(names)}", f"Set one of {' and '.join(names)}.")
    return misuse(
        f"{what} takes only one of {' and '.join(names)}, and has {' and '.join(present)}",
        f"Keep one of {' and '.join(present)} and remove the rest.",
    )


def misuse(message: str, fix: str) -> PydanticCustomError:
    """An error for validators of models that brings its own words on what to do."""
    return PydanticCustomError("misuse", "{message}", {"message": message, "fix": fix})


class Position(Model):
    """Where the editor draws a node, in pixels of the canvas."""

    x: float = Field(default=0, title="X", description="Pixels from the left.", ge=-1e6, le=1e6)
    y: float = Field(default=0, title="Y", description="Pixels from the top.", ge=-1e6, le=1e6)


class Comment(Model):
    """A remark of a designer on a node; visitors never see it."""

    text: str = Field(title="Text", description="The remark.", min_length=1, max_length=2_000)
    author: str | None = Field(default=None, title="Author", description="Who wrote it.", max_length=200)
    created_at: str | None = Field(
        default=None, title="Written at", description="ISO 8601 time at which it was written.", max_length=40
    )
    resolved: bool = Field(default=False, title="Resolved", description="Whether it has been dealt with.")


class NodeCommon(Model):
    """What the data of every kind may carry for the people who draw the flow."""

    label: str | None = Field(
        default=None,
        title="Name",
        description="Shown on the canvas, in analytics and in the Temporal UI instead of the id.",
        max_length=120,
    )
    comments: list[Comment] = Field(
        default_factory=list, title="Comments", description="Remarks of designers.", max_length=50
    )


def localized(text: str | dict[str, str] | TemplateReference | None, language: str, fallback: str) -> str:
    """Picks the text for `language`: the exact tag, its base tag, the flow's language, then any.

    A response template that publishing did not resolve reads as an empty text.
    """
    if text is None or isinstance(text, TemplateReference):
        return ""
    if isinstance(text, str):
        return text
    for tag in (language, language.split("-")[0], fallback, fallback.split("-")[0]):
        if tag in text:
            return text[tag]
    return text[min(text)]
