"""What is written and told of response templates."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from api.chatbots.schemas import LANGUAGE_PATTERN
from api.fields import Incoming, Outgoing

_Text = Annotated[str, StringConstraints(min_length=1, max_length=8_000)]
_Language = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)]
_Translations = Annotated[dict[_Language, _Text], Field(min_length=1, max_length=50)]


class TemplateText(Incoming):
    """A template's text."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": {"es": "Gracias por escribir.", "en": "Thank you."}}]}
    )

    text: _Text | _Translations = Field(
        title="Text", description="A text, or a map of language to text; may hold `{{ formulas }}`."
    )


class TemplateView(Outgoing):
    """A response template."""

    slug: str = Field(title="Slug", description='Flows write `{"template": slug}` in the place of a text.')
    text: str | dict[str, str] = Field(title="Text", description="A text, or a map of language to text.")


class TemplateList(Outgoing):
    """The organization's response templates."""

    templates: list[TemplateView] = Field(title="Templates", description="By slug.")
