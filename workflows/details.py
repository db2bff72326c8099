"""What the Temporal UI shows of a running conversation, in Markdown."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from flow_schema.turns import Visit
from workflows.interpreter.context import without
from workflows.interpreter.session import Session

SHOWN_VISITS = 15
SHOWN_CHARACTERS = 120


def details(session: Session) -> str:
    """Where the conversation stands, what it waits for, its path and its variables (personal ones masked)."""
    state = session.state
    if not state.frames:
        return "Not opened yet."
    walk = session.walk
    frame = state.frame
    label = walk.graph.label(frame.node_id)
    node = walk.graph.nodes.get(frame.node_id)
    lines = [
        f"### {_escape(walk.main.flow.name)}: {state.status.value}",
        f"**Stands at** {_escape(label)} (`{frame.node_id}`"
        + (f", {node.type}" if node is not None else "")
        + (f", in flow `{frame.flow}`" if frame.flow != "main" else "")
        + ")",
    ]
    if state.waiting is not None:
        until = f", until {state.waiting.until:%Y-%m-%d %H:%M:%S} UTC" if state.waiting.until else ""
        lines.append(
            f"**Waits for** {state.waiting.kind}: "
            f"{_escape(without(state.waiting.reason, walk.personal_values()))}"
            f" (since {state.waiting.since:%Y-%m-%d %H:%M:%S} UTC{until})"
        )
    if state.stuck_reason:
        lines.append(f"**Stuck** {_escape(state.stuck_reason)}")
    if state.agent is not None:
        lines.append(f"**Agent** {_escape(state.agent.name)}")
    if state.end_reason:
        lines.append(f"**Ended** {_escape(state.end_reason)}")
    lines.append(f"**Turns** {state.turns} · **messages** {state.last_seq} · **language** {state.language}")
    lists = ["**Path**", "", *_path(session)]
    lists += _variables("**Variables**", session.visible_variables())
    lists += _variables(f"**Variables of flow** `{frame.flow}`", session.sub_flow_variables())
    return "\n\n".join(lines) + "\n\n" + "\n".join(lists)


def _path(session: Session) -> list[str]:
    """The last visits. Their numbers are escaped: as a list's they would be counted anew, from 1."""
    visits = session.state.path[-SHOWN_VISITS:]
    before = visits[0].number - 1 if visits else 0
    earlier = [f"- … {before} earlier"] if before else []
    return [*earlier, *(_visit(visit, session) for visit in visits)]


def _variables(title: str, variables: dict[str, Any]) -> list[str]:
    if not variables:
        return []
    return ["", title, "", *(f"- `{name}` = {_value(value)}" for name, value in variables.items())]


def _visit(visit: Visit, session: Session) -> str:
    graph = session.graphs.get(visit.flow)
    label = graph.label(visit.node_id) if graph is not None else visit.node_id
    return _visit_line(visit.number, label, visit.flow, visit.exit, visit.error)


@lru_cache(maxsize=4096)
def _visit_line(number: int, label: str, flow: str, exit_id: str | None, error: str | None) -> str:
    """Kept, since each turn shows the visits before it once more."""
    where = f"- {number}\\. {_escape(label)}" + (f" (`{flow}`)" if flow != "main" else "")
    gone = f" → {exit_id}" if exit_id else ""
    return where + gone + (f" — {_escape(error)}" if error else "")


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return (
        "`" + text[:SHOWN_CHARACTERS].replace("`", "'") + ("…" if len(text) > SHOWN_CHARACTERS else "") + "`"
    )


_ESCAPES = str.maketrans({character: "\\" + character for character in "\\`*_[]<>#|"})


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)
