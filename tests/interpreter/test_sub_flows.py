"""What a conversation shows of the flow that another one runs, and that flows draw apart from each other."""

from __future__ import annotations

from typing import Any

from tests.workflows.pure import PureConversation, conversation_start
from tests.workflows.small_flows import acts, asks, chain, said, says, start, text
from tests.workflows.world import World
from workflows.details import details

MAIN = chain(
    asks("ask", "order"),
    acts("run", "run_flow", flow="inner"),
    asks("after", "order"),
    variables=[{"name": "order"}],
)
INNER = chain(
    asks("pin", "secret"),
    asks("why", "topic"),
    variables=[{"name": "topic", "default": "envío"}, {"name": "secret", "personal": True}],
)


async def test_the_variables_of_the_flow_in_progress_are_shown_with_its_name() -> None:
    it = PureConversation(World({"main": MAIN, "inner": INNER}))
    await it.visitor(start())
    assert (await it.snapshot()).sub_flow is None
    await it.visitor(text("message-1", "A-7"))
    await it.visitor(text("message-2", "1234"))
    shown = await it.snapshot()
    assert shown.variables == {"order": "A-7"}
    assert shown.sub_flow == "inner"
    assert shown.sub_flow_variables == {"topic": "envío", "secret": "•••"}
    page = details(it.session)
    assert "**Variables of flow** `inner`" in page
    assert '- `topic` = `"envío"`' in page
    assert "1234" not in page
    await it.visitor(text("message-3", "factura"))
    shown = await it.snapshot()
    assert (shown.sub_flow, shown.sub_flow_variables) == (None, {})


def split(name: str) -> Any:
    """Says which half the visitor is in, and runs the other flow, whose node has the same id."""
    return chain(
        (
            "draw",
            "condition",
            {"branches": [{"id": "half", "test": {"kind": "split", "percent": 50}}]},
        ),
        says("half", f"{name} 1"),
        says("rest", f"{name} 0"),
        acts("run", "run_flow", flow="inner") if name == "main" else says("run", "-"),
        edges=[
            ("draw", "branch:half", "half"),
            ("draw", "else", "rest"),
            ("half", "next", "run"),
            ("rest", "next", "run"),
        ],
    )


async def test_nodes_of_the_same_id_in_two_flows_draw_apart() -> None:
    flows = {"main": split("main"), "inner": split("inner")}
    drawn = set()
    for number in range(40):
        begin = conversation_start("bot", user_identifier=f"visitor-{number}")
        it = PureConversation(World(flows), begin)
        words = said((await it.visitor(start())).messages)
        drawn.add((words[0][-1], words[1][-1]))
    assert drawn == {("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")}
