"""The plain text of a message: what `messages.content` holds, for search, for models and for reading."""

from __future__ import annotations

from typing import assert_never

from flow_schema.turns import (
    CardsContent,
    ChoicesContent,
    Content,
    EventContent,
    FilesContent,
    InputContent,
    MediaContent,
    NoticeContent,
    RedirectContent,
    SatisfactionContent,
    SelectionContent,
    TextContent,
    ValueContent,
)


def plain_text(content: Content) -> str:
    """Return what a reader without pictures or buttons would be told; lines of a list start with `- `."""
    match content:
        case TextContent() | InputContent() | SatisfactionContent() | NoticeContent():
            return content.text
        case SelectionContent() | ValueContent():
            return content.text
        case ChoicesContent():
            return _lines(content.text, *(f"- {option.label}" for option in content.options))
        case CardsContent():
            return _lines(
                *(f"- {card.title}" + (f": {card.text}" if card.text else "") for card in content.cards)
            )
        case MediaContent():
            return _lines(content.alt or content.name, content.url)
        case RedirectContent():
            return _lines(content.text, content.url)
        case FilesContent():
            return content.text or ", ".join(file.name for file in content.files)
        case EventContent():
            return content.name
        case _:
            assert_never(content)


def _lines(*parts: str | None) -> str:
    return "\n".join(part for part in parts if part)
