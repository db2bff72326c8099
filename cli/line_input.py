"""Lines that somebody types while other things are printed; nothing waits for a line when the program ends.

On a terminal the line under way is ours to draw (`typed`), so that what arrives meanwhile can be printed
above it. Elsewhere whole lines come from a pipe or a file.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import sys
import termios
import threading
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Any

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
"""A key that is no character: arrows, Home, the marks around a pasted text."""
_LAST_WORD = re.compile(r"\S*\s*$")
_ERASE, _ERASE_LINE, _ERASE_WORD, _END = {"\x7f", "\x08"}, "\x15", "\x17", "\x04"


class LineInput:
    """Reads standard input inside `async with`. `on_change` hears of every change of `typed`."""

    def __init__(self, on_change: Callable[[], None], *, descriptor: int = 0) -> None:
        self.typed = ""
        self._on_change = on_change
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._descriptor = descriptor
        self._saved: list[Any] | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether somebody types, and sees what is drawn."""
        return os.isatty(self._descriptor) and sys.stdout.isatty()

    async def __aenter__(self) -> LineInput:
        if self.is_terminal:
            self._saved = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor)
            asyncio.get_running_loop().add_reader(self._descriptor, self._take)
        else:
            loop = asyncio.get_running_loop()
            # Not by the loop, which takes no files, and not in its executor, for which it waits at its end.
            threading.Thread(target=self._read_lines, args=(loop,), daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saved is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._saved)

    async def line(self) -> str | None:
        """Return the next line, without spaces around it, or None at the end of the input."""
        return await self._lines.get()

    def feed(self, text: str) -> None:
        """Take keys as a terminal sends them."""
        for key in _ESCAPE.sub("", text):
            if key in "\r\n":
                self._lines.put_nowait(self.typed.strip())
                self.typed = ""
            elif key in _ERASE:
                self.typed = self.typed[:-1]
            elif key == _ERASE_LINE:
                self.typed = ""
            elif key == _ERASE_WORD:
                self.typed = _LAST_WORD.sub("", self.typed)
            elif key == _END:
                if not self.typed:
                    self._lines.put_nowait(None)
            elif key.isprintable():
                self.typed += key
        self._on_change()

    def _take(self) -> None:
        try:
            received = os.read(self._descriptor, 65_536)
        except OSError:
            received = b""
        if received:
            self.feed(self._decoder.decode(received))
        else:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._lines.put_nowait(None)

    def _read_lines(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read whole lines; runs in a thread that ends with the program."""
        with open(self._descriptor, "rb", closefd=False) as stream:
            for line in iter(stream.readline, b""):
                loop.call_soon_threadsafe(self._lines.put_nowait, line.decode("utf-8", "replace").strip())
        loop.call_soon_threadsafe(self._lines.put_nowait, None)
