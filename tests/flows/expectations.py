"""Compares what a conversation said and did with what a dialogue expects."""

from __future__ import annotations

import json
import re
from typing import Any

from flow_schema.turns import (
    CardsContent,
    ChoicesContent,
    Content,
    InputContent,
    MediaContent,
    Message,
    NoticeContent,
    RedirectContent,
    SatisfactionContent,
    TextContent,
)

ELLIPSIS = "…"


class Mismatch(AssertionError):
    """A dialogue went otherwise than it says."""


def check_messages(place: str, expected: list[Any], messages: list[Message]) -> None:
    """All messages of a reply, number and order included. Raises Mismatch."""
    problem = None
    if len(expected) != len(messages):
        problem = f"{len(expected)} messages expected, {len(messages)} said"
    else:
        for number, (wanted, message) in enumerate(zip(expected, messages, strict=True), start=1):
            problem = message_problem(wanted, message)
            if problem:
                problem = f"message {number}: {problem}"
                break
    if problem:
        said = "\n".join(f"  {describe(message)}" for message in messages) or "  (nothing)"
        wished = "\n".join(f"  {json.dumps(item, ensure_ascii=False)}" for item in expected) or "  (nothing)"
        raise Mismatch(f"{place}: {problem}\nexpected:\n{wished}\nsaid:\n{said}")


def describe(message: Message) -> str:
    content = message.content.model_dump(mode="json", exclude_defaults=True, exclude={"type"})
    return f"#{message.seq} {message.role} {message.content.type} {json.dumps(content, ensure_ascii=False)}"


def message_problem(wanted: Any, message: Message) -> str | None:
    """Why a message is not the expected one, or None."""
    content = message.content
    if isinstance(wanted, str):
        if not isinstance(content, TextContent):
            return f"a text was expected, not {content.type}"
        return text_problem(wanted, content.text)
    if not isinstance(wanted, dict):
        raise Mismatch(f"{wanted!r} is no expectation")
    for key, value in wanted.items():
        problem = _part_problem(key, value, message, content)
        if problem:
            return f"{key}: {problem}"
    return None


def _part_problem(key: str, value: Any, message: Message, content: Content) -> str | None:
    match key, content:
        case "any", _:
            return None
        case "text", (
            TextContent() | ChoicesContent() | InputContent() | SatisfactionContent() | NoticeContent()
        ):
            return text_problem(value, content.text)
        case "text", RedirectContent():
            return text_problem(value, content.text or "")
        case "choices", ChoicesContent():
            return list_problem(value, [option.label for option in content.options])
        case "ids", ChoicesContent():
            return list_problem(value, [option.id for option in content.options])
        case "input", InputContent():
            return None if content.field["kind"] == value else f"the field is {content.field['kind']}"
        case "csat", SatisfactionContent():
            return text_problem(value, content.text)
        case "redirect", RedirectContent():
            return text_problem(value, content.url)
        case "notice", NoticeContent():
            return None if content.code == value else f"the notice is {content.code}"
        case "agent", (TextContent() | NoticeContent()) if message.agent is not None:
            return text_problem(value, content.text)
        case "cards", CardsContent():
            return list_problem(value, [card.title for card in content.cards])
        case (("image" | "video" | "audio" | "file" | "embed"), MediaContent()) if content.type == key:
            return text_problem(value, content.url)
        case "content", _:
            return subset_problem(value, content.model_dump(mode="json"))
        case "typing_seconds", _:
            return None if message.typing_seconds == value else f"is {message.typing_seconds}"
        case _:
            return f"the message is {content.type}"


def text_problem(wanted: Any, text: str) -> str | None:
    """`…` stands for any run of characters, line ends included; else the text must be the same."""
    pattern = ".*".join(re.escape(part) for part in str(wanted).split(ELLIPSIS))
    if re.fullmatch(pattern, text, re.DOTALL):
        return None
    return f"{wanted!r} expected, said was {text!r}"


def list_problem(wanted: Any, found: list[str]) -> str | None:
    return None if list(map(str, wanted)) == found else f"{wanted} expected, found {found}"


def subset_problem(wanted: Any, found: Any) -> str | None:
    """Objects by the given keys, lists entry by entry, texts with `…`, numbers as numbers."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"an object was expected, found {found!r}"
        for key, value in wanted.items():
            if problem := subset_problem(value, found.get(key)):
                return f"{key}: {problem}"
        return None
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return f"{wanted!r} expected, found {found!r}"
        for number, (left, right) in enumerate(zip(wanted, found, strict=True)):
            if problem := subset_problem(left, right):
                return f"[{number}]: {problem}"
        return None
    if isinstance(wanted, str) and isinstance(found, str):
        return text_problem(wanted, found)
    same = wanted == found and isinstance(wanted, bool) == isinstance(found, bool)
    return None if same else f"{wanted!r} expected, found {found!r}"


def check_subset(place: str, wanted: Any, found: Any) -> None:
    """Raises Mismatch when `found` lacks something of `wanted`."""
    if problem := subset_problem(wanted, found):
        raise Mismatch(f"{place}: {problem}")
