"""What is measured: waiting times, processor time and memory of the platform's processes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import psutil

CpuSeconds: TypeAlias = dict[str, float]
_DRIVER = "driver"
_MIB = 1024 * 1024


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie, linearly interpolated.

    Raises ValueError without values.
    """
    if not values:
        raise ValueError("there is nothing to take a quantile of")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


class ProcessMeter:
    """Processor time and memory by part: `temporal`, `postgres`, `worker`, `api`, and the driver itself.

    `pids` maps the supervisor's names (`worker-1`, `worker-2`, ...) to process ids; processes of a kind are
    added up, with all their children.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes: dict[str, list[psutil.Process]] = {}
        for name, pid in pids.items():
            self._processes.setdefault(name.partition("-")[0], []).append(psutil.Process(pid))

    def cpu(self) -> CpuSeconds:
        """Return the seconds used so far by each part. Raises psutil.NoSuchProcess when one has died."""
        used = {
            part: sum(_family_seconds(process) for process in processes)
            for part, processes in self._processes.items()
        }
        return {**used, _DRIVER: time.process_time()}

    def memory(self) -> dict[str, float]:
        """Return MiB by part: the proportional share of what processes have in common, else resident."""
        sizes = {
            part: sum(_family_bytes(process) for process in processes) / _MIB
            for part, processes in self._processes.items()
        }
        return {part: round(size, 1) for part, size in sizes.items()}


def cpu_milliseconds(before: CpuSeconds, after: CpuSeconds, turns: int) -> dict[str, float]:
    """Return milliseconds of processor time a turn, by part."""
    return {part: round((after[part] - before.get(part, 0.0)) * 1000 / max(turns, 1), 3) for part in after}


def add_cpu(total: CpuSeconds, before: CpuSeconds, after: CpuSeconds) -> None:
    """Add what was used between two readings to `total`."""
    for part in after:
        total[part] = total.get(part, 0.0) + after[part] - before[part]


def machine() -> dict[str, float | int]:
    """Return what the figures depend on, without naming the machine."""
    return {
        "cpus": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _family_seconds(process: psutil.Process) -> float:
    with process.oneshot():
        times = process.cpu_times()
    used = float(times.user + times.system + times.children_user + times.children_system)
    for child in process.children(recursive=True):
        try:
            own = child.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its time is among its parent's children's from now on
        used += own.user + own.system
    return used


def _family_bytes(process: psutil.Process) -> int:
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            memory = one.memory_full_info()
            total += getattr(memory, "pss", 0) or memory.rss
        except psutil.NoSuchProcess:
            continue
    return total
