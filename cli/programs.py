"""How somebody types our commands where they are: by name where the shell finds them, else by path."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def typed(name: str) -> str:
    """Return what to type for a program of this environment, such as `.venv/bin/versaai`."""
    beside = Path(sys.executable).parent / name
    found = shutil.which(name)
    if not beside.exists() or (found is not None and Path(found).resolve() == beside.resolve()):
        return name
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)
