"""What the terminal chat draws, and how it takes what is typed."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from rich.console import Console

from cli.chat import _as_input
from cli.chat_client import ChatClient
from cli.chat_screen import Screen, render
from cli.line_input import LineInput


def question(seq: int) -> dict[str, Any]:
    options = [{"id": "one", "label": "Uno"}, {"id": "two", "label": "Dos"}]
    content = {"type": "choices", "text": "¿Cuál?", "options": options, "multiple": False}
    return {"seq": seq, "role": "assistant", "content": content}


def typed_by_the_visitor(seq: int) -> dict[str, Any]:
    return {"seq": seq, "role": "user", "content": {"type": "text", "text": "Ana"}}


async def test_a_number_is_a_choice_though_the_event_of_the_earlier_message_comes_late() -> None:
    screen = Screen(Console(file=io.StringIO()))
    screen.show_page({"messages": [question(3)]})
    screen.on_event("message", typed_by_the_visitor(2))
    sent = await _as_input("2", ChatClient(None, "bot"), screen)  # type: ignore[arg-type]
    assert sent == {"type": "choice", "options": ["two"], "prompt": 3}
    screen.on_event("message", typed_by_the_visitor(4))
    sent = await _as_input("2", ChatClient(None, "bot"), screen)  # type: ignore[arg-type]
    assert sent == {"type": "text", "text": "2"}


def tokens(text: str, offset: int, attempt: int = 1) -> dict[str, Any]:
    return {"stream_id": "s", "attempt": attempt, "offset": offset, "text": text}


def test_a_streamed_answer_ends_in_one_panel_like_the_others() -> None:
    output = io.StringIO()
    screen = Screen(Console(file=output, width=60, height=20, force_terminal=True, color_system=None))
    screen.open()
    screen.on_event("tokens", tokens("Hola, ", 0))
    screen.on_event("tokens", tokens("Ana", 6))
    screen.print("connected again")
    answer = {"type": "text", "text": "Hola, Ana"}
    screen.on_event("message", {"seq": 1, "role": "assistant", "stream_id": "s", "content": answer})
    screen.typing("yes")
    screen.close()
    final = on_the_terminal(output.getvalue())
    assert final.count("Hola, Ana") == 1
    assert final.index("connected again") < final.index("Hola, Ana")
    assert "│ Hola, Ana" in final
    assert "›" not in final


def on_the_terminal(written: str) -> str:
    """The lines that stay, once cursor movements (up, erase line, start of line) are carried out."""
    lines, row, column, position = [""], 0, 0, 0
    while position < len(written):
        character = written[position]
        if written.startswith("\x1b[", position):
            end = next(i for i in range(position + 2, len(written)) if written[i].isalpha())
            number, action = written[position + 2 : end], written[end]
            if action == "A":
                row = max(0, row - int(number or 1))
            elif action == "K":
                lines[row] = "" if number == "2" else lines[row][:column]
            position = end + 1
            continue
        if character == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif character == "\r":
            column = 0
        else:
            lines[row] = lines[row][:column].ljust(column) + character + lines[row][column + 1 :]
            column += 1
        position += 1
    return "\n".join(lines)


@pytest.mark.parametrize(("kind", "shown"), [("text", ["Name?"]), ("email", ["Name?", "email"])])
def test_a_question_for_a_text_says_nothing_of_its_kind(kind: str, shown: list[str]) -> None:
    output = io.StringIO()
    content = {"type": "input", "text": "Name?", "field": {"kind": kind}, "required": True}
    Console(file=output).print(*render(content))
    assert output.getvalue().split() == shown


async def test_keys_make_lines() -> None:
    drawn: list[str] = []
    lines = LineInput(lambda: drawn.append(lines.typed), descriptor=0)
    for keys in ("hola", "\x7f\x7fy", " más palabras\x17x", "\x1b[A\x1b[200~!", "\n/q\r", "\x04"):
        lines.feed(keys)
    assert drawn[:2] == ["hola", "hoy"]
    got = [await asyncio.wait_for(lines.line(), 1) for _ in range(3)]
    assert got == ["hoy más x!", "/q", None]
