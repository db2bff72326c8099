"""How much of a conversation a model gets to see.

Tokens are estimated, not counted: the exact tokenizers differ by vendor and are downloaded at run time. The
estimate is deterministic and errs to the high side, for Spanish too, where words cost more tokens than in
English; a trimmed turn too many is invisible, an overflowing window fails the call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

from llm.errors import ContextTooLong
from llm.protocol import ChatMessage, ToolSpec

_CHARACTERS_A_TOKEN = 3.5
_TOKENS_A_WORD = 1.4
_TOKENS_A_MESSAGE = 4
_LAST_LATIN = 0x24F


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text.

    The larger of Latin characters / 3.5 and words * 1.4, plus one for every character beyond the Latin
    blocks (Cyrillic, Chinese, emoji), where tokenizers fall back to single characters or bytes.
    """
    latin = "".join(character for character in text if ord(character) <= _LAST_LATIN)
    beyond = len(text) - len(latin)
    by_characters = len(latin) / _CHARACTERS_A_TOKEN
    by_words = len(latin.split()) * _TOKENS_A_WORD
    return math.ceil(max(by_characters, by_words)) + beyond


def count_message(message: ChatMessage) -> int:
    """Estimate the tokens of one message with its tool calls and the frame around it."""
    calls = sum(
        estimate_tokens(call.name) + estimate_tokens(json.dumps(call.arguments, ensure_ascii=False)) + 4
        for call in message.tool_calls
    )
    return _TOKENS_A_MESSAGE + estimate_tokens(message.content) + calls


def count_tools(tools: Sequence[ToolSpec]) -> int:
    """Estimate the tokens that the descriptions of tools take: subtract them from the window."""
    return sum(estimate_tokens(tool.model_dump_json()) for tool in tools)


def trim_messages(
    messages: Sequence[ChatMessage],
    *,
    window_tokens: int,
    reserve_tokens: int,
    count: Callable[[ChatMessage], int] = count_message,
    keep_first_user: bool = False,
) -> list[ChatMessage]:
    """Keep what matters most within `window_tokens - reserve_tokens`, in the original order.

    Always kept: system messages, the latest visitor message and, on request, the first one. The rest is kept
    from the newest backwards and stops at the first that does not fit, so that no hole opens in the middle.
    A tool call and its results stay or go together; a call whose results are missing, or a result whose call
    is, would be refused by providers and is dropped. What is left before the first visitor message of the
    kept part is kept too: bots greet first.

    Raises ContextTooLong if the kept-always part alone does not fit.
    """
    budget = window_tokens - reserve_tokens
    units = _units(messages)
    users = [index for index, unit in enumerate(units) if unit[0].role == "user"]
    pinned = {index for index, unit in enumerate(units) if unit[0].role == "system"}
    pinned.update(users[-1:])
    if keep_first_user:
        pinned.update(users[:1])
    costs = [sum(count(message) for message in unit) for unit in units]
    used = sum(costs[index] for index in pinned)
    if used > budget:
        raise ContextTooLong(f"instructions and question take about {used} tokens, {budget} are available")
    kept = set(pinned)
    for index in reversed(range(len(units))):
        if index in kept:
            continue
        if used + costs[index] > budget:
            break
        used += costs[index]
        kept.add(index)
    return [message for index in sorted(kept) for message in units[index]]


def _units(messages: Sequence[ChatMessage]) -> list[list[ChatMessage]]:
    """Group messages so that an assistant's tool calls and their results are one unit."""
    units: list[list[ChatMessage]] = []
    position = 0
    while position < len(messages):
        message = messages[position]
        position += 1
        if message.role == "tool":
            continue
        if not message.tool_calls:
            units.append([message])
            continue
        results: dict[str, ChatMessage] = {}
        while position < len(messages) and messages[position].role == "tool":
            result = messages[position]
            if result.tool_call_id is not None:
                results.setdefault(result.tool_call_id, result)
            position += 1
        if all(call.id in results for call in message.tool_calls):
            units.append([message, *(results[call.id] for call in message.tool_calls)])
        elif message.content:
            units.append([message.model_copy(update={"tool_calls": []})])
    return units
