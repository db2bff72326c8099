"""How a visitor's input stands in the transcript."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flow_schema.effects import VisitorMessage
from flow_schema.turns import (
    ChoiceInput,
    ChoiceOption,
    Content,
    EventContent,
    EventInput,
    FileInfo,
    FilesContent,
    FilesInput,
    SelectionContent,
    StartInput,
    TextContent,
    TextInput,
    ValueContent,
    ValueInput,
)
from workflows.interpreter.rules import as_text


def content_of(
    message: VisitorMessage, options: list[dict[str, Any]], phrase: Callable[[str], str]
) -> tuple[Content | None, str | None]:
    """The transcript's entry for an input and what becomes `last_message`; None where there is none."""
    match message.input:
        case StartInput(text=text):
            return (TextContent(text=text), text) if text else (None, None)
        case TextInput(text=text):
            return TextContent(text=text), text
        case ChoiceInput(options=chosen):
            labels = {option["id"]: option["label"] for option in options}
            picked = [ChoiceOption(id=option, label=labels.get(option, option)) for option in chosen]
            text = ", ".join(option.label for option in picked)
            return SelectionContent(options=picked, text=text), text
        case ValueInput(value=value):
            text = shown(value, phrase)
            return ValueContent(value=value, text=text), text
        case FilesInput():
            files = [
                FileInfo(
                    id=str(file.get("id")),
                    name=str(file.get("name", "")),
                    media_type=str(file.get("media_type", "application/octet-stream")),
                    size=_size(file.get("size")),
                )
                for file in message.files
            ]
            text = ", ".join(file.name for file in files)
            return FilesContent(files=files, text=text), text
        case EventInput(name=name, data=data):
            return EventContent(name=name, data=data), None


def _size(given: Any) -> int:
    return given if isinstance(given, int) and given >= 0 else 0


def shown(value: Any, phrase: Callable[[str], str]) -> str:
    """A value for reading."""
    match value:
        case None:
            return phrase("skipped")
        case bool():
            return phrase("yes" if value else "no")
        case {"rating": rating, **rest}:
            comment = rest.get("comment")
            return f"{as_text(rating)}" + (f": {comment}" if comment else "")
        case {"start": start, "end": end}:
            return f"{as_text(start)} – {as_text(end)}"
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return as_text(value)
