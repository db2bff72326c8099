"""Puts response templates into a flow. Publishing pins the texts, so that a version never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from flow_schema.fields import TemplateReference
from flow_schema.flow import Flow
from flow_schema.references import templates_used, texts
from flow_schema.wording import plain_words


class TemplateError(ValueError):
    """A flow refers to response templates that do not exist or do not fit where they stand.

    `names` are the templates' names, in alphabetical order.
    """

    def __init__(self, message: str, names: list[str]) -> None:
        super().__init__(message)
        self.names = names


def resolve_templates(flow: Flow, known: Mapping[str, str | dict[str, str]]) -> Flow:
    """A copy of `flow` in which every reference to a template is replaced by the template's text.

    `known` maps a template's name to its text, or to its texts by language. Raises TemplateError with all
    names that are not known, or whose text is too long for its place. A flow without references is returned
    as it is.
    """
    unknown = sorted(templates_used(flow) - known.keys())
    if unknown:
        raise TemplateError(f"there are no response templates {', '.join(unknown)}", unknown)
    return resolve_known_templates(flow, known)[0]


def resolve_known_templates(
    flow: Flow, known: Mapping[str, str | dict[str, str]]
) -> tuple[Flow, dict[str, str]]:
    """As `resolve_templates`, but references to templates that are not known stay.

    Also returns where which template was put: JSON pointer -> name. Raises TemplateError for a text that does
    not fit where it stands.
    """
    places = {
        use.path: use.value.template
        for _, use in texts(flow)
        if isinstance(use.value, TemplateReference) and use.value.template in known
    }
    if not places:
        return flow, places
    document = flow.model_dump(mode="json", exclude_unset=True, by_alias=True)
    for path, name in places.items():
        _put(document, path, known[name])
    try:
        return Flow.model_validate(document), places
    except ValidationError as error:
        names = sorted(set(places.values()))
        reason = plain_words(error.errors(include_url=False)[0])
        raise TemplateError(f"a response template does not fit where it stands: {reason}", names) from None


def _put(document: Any, path: str, value: Any) -> None:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for part in way:
        document = document[int(part)] if isinstance(document, list) else document[part]
    if isinstance(document, list):
        document[int(last)] = value
    else:
        document[last] = value
