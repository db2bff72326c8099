"""What `versaai up` says while it works: one line a part, living on a terminal, plain elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Progress:
    """Writes to `console`; a spinner shows the part under way when the console is a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status: Status | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Show a step while the block runs, then its seconds; what the block appends is shown as a note."""
        notes: list[str] = []
        begin = time.monotonic()
        if self.console.is_terminal:
            self._status = self.console.status(f"{title} …")
            self._status.start()
        try:
            yield notes
        except BaseException:
            self._end_status()
            self._line("[red]✗[/red]", title, time.monotonic() - begin, "")
            raise
        self._end_status()
        self._line("[green]✓[/green]", title, time.monotonic() - begin, "  ".join(notes))

    def notice(self, text: str, style: str = "") -> None:
        """Show a sentence between the steps, such as a part that died."""
        self.console.print(text, style=style or None, highlight=False, soft_wrap=True)

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _line(self, mark: str, title: str, seconds: float, note: str) -> None:
        self.console.print(
            f"{mark} {title:<22} {seconds:5.1f} s  [dim]{note}[/dim]", highlight=False, soft_wrap=True
        )
