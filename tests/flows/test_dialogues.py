"""Every scripted dialogue, on the interpreter alone and on Temporal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.dialogue import Case, load_cases
from tests.flows.player import Player
from tests.flows.pure_runner import PureConversation
from tests.flows.temporal_runner import TemporalConversation, TemporalStage

CASES = [case for path in sorted(Path(__file__).parent.glob("*.yaml")) for case in load_cases(path)]


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_on_the_interpreter(case: Case) -> None:
    await Player(case, PureConversation(case)).play()


@pytest.mark.parametrize("way", ["warm", "cold", "moving"])
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.dialogue.clock == "any"], ids=lambda case: case.name
)
async def test_on_temporal(case: Case, way: str, stage: TemporalStage) -> None:
    conversation = TemporalConversation(case, stage, way)
    try:
        await Player(case, conversation).play()
    finally:
        await conversation.close()
