"""Every scripted dialogue, on the interpreter alone and on Temporal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.conftest import Stages
from tests.flows.dialogue import Case, load_cases
from tests.flows.player import Player
from tests.flows.pure_runner import PureConversation
from tests.flows.temporal_runner import TemporalConversation

CASES = [case for path in sorted(Path(__file__).parent.glob("*.yaml")) for case in load_cases(path)]


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_on_the_interpreter(case: Case) -> None:
    await Player(case, PureConversation(case)).play()


ANY_CLOCK = [case for case in CASES if case.dialogue.clock == "any"]
MOVING = [case for case in ANY_CLOCK if not any(step.action == "burst" for step in case.dialogue.steps)]


@pytest.mark.parametrize(
    ("case", "way"),
    [
        *((case, way) for way in ("warm", "cold") for case in ANY_CLOCK),
        *(pytest.param(case, "moving", marks=pytest.mark.slow) for case in MOVING),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
async def test_on_temporal(case: Case, way: str, stages: Stages) -> None:
    conversation = TemporalConversation(case, await stages.of(f"{case.file} {way}"), way)
    try:
        await Player(case, conversation).play()
    finally:
        await conversation.close()
