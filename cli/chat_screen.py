"""What `versaai chat` draws: each message once, and below them what streams in and what is being typed."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.text import Text

Json = dict[str, Any]
_ROLE_STYLE = {"assistant": "cyan", "agent": "green", "system": "dim"}
_PROMPT = "› "
_ROOM = 8
"""Lines of the window that a text on its way leaves free."""


class Screen:
    """What was shown: each message once, whether it came as a reply, as an event or in a transcript.

    On a terminal, between `open` and `close`, the texts on their way and the line being typed are drawn below
    all else, and drawn anew when something is printed.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._typed = ""
        self.forget()

    def forget(self) -> None:
        """Begin another conversation."""
        self._shown: set[int] = set()
        self._streams: dict[str, tuple[int, str]] = {}
        self.prompt: Json | None = None
        self.status = "active"

    def open(self) -> None:
        """Begin to draw the line being typed."""
        self._live = Live(
            self._below(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="visible",
        )
        self._live.start(refresh=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def typing(self, text: str) -> None:
        """Draw the line being typed."""
        self._typed = text
        self._draw()

    def print(self, *parts: Any) -> None:
        """Print above the line being typed."""
        self._console.print(*parts)
        self._draw()

    def entered(self, line: str) -> None:
        """Keep a line that was sent among what was shown."""
        if self._live is not None:
            self.print(Text(_PROMPT + line, style="bold"))

    @property
    def cursor(self) -> int:
        """The number up to which nothing is missing."""
        seq = 0
        while seq + 1 in self._shown:
            seq += 1
        return seq

    def show_page(self, page: Json) -> None:
        """Show the messages of a reply or of a transcript."""
        for message in page["messages"]:
            self.show(message)
        self.status = page.get("status", self.status)
        if self._streams:
            self._streams.clear()  # of attempts that came to nothing
            self._draw()

    def on_event(self, name: str, data: Json) -> None:
        """Show what an event tells."""
        if name == "message":
            self.show(data)
        elif name == "tokens":
            self._stream(data)
        elif name == "status":
            self.status = data.get("status", self.status)

    def _stream(self, data: Json) -> None:
        stream, attempt = str(data["stream_id"]), int(data["attempt"])
        known_attempt, text = self._streams.get(stream, (attempt, ""))
        if attempt < known_attempt:
            return
        if attempt > known_attempt:
            text = ""  # the model is asked once more
        fresh = str(data["text"])[max(0, len(text) - int(data["offset"])) :]
        self._streams[stream] = (attempt, text + fresh)
        self._draw()

    def show(self, message: Json) -> None:
        """Show a message, unless it has been shown."""
        seq = int(message["seq"])
        if seq in self._shown:
            return
        self._shown.add(seq)
        content = message["content"]
        if message["role"] == "user":
            # Its event may come after the reply to it, and the next question with that.
            if self.prompt is not None and seq > int(self.prompt["seq"]):
                self.prompt = None
            return
        if content["type"] in {"choices", "input", "csat"}:
            self.prompt = message
        self._streams.pop(str(message.get("stream_id")), None)
        style = _ROLE_STYLE.get(message["role"], "cyan")
        who = message["agent"]["name"] if message.get("agent") else None
        for part in render(content):
            self.print(Panel(part, border_style=style, title=who, title_align="left", expand=False))

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._below(), refresh=True)

    def _below(self) -> Group:
        room = max(3, self._console.height - _ROOM)
        streaming = [
            Panel(Text("\n".join(_last_lines(self._console, text, room))), border_style="cyan", expand=False)
            for _attempt, text in self._streams.values()
            if text
        ]
        return Group(*streaming, Text.assemble((_PROMPT, "bold"), self._typed, ("▏", "dim")))


def _last_lines(console: Console, text: str, count: int) -> list[str]:
    lines = Text(text).wrap(console, max(10, console.width - 4))
    return [line.plain for line in lines[-count:]]


def render(content: Json) -> list[Any]:
    """Return what the terminal shows for a message's content."""
    kind = content["type"]
    match kind:
        case "text":
            return [Markdown(content["text"])]
        case "choices":
            lines = [
                f"{number}. {option['label']}"
                + (f" ({option['description']})" if option.get("description") else "")
                for number, option in enumerate(content["options"], 1)
            ]
            hint = "\nchoose several, such as 1,3" if content["multiple"] else ""
            return [Group(Markdown(content["text"]), Text("\n".join(lines) + hint))]
        case "input":
            field = content["field"]
            details = [] if field["kind"] == "text" else [str(field["kind"])]
            details += [
                f"{name} {field[name]}" for name in ("min", "max", "earliest", "latest") if field.get(name)
            ]
            if isinstance(field.get("statement"), str):
                details.append(field["statement"])
            hints = [", ".join(details), "" if content["required"] else "/skip"]
            hint = " · ".join(filter(None, hints))
            asked = Markdown(content["text"])
            return [Group(asked, Text(hint, style="dim"))] if hint else [asked]
        case "csat":
            return [Text(f"{content['text']}\n1 … 5")]
        case "cards":
            return [
                Text(
                    "\n".join(
                        filter(
                            None,
                            [
                                card["title"],
                                card.get("text"),
                                *(
                                    f"[{one['label']}] {one.get('url') or one.get('reply')}"
                                    for one in card["buttons"]
                                ),
                            ],
                        )
                    )
                )
                for card in content["cards"]
            ]
        case "redirect":
            return [Text(f"{content.get('text') or ''} {content['url']}".strip())]
        case "notice":
            return [Text(content.get("text") or content["code"].replace("_", " "), style="dim")]
        case "files":
            names = "\n".join(f"{file['name']} {file.get('url') or ''}" for file in content["files"])
            return [Text(f"{content.get('text', '')}\n{names}".strip())]
        case _:
            return [
                Text(f"[{kind}] {content.get('name') or content.get('alt') or ''} {content.get('url', '')}")
            ]
