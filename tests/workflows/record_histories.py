"""Records histories of the present release: `make histories`.

Plays some dialogues on Temporal and keeps the history of each run. `test_histories.py` replays what lies
there with the present code. Until a release is out, a change of the engine may record its histories anew;
afterwards they stay as they are, since conversations that began on that release may still run.
"""

from __future__ import annotations

import asyncio
import gzip
import os
from importlib.metadata import version
from pathlib import Path

from tests.flows.dialogue import load_cases
from tests.flows.player import Player
from tests.flows.temporal_runner import TemporalConversation, temporal_stage

DIALOGUES = Path(__file__).parents[1] / "flows"
HISTORIES = Path(__file__).parent / "histories"
FILES = ("action", "ai", "api_call", "conversation", "demo_leads", "demo_support", "question", "webhook")
WAYS = ("warm", "moving")
"""How the first dialogues of each file are played: in one run, and in a new run after every turn."""


async def record() -> dict[str, str]:
    """Play the dialogues; return the histories as JSON, one a run, by the name of their file."""
    found: dict[str, str] = {}
    async with temporal_stage() as stage:
        for name in FILES:
            cases = [case for case in load_cases(DIALOGUES / f"{name}.yaml") if case.dialogue.clock == "any"]
            for case, way in zip(cases, WAYS, strict=False):
                conversation = TemporalConversation(case, stage, way)
                try:
                    await Player(case, conversation).play()
                    for run, history in enumerate(reversed(await conversation.histories()), 1):
                        found[f"{name}-{way}-{run:02}"] = history.to_json()
                finally:
                    await conversation.close()
    return found


def main() -> None:
    """Put the present release's histories in the place of those recorded before."""
    folder = HISTORIES / version("versaai")
    found = asyncio.run(record())
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json.gz"):
        old.unlink()
    for name, history in found.items():
        (folder / f"{name}.json.gz").write_bytes(gzip.compress(history.encode(), mtime=0))
    print(f"{len(found)} histories in {folder}", flush=True)
    os._exit(0)  # Temporal's runtime may abort while Python tears down around it


if __name__ == "__main__":
    main()
